use std::time::Duration;

use super::super::cursors::{Refusal, never};
use super::{Ring, Taken, slot};
use crate::error::{GetError, TryGetError};
use crate::ring::Hold;
use crate::segment::{Shared, Wait};

impl<T: Shared> Ring<T> {
    /// Gets the next message; waits while there is none.
    ///
    /// # Errors
    ///
    /// [`Closed`](GetError::Closed) once the ring is closed and drained.
    ///
    /// # Examples
    ///
    /// See [`put`](Self::put).
    #[inline]
    pub fn get(&self) -> Result<T, GetError> {
        self.copied(Wait::FOR_EVER).map_err(Refusal::get)
    }

    /// Gets the next message if there is one.
    ///
    /// # Errors
    ///
    /// [`Empty`](TryGetError::Empty), or [`Closed`](TryGetError::Closed) once the ring is closed and drained.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::{Ring, TryGetError};
    ///
    /// let ring = Ring::<i32>::new(2)?;
    /// assert_eq!(ring.try_get(), Err(TryGetError::Empty));
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    #[inline]
    pub fn try_get(&self) -> Result<T, TryGetError> {
        self.copied(Wait::No).map_err(Refusal::try_get)
    }

    /// Gets the next message; waits for `timeout` at most (monotonic).
    ///
    /// # Errors
    ///
    /// As [`try_get`](Self::try_get).
    ///
    /// # Examples
    ///
    /// See [`take_timeout`](Self::take_timeout).
    pub fn get_timeout(&self, timeout: Duration) -> Result<T, TryGetError> {
        self.copied(Wait::at_most(timeout)).map_err(Refusal::try_get)
    }

    /// The next message, to be read in place; waits while there is none.
    ///
    /// # Errors
    ///
    /// [`Closed`](GetError::Closed) once the ring is closed and drained.
    ///
    /// # Examples
    ///
    /// See [`Slot`](crate::Slot).
    #[inline]
    pub fn take(&self) -> Result<Taken<'_, T>, GetError> {
        self.taken(Wait::FOR_EVER).map_err(Refusal::get)
    }

    /// The next message in place, if there is one.
    ///
    /// # Errors
    ///
    /// As [`try_get`](Self::try_get).
    ///
    /// # Examples
    ///
    /// ```
    /// let ring = crossproc::Ring::new(1)?;
    /// ring.put([1_u16; 100])?;
    /// let message = ring.try_take()?;
    /// assert!(message.iter().all(|&n| n == 1) && ring.is_full());
    /// # drop(message);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    #[inline]
    pub fn try_take(&self) -> Result<Taken<'_, T>, TryGetError> {
        self.taken(Wait::No).map_err(Refusal::try_get)
    }

    /// The next message in place; waits for `timeout` at most (monotonic).
    ///
    /// # Errors
    ///
    /// As [`try_get`](Self::try_get).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use crossproc::{Ring, TryGetError};
    ///
    /// let ring = Ring::<u8>::new(1)?;
    /// assert_eq!(ring.take_timeout(Duration::from_millis(1)).unwrap_err(), TryGetError::Empty);
    /// assert_eq!(ring.get_timeout(Duration::from_millis(1)), Err(TryGetError::Empty));
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn take_timeout(&self, timeout: Duration) -> Result<Taken<'_, T>, TryGetError> {
        self.taken(Wait::at_most(timeout)).map_err(Refusal::try_get)
    }

    #[inline]
    fn copied(&self, wait: Wait) -> Result<T, Refusal> {
        let cells = self.cells();
        let ticket = self.cursors.take(&cells, Hold::Briefly, wait, never)?;
        // Without a `Taken`: nothing can panic or fork before the message is got.
        let message = slot::read(&cells, ticket);
        self.cursors.release(&cells, ticket);
        Ok(message)
    }

    #[inline]
    fn taken(&self, wait: Wait) -> Result<Taken<'_, T>, Refusal> {
        let cells = self.cells();
        Ok(Taken::new(cells, &self.cursors, self.cursors.take(&cells, Hold::Long, wait, never)?))
    }

    /// Gets the next messages, as many as are there but `most` at most; waits while there is none.
    ///
    /// # Errors
    ///
    /// [`Closed`](GetError::Closed) once the ring is closed and drained.
    ///
    /// # Death
    ///
    /// A process killed before it has returned loses those messages that it had got already; the others are got by
    /// somebody else.
    ///
    /// # Examples
    ///
    /// See [`put_many`](Self::put_many).
    pub fn get_many(&self, most: usize) -> Result<Vec<T>, GetError> {
        self.many(most, || self.get())
    }

    /// The next messages, as many as are there but `most` at most; there may be none ([`Empty`](TryGetError::Empty)).
    ///
    /// # Errors
    ///
    /// As [`try_get`](Self::try_get).
    ///
    /// # Death
    ///
    /// As for [`get_many`](Self::get_many).
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::{Ring, TryGetError};
    ///
    /// let ring = Ring::new(4)?;
    /// ring.put_many(&[1, 2, 3])?;
    /// assert_eq!(ring.try_get_many(2)?, [1, 2]);
    /// assert_eq!(ring.try_get_many(2)?, [3]);
    /// assert_eq!(ring.try_get_many(2), Err(TryGetError::Empty));
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn try_get_many(&self, most: usize) -> Result<Vec<T>, TryGetError> {
        self.many(most, || self.try_get())
    }

    /// As [`get_many`](Self::get_many); waits for `timeout` at most (monotonic).
    ///
    /// # Errors
    ///
    /// As [`try_get_many`](Self::try_get_many).
    ///
    /// # Death
    ///
    /// As for [`get_many`](Self::get_many).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use crossproc::{Ring, TryGetError};
    ///
    /// let ring = Ring::new(4)?;
    /// ring.put_many(&[1, 2, 3])?;
    /// assert_eq!(ring.get_many_timeout(4, Duration::from_secs(60))?, [1, 2, 3]);
    /// assert_eq!(ring.get_many_timeout(4, Duration::from_millis(1)), Err(TryGetError::Empty));
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn get_many_timeout(&self, most: usize, timeout: Duration) -> Result<Vec<T>, TryGetError> {
        self.many(most, || self.get_timeout(timeout))
    }

    /// What `first` gets, and what else is there.
    fn many<E>(&self, most: usize, first: impl FnOnce() -> Result<T, E>) -> Result<Vec<T>, E> {
        if most == 0 {
            return Ok(Vec::new());
        }
        let mut messages = vec![first()?];
        while messages.len() < most
            && let Ok(message) = self.try_get()
        {
            messages.push(message);
        }
        Ok(messages)
    }
}
