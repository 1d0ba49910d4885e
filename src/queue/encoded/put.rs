use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::super::cursors::Refusal;
use super::body::{INLINE, LENGTH};
use super::{MESSAGE, Queue};
use crate::error::{Error, Kind, PutError, TryPutError};
use crate::fault::crash_point;
use crate::message::{Sends, codec};
use crate::ring::Ticket;
use crate::segment::Wait;

impl<T: Serialize + DeserializeOwned> Queue<T> {
    /// Puts a message, by value or by reference; waits while the queue is full.
    ///
    /// # Errors
    ///
    /// Always with the message: [`Closed`](PutError::Closed) if the queue is, or while it waits becomes, closed;
    /// [`Failed`](PutError::Failed) if the message does not encode, is longer than [`max_message`](Self::max_message), or
    /// finds no memory. The queue is then as it was.
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
        // On the stack first: a slot that is being written holds up those behind it, and the message's own code runs here.
        let mut small = [0; INLINE];
        let most = INLINE.min(self.max_message());
        match codec::encode_into(MESSAGE, message, &mut small[..most]).map_err(Refusal::Failed)?.map(<[u8]>::len) {
            Some(length) => self.write_small(&small, length, wait),
            None => self.write_large(message, wait),
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

    #[cold]
    fn write_large<M: Serialize>(&self, message: &M, wait: Wait) -> Result<(), Refusal> {
        let cells = self.cells();
        let too_large = |size| Error::TooLarge { object: Kind::Queue, size, limit: self.max_message() };
        // Once only to see that it can be done: a slot that is claimed and given up leaves a gap until the next lap.
        let size = codec::encoded_size(MESSAGE, message).map_err(Refusal::Failed)?;
        if size > self.max_message() {
            return Err(Refusal::Failed(too_large(size)));
        }
        let ticket = self.cursors.claim(&cells, wait, || self.has_no_consumers())?;
        let claim = Abandon { queue: self, ticket };
        let mut written = 0;
        let encoded = codec::encode_with(MESSAGE, message, |piece| {
            let end = written + piece.len();
            if end > self.max_message() {
                return Err(too_large(end)); // it has grown since
            }
            let extent = self.extents.bytes(cells.segment(), ticket.index(), end as u64)?;
            extent.part(written, piece.len()).write(piece);
            written = end;
            Ok(())
        });
        let length = encoded.map_err(Refusal::Failed)?;
        std::mem::forget(claim);
        crash_point!("queue.extended");
        cells.message(ticket).write(&(length as u64).to_ne_bytes());
        ticket.publish(&cells);
        Ok(())
    }
}

/// Gives a claimed slot up unless forgotten: also when the message's own code panics.
struct Abandon<'a, T> {
    queue: &'a Queue<T>,
    ticket: Ticket,
}

impl<T> Drop for Abandon<'_, T> {
    fn drop(&mut self) {
        self.ticket.abandon(&self.queue.cells());
    }
}
