use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::error::{Error, Result};
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
    /// How many bytes of each are backed for sure, as far as this process knows. In a box: an `Arc` of a slice ends the process
    /// where there is no memory for it.
    backed: Arc<Box<[AtomicU64]>>,
}

/// No more than this is backed beyond what a message needs. A guess.
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
    pub(super) fn new(offset: u64, stride: u64, capacity: usize) -> Result<Self> {
        let mut backed = Vec::new();
        backed.try_reserve_exact(capacity).map_err(|_| no_memory(capacity.saturating_mul(size_of::<AtomicU64>())))?;
        backed.resize_with(capacity, AtomicU64::default);
        Ok(Extents { offset, stride, backed: Arc::new(backed.into()) })
    }

    /// The first `length` bytes of the extent of slot `index`, backed with memory.
    ///
    /// It is backed up to the next power of two, or multiple of [`STEP`]: a system call for each message that is longer than
    /// those before would cost more than the memory; but that is kept for ever.
    pub(super) fn bytes<'a>(&self, segment: &'a Segment, index: u32, length: u64) -> Result<Region<'a>> {
        let start = self.offset + u64::from(index) * self.stride;
        let backed = &self.backed[index as usize];
        let known = backed.load(Relaxed);
        if known < length {
            let step = length.checked_next_power_of_two().map_or(STEP, |step| step.clamp(page_size() as u64, STEP));
            let needed = length.checked_next_multiple_of(step).map_or(self.stride, |bytes| bytes.min(self.stride));
            segment.back(start + known, needed - known)?;
            crash_point!("queue.backed");
            backed.fetch_max(needed, Relaxed);
        }
        Ok(region(segment, start, length))
    }
}

/// A buffer is kept for the thread's next long message if it is not larger than this. A guess: as much as a message has at
/// most, unless somebody asked for more.
const KEPT: usize = 1 << 20;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Runs `body` with an empty buffer: where a long message lies while its own code runs, which may use a queue itself.
pub(super) fn with_buffer<R>(body: impl FnOnce(&mut Vec<u8>) -> R) -> R {
    let mut buffer = BUFFER.try_with(RefCell::take).unwrap_or_default();
    buffer.clear();
    let result = body(&mut buffer);
    if buffer.capacity() <= KEPT {
        let _ = BUFFER.try_with(|kept| kept.replace(buffer));
    }
    result
}

/// This process has not so much memory of its own.
pub(super) fn no_memory(bytes: usize) -> Error {
    Error::NoSpace { needed: bytes as u64, available: 0 }
}
