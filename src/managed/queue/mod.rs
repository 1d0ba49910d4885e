//! Queues: in shared memory, or at a server.

mod kept;
mod state;
mod task;
mod travel;

use std::fmt;
use std::iter;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use self::kept::Kept;
pub use self::task::QueueTask;
use super::{Manager, Place};
use crate::error::{GetError, PutError, Result, TryGetError, TryPutError};
use crate::message::Sends;

/// Messages for whoever is free, and tasks that outlive whoever had them, as a [`crate::Queue`].
///
/// [`Manager::queue`] makes one. It travels to other processes in their arguments, and through queues; it cannot be kept in a container
/// ([`HandleOutsideTransfer`](crate::Error::HandleOutsideTransfer)). The messages of a queue at a server may contain handles of containers
/// at that server; on this machine no handle goes through a queue.
///
/// # Concurrency
///
/// Any number of processes put and get. Each message is got once.
///
/// # Death
///
/// What was put is there, whoever dies. A message that a killed process was just getting, or has as a [task](Self::get_task) that it
/// was not done with, is delivered again ([`redelivered`](Self::redelivered) counts them); at a server, once the process has not been
/// heard for as long as its lease.
///
/// # Errors
///
/// On this machine those of a [`crate::Queue`]: of [`len`](Self::len), [`is_empty`](Self::is_empty), [`close`](Self::close),
/// [`join`](Self::join) none. At a server, of all methods, also those of a [`Dict`](super::Dict) there, and these:
///
/// - After [`Unanswered`](crate::Error::Unanswered) a message that was to be put may have been put, and a message that was to be got is in
///   the queue again, or else it was got by this process, which does not have it.
/// - [`OwnerDied`](crate::Error::OwnerDied), when a task is done or given back: this process was not heard for as long as its lease, and
///   somebody else has the message, or will.
///
/// # Examples
///
/// ```
/// use crossproc::managed::Queue;
/// use crossproc::{Manager, Process};
///
/// fn work(jobs: Queue<u64>, squares: Queue<u64>) -> crossproc::Result<()> {
///     for job in jobs.iter() {
///         let job = job?;
///         squares.put(job * job)?;
///         jobs.task_done()?;
///     }
///     Ok(())
/// }
///
/// # fn main() -> crossproc::Result<()> {
/// crossproc::init();
/// let manager = Manager::start()?;
/// let (jobs, squares) = (manager.queue(10)?, manager.queue(10)?);
/// let worker = Process::spawn(work, (&jobs, &squares))?;
/// for job in 1..=3 {
///     jobs.put(job)?;
/// }
/// jobs.join()?;
/// jobs.close()?;
/// worker.join()??;
/// assert_eq!([squares.get()?, squares.get()?, squares.get()?], [1, 4, 9]);
/// # Ok(())
/// # }
/// ```
pub struct Queue<T> {
    kept: Kept<T>,
}

impl Manager {
    /// A new queue for so many messages, empty.
    ///
    /// # Errors
    ///
    /// Those of [`Queue::new`](crate::Queue::new).
    ///
    /// # Examples
    ///
    /// See [`Queue`].
    pub fn queue<T: Serialize + DeserializeOwned>(&self, capacity: usize) -> Result<Queue<T>> {
        Kept::make(&self.engine, capacity).map(|kept| Queue { kept })
    }
}

impl Place<'_> {
    /// The queue of this name at a server, or a new one for so many messages, empty.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](crate::Error::Unsupported) on this machine, where [`Queue::open_or_create`](crate::Queue::open_or_create) has names of its
    /// own.
    ///
    /// # Examples
    ///
    /// ```
    /// let manager = crossproc::Manager::start()?;
    /// let refused = manager.at("jobs").queue::<u32>(100).map(drop);
    /// assert!(matches!(refused, Err(crossproc::Error::Unsupported { .. })));
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn queue<T: Serialize + DeserializeOwned>(self, capacity: usize) -> Result<Queue<T>> {
        let found = Kept::find(&self.manager.engine, self.name, capacity);
        found.map(|kept| Queue { kept }).map_err(|error| error.at(self.name))
    }
}

impl<T: Serialize + DeserializeOwned> Queue<T> {
    /// Puts a message; waits while there is no room.
    ///
    /// # Errors
    ///
    /// Those of [`crate::Queue::put`], with the message.
    ///
    /// # Examples
    ///
    /// See [`Queue`].
    pub fn put<M: Sends<T>>(&self, message: M) -> Result<(), PutError<M>> {
        self.kept.put(message)
    }

    /// Puts a message if there is room.
    ///
    /// # Errors
    ///
    /// [`Full`](TryPutError::Full), and those of [`put`](Self::put).
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = crossproc::Manager::start()?.queue(1)?;
    /// queue.try_put(1)?;
    /// assert!(matches!(queue.try_put(2), Err(crossproc::TryPutError::Full(2))));
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn try_put<M: Sends<T>>(&self, message: M) -> Result<(), TryPutError<M>> {
        self.kept.try_put(message)
    }

    /// Puts a message; waits for room, `timeout` at most (monotonic).
    ///
    /// # Errors
    ///
    /// As [`try_put`](Self::try_put).
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = crossproc::Manager::start()?.queue(1)?;
    /// queue.put_timeout(1, std::time::Duration::from_secs(1))?;
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn put_timeout<M: Sends<T>>(&self, message: M, timeout: Duration) -> Result<(), TryPutError<M>> {
        self.kept.put_timeout(message, timeout)
    }

    /// Gets the next message; waits while there is none.
    ///
    /// # Errors
    ///
    /// Those of [`crate::Queue::get`].
    ///
    /// # Examples
    ///
    /// See [`Queue`].
    pub fn get(&self) -> Result<T, GetError> {
        self.kept.get()
    }

    /// Gets the next message if there is one.
    ///
    /// # Errors
    ///
    /// [`Empty`](TryGetError::Empty), and those of [`get`](Self::get).
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = crossproc::Manager::start()?.queue::<u32>(1)?;
    /// assert!(matches!(queue.try_get(), Err(crossproc::TryGetError::Empty)));
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn try_get(&self) -> Result<T, TryGetError> {
        self.kept.try_get()
    }

    /// Gets the next message; waits for `timeout` at most (monotonic).
    ///
    /// # Errors
    ///
    /// As [`try_get`](Self::try_get).
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = crossproc::Manager::start()?.queue::<u32>(1)?;
    /// assert!(queue.get_timeout(std::time::Duration::from_millis(1)).is_err());
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn get_timeout(&self, timeout: Duration) -> Result<T, TryGetError> {
        self.kept.get_timeout(timeout)
    }

    /// All messages, until it is closed and drained.
    ///
    /// # Examples
    ///
    /// See [`Queue`].
    pub fn iter(&self) -> impl Iterator<Item = Result<T, GetError>> + '_ {
        iter::from_fn(|| match self.get() {
            Err(GetError::Closed | GetError::Disconnected) => None,
            got => Some(got),
        })
    }
}

impl<T> Queue<T> {
    /// Says that a message is done which this process has got, for [`join`](Self::join).
    ///
    /// # Errors
    ///
    /// [`NothingToBeDone`](crate::Error::NothingToBeDone) if it has not got more than it has done already.
    ///
    /// # Examples
    ///
    /// See [`Queue`].
    pub fn task_done(&self) -> Result<()> {
        self.kept.task_done()
    }

    /// Waits until everything that has been put is done.
    ///
    /// # Death
    ///
    /// What a process had got with [`get`](Self::get) when it ended counts as done: nobody else would say so. What it had got as a task
    /// is delivered again.
    ///
    /// # Examples
    ///
    /// See [`Queue`].
    pub fn join(&self) -> Result<()> {
        self.kept.join()
    }

    /// As [`join`](Self::join), for `timeout` at most (monotonic); whether everything is done.
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = crossproc::Manager::start()?.queue(1)?;
    /// queue.put(1)?;
    /// assert!(!queue.join_timeout(std::time::Duration::from_millis(1))?);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn join_timeout(&self, timeout: Duration) -> Result<bool> {
        self.kept.join_timeout(timeout)
    }
}

/// The same queue.
impl<T> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Queue { kept: self.kept.clone() }
    }
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").finish_non_exhaustive()
    }
}
