//! What a queue is like, and its end.

use super::Queue;
use crate::error::Result;

impl<T> Queue<T> {
    /// The number of messages. The answer may be stale when you read it.
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = crossproc::Manager::start()?.queue(2)?;
    /// queue.put(1)?;
    /// assert_eq!((queue.len()?, queue.capacity()), (1, 2));
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn len(&self) -> Result<usize> {
        self.kept.len()
    }

    /// Whether there is no message. The answer may be stale when you read it.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(crossproc::Manager::start()?.queue::<u8>(2)?.is_empty()?);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.kept.len()? == 0)
    }

    /// How many messages there is room for.
    ///
    /// # Examples
    ///
    /// See [`len`](Self::len).
    pub fn capacity(&self) -> usize {
        self.kept.capacity()
    }

    /// Refuses every put from now on, also those that wait: they have their messages back ([`Closed`](crate::PutError::Closed)). What has been put
    /// can still be got, and then gets end with [`Closed`](crate::GetError::Closed), and [`iter`](Self::iter) with them: once nobody has a message
    /// in hand that may come back, as a [`QueueTask`](super::QueueTask) or a `get` half done. Until then they wait.
    ///
    /// It stays closed, whoever dies; to close it again changes nothing. At a server its name leads to the closed queue until that is
    /// [removed](crate::Manager::remove).
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = crossproc::Manager::start()?.queue(1)?;
    /// queue.put(1)?;
    /// queue.close()?;
    /// assert!(queue.put(2).is_err());
    /// assert!(queue.get() == Ok(1) && queue.get().is_err());
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn close(&self) -> Result<()> {
        self.kept.close()
    }

    /// Whether somebody has closed it. `false` may be stale when you read it.
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = crossproc::Manager::start()?.queue::<u8>(1)?;
    /// assert!(!queue.is_closed()?);
    /// queue.close()?;
    /// assert!(queue.is_closed()?);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn is_closed(&self) -> Result<bool> {
        self.kept.is_closed()
    }

    /// How many messages have been taken from a process that died, for another one to get. The answer may be stale when you read it.
    ///
    /// # Death
    ///
    /// A process killed at the moment of the taking may leave one uncounted on this machine.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(crossproc::Manager::start()?.queue::<u8>(1)?.redelivered()?, 0);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn redelivered(&self) -> Result<u64> {
        self.kept.redelivered()
    }
}
