//! Where the bytes of messages go that the receiving end takes out of its ring.

use std::mem;

use super::body::payload;
use super::outlet::{Outlet, Progress};
use crate::error::{Error, TryRecvError};
use crate::ring::bytes::Record;

/// How much memory an end keeps for messages to come, however short the last one was. A guess: more than most messages have, and
/// little beside the ring.
const KEPT: usize = 1 << 20;

/// Shortens a buffer of which a message has used so many bytes, if that was little of what it keeps.
#[inline]
pub(super) fn trim(buffer: &mut Vec<u8>, used: usize) {
    if buffer.capacity() > KEPT && used < buffer.capacity() / 2 {
        buffer.truncate(used.max(KEPT));
        buffer.shrink_to(used.max(KEPT));
    }
}

/// A caller's buffer, into which the pieces of a message go as long as there is room for them: then they need not be collected.
pub(super) struct Pour<'b> {
    pub(super) buffer: &'b mut [u8],
    /// How many bytes of the message are there; `None` if none are, and what there is of it is in `collected`.
    pub(super) poured: Option<usize>,
}

impl Outlet {
    /// Takes a record out of the ring, to the end of a buffer.
    pub(super) fn append(&mut self, record: Record, buffer: &mut Vec<u8>) -> Result<(), TryRecvError> {
        let ring = self.end.ring();
        payload(ring, record.start, record.bytes).append_to(buffer).map_err(TryRecvError::Failed)?;
        self.consumer.release(ring, record);
        Ok(())
    }

    /// Takes a record out of the ring, into a buffer as long as its payload.
    #[inline]
    pub(super) fn take(&mut self, record: Record, buffer: &mut [u8]) {
        let ring = self.end.ring();
        payload(ring, record.start, record.bytes).read_over(buffer);
        self.consumer.release(ring, record);
    }

    /// Takes a piece of a message out of the ring, to those before it: where the buffer is too short, all of them into `collected`.
    pub(super) fn pour(&mut self, record: Record, pour: &mut Pour<'_>) -> Result<(), TryRecvError> {
        if let Some(poured) = pour.poured
            && let Some(place) = pour.buffer[poured..].get_mut(..record.bytes)
        {
            // Before it is out of the ring: what has been poured can always be collected. Until then it is nothing but addresses.
            let needed = poured + record.bytes;
            let no_space = |_| TryRecvError::Failed(Error::NoSpace { needed: needed as u64, available: 0 });
            self.collected.try_reserve(needed).map_err(no_space)?;
            self.take(record, place);
            pour.poured = Some(needed);
            return Ok(());
        }
        self.spill(pour);
        self.collect(record)
    }

    /// Collects what has been poured, for which room is reserved.
    pub(super) fn spill(&mut self, pour: &mut Pour<'_>) {
        self.collected.extend_from_slice(&pour.buffer[..pour.poured.take().unwrap_or(0)]);
    }

    /// Takes a record out of the ring into `collected`.
    pub(super) fn collect(&mut self, record: Record) -> Result<(), TryRecvError> {
        let mut collected = mem::take(&mut self.collected);
        let appended = self.append(record, &mut collected);
        self.collected = collected;
        appended
    }

    /// Drops what has been collected: it has been received, or its sender gave it up.
    pub(super) fn forget(&mut self) {
        self.progress = Progress::Nothing;
        let used = self.collected.len();
        self.collected.clear();
        // Several long messages in a row need the memory once. That of none is not missed yet.
        if used > 0 {
            trim(&mut self.collected, used);
        }
    }

    /// What has been collected and not read.
    pub(super) fn rest(&self) -> &[u8] {
        match self.progress {
            Progress::Whole { read } => self.collected.get(read as usize..).unwrap_or_default(),
            _ => &[],
        }
    }
}
