use std::mem::MaybeUninit;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::super::cursors::Refusal;
use super::body::{INLINE, LENGTH};
use super::extents::{no_memory, with_buffer};
use super::task::QueueTask;
use super::{MESSAGE, Queue};
use crate::error::{Error, GetError, Kind, Result, TryGetError};
use crate::fault::crash_point;
use crate::message::codec;
use crate::ring::{Hold, Ticket};
use crate::segment::Wait;
use crate::sys::fork;

impl<T: Serialize + DeserializeOwned> Queue<T> {
    /// Gets the next message; waits while there is none.
    ///
    /// # Errors
    ///
    /// [`Closed`](GetError::Closed) once the queue is closed and drained; [`Failed`](GetError::Failed) if a message does
    /// not decode, which is then gone, or if there is no memory for it, which leaves it to others. So does a copy of this
    /// process that the message's own code forks: it gets [`GivenAway`](Error::GivenAway).
    ///
    /// # Examples
    ///
    /// See [`Queue`].
    #[inline]
    pub fn get(&self) -> Result<T, GetError> {
        self.read(Wait::FOR_EVER).map_err(Refusal::get)
    }

    /// Gets the next message if there is one.
    ///
    /// # Errors
    ///
    /// [`Empty`](TryGetError::Empty), and those of [`get`](Self::get).
    ///
    /// # Examples
    ///
    /// See [`TryGetError`].
    #[inline]
    pub fn try_get(&self) -> Result<T, TryGetError> {
        self.read(Wait::No).map_err(Refusal::try_get)
    }

    /// Gets the next message; waits for `timeout` at most (monotonic).
    ///
    /// # Errors
    ///
    /// As [`try_get`](Self::try_get).
    ///
    /// # Examples
    ///
    /// See [`TryGetError`].
    pub fn get_timeout(&self, timeout: Duration) -> Result<T, TryGetError> {
        self.read(Wait::at_most(timeout)).map_err(Refusal::try_get)
    }

    /// Gets the next message as a [`QueueTask`], which is done when it is dropped; waits while there is none.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    ///
    /// # Examples
    ///
    /// See [`QueueTask`].
    pub fn get_task(&self) -> Result<QueueTask<'_, T>, GetError> {
        self.task(Wait::FOR_EVER).map_err(Refusal::get)
    }

    /// Gets the next message as a [`QueueTask`] if there is one.
    ///
    /// # Errors
    ///
    /// As [`try_get`](Self::try_get).
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = crossproc::Queue::new(4)?;
    /// queue.put("job".to_string())?;
    /// let task = queue.try_get_task()?;
    /// assert_eq!(*task, "job");
    /// assert!(queue.try_get_task().is_err());
    /// # drop(task);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn try_get_task(&self) -> Result<QueueTask<'_, T>, TryGetError> {
        self.task(Wait::No).map_err(Refusal::try_get)
    }

    /// Gets the next message as a [`QueueTask`]; waits for `timeout` at most (monotonic).
    ///
    /// # Errors
    ///
    /// As [`try_get`](Self::try_get).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let queue = crossproc::Queue::<u8>::new(4)?;
    /// assert!(queue.get_task_timeout(Duration::from_millis(1)).is_err());
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn get_task_timeout(&self, timeout: Duration) -> Result<QueueTask<'_, T>, TryGetError> {
        self.task(Wait::at_most(timeout)).map_err(Refusal::try_get)
    }

    fn task(&self, wait: Wait) -> Result<QueueTask<'_, T>, Refusal> {
        let cells = self.cells();
        let ticket = self.cursors.take(&cells, Hold::Long, wait, || self.has_no_producers())?;
        let message = self.decode(ticket)?;
        Ok(QueueTask::new(self, ticket, message))
    }

    #[inline]
    fn read(&self, wait: Wait) -> Result<T, Refusal> {
        let cells = self.cells();
        let ticket = self.cursors.take(&cells, Hold::Briefly, wait, || self.has_no_producers())?;
        let message = self.decode(ticket)?;
        // Before the release: until then, the message counts as still in the queue.
        if let Err(error) = self.ledger().got() {
            ticket.give_back(&cells);
            return Err(Refusal::Failed(error));
        }
        crash_point!("queue.got");
        self.cursors.release(&cells, ticket);
        Ok(message)
    }

    /// The message in a slot that is ours. One that does not decode is gone; one for which there is no memory is given
    /// back, as it is when its own code panics. A copy of the process that its own code forks has got nothing.
    #[inline]
    fn decode(&self, ticket: Ticket) -> Result<T, Refusal> {
        let claim = GiveBack { queue: self, ticket, generation: fork::generation() };
        let cells = self.cells();
        let slot = cells.message(ticket);
        let length = slot.read_word();
        let decoded = if length <= INLINE as u64 {
            let mut bytes = [MaybeUninit::uninit(); INLINE];
            let length = length as usize;
            let words = slot.part(LENGTH, INLINE).read(&mut bytes[..length.next_multiple_of(LENGTH)]);
            codec::decode(MESSAGE, &words[..length])
        } else {
            self.decode_large(ticket, length).map_err(Refusal::Failed)?
        };
        if !claim.is_ours() {
            return Err(Refusal::Failed(Error::GivenAway { object: Kind::Queue }));
        }
        std::mem::forget(claim);
        match decoded {
            Ok(message) => Ok(message),
            Err(error) => {
                self.cursors.release(&cells, ticket);
                crash_point!("queue.discarded");
                self.placed.body().done.notify_all();
                Err(Refusal::Failed(error))
            }
        }
    }

    /// The outer error leaves the message where it is.
    #[cold]
    fn decode_large(&self, ticket: Ticket, length: u64) -> Result<Result<T>> {
        if length > self.max_message {
            let reason = format!("{length} bytes, in a queue of messages up to {} bytes", self.max_message);
            return Ok(Err(Error::Decode { what: MESSAGE.into(), reason }));
        }
        let extent = self.extents.bytes(self.placed.segment(), ticket.index(), length)?;
        let length = length as usize;
        with_buffer(|buffer| {
            buffer.try_reserve(length).map_err(|_| no_memory(length))?;
            Ok(codec::decode(MESSAGE, extent.read(&mut buffer.spare_capacity_mut()[..length])))
        })
    }
}

/// Gives a message back unless forgotten.
struct GiveBack<'a, T> {
    queue: &'a Queue<T>,
    ticket: Ticket,
    /// The fork generation that took it.
    generation: u32,
}

impl<T> GiveBack<'_, T> {
    /// False in a forked copy of the process that took it, which has nothing to say about it.
    #[inline]
    fn is_ours(&self) -> bool {
        self.generation == fork::generation()
    }
}

impl<T> Drop for GiveBack<'_, T> {
    fn drop(&mut self) {
        if self.is_ours() {
            self.ticket.give_back(&self.queue.cells());
        }
    }
}
