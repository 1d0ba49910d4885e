use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::super::cursors::Refusal;
use super::body::{INLINE, LENGTH};
use super::extents::{no_memory, with_buffer};
use super::{MESSAGE, Queue};
use crate::error::{Error, Kind, PutError, TryPutError};
use crate::fault::crash_point;
use crate::message::{Sends, codec};
use crate::segment::Wait;

impl<T: Serialize + DeserializeOwned> Queue<T> {
    /// Puts a message, by value or by reference; waits while the queue is full.
    ///
    /// # Errors
    ///
    /// Always with the message: [`Closed`](PutError::Closed) if the queue is, or while it waits becomes, closed;
    /// [`Failed`](PutError::Failed) if the message does not encode, is longer than [`max_message`](Self::max_message), or
    /// finds no memory. The queue then holds what it did; but a message of more than 112 bytes that finds no shared memory
    /// may have taken a place, which is free again once a get has gone past it.
    ///
    /// The first message of a handle is also decoded, to see that its type [can be](crate::Sends#types).
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = crossproc::Queue::<String>::new(4)?;
    /// let text = "a text".to_string();
    /// queue.put(&text)?;
    /// queue.put("another")?;
    /// queue.put(text)?;
    /// assert_eq!(queue.len(), 3);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    #[inline]
    pub fn put<M: Sends<T>>(&self, message: M) -> Result<(), PutError<M>> {
        self.write(&message, Wait::FOR_EVER).map_err(|refusal| refusal.put(message))
    }

    /// Puts a message if there is room.
    ///
    /// # Errors
    ///
    /// Always with the message: [`Full`](TryPutError::Full), and those of [`put`](Self::put).
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::{Queue, TryPutError};
    ///
    /// let queue = Queue::<u128>::new(1)?;
    /// queue.try_put(1 << 100)?;
    /// assert_eq!(queue.try_put(7), Err(TryPutError::Full(7)));
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    #[inline]
    pub fn try_put<M: Sends<T>>(&self, message: M) -> Result<(), TryPutError<M>> {
        self.write(&message, Wait::No).map_err(|refusal| refusal.try_put(message))
    }

    /// Puts a message; waits for `timeout` at most (monotonic).
    ///
    /// # Errors
    ///
    /// As [`try_put`](Self::try_put).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use crossproc::{Queue, TryPutError};
    ///
    /// let queue = Queue::<String>::new(1)?;
    /// queue.put("one")?;
    /// assert_eq!(queue.put_timeout("two", Duration::from_millis(1)), Err(TryPutError::Full("two")));
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn put_timeout<M: Sends<T>>(&self, message: M, timeout: Duration) -> Result<(), TryPutError<M>> {
        self.write(&message, Wait::at_most(timeout)).map_err(|refusal| refusal.try_put(message))
    }

    #[inline]
    fn write<M: Serialize>(&self, message: &M, wait: Wait) -> Result<(), Refusal> {
        // Before a slot is claimed: one that is being written holds up those behind it, and the message's own code runs here.
        let mut small = [0; INLINE];
        let most = INLINE.min(self.max_message());
        match codec::encode_into(MESSAGE, message, &mut small[..most]).map_err(Refusal::Failed)?.map(<[u8]>::len) {
            Some(length) => {
                self.check_first(&small[..length])?;
                self.write_small(&small, length, wait)
            }
            None => with_buffer(|buffer| {
                self.encode_large(message, buffer).map_err(Refusal::Failed)?;
                self.check_first(buffer)?;
                self.write_large(buffer, wait)
            }),
        }
    }

    /// Puts the first `length` bytes, in whole words.
    #[inline]
    fn write_small(&self, bytes: &[u8; INLINE], length: usize, wait: Wait) -> Result<(), Refusal> {
        let cells = self.cells();
        let ticket = self.cursors.claim(&cells, wait, || self.has_no_consumers())?;
        let slot = cells.message(ticket);
        slot.write(&(length as u64).to_ne_bytes());
        slot.part(LENGTH, INLINE).write(&bytes[..length.next_multiple_of(LENGTH)]);
        ticket.publish(&cells);
        Ok(())
    }

    /// Encodes into an empty buffer, as far as the message may be long.
    #[cold]
    fn encode_large<M: Serialize>(&self, message: &M, buffer: &mut Vec<u8>) -> Result<(), Error> {
        let limit = self.max_message();
        let size = codec::encode_with(MESSAGE, message, |piece| {
            // What is too long is only counted, for the error.
            if piece.len() <= limit - buffer.len() {
                buffer.try_reserve(piece.len()).map_err(|_| no_memory(piece.len()))?;
                buffer.extend_from_slice(piece);
            }
            Ok(())
        })?;
        if size > limit { Err(Error::TooLarge { object: Kind::Queue, size, limit }) } else { Ok(()) }
    }

    #[cold]
    fn write_large(&self, bytes: &[u8], wait: Wait) -> Result<(), Refusal> {
        if bytes.len() <= INLINE {
            // It has become shorter since the first attempt.
            let mut small = [0; INLINE];
            small[..bytes.len()].copy_from_slice(bytes);
            return self.write_small(&small, bytes.len(), wait);
        }
        let cells = self.cells();
        let ticket = self.cursors.claim(&cells, wait, || self.has_no_consumers())?;
        let length = bytes.len() as u64;
        match self.extents.bytes(cells.segment(), ticket.index(), length) {
            Ok(extent) => extent.write(bytes),
            Err(error) => {
                ticket.abandon(&cells);
                return Err(Refusal::Failed(error));
            }
        }
        crash_point!("queue.extended");
        cells.message(ticket).write(&length.to_ne_bytes());
        ticket.publish(&cells);
        Ok(())
    }

    /// Looks whether the first message of this handle can be decoded. Some types encode and cannot: `#[serde(tag)]` and its
    /// likes need an encoding that describes itself. What the type's own code says is for who gets it.
    #[inline]
    fn check_first(&self, bytes: &[u8]) -> Result<(), Refusal> {
        if self.is_checked.load(Relaxed) { Ok(()) } else { self.check(bytes).map_err(Refusal::Failed) }
    }

    #[cold]
    fn check(&self, bytes: &[u8]) -> Result<(), Error> {
        codec::check::<T>(MESSAGE, bytes)?;
        self.is_checked.store(true, Relaxed);
        Ok(())
    }
}
