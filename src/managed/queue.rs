use std::fmt;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Manager;
use super::engine::Engine;
use crate::error::{GetError, PutError, Result, TryGetError, TryPutError};
use crate::message::Sends;

/// Messages for whoever is free, and tasks that outlive whoever had them, as a [`crate::Queue`].
///
/// [`Manager::queue`] makes one. It travels to other processes in their arguments, and through queues; it cannot be kept in a container
/// ([`HandleOutsideTransfer`](crate::Error::HandleOutsideTransfer)).
///
/// # Concurrency
///
/// Any number of processes put and get. Each message is got once.
///
/// # Death
///
/// What was put is there, whoever dies. A message that a killed process was just getting, or has as a [task](Self::get_task) that it
/// was not done with, is delivered again.
///
/// # Errors
///
/// Of [`len`](Self::len), [`is_empty`](Self::is_empty), [`close`](Self::close), [`join`](Self::join): none on this machine.
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
#[derive(Serialize, Deserialize)]
#[serde(bound = "T: Serialize + DeserializeOwned")]
pub struct Queue<T> {
    queue: crate::Queue<T>,
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
        match &self.engine {
            Engine::Local(_) => Ok(Queue { queue: crate::Queue::new(capacity)? }),
            #[cfg(feature = "redis")]
            Engine::Server(_) => Err(crate::managed::server::lacks("a Queue")),
        }
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
        self.queue.put(message)
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
        self.queue.try_put(message)
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
        self.queue.put_timeout(message, timeout)
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
        self.queue.get()
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
        self.queue.try_get()
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
        self.queue.get_timeout(timeout)
    }

    /// Gets the next message as a task, which is done when it is dropped; waits while there is none.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    ///
    /// # Examples
    ///
    /// See [`QueueTask`].
    pub fn get_task(&self) -> Result<QueueTask<'_, T>, GetError> {
        self.queue.get_task().map(|task| QueueTask { task })
    }

    /// All messages, until it is closed and drained.
    ///
    /// # Examples
    ///
    /// See [`Queue`].
    pub fn iter(&self) -> impl Iterator<Item = Result<T, GetError>> + '_ {
        self.queue.iter()
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
        self.queue.task_done()
    }

    /// Waits until everything that has been put is done.
    ///
    /// # Examples
    ///
    /// See [`Queue`].
    pub fn join(&self) -> Result<()> {
        self.queue.join();
        Ok(())
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
        Ok(self.queue.join_timeout(timeout))
    }

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
        Ok(self.queue.len())
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
        Ok(self.queue.is_empty())
    }

    /// How many messages there is room for.
    ///
    /// # Examples
    ///
    /// See [`len`](Self::len).
    pub fn capacity(&self) -> usize {
        self.queue.capacity()
    }

    /// Has it take no more messages. Those that are there can be got.
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
        self.queue.close();
        Ok(())
    }
}

/// The same queue.
impl<T> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Queue { queue: self.queue.clone() }
    }
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").finish_non_exhaustive()
    }
}

/// A message that is being worked on: derefs to it. Dropping it says that the work is done.
///
/// # Death
///
/// If the process dies before that, somebody else gets the message; so does somebody if a panic drops it.
///
/// # Examples
///
/// ```
/// let queue = crossproc::Manager::start()?.queue(1)?;
/// queue.put("job".to_string())?;
/// let task = queue.get_task()?;
/// task.give_back()?;
/// let task = queue.get_task()?;
/// assert_eq!(*task, "job");
/// task.done()?;
/// assert!(queue.is_empty()?);
/// # Ok::<(), crossproc::Error>(())
/// ```
#[must_use = "dropping it says that the work is done"]
#[derive(Debug)]
pub struct QueueTask<'a, T> {
    task: crate::QueueTask<'a, T>,
}

impl<T> QueueTask<'_, T> {
    /// Says that the work is done, as dropping it does.
    ///
    /// # Errors
    ///
    /// None on this machine.
    ///
    /// # Examples
    ///
    /// See [`QueueTask`].
    pub fn done(self) -> Result<()> {
        self.task.done();
        Ok(())
    }

    /// Leaves the message to somebody else.
    ///
    /// # Errors
    ///
    /// None on this machine.
    ///
    /// # Examples
    ///
    /// See [`QueueTask`].
    pub fn give_back(self) -> Result<()> {
        self.task.give_back();
        Ok(())
    }
}

impl<T> Deref for QueueTask<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.task
    }
}

impl<T> DerefMut for QueueTask<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.task
    }
}
