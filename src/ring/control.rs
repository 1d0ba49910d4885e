use std::mem::offset_of;

use super::position::Position;
use super::slot::SlotWord;
use crate::fault::crash_point;
use crate::sys::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use crate::word::eventcount::EventCount;

/// What the users of a ring share besides its slots.
///
/// `tail` and `head` are hints: where producers, and consumers, were when somebody last said so. Anybody may read them
/// stale or find nonsense in them; then it looks at more slots than it would have had to.
///
/// | offset | size | field       | meaning                                                          |
/// |--------|------|-------------|------------------------------------------------------------------|
/// | 0      | 8    | items       | consumers sleep here: `word/eventcount.rs`                        |
/// | 8      | 4    | closed      | 1: nothing is put any more                                       |
/// | 12     | 4    |             | 0                                                                |
/// | 16     | 8    | redelivered | messages that were taken from a dead consumer and given to another |
/// | 24     | 40   | line        | 0: what producers look at has a cache line of its own            |
/// | 64     | 8    | space       | producers sleep here                                             |
/// | 72     | 56   | line        | 0                                                                |
/// | 128    | 8    | tail        | a [`Position`] that was claimed, and the next one                |
/// | 136    | 56   | line        | 0                                                                |
/// | 192    | 8    | head        | a [`Position`] that consumers have come to                       |
/// | 200    | 56   | line        | 0                                                                |
#[repr(C, align(64))]
pub(crate) struct Control {
    pub(crate) items: EventCount,
    closed: AtomicU32,
    unused: AtomicU32,
    redelivered: AtomicU64,
    items_line: [AtomicU64; 5],
    pub(crate) space: EventCount,
    space_line: [AtomicU64; 7],
    tail: AtomicU64,
    tail_line: [AtomicU64; 7],
    head: AtomicU64,
    head_line: [AtomicU64; 7],
}

#[cfg(not(all(test, loom)))]
const _: () = {
    assert!(size_of::<Control>() == 256 && offset_of!(Control, redelivered) == 16);
    assert!(offset_of!(Control, space) == 64 && offset_of!(Control, tail) == 128 && offset_of!(Control, head) == 192);
};

/// The sizes and offsets of a [`Control`], for the stamp of whatever contains one.
pub(crate) const LAYOUT: [usize; 5] = [
    size_of::<Control>(),
    offset_of!(Control, closed),
    offset_of!(Control, space),
    offset_of!(Control, tail),
    offset_of!(Control, head),
];

#[cfg(all(test, loom))]
impl Control {
    pub(super) fn new() -> Self {
        let line = || std::array::from_fn(|_| AtomicU64::new(0));
        Control {
            items: EventCount::new(),
            closed: AtomicU32::new(0),
            unused: AtomicU32::new(0),
            redelivered: AtomicU64::new(0),
            items_line: std::array::from_fn(|_| AtomicU64::new(0)),
            space: EventCount::new(),
            space_line: line(),
            tail: AtomicU64::new(0),
            tail_line: line(),
            head: AtomicU64::new(0),
            head_line: line(),
        }
    }
}

impl Control {
    /// Offsets of what is said to people.
    pub(crate) const CLOSED: usize = offset_of!(Control, closed);
    pub(crate) const REDELIVERED: usize = offset_of!(Control, redelivered);
    pub(crate) const TAIL: usize = offset_of!(Control, tail);
    pub(crate) const HEAD: usize = offset_of!(Control, head);

    /// How many messages lie between two hints of a ring with so many slots, at most.
    pub(crate) fn depth(tail: u64, head: u64, capacity: u64) -> u64 {
        let slots = u32::try_from(capacity).unwrap_or(u32::MAX);
        let ordinal = |hint| Position::from_hint(hint, slots).ordinal(slots);
        ordinal(tail).saturating_sub(ordinal(head)).min(capacity)
    }

    /// From here on nothing is put: whoever claims a slot looks for this afterwards.
    pub(crate) fn close(&self) {
        self.closed.store(1, Relaxed); // ordered by the fences of I3 and I6
        crash_point!("ring.closed");
        self.items.notify_all();
        self.space.notify_all();
    }

    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Relaxed) != 0
    }

    pub(crate) fn redelivered(&self) -> u64 {
        self.redelivered.load(Relaxed)
    }

    pub(super) fn count_redelivery(&self) {
        self.redelivered.fetch_add(1, Relaxed);
    }

    // Relaxed, both ways: hints, that nobody relies on.

    pub(super) fn tail(&self, capacity: u32) -> Position {
        Position::from_hint(self.tail.load(Relaxed), capacity)
    }

    #[inline]
    pub(super) fn hint_tail(&self, position: Position) {
        self.tail.store(position.number(), Relaxed);
    }

    pub(super) fn head(&self, capacity: u32) -> Position {
        Position::from_hint(self.head.load(Relaxed), capacity)
    }

    #[inline]
    pub(super) fn hint_head(&self, position: Position) {
        self.head.store(position.number(), Relaxed);
    }
}

/// The slots of a ring, wherever they lie.
pub(crate) trait Slots {
    fn control(&self) -> &Control;

    /// 1 to 2^31.
    fn capacity(&self) -> u32;

    /// index: below `capacity()`.
    fn word(&self, index: u32) -> &SlotWord;

    /// Asks for the memory of a slot that is likely to be claimed soon. index: below `capacity()`.
    fn prefetch(&self, index: u32);
}
