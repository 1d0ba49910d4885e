//! Values as bytes: postcard, into memory that is already there.

#[cfg(test)]
mod tests;

use std::os::fd::OwnedFd;
use std::sync::Arc;

use postcard::de_flavors::{Flavor as Source, Slice as Bytes};
use postcard::ser_flavors::{Flavor, Slice, StdVec};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};
use crate::message::depth::{self, Shallow};
use crate::message::encoder::{self, encode};
use crate::segment::Segment;
use crate::segment::handle::{Incoming, Outgoing, Parcel};
use crate::segment::transfer::{self, Alone};

/// Encodes `message` into `buffer`: what it has filled of it, or `None` if it is too short. `what` names the message in
/// errors.
#[inline]
pub(crate) fn encode_into<'b, M: Serialize + ?Sized>(
    what: &'static str,
    message: &M,
    buffer: &'b mut [u8],
) -> Result<Option<&'b [u8]>> {
    let alone = Alone::enter();
    match encode(message, Slice::new(buffer)) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(postcard::Error::SerializeBufferFull) => Ok(None),
        Err(error) => Err(unencoded(what, error, alone.has_refused())),
    }
}

/// Encodes `message` piece by piece into a sink, which may refuse; how many bytes it has taken.
pub(crate) fn encode_with<M: Serialize + ?Sized>(
    what: &'static str,
    message: &M,
    sink: impl FnMut(&[u8]) -> Result<()>,
) -> Result<usize> {
    let mut failed = None;
    let pieces = Pieces { sink, refused: &mut failed, total: 0, piece: [0; PIECE], filled: 0 };
    let alone = Alone::enter();
    let encoded = encode(message, pieces);
    match (failed, encoded) {
        (Some(error), _) => Err(error),
        (None, Ok(total)) => Ok(total),
        (None, Err(error)) => Err(unencoded(what, error, alone.has_refused())),
    }
}

/// Encodes what travels with descriptors: `value`, and the segments of the handles in it.
pub(crate) fn pack<V: Serialize + ?Sized>(what: &'static str, value: &V) -> Result<Parcel> {
    let encode = || encode(value, StdVec::new()).map_err(|error| unencoded(what, error, false));
    transfer::pack(encode).map(|(bytes, handles)| Parcel { bytes, handles })
}

/// Encodes a value of what travels with descriptors behind others, inside a [`transfer::pack`] that collects the segments of all.
#[inline]
pub(crate) fn extend<V: Serialize + ?Sized>(what: &'static str, value: &V, bytes: &mut Vec<u8>) -> Result<()> {
    encode(value, Tail(bytes)).map_err(|error| unencoded(what, error, false))
}

/// Encodes `value` behind others; the handles in it.
#[inline]
pub(crate) fn append<V: Serialize + ?Sized>(
    what: &'static str,
    value: &V,
    bytes: &mut Vec<u8>,
) -> Result<Option<Box<Outgoing>>> {
    transfer::pack(|| extend(what, value, bytes)).map(|((), handles)| handles)
}

/// Encoded values, one behind the other, and the segments of the handles in them.
pub(crate) struct Arguments<'a> {
    bytes: &'a [u8],
    incoming: Option<Box<Incoming>>,
}

impl<'a> Arguments<'a> {
    /// `segments`: in the order in which they were packed.
    pub(crate) fn new(bytes: &'a [u8], segments: Vec<Arc<Segment>>) -> Self {
        Arguments { bytes, incoming: Incoming::of_segments(segments) }
    }

    #[inline]
    pub(crate) fn next<T: DeserializeOwned>(&mut self, what: &'static str) -> Result<T> {
        let bytes = self.bytes;
        if self.incoming.is_none() {
            let _alone = Alone::enter();
            // Most values are short, whatever comes behind them.
            let (short, _) = bytes.split_at(bytes.len().min(depth::SHORT));
            let taken = match take(Bytes::new(short)) {
                Ok((value, rest)) => Ok((value, &bytes[short.len() - rest.len()..])),
                Err(_) => take_any(bytes),
            };
            let (value, rest) = taken.map_err(|error| undecoded(what, unreadable(error)))?;
            self.bytes = rest;
            return Ok(value);
        }
        let (value, rest) = transfer::unpack(&mut self.incoming, || {
            take_any(bytes).map_err(|error| undecoded(what, unreadable(error)))
        })?;
        self.bytes = rest;
        Ok(value)
    }

    /// Bytes that no value has been taken from.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.bytes
    }
}

/// Decodes a value from exactly `bytes`, which must be private: nobody may write them meanwhile.
#[inline]
pub(crate) fn decode<T: DeserializeOwned>(what: &'static str, bytes: &[u8]) -> Result<T> {
    decode_in(Alone::enter(), what, bytes)
}

/// The same for what is kept in a heap.
pub(crate) fn decode_kept<T: DeserializeOwned>(what: &'static str, bytes: &[u8]) -> Result<T> {
    decode_in(Alone::kept(), what, bytes)
}

#[inline]
fn decode_in<T: DeserializeOwned>(alone: Alone, what: &'static str, bytes: &[u8]) -> Result<T> {
    match take_any(bytes) {
        Ok((value, [])) => Ok(value),
        Err(_) if alone.has_refused() => Err(Error::HandleOutsideTransfer),
        taken => whole(what, taken),
    }
}

/// Decodes a value from the first of `bytes`, whatever comes behind it.
pub(crate) fn decode_front<T: DeserializeOwned>(what: &'static str, bytes: &[u8]) -> Result<T> {
    let _alone = Alone::enter();
    take_any(bytes).map(|(value, _)| value).map_err(|error| undecoded(what, unreadable(error)))
}

/// Fails if what has just been encoded cannot be decoded as a `T`, for a reason that lies in the encoding: what the type's
/// own code says is for who decodes it in earnest.
pub(crate) fn check<T: DeserializeOwned>(what: &'static str, bytes: &[u8]) -> Result<()> {
    let _alone = Alone::enter();
    let reason = match take_any::<T>(bytes) {
        Ok((_, [])) | Err(postcard::Error::SerdeDeCustom) => return Ok(()),
        Ok((_, rest)) => too_many(rest),
        Err(error) => unreadable(error),
    };
    Err(Error::Encode { what: what.into(), reason: format!("what comes out does not decode: {reason}") })
}

/// Decodes what [`pack`] has encoded, with the descriptors that came with it.
pub(crate) fn unpack<T: DeserializeOwned>(what: &'static str, bytes: &[u8], descriptors: Vec<OwnedFd>) -> Result<T> {
    transfer::unpack(&mut Incoming::of_descriptors(descriptors), || whole(what, take_any(bytes)))
}

/// The value, if nothing comes behind it.
#[inline]
fn whole<T>(what: &'static str, taken: postcard::Result<(T, &[u8])>) -> Result<T> {
    match taken {
        Ok((value, [])) => Ok(value),
        Ok((_, rest)) => Err(undecoded(what, too_many(rest))),
        Err(error) => Err(undecoded(what, unreadable(error))),
    }
}

/// A value of any length, and what comes behind it.
#[inline]
fn take_any<T: DeserializeOwned>(bytes: &[u8]) -> postcard::Result<(T, &[u8])> {
    if bytes.len() <= depth::SHORT { take(Bytes::new(bytes)) } else { take_long(bytes) }
}

#[inline(never)]
fn take_long<T: DeserializeOwned>(bytes: &[u8]) -> postcard::Result<(T, &[u8])> {
    take(Shallow::new(bytes))
}

#[inline]
fn take<'de, T: DeserializeOwned, S: Source<'de>>(source: S) -> postcard::Result<(T, S::Remainder)> {
    let mut deserializer = postcard::Deserializer::from_flavor(source);
    let value = T::deserialize(&mut deserializer)?;
    Ok((value, deserializer.finalize()?))
}

#[cold]
fn undecoded(what: &'static str, reason: String) -> Error {
    Error::Decode { what: what.into(), reason }
}

#[cold]
fn too_many(rest: &[u8]) -> String {
    format!("{} bytes too many", rest.len())
}

#[cold]
fn unreadable(error: postcard::Error) -> String {
    match error {
        postcard::Error::WontImplement => "its type asks what comes next, and the encoding does not say \
             (`#[serde(tag)]`, `#[serde(untagged)]` and `#[serde(flatten)]` ask)"
            .into(),
        depth::TOO_DEEP => "it is nested too deeply".into(),
        other => other.to_string(),
    }
}

/// `refused`: whether a handle has refused to be encoded, which postcard's errors do not say.
#[cold]
fn unencoded(what: &'static str, error: postcard::Error, refused: bool) -> Error {
    let reason = match error {
        _ if refused => return Error::HandleOutsideTransfer,
        encoder::LEFT_OUT => {
            "`#[serde(skip_serializing_if)]` leaves a field out, and the encoding does not say which are there".into()
        }
        postcard::Error::SerializeSeqLengthUnknown => {
            "a sequence or a map does not say how long it is (`#[serde(flatten)]` makes one that does not)".into()
        }
        postcard::Error::SerdeSerCustom => encoder::said().unwrap_or_else(|| error.to_string()),
        other => other.to_string(),
    };
    Error::Encode { what: what.into(), reason }
}

/// The end of a list of bytes.
struct Tail<'a>(&'a mut Vec<u8>);

impl Flavor for Tail<'_> {
    type Output = ();

    #[inline]
    fn try_push(&mut self, byte: u8) -> Result<(), postcard::Error> {
        self.0.push(byte);
        Ok(())
    }

    #[inline]
    fn try_extend(&mut self, bytes: &[u8]) -> Result<(), postcard::Error> {
        // Numbers come as a few bytes, for which a call to copy them would take longer than the loop. Of floats the compiler knows the
        // length here, and four or eight bytes are one store.
        if let Ok(four) = <&[u8; 4]>::try_from(bytes) {
            self.0.extend_from_slice(four);
        } else if let Ok(eight) = <&[u8; 8]>::try_from(bytes) {
            self.0.extend_from_slice(eight);
        } else if bytes.len() <= 10 {
            for &byte in bytes {
                self.0.push(byte);
            }
        } else {
            self.0.extend_from_slice(bytes);
        }
        Ok(())
    }

    fn finalize(self) -> Result<(), postcard::Error> {
        Ok(())
    }
}

/// Numbers come byte by byte; they are gathered before they go into the sink. A guess at what makes its cost vanish.
const PIECE: usize = 256;

struct Pieces<'a, S> {
    sink: S,
    refused: &'a mut Option<Error>,
    total: usize,
    piece: [u8; PIECE],
    filled: usize,
}

impl<S: FnMut(&[u8]) -> Result<()>> Pieces<'_, S> {
    fn flush(&mut self) -> Result<(), postcard::Error> {
        let filled = std::mem::take(&mut self.filled);
        let flushed = (self.sink)(&self.piece[..filled]);
        self.refuse(flushed)
    }

    fn refuse(&mut self, outcome: Result<()>) -> Result<(), postcard::Error> {
        outcome.map_err(|error| {
            *self.refused = Some(error);
            postcard::Error::SerializeBufferFull
        })
    }
}

impl<S: FnMut(&[u8]) -> Result<()>> Flavor for Pieces<'_, S> {
    type Output = usize;

    #[inline]
    fn try_push(&mut self, byte: u8) -> Result<(), postcard::Error> {
        if self.filled == PIECE {
            self.flush()?;
        }
        self.piece[self.filled] = byte;
        self.filled += 1;
        self.total += 1;
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> Result<(), postcard::Error> {
        self.total += bytes.len();
        if bytes.len() > PIECE - self.filled {
            self.flush()?;
            if bytes.len() > PIECE {
                let taken = (self.sink)(bytes);
                return self.refuse(taken);
            }
        }
        self.piece[self.filled..self.filled + bytes.len()].copy_from_slice(bytes);
        self.filled += bytes.len();
        Ok(())
    }

    fn finalize(mut self) -> Result<usize, postcard::Error> {
        self.flush()?;
        Ok(self.total)
    }
}
