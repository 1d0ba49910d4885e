//! What a pool and its workers say to each other.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use serde::de::{Error as _, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::board::Board;
use super::desk;
use crate::cell::RawArray;
use crate::error::Error;
use crate::pipe::Sender;
use crate::process::note::Panic;
use crate::queue::Queue;
use crate::sync::Event;

/// What goes through the queue: calls of one function, the arguments of one behind those of the other.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) cell: u32,
    pub(super) generation: u64,
    /// The function, as the pool numbers it: where it is in the program, a worker believes nobody but its pool.
    pub(super) function: u64,
    /// The number of the first call.
    pub(super) first: u64,
    pub(super) calls: u32,
    /// `None`: the worker has to ask for it, as it is too long for the queue.
    pub(super) load: Option<Load>,
}

/// The most bytes of an encoded order without what its load holds: seven integers, none longer than [`INTEGER`], and a byte.
pub(super) const ORDER_HEAD: usize = 7 * INTEGER + 1;

/// The most bytes of an encoded integer of 64 bits.
const INTEGER: usize = 10;

/// What calls are made with.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Load {
    /// The segments of the handles in the arguments, as the pool numbers them.
    pub(super) segments: Vec<u64>,
    /// The encoded arguments.
    pub(super) arguments: Bytes,
}

impl Load {
    /// The most bytes that what it holds is encoded in.
    pub(super) fn size(&self) -> usize {
        self.segments.len() * INTEGER + self.arguments.as_slice().len()
    }
}

/// Bytes that are encoded as they are, from `start` on.
#[derive(Clone, Default)]
pub(super) struct Bytes {
    bytes: Arc<Vec<u8>>,
    start: usize,
}

impl Bytes {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Bytes { bytes: Arc::new(bytes), start: 0 }
    }

    pub(super) fn skip(&self, count: usize) -> Self {
        Bytes { bytes: Arc::clone(&self.bytes), start: (self.start + count).min(self.bytes.len()) }
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        &self.bytes[self.start..]
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.as_slice())
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Whole;
        impl Visitor<'_> for Whole {
            type Value = Bytes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Bytes, E> {
                // Without memory this process ends, and another one gets the order: one that does not decode would be gone.
                Ok(Bytes::new(bytes.to_vec()))
            }
        }
        deserializer.deserialize_bytes(Whole).map_err(D::Error::custom)
    }
}

/// What a worker is started with.
#[derive(Serialize, Deserialize)]
pub(super) struct Boot {
    pub(super) board: Board,
    /// See [`Desk`](super::desk::Desk).
    #[serde(deserialize_with = "desk::some")]
    pub(super) desks: RawArray<AtomicU64>,
    pub(super) orders: Queue<Order>,
    /// Set when there are results.
    pub(super) bell: Event,
    /// See [`Tag`].
    pub(super) results: Sender<()>,
    /// The worker's number, never used twice.
    pub(super) worker: u32,
    /// Its place in the pool.
    pub(super) place: u32,
    /// Whether a note with what is to be run first comes.
    pub(super) has_initializer: bool,
    /// After how many calls it ends.
    pub(super) most_calls: Option<u64>,
    /// Whether the pool wants to know when a task was started.
    pub(super) is_timed: bool,
}

/// How a record in a worker's channel begins. Then come the cell in four bytes, its generation and the number of the first call
/// in eight each, and what is said here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Tag {
    /// The encoded results of one or more calls, each behind its length: `results.rs`.
    Returned = 0,
    /// The encoded [`TaskError`](crate::TaskError) of a call.
    Failed = 1,
    /// The same, and the calls behind it were not begun: after arguments that did not decode, nobody knows where the next begin.
    Stopped = 2,
    /// The result of a call is in the socket, under the number in eight bytes here.
    InSocket = 3,
    /// Nothing: the calls from that one on are for another worker, as this one has done as many as it may, or can ask for nothing.
    Left = 4,
}

impl Tag {
    pub(super) fn of(byte: u8) -> Option<Tag> {
        [Tag::Returned, Tag::Failed, Tag::Stopped, Tag::InSocket, Tag::Left].into_iter().find(|tag| *tag as u8 == byte)
    }
}

/// A record's bytes before its payload.
pub(super) const RECORD_HEAD: usize = 1 + 4 + 8 + 8;

/// The beginning of a record.
pub(super) struct Head {
    pub(super) tag: Tag,
    pub(super) cell: usize,
    pub(super) generation: u64,
    /// The number of the first call that it is about.
    pub(super) first: u64,
}

impl Head {
    /// What a worker has sent, as this and what it says.
    pub(super) fn split(record: &[u8]) -> Option<(Head, &[u8])> {
        let (tag, rest) = record.split_first()?;
        let (cell, rest) = rest.split_first_chunk()?;
        let (generation, rest) = rest.split_first_chunk()?;
        let (first, payload) = rest.split_first_chunk()?;
        let head = Head {
            tag: Tag::of(*tag)?,
            cell: u32::from_ne_bytes(*cell) as usize,
            generation: u64::from_ne_bytes(*generation),
            first: u64::from_ne_bytes(*first),
        };
        Some((head, payload))
    }
}

/// What a worker says through its socket.
#[derive(Serialize, Deserialize)]
pub(super) enum Ask {
    /// The initializer has run.
    Ready,
    /// It has not.
    NotReady(Failure),
    /// For a segment. The answer has no bytes.
    Segment(u64),
    /// For a function's [`offset_of_step`](crate::process::offset_of_step). The answer has no bytes if there is none.
    Function(u64),
    /// For the load of what this cell has.
    Load(u32),
    /// The encoded result of a call follows; it has a number, which grows.
    Result(u64),
}

/// Why a worker cannot work.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Failure {
    Panicked(Panic),
    /// The initializer has returned an `Err` that says this.
    Returned(String),
    /// The pool has killed it, as the initializer took longer than that.
    TimedOut(Duration),
    /// What the initializer is to be called with could not be handed over.
    Failed(Error),
}
