//! What a queue looks like in shared memory.

#![allow(unsafe_code)]

use std::alloc::Layout;
use std::mem::offset_of;

use super::super::cells::{Cells, Shape};
use super::ledger::{Account, Ledger};
use crate::error::Kind;
use crate::ring::{CONTROL_LAYOUT, Control};
use crate::segment::place::{Body, Placed};
use crate::segment::{Atomics, stamp};
use crate::sys::atomic::AtomicU64;
use crate::word::eventcount::EventCount;

/// | offset | size           | field       | meaning                                                            |
/// |--------|----------------|-------------|--------------------------------------------------------------------|
/// | 0      | 256            | control     | `ring/control.rs`                                                  |
/// | 256    | 8              | done        | who waits for all to be done sleeps here: `word/eventcount.rs`          |
/// | 264    | 8              | max_message | the most encoded bytes of a message                                |
/// | 272    | 8              | extents     | offset of the first extent from the segment's first byte           |
/// | 280    | 8              | ends        | whether it ends with its producers (bit 0), its consumers (bit 1)  |
/// | 288    | 8              | arrivals    | handles that somebody has got: `ledger.rs`                         |
/// | 296    | 24             | line        | 0                                                                  |
/// | 320    | 64             |             | 0: the slots begin at multiples of 128, and so what precedes them  |
/// | 384    | peers x 64     |             | accounts: `ledger.rs`                                              |
/// | then   | capacity x 128 |             | the slots: a word (`ring/slot.rs`), the length, the message if it fits |
#[repr(C, align(64))]
pub(super) struct QueueBody {
    pub(super) control: Control,
    pub(super) done: EventCount,
    pub(super) max_message: AtomicU64,
    pub(super) extents: AtomicU64,
    pub(super) ends: AtomicU64,
    pub(super) arrivals: AtomicU64,
    line: [AtomicU64; 3],
}

const _: () = assert!(size_of::<QueueBody>() == 320 && offset_of!(QueueBody, extents) == 272);

// SAFETY: `repr(C)`, atomics only and no padding; all zero is an empty queue for messages without a byte.
unsafe impl Body for QueueBody {
    const KIND: Kind = Kind::Queue;
    const STAMP: u64 = stamp(&[
        CONTROL_LAYOUT[0],
        CONTROL_LAYOUT[1],
        CONTROL_LAYOUT[2],
        CONTROL_LAYOUT[3],
        CONTROL_LAYOUT[4],
        size_of::<QueueBody>(),
        offset_of!(QueueBody, done),
        offset_of!(QueueBody, max_message),
        offset_of!(QueueBody, extents),
        offset_of!(QueueBody, ends),
        offset_of!(QueueBody, arrivals),
        size_of::<Account>(),
        INLINE,
    ]);
}

// SAFETY: `repr(C)`, atomics only and no padding.
unsafe impl Atomics for Account {}

/// The most encoded bytes that a slot holds itself: with its word and their length, two cache lines, since processors fetch
/// them in pairs.
pub(super) const INLINE: usize = 112;

/// Messages are copied in whole words.
const _: () = assert!(INLINE.is_multiple_of(LENGTH));

/// What precedes a message in its slot: its length in bytes.
pub(super) const LENGTH: usize = size_of::<u64>();

pub(super) const SHAPE: Shape = match Layout::from_size_align(LENGTH + INLINE, align_of::<u64>()) {
    Ok(layout) => Shape::of(layout),
    Err(_) => unreachable!(),
};

/// [`INLINE`], as a number of bytes in shared memory.
pub(super) const INLINE_BYTES: u64 = INLINE as u64;

pub(super) fn tail(capacity: u64, peers: u32) -> Option<Layout> {
    let accounts = Layout::array::<Account>(peers as usize).ok()?;
    let (tail, slots) = accounts.extend(SHAPE.row(capacity)?).ok()?;
    (slots == slots_at(peers)).then_some(tail)
}

/// Where the slots begin in the tail: behind the accounts, at a multiple of 128.
pub(super) fn slots_at(peers: u32) -> usize {
    (peers as usize * size_of::<Account>()).next_multiple_of(128)
}

/// The slots of a queue.
#[inline]
pub(super) fn cells(placed: &Placed<QueueBody>) -> Cells<'_> {
    let slots = slots_at(placed.segment().peers());
    // SAFETY: the tail was laid out, and checked at attach, with a row of `SHAPE` at this place.
    unsafe { Cells::new(placed, &placed.body().control, slots, SHAPE) }
}

/// The accounts of a queue.
#[inline]
pub(super) fn ledger(placed: &Placed<QueueBody>) -> Ledger<'_> {
    let segment = placed.segment();
    Ledger { segment, accounts: placed.tail_of(segment.peers() as usize) }
}
