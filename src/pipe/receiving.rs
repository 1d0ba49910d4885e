//! The forms in which the receiving end gives a message away.

use std::mem;
use std::ops::Deref;

use super::inlet::FOR_EVER;
use super::outlet::{KEPT, Next, Outlet, Progress, append, no_space};
use super::payload;
use crate::error::{BufferTooShort, Result, TryRecvError, TryRecvIntoError};
use crate::segment::Wait;

impl Outlet {
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
            match self.next(FOR_EVER) {
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
