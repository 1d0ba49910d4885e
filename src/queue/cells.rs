//! Where the slots of a ring lie in shared memory.

#![allow(unsafe_code)]

use std::alloc::Layout;
use std::ptr::NonNull;

use crate::ring::{Control, SlotWord, Slots, Ticket};
use crate::segment::place::{Body, Placed};
use crate::segment::{Region, Segment};
use crate::sys::prefetch;

/// A cache line: two slots in one would be written by two processes at a time.
const LINE: usize = 64;

/// A slot of up to so many bytes is asked for as a whole ahead of its use; of a longer one the first line. Measured: with four
/// lines of a slot for 1 KiB a stream of them made 4 M/s instead of 7, with all 17 of them 3.
const PREFETCHED: usize = 4 * LINE;

/// What one slot looks like: a [`SlotWord`], and the message at `message`.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    stride: usize,
    message: usize,
}

impl Shape {
    /// For messages of this layout, whose alignment is at most that of objects.
    pub(super) const fn of(message: Layout) -> Self {
        let word = size_of::<SlotWord>();
        let message_at = if message.align() > word { message.align() } else { word };
        let align = if message.align() > LINE { message.align() } else { LINE };
        let stride = (message_at + message.size()).next_multiple_of(align);
        // Where it costs no memory, a message begins with a line: copying 1 KiB across lines made a stream 6 M/s, not 7.
        let message_at = if message_at < LINE && LINE + message.size() <= stride { LINE } else { message_at };
        Shape { stride, message: message_at }
    }

    /// Bytes from one slot to the next.
    pub(super) fn stride(self) -> usize {
        self.stride
    }

    /// So many of them; `None` if that is more than memory can hold.
    pub(super) fn row(self, capacity: u64) -> Option<Layout> {
        let size = self.stride.checked_mul(usize::try_from(capacity).ok()?)?;
        Layout::from_size_align(size, if self.stride.is_multiple_of(128) { 128 } else { LINE }).ok()
    }
}

/// C. The tail of `placed` was laid out, and checked at attach, to have `capacity` slots of this shape from `start`.
#[derive(Clone, Copy)]
pub(super) struct Cells<'a> {
    segment: &'a Segment,
    control: &'a Control,
    start: NonNull<u8>,
    shape: Shape,
    capacity: u32,
}

impl<'a> Cells<'a> {
    /// # Safety
    ///
    /// C must hold, for slots that begin `offset` bytes behind the beginning of the tail.
    #[inline]
    pub(super) unsafe fn new<B: Body>(
        placed: &'a Placed<B>,
        control: &'a Control,
        offset: usize,
        shape: Shape,
    ) -> Self {
        // SAFETY: C.
        let start = unsafe { placed.tail().add(offset) };
        Cells { segment: placed.segment(), control, start, shape, capacity: placed.length() as u32 }
    }

    #[inline]
    pub(super) fn segment(&self) -> &'a Segment {
        self.segment
    }

    #[inline]
    pub(super) fn ring(&self) -> &'a Control {
        self.control
    }

    #[inline]
    fn slot(&self, index: u32) -> NonNull<u8> {
        debug_assert!(index < self.capacity);
        // SAFETY: C, and the index is that of a slot.
        unsafe { self.start.add(index as usize * self.shape.stride) }
    }

    /// The bytes of the message in a slot that is ours.
    #[inline]
    pub(super) fn message(&self, ticket: Ticket) -> Region<'a> {
        // SAFETY: the message begins inside the slot.
        let start = unsafe { self.slot(ticket.index()).add(self.shape.message) };
        // SAFETY: C: the slot ends within the segment, which lives as long as 'a.
        unsafe { Region::new(start, self.shape.stride - self.shape.message) }
    }
}

impl Slots for Cells<'_> {
    #[inline]
    fn control(&self) -> &Control {
        self.control
    }

    #[inline]
    fn capacity(&self) -> u32 {
        self.capacity
    }

    #[inline]
    fn word(&self, index: u32) -> &SlotWord {
        // SAFETY: C: a slot begins with its word, at a multiple of 64; a SlotWord is one atomic.
        unsafe { self.slot(index).cast().as_ref() }
    }

    #[inline]
    fn prefetch(&self, index: u32) {
        let slot = self.slot(index);
        prefetch::for_writing(slot);
        if self.shape.stride <= PREFETCHED {
            for line in 1..self.shape.stride / LINE {
                // SAFETY: within the slot.
                prefetch::for_writing(unsafe { slot.add(line * LINE) });
            }
        }
    }
}
