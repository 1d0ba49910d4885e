//! Encoded values: on their way in, and on their way out.

use serde::de::DeserializeOwned;

use super::codec::VALUE;
use super::held::Held;
use super::local::Holds;
#[cfg(feature = "redis")]
use super::server;
use crate::error::Result;
use crate::message::codec;

/// What goes in: encoded bytes, and the objects that are named in them.
pub(super) use super::local::Content as Stored;

/// Where a reader copies what is short.
pub(super) use super::local::Buffer;

/// What came of an exchange: done, or what is there instead.
pub(super) type Exchanged = Result<(), Option<Kept>>;

/// What comes out: an encoded value, and what keeps the objects that are named in it until it is decoded.
pub(super) struct Kept {
    bytes: Vec<u8>,
    refers: Refers,
}

enum Refers {
    Nothing,
    Local(Holds),
    #[cfg(feature = "redis")]
    Server(server::Holds),
}

/// The same for who reads in passing.
pub(super) enum Seen {
    /// So many bytes that refer to nothing, in the buffer.
    Short(usize),
    Long(Kept),
}

impl Kept {
    /// It refers to nothing.
    pub(super) fn plain(bytes: Vec<u8>) -> Self {
        Kept { bytes, refers: Refers::Nothing }
    }

    pub(super) fn local(bytes: Vec<u8>, holds: Holds) -> Self {
        Kept { bytes, refers: Refers::Local(holds) }
    }

    #[cfg(feature = "redis")]
    pub(super) fn server(bytes: Vec<u8>, holds: server::Holds) -> Self {
        Kept { bytes, refers: Refers::Server(holds) }
    }

    /// As it is kept.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What was encoded.
    fn payload(&self) -> &[u8] {
        match &self.refers {
            Refers::Nothing | Refers::Local(_) => &self.bytes,
            #[cfg(feature = "redis")]
            Refers::Server(_) => server::payload(&self.bytes),
        }
    }

    /// What stands before the rest of it, and refers to nothing.
    pub(super) fn head<H: DeserializeOwned>(&self) -> Result<H> {
        codec::decode_front(VALUE, self.payload())
    }

    /// Once: what keeps its objects goes to the handles in the value.
    pub(super) fn decode<V: DeserializeOwned>(&mut self) -> Result<V> {
        let bytes = &self.bytes;
        match &mut self.refers {
            Refers::Nothing => codec::decode(VALUE, bytes),
            Refers::Local(holds) => holds.load(|| codec::decode_kept(VALUE, bytes)),
            #[cfg(feature = "redis")]
            Refers::Server(holds) => holds.load(|| codec::decode_kept(VALUE, server::payload(bytes))),
        }
    }
}

impl Kept {
    /// As often as one likes: what keeps its objects stays. `held`: where it was found.
    pub(super) fn decode_copy<V: DeserializeOwned>(&self, held: &Held) -> Result<V> {
        match &self.refers {
            Refers::Nothing => codec::decode(VALUE, &self.bytes),
            Refers::Local(_) => held.loading(|| codec::decode_kept(VALUE, &self.bytes)),
            #[cfg(feature = "redis")]
            Refers::Server(_) => held.loading(|| codec::decode_kept(VALUE, self.payload())),
        }
    }
}

impl Seen {
    /// From the buffer that it was read with.
    #[inline]
    pub(super) fn decode<V: DeserializeOwned>(self, buffer: &Buffer) -> Result<V> {
        match self {
            Seen::Short(length) => codec::decode(VALUE, buffer.bytes(length)),
            Seen::Long(kept) => decode_long(kept),
        }
    }

    #[inline]
    pub(super) fn keep(self, buffer: &Buffer) -> Kept {
        match self {
            Seen::Short(length) => Kept::plain(buffer.bytes(length).to_vec()),
            Seen::Long(kept) => kept,
        }
    }
}

/// Out of the way of what is short.
#[inline(never)]
fn decode_long<V: DeserializeOwned>(mut kept: Kept) -> Result<V> {
    kept.decode()
}
