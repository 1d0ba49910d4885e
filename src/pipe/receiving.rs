//! The forms in which the receiving end gives a message away.

use std::mem;
use std::ops::Deref;

use super::body::lend;
use super::collecting::{Pour, trim};
use super::inlet::FOR_EVER;
use super::outlet::{Lap, Next, Outlet, Progress};
use crate::error::{BufferTooShort, Error, Result, TryRecvError, TryRecvIntoError};
use crate::segment::Wait;

/// A call in progress. What it does last, also where a message's own code panics, is to say what is left.
struct Call<'a>(&'a mut Outlet);

impl Drop for Call<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.settle();
    }
}

impl Outlet {
    /// Receives a message and has `body` look at a copy of it.
    #[inline]
    pub(super) fn receive_with<R>(&mut self, wait: Wait, body: impl FnOnce(&[u8]) -> R) -> Result<R, TryRecvError> {
        Call(self).0.copy_and(wait, body)
    }

    pub(super) fn receive(&mut self, wait: Wait) -> Result<Vec<u8>, TryRecvError> {
        Call(self).0.copy(wait)
    }

    #[inline]
    pub(super) fn receive_into(&mut self, buffer: &mut [u8], wait: Wait) -> Result<usize, TryRecvIntoError> {
        Call(self).0.copy_into(buffer, wait)
    }

    pub(super) fn borrow(&mut self, wait: Wait) -> Result<Borrowed<'_>, TryRecvError> {
        let call = Call(self);
        let next = call.0.next(wait)?;
        Ok(Borrowed { call, next })
    }

    /// Whether there is a message, or an end.
    pub(super) fn poll(&mut self, wait: Wait) -> Result<bool> {
        match Call(self).0.next(wait) {
            Ok(_) | Err(TryRecvError::EndOfFile) => Ok(true),
            Err(TryRecvError::Empty) => Ok(false),
            Err(TryRecvError::Failed(error)) => Err(error),
        }
    }

    /// Reads bytes of messages, whatever their boundaries; 0 at the end.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, TryRecvError> {
        if buffer.is_empty() { Ok(0) } else { Call(self).0.read_some(buffer) }
    }

    #[inline]
    fn copy_and<R>(&mut self, wait: Wait, body: impl FnOnce(&[u8]) -> R) -> Result<R, TryRecvError> {
        match self.next(wait)? {
            Next::InRing(record) => {
                let mut scratch = mem::take(&mut self.scratch);
                if scratch.len() < record.bytes {
                    lengthen(&mut scratch, record.bytes)?;
                }
                let copy = &mut scratch[..record.bytes];
                self.take(record, copy);
                let result = body(copy);
                trim(&mut scratch, record.bytes);
                self.scratch = scratch;
                Ok(result)
            }
            Next::Collected => {
                let (message, read) = self.take_collected();
                let result = body(&message[read..]);
                self.collected = message;
                self.forget();
                Ok(result)
            }
        }
    }

    fn copy(&mut self, wait: Wait) -> Result<Vec<u8>, TryRecvError> {
        match self.next(wait)? {
            Next::InRing(record) => {
                let mut bytes = Vec::new();
                self.append(record, &mut bytes)?;
                Ok(bytes)
            }
            Next::Collected => {
                let (mut bytes, read) = self.take_collected();
                bytes.drain(..read);
                Ok(bytes)
            }
        }
    }

    #[inline]
    fn copy_into(&mut self, buffer: &mut [u8], wait: Wait) -> Result<usize, TryRecvIntoError> {
        if let Some(record) = self.message()
            && let Some(buffer) = buffer.get_mut(..record.bytes)
        {
            self.take(record, buffer);
            return Ok(record.bytes);
        }
        self.copy_into_slow(buffer, wait)
    }

    #[cold]
    fn copy_into_slow(&mut self, buffer: &mut [u8], wait: Wait) -> Result<usize, TryRecvIntoError> {
        let mut pour = Pour { buffer, poured: None };
        let next = self.next_poured(wait, &mut pour).map_err(|error| match error {
            TryRecvError::Empty => TryRecvIntoError::Empty,
            TryRecvError::EndOfFile => TryRecvIntoError::EndOfFile,
            TryRecvError::Failed(error) => TryRecvIntoError::Failed(error),
        })?;
        if let Some(message) = pour.poured {
            self.forget();
            trim(&mut self.collected, message);
            return Ok(message);
        }
        let Pour { buffer, .. } = pour;
        let message = match next {
            Next::InRing(record) => record.bytes,
            Next::Collected => self.rest().len(),
        };
        let available = buffer.len();
        let Some(buffer) = buffer.get_mut(..message) else {
            return Err(TryRecvIntoError::BufferTooShort(BufferTooShort { message, buffer: available }));
        };
        match next {
            Next::InRing(record) => self.take(record, buffer),
            Next::Collected => {
                buffer.copy_from_slice(self.rest());
                self.forget();
            }
        }
        Ok(message)
    }

    fn read_some(&mut self, buffer: &mut [u8]) -> Result<usize, TryRecvError> {
        let mut lap = Lap::new(&self.consumer);
        loop {
            match self.next(FOR_EVER) {
                Err(TryRecvError::EndOfFile) => return Ok(0),
                Err(error) => return Err(error),
                Ok(Next::InRing(record)) if record.bytes <= buffer.len() => {
                    self.take(record, &mut buffer[..record.bytes]);
                    if record.bytes > 0 {
                        return Ok(record.bytes);
                    }
                }
                Ok(Next::InRing(record)) => {
                    self.collect(record)?;
                    self.progress = Progress::Whole { read: 0 };
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
            lap.check(self)?;
        }
    }

    /// Takes what has been collected, and how much of it has been read.
    fn take_collected(&mut self) -> (Vec<u8>, usize) {
        let read = self.collected.len() - self.rest().len();
        self.progress = Progress::Nothing;
        (mem::take(&mut self.collected), read)
    }
}

#[cold]
fn lengthen(scratch: &mut Vec<u8>, bytes: usize) -> Result<(), TryRecvError> {
    let length = bytes.next_power_of_two();
    let no_space = |_| TryRecvError::Failed(Error::NoSpace { needed: bytes as u64, available: 0 });
    scratch.try_reserve(length - scratch.len()).map_err(no_space)?;
    scratch.resize(length, 0);
    Ok(())
}

/// A message where it lies, which goes when this is dropped.
pub(super) struct Borrowed<'a> {
    call: Call<'a>,
    next: Next,
}

impl Deref for Borrowed<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self.next {
            Next::InRing(record) => lend(self.call.0.end.ring(), record),
            Next::Collected => self.call.0.rest(),
        }
    }
}

impl Drop for Borrowed<'_> {
    fn drop(&mut self) {
        let outlet = &mut *self.call.0;
        match self.next {
            // In a copy that was forked meanwhile, the ring is not ours to change.
            Next::InRing(_) if outlet.end.check_ours().is_err() => {}
            Next::InRing(record) => outlet.consumer.release(outlet.end.ring(), record),
            Next::Collected => outlet.forget(),
        }
    }
}
