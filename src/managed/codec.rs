//! Keys and values as bytes.

use std::mem;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::held::{hold_all, loading, storing};
use crate::error::{Error, Result};
use crate::heap::bytes::{Buffer, Content, Seen};
use crate::heap::object::Hold;
use crate::heap::{Heap, Transaction};
use crate::message::codec;
use crate::segment::transfer::Alone;

const KEY: &str = "a key";
const VALUE: &str = "a value";

/// A key, encoded. No handle can be one.
pub(super) fn key<K: Serialize + ?Sized>(key: &K) -> Result<Vec<u8>> {
    encode(Alone::enter(), KEY, key)
}

fn encode<T: Serialize + ?Sized>(alone: Alone, what: &'static str, value: &T) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    match codec::extend(what, value, &mut bytes) {
        Err(_) if alone.has_refused() => Err(Error::HandleOutsideTransfer),
        encoded => encoded.map(|()| bytes),
    }
}

/// A value for this heap, encoded, and the objects that it refers to.
pub(super) fn value<V: Serialize + ?Sized>(heap: &Arc<Heap>, value: &V) -> Result<Content> {
    let (bytes, objects) = storing(heap, || encode(Alone::kept(), VALUE, value));
    Ok(Content { bytes: bytes?, objects })
}

/// What refers to nothing.
pub(super) fn plain<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    codec::decode(VALUE, bytes)
}

pub(super) fn decode_key<K: DeserializeOwned>(bytes: &[u8]) -> Result<K> {
    codec::decode(KEY, bytes)
}

/// A value, and what holds the objects that it refers to until it is decoded. Within a transaction, which may not come to its end:
/// then there are no holds, and nothing is to be let go.
pub(super) struct Taken {
    content: Content,
    holds: Vec<Hold>,
}

/// The same behind the transaction: what is not decoded is let go.
pub(super) struct Kept<'h> {
    heap: &'h Arc<Heap>,
    taken: Taken,
}

impl Taken {
    /// Holds what the value refers to.
    pub(super) fn hold(transaction: &mut Transaction<'_>, content: Content) -> Result<Self> {
        Ok(Taken { holds: hold_all(transaction, &content.objects)?, content })
    }

    /// Of a value that refers to nothing.
    pub(super) fn plain(content: Content) -> Option<Self> {
        content.objects.is_empty().then(|| Taken { content, holds: Vec::new() })
    }

    /// The transaction has come to its end.
    pub(super) fn keep(self, heap: &Arc<Heap>) -> Kept<'_> {
        Kept { heap, taken: self }
    }

    /// What was seen, if it refers to nothing.
    #[inline]
    pub(super) fn decode_seen<V: DeserializeOwned>(seen: &Seen, buffer: &Buffer) -> Option<Result<V>> {
        match seen {
            Seen::Short(length) => Some(codec::decode(VALUE, buffer.bytes(*length))),
            Seen::Long(content) => content.objects.is_empty().then(|| codec::decode(VALUE, &content.bytes)),
        }
    }

    /// In the midst of a transaction, where nothing can be held.
    pub(super) fn decode_in_midst<V: DeserializeOwned>(heap: &Arc<Heap>, content: &Content) -> Result<V> {
        if content.objects.is_empty() {
            return codec::decode(VALUE, &content.bytes);
        }
        loading(heap, Vec::new(), || codec::decode_kept(VALUE, &content.bytes))
    }
}

impl Kept<'_> {
    /// What stands before the rest of it, and refers to nothing.
    pub(super) fn head<H: DeserializeOwned>(&self) -> Result<H> {
        codec::decode_front(VALUE, &self.taken.content.bytes)
    }

    pub(super) fn decode<V: DeserializeOwned>(mut self) -> Result<V> {
        let bytes = &self.taken.content.bytes;
        if self.taken.content.objects.is_empty() {
            return codec::decode(VALUE, bytes);
        }
        loading(self.heap, mem::take(&mut self.taken.holds), || codec::decode_kept(VALUE, bytes))
    }
}

impl Drop for Kept<'_> {
    fn drop(&mut self) {
        self.taken.holds.drain(..).for_each(|hold| self.heap.give_up(hold));
    }
}
