//! The receiving end without the type of its messages: from records to bytes.

use std::mem;
use std::ops::Deref;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::end::{End, EndWire, Side, corrupted};
use super::inlet::{Allowance, check_position};
use super::payload;
use super::readable::Readable;
use crate::error::{BufferTooShort, Error, Result, TryRecvError, TryRecvIntoError, TypeStamp};
use crate::ring::bytes::{Consumer, Corrupted, Record};
use crate::ring::record;
use crate::ring::track::Ended;
use crate::segment::Wait;
use crate::segment::handle::{Incoming, Outgoing};
use crate::sys::clock::Pace;
use crate::sys::spin::Spin;
use crate::watch::Watched;

/// How much memory an end keeps for messages to come. A guess: more than most messages have, and little beside the ring.
const KEPT: usize = 1 << 20;

/// Who has received so many messages without waiting receives a stream, and has caught up with its sender: if it looked
/// again at once, the two would take the cache line with the next header from each other for every message. So it
/// lets the sender get ahead a little.
const STREAM: u32 = 16;

pub(super) struct Outlet {
    end: End,
    consumer: Consumer,
    /// What has been taken out of the ring of the message that is next.
    collected: Vec<u8>,
    progress: Progress,
    /// Where messages are copied to before they are decoded; as long as the longest of late.
    scratch: Vec<u8>,
    spin: Spin,
    /// Messages since it last found nothing.
    streak: u32,
    /// How often the kernel is asked whether the sender is dead by calls that do not wait.
    pace: Pace,
    watched: Watched,
    readable: Arc<Readable>,
}

/// How much of a message lies in `collected`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Progress {
    Nothing,
    /// Its first pieces.
    Part,
    /// All of it, of which so many bytes have been read already.
    Whole {
        read: u64,
    },
}

/// On its way.
#[derive(Serialize, Deserialize)]
pub(super) struct OutletWire {
    end: EndWire,
    position: u64,
    progress: Progress,
    collected: Vec<u8>,
}

/// Where the next message is.
enum Next {
    InRing(Record),
    /// In `collected`, all of it.
    Collected,
}

impl Outlet {
    pub(super) fn new(end: End) -> Self {
        Outlet::at(end, 0, Progress::Nothing, Vec::new())
    }

    fn at(end: End, position: u64, progress: Progress, collected: Vec<u8>) -> Self {
        let readable = Arc::new(Readable::new(end.placed().clone()));
        Outlet {
            end,
            consumer: Consumer::at(position),
            collected,
            progress,
            scratch: Vec::new(),
            spin: Spin::for_answers(),
            streak: 0,
            pace: Pace::default(),
            watched: Watched::default(),
            readable,
        }
    }

    pub(super) fn depart(&self, outgoing: &mut Outgoing) -> Result<OutletWire> {
        Ok(OutletWire {
            end: self.end.depart(outgoing)?,
            position: self.consumer.position(),
            progress: self.progress,
            collected: self.collected.clone(),
        })
    }

    pub(super) fn arrive(wire: OutletWire, element: &TypeStamp, incoming: &mut Incoming) -> Result<Self> {
        check_position(wire.position)?;
        if let Progress::Whole { read } = wire.progress
            && read > wire.collected.len() as u64
        {
            let reason = format!("{read} bytes read of {}", wire.collected.len());
            return Err(Error::Decode { what: "a handle".into(), reason });
        }
        let end = End::arrive(Side::Receiving, element, &wire.end, incoming)?;
        Ok(Outlet::at(end, wire.position, wire.progress, wire.collected))
    }

    /// The descriptor that polls readable when a call has something to do: a message, a part of one, or an end.
    pub(super) fn readiness(&self) -> Result<BorrowedFd<'_>> {
        self.end.check_ours()?;
        self.watched.descriptor(|| {
            self.say_where();
            Ok(Arc::clone(&self.readable))
        })
    }

    /// What every call does last: another one may find something else.
    #[inline]
    fn settle(&self) {
        if self.watched.is_watched() {
            self.say_where();
            self.watched.settle();
        }
    }

    fn say_where(&self) {
        self.readable.update(self.consumer.position(), matches!(self.progress, Progress::Whole { .. }));
    }

    /// The next message, if it is one that lies in the ring: what it nearly always is.
    #[inline(always)]
    fn message(&mut self) -> Option<Record> {
        if self.progress != Progress::Nothing || self.end.check_ours().is_err() {
            return None;
        }
        self.streak = self.streak.saturating_add(1);
        self.consumer.peek_message(self.end.ring())
    }

    /// The next message, when all of it is there.
    #[inline]
    fn next(&mut self, wait: Wait) -> Result<Next, TryRecvError> {
        match self.message() {
            Some(record) => Ok(Next::InRing(record)),
            None => self.next_slow(wait),
        }
    }

    #[cold]
    fn next_slow(&mut self, wait: Wait) -> Result<Next, TryRecvError> {
        self.end.check_ours().map_err(TryRecvError::Failed)?;
        if let Progress::Whole { .. } = self.progress {
            return Ok(Next::Collected);
        }
        let mut allowance = Allowance::new(wait, self.end.ring());
        loop {
            let found = self.consumer.peek(self.end.ring()).map_err(failed)?;
            let record = match found {
                Some(record) => record,
                None => self.wait_for_record(wait)?,
            };
            match (record.kind, self.progress) {
                (record::Kind::Whole, _) => {
                    self.forget();
                    return Ok(Next::InRing(record));
                }
                (record::Kind::First, _) => {
                    self.forget();
                    self.collect(record)?;
                    self.progress = Progress::Part;
                }
                (record::Kind::More, Progress::Part) => self.collect(record)?,
                (record::Kind::Last, Progress::Part) => {
                    self.collect(record)?;
                    self.progress = Progress::Whole { read: 0 };
                    return Ok(Next::Collected);
                }
                (kind, _) => {
                    return Err(failed(Corrupted { position: self.consumer.position(), found: kind as u64 }));
                }
            }
            if !allowance.covers(record.bytes) {
                return Err(TryRecvError::Empty);
            }
        }
    }

    fn wait_for_record(&mut self, wait: Wait) -> Result<Record, TryRecvError> {
        if mem::take(&mut self.streak) >= STREAM {
            Spin::pause();
        }
        let (ring, liveness) = (self.end.ring(), self.end.liveness());
        let waited = match wait {
            Wait::Until(deadline) => ring.wait_for_record(&self.consumer, liveness, deadline, &self.spin),
            Wait::No if ring.track.sender.is_closed() || self.pace.is_due() => {
                ring.look_for_record(&self.consumer, liveness).unwrap_or(Err(Ended::TimedOut))
            }
            Wait::No => Err(Ended::TimedOut),
        };
        waited.map_err(|ended| match ended {
            Ended::Gone => TryRecvError::EndOfFile,
            Ended::TimedOut => TryRecvError::Empty,
            Ended::Corrupted(found) => failed(found),
        })
    }

    /// Takes a record out of the ring into `collected`.
    fn collect(&mut self, record: Record) -> Result<(), TryRecvError> {
        let ring = self.end.ring();
        append(ring.words, record, &mut self.collected)?;
        self.consumer.release(ring, record);
        Ok(())
    }

    /// Drops what has been collected: it has been received, or its sender gave it up.
    fn forget(&mut self) {
        self.progress = Progress::Nothing;
        self.collected.clear();
        self.collected.shrink_to(KEPT);
    }

    /// What has been collected and not read.
    fn rest(&self) -> &[u8] {
        match self.progress {
            Progress::Whole { read } => self.collected.get(read as usize..).unwrap_or_default(),
            _ => &[],
        }
    }

    /// Receives a message and has `body` look at a copy of it.
    #[inline]
    pub(super) fn receive_with<R>(&mut self, wait: Wait, body: impl FnOnce(&[u8]) -> R) -> Result<R, TryRecvError> {
        let received = self.copy_and(wait, body);
        self.settle();
        received
    }

    #[inline]
    fn copy_and<R>(&mut self, wait: Wait, body: impl FnOnce(&[u8]) -> R) -> Result<R, TryRecvError> {
        match self.next(wait)? {
            Next::InRing(record) => {
                if self.scratch.len() < record.bytes {
                    self.lengthen_scratch(record.bytes)?;
                }
                let (ring, copy) = (self.end.ring(), &mut self.scratch[..record.bytes]);
                payload::read(ring.words, record.start, copy);
                self.consumer.release(ring, record);
                let result = body(copy);
                if record.bytes > KEPT {
                    self.scratch = Vec::new();
                }
                Ok(result)
            }
            Next::Collected => {
                let result = body(self.rest());
                self.forget();
                Ok(result)
            }
        }
    }

    #[cold]
    fn lengthen_scratch(&mut self, bytes: usize) -> Result<(), TryRecvError> {
        let length = bytes.next_power_of_two();
        self.scratch.try_reserve(length - self.scratch.len()).map_err(|_| no_space(bytes))?;
        self.scratch.resize(length, 0);
        Ok(())
    }

    pub(super) fn receive(&mut self, wait: Wait) -> Result<Vec<u8>, TryRecvError> {
        let received = self.take_bytes(wait);
        self.settle();
        received
    }

    fn take_bytes(&mut self, wait: Wait) -> Result<Vec<u8>, TryRecvError> {
        match self.next(wait)? {
            Next::InRing(record) => {
                let (ring, mut bytes) = (self.end.ring(), Vec::new());
                append(ring.words, record, &mut bytes)?;
                self.consumer.release(ring, record);
                Ok(bytes)
            }
            Next::Collected => {
                let read = self.collected.len() - self.rest().len();
                let mut bytes = mem::take(&mut self.collected);
                bytes.drain(..read);
                self.progress = Progress::Nothing;
                Ok(bytes)
            }
        }
    }

    #[inline]
    pub(super) fn receive_into(&mut self, buffer: &mut [u8], wait: Wait) -> Result<usize, TryRecvIntoError> {
        if let Some(record) = self.message()
            && let Some(buffer) = buffer.get_mut(..record.bytes)
        {
            let ring = self.end.ring();
            payload::read(ring.words, record.start, buffer);
            self.consumer.release(ring, record);
            self.settle();
            return Ok(record.bytes);
        }
        let received = self.receive_into_slow(buffer, wait);
        self.settle();
        received
    }

    #[cold]
    fn receive_into_slow(&mut self, buffer: &mut [u8], wait: Wait) -> Result<usize, TryRecvIntoError> {
        let next = self.next(wait).map_err(|error| match error {
            TryRecvError::Empty => TryRecvIntoError::Empty,
            TryRecvError::EndOfFile => TryRecvIntoError::EndOfFile,
            TryRecvError::Failed(error) => TryRecvIntoError::Failed(error),
        })?;
        let message = match next {
            Next::InRing(record) => record.bytes,
            Next::Collected => self.rest().len(),
        };
        let available = buffer.len();
        let Some(buffer) = buffer.get_mut(..message) else {
            return Err(TryRecvIntoError::BufferTooShort(BufferTooShort { message, buffer: available }));
        };
        match next {
            Next::InRing(record) => {
                let ring = self.end.ring();
                payload::read(ring.words, record.start, buffer);
                self.consumer.release(ring, record);
            }
            Next::Collected => {
                buffer.copy_from_slice(self.rest());
                self.forget();
            }
        }
        Ok(message)
    }

    pub(super) fn borrow(&mut self, wait: Wait) -> Result<Borrowed<'_>, TryRecvError> {
        match self.next(wait) {
            Ok(next) => Ok(Borrowed { outlet: self, next }),
            Err(error) => {
                self.settle();
                Err(error)
            }
        }
    }

    /// Whether there is a message, or an end.
    pub(super) fn poll(&mut self, wait: Wait) -> Result<bool> {
        let next = self.next(wait);
        self.settle();
        match next {
            Ok(_) | Err(TryRecvError::EndOfFile) => Ok(true),
            Err(TryRecvError::Empty) => Ok(false),
            Err(TryRecvError::Failed(error)) => Err(error),
        }
    }

    /// Reads bytes of messages, whatever their boundaries; 0 at the end.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, TryRecvError> {
        let count = if buffer.is_empty() { Ok(0) } else { self.read_some(buffer) };
        self.settle();
        count
    }

    fn read_some(&mut self, buffer: &mut [u8]) -> Result<usize, TryRecvError> {
        loop {
            match self.next(super::inlet::FOR_EVER) {
                Err(TryRecvError::EndOfFile) => return Ok(0),
                Err(error) => return Err(error),
                Ok(Next::InRing(record)) => {
                    let ring = self.end.ring();
                    if record.bytes <= buffer.len() {
                        payload::read(ring.words, record.start, &mut buffer[..record.bytes]);
                        self.consumer.release(ring, record);
                        if record.bytes > 0 {
                            return Ok(record.bytes);
                        }
                    } else {
                        self.collect(record)?;
                        self.progress = Progress::Whole { read: 0 };
                    }
                }
                Ok(Next::Collected) => {
                    let rest = self.rest();
                    let count = rest.len().min(buffer.len());
                    buffer[..count].copy_from_slice(&rest[..count]);
                    if count == rest.len() {
                        self.forget();
                    } else if let Progress::Whole { read } = &mut self.progress {
                        *read += count as u64;
                    }
                    if count > 0 {
                        return Ok(count);
                    }
                }
            }
        }
    }

    pub(super) fn capacity(&self) -> usize {
        self.end.ring().capacity() as usize
    }
}

/// A message where it lies, which goes when this is dropped.
pub(super) struct Borrowed<'a> {
    outlet: &'a mut Outlet,
    next: Next,
}

impl Deref for Borrowed<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self.next {
            Next::InRing(record) => payload::lend(self.outlet.end.ring().words, record.start, record.bytes),
            Next::Collected => self.outlet.rest(),
        }
    }
}

impl Drop for Borrowed<'_> {
    fn drop(&mut self) {
        match self.next {
            // In a copy that was forked meanwhile, the ring is not ours to change.
            Next::InRing(_) if self.outlet.end.check_ours().is_err() => {}
            Next::InRing(record) => self.outlet.consumer.release(self.outlet.end.ring(), record),
            Next::Collected => self.outlet.forget(),
        }
        self.outlet.settle();
    }
}

/// Appends a record's payload to a buffer, which grows as far as there is memory.
#[inline]
fn append(words: &[crate::sys::atomic::AtomicU64], record: Record, buffer: &mut Vec<u8>) -> Result<(), TryRecvError> {
    buffer.try_reserve(record.bytes).map_err(|_| no_space(record.bytes))?;
    payload::append(words, record.start, record.bytes, buffer);
    Ok(())
}

fn no_space(bytes: usize) -> TryRecvError {
    TryRecvError::Failed(Error::NoSpace { needed: bytes as u64, available: 0 })
}

fn failed(found: Corrupted) -> TryRecvError {
    TryRecvError::Failed(corrupted(found))
}
