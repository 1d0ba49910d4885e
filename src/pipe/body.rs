#![allow(unsafe_code)]

use std::alloc::Layout;
use std::mem::offset_of;

use crate::error::Kind;
use crate::ring::bytes::{CAPACITY, Record, Ring};
use crate::ring::track::Track;
use crate::segment::place::Body;
use crate::segment::{Region, stamp};

/// One direction: the words that its two ends share, see [`Track`], and behind them the ring's bytes.
#[repr(transparent)]
pub(super) struct ChannelBody {
    pub(super) track: Track,
}

const _: () = {
    assert!(size_of::<Track>() == 256 && offset_of!(Track, head) == 0 && offset_of!(Track, items) == 128);
    assert!(offset_of!(Track, space) == 136 && offset_of!(Track, wanted) == 144);
    assert!(offset_of!(Track, sender) == 152 && offset_of!(Track, receiver) == 160);
};

// SAFETY: `repr(transparent)` around a `repr(C)` struct of atomics without padding; zero is an empty ring whose ends are
// closed.
unsafe impl Body for ChannelBody {
    const KIND: Kind = Kind::Channel;
    const STAMP: u64 = stamp(&[
        size_of::<ChannelBody>(),
        offset_of!(Track, head),
        offset_of!(Track, items),
        offset_of!(Track, space),
        offset_of!(Track, wanted),
        offset_of!(Track, sender),
        offset_of!(Track, receiver),
    ]);
}

/// The bytes of a ring with this capacity; `None` for what no ring has.
pub(super) fn tail(capacity: u64) -> Option<Layout> {
    if !capacity.is_power_of_two() || !CAPACITY.contains(&capacity) {
        return None;
    }
    // From the beginning of a cache line, two words of which are written together.
    Layout::from_size_align(usize::try_from(capacity).ok()?, 128).ok()
}

/// The payload of `bytes` bytes that begins at the `start`th word.
#[inline]
pub(super) fn payload(ring: Ring<'_>, start: usize, bytes: usize) -> Region<'_> {
    Region::of(ring.words).part(8 * start, bytes)
}

/// The payload of a record in place. A peer that writes to it meanwhile breaks what Rust knows about a `&[u8]`; nobody who
/// follows the protocol does.
pub(super) fn lend(ring: Ring<'_>, record: Record) -> &[u8] {
    // SAFETY: until the record is released, no honest peer writes to it (`ring/bytes.rs`, B3).
    unsafe { payload(ring, record.start, record.bytes).lend() }
}
