//! The object of a handle, wherever it is: the table of all that containers are made of. An operation is one step: others see all of
//! it, or nothing.
//!
//! Keys and values are encoded here, and nobody above asks what keeps them.

use std::ops::Range;

use super::engine::Engine;
use super::guard::{Change, Looks};
use super::kept::{Buffer, Exchanged, Kept, Seen, Stored};
use super::local::{self, Short};
#[cfg(feature = "redis")]
use super::server;
use crate::error::Result;

/// What a handle has of its object.
pub(super) enum Held {
    Local(local::Held),
    #[cfg(feature = "redis")]
    Server(server::Held),
}

macro_rules! table {
    ($($(#[$attribute:meta])* fn $name:ident($($argument:ident: $type:ty),*) -> $result:ty;)*) => {
        impl Held {$(
            $(#[$attribute])*
            pub(super) fn $name(&self $(, $argument: $type)*) -> $result {
                match self {
                    Held::Local(held) => held.$name($($argument),*),
                    #[cfg(feature = "redis")]
                    Held::Server(held) => held.$name($($argument),*),
                }
            }
        )*}
    };
}

// Entries by their keys, on this machine in the order in which they came: a dictionary, a namespace, a set (whose values are empty).
table! {
    #[inline]
    fn get(key: &[u8], buffer: &mut Buffer) -> Result<Option<Seen>>;
    fn contains(key: &[u8]) -> Result<bool>;
    fn entries_count() -> Result<usize>;
    /// Whether there was one, which keeps its place.
    fn insert(key: &[u8], value: &Stored) -> Result<bool>;
    fn extend(entries: &[(Vec<u8>, Stored)]) -> Result<()>;
    /// Inserts; the old value.
    fn swap(key: &[u8], value: &Stored) -> Result<Option<Kept>>;
    /// Whether there was one.
    fn remove(key: &[u8]) -> Result<bool>;
    /// Removes; the old value.
    fn take(key: &[u8]) -> Result<Option<Kept>>;
    /// The entry that came last; at a server, any.
    fn take_last() -> Result<Option<(Vec<u8>, Kept)>>;
    fn keys() -> Result<Vec<Vec<u8>>>;
    fn entries() -> Result<Vec<(Vec<u8>, Kept)>>;
    fn clear_table() -> Result<()>;
    /// Gives a key the value `new`, or none, if it has the value `current`, or none.
    fn exchange(key: &[u8], current: Option<&[u8]>, new: Option<&Stored>) -> Result<Exchanged>;
    /// Fails if so many changes, of values of so many bytes together, cannot fit into one step.
    fn check_size(changes: usize, bytes: usize) -> Result<()>;
    /// Makes all these changes if all that was looked at is still so; whether it is. More than fit into one step are
    /// `Error::TooManyChanges`.
    fn exchange_many(looks: &Looks, changes: &[Change]) -> Result<bool>;
}

// Items by their place: a list, an array, a value (which is one item). An index that is too large is `Error::OutOfRange`.
table! {
    /// `None`: ask for the [`item`](Self::item).
    #[inline]
    fn short_item(index: u64) -> Option<Short>;
    fn item(index: u64, buffer: &mut Buffer) -> Result<Seen>;
    fn items_count() -> Result<u64>;
    fn set_item(index: u64, item: &Stored) -> Result<()>;
    /// Before the item at `index`, or behind the last one.
    fn add_items(index: Option<u64>, items: &[Stored]) -> Result<()>;
    fn take_item(index: u64) -> Result<Kept>;
    fn take_last_item() -> Result<Option<Kept>>;
    /// As far as there are any.
    fn items(range: Range<u64>) -> Result<Vec<Kept>>;
    fn index_of(item: &[u8]) -> Result<Option<u64>>;
    fn count_of(item: &[u8]) -> Result<usize>;
    fn clear_row() -> Result<()>;
    fn exchange_item(index: u64, current: &[u8], new: &Stored) -> Result<Exchanged>;
    fn reverse() -> Result<()>;
    /// If the items are what was seen, has at place `i` the one that was at `order[i]`; whether they are.
    fn reorder(seen: &[Kept], order: &[u64]) -> Result<bool>;
}

impl Held {
    /// Runs `decode`, in which handles of objects of the same manager may be deserialised.
    pub(super) fn loading<R>(&self, decode: impl FnOnce() -> R) -> R {
        match self {
            Held::Local(held) => held.loading(decode),
            #[cfg(feature = "redis")]
            Held::Server(held) => held.loading(decode),
        }
    }

    /// How a value begins that is encoded for this object and refers to nothing.
    #[inline]
    pub(super) fn head(&self) -> Vec<u8> {
        match self {
            Held::Local(_) => Vec::new(),
            #[cfg(feature = "redis")]
            Held::Server(_) => server::head(),
        }
    }

    /// What was encoded to be stored here, and whether it may refer to something.
    pub(super) fn payload<'s>(&self, stored: &'s Stored) -> (&'s [u8], bool) {
        match self {
            Held::Local(_) => (&stored.bytes, !stored.objects.is_empty()),
            #[cfg(feature = "redis")]
            Held::Server(_) => (server::payload(&stored.bytes), true),
        }
    }

    pub(super) fn engine(&self) -> Engine {
        match self {
            Held::Local(held) => Engine::Local(held.engine()),
            #[cfg(feature = "redis")]
            Held::Server(held) => Engine::Server(held.engine()),
        }
    }
}
