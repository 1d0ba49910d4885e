use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::error::Result;
use crate::fault::crash_point;
use crate::segment::place::region;
use crate::segment::{Region, Segment};
use crate::sys::map::page_size;

/// Room for the messages that do not fit into their slots: one extent for each slot, whose memory is taken when a message
/// first needs it, and kept.
#[derive(Clone)]
pub(super) struct Extents {
    /// Of the first one, from the segment's first byte.
    offset: u64,
    /// From one to the next.
    stride: u64,
    /// How many bytes of each are backed for sure, as far as this process knows.
    backed: Arc<[AtomicU64]>,
}

/// The least that is backed at a time: a system call for each page would cost more than the page. A guess.
const STEP: u64 = 64 << 10;

impl Extents {
    /// The distance between extents for messages of up to `most` bytes, and the size of all of them; `None` if that is
    /// more than memory can hold.
    pub(super) fn size(most: u64, capacity: u64) -> Option<(u64, u64)> {
        let stride = most.checked_next_multiple_of(page_size() as u64)?;
        let bytes = stride.checked_mul(capacity)?;
        (bytes <= isize::MAX as u64).then_some((stride, bytes))
    }

    /// The extents at `offset`, which have been laid out, or checked, to lie within the segment.
    pub(super) fn new(offset: u64, stride: u64, capacity: u64) -> Self {
        Extents { offset, stride, backed: (0..capacity).map(|_| AtomicU64::new(0)).collect() }
    }

    /// The first `length` bytes of the extent of slot `index`, backed with memory.
    pub(super) fn bytes<'a>(&self, segment: &'a Segment, index: u32, length: u64) -> Result<Region<'a>> {
        let start = self.offset + u64::from(index) * self.stride;
        let backed = &self.backed[index as usize];
        let known = backed.load(Relaxed);
        if known < length {
            let needed = length.checked_next_multiple_of(STEP).map_or(self.stride, |bytes| bytes.min(self.stride));
            segment.back(start + known, needed - known)?;
            crash_point!("queue.backed");
            backed.fetch_max(needed, Relaxed);
        }
        Ok(region(segment, start, length))
    }
}
