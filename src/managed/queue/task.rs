use std::ops::{Deref, DerefMut};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

#[cfg(feature = "redis")]
use super::super::server;
use super::Queue;
use crate::error::{GetError, Result, TryGetError};

/// A message that is being worked on: derefs to it. Dropping it says that the work is done.
///
/// An early return with `?` drops the task as done, and its job is lost: give it back first, or say at the beginning that drops are to
/// ([`give_back_on_drop`](Self::give_back_on_drop)).
///
/// It keeps its place in the queue, and so counts against the capacity, until it is done.
///
/// # Death
///
/// If the process dies before that, somebody else gets the message; so does somebody if a panic drops it. At a server, so does somebody
/// when the process has not been heard for as long as its lease. A message over which everybody dies or panics goes round for ever: catch
/// what may panic, and be done with the message.
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
    task: Task<'a, T>,
}

#[derive(Debug)]
pub(super) enum Task<'a, T> {
    Local(crate::QueueTask<'a, T>),
    #[cfg(feature = "redis")]
    Server(server::Task<'a>, T),
}

impl<'a, T> QueueTask<'a, T> {
    fn of(task: Task<'a, T>) -> Self {
        QueueTask { task }
    }
}

impl<T> QueueTask<'_, T> {
    /// Says that the work is done, as dropping it does.
    ///
    /// # Errors
    ///
    /// None on this machine; those of a [`Queue`](super::Queue) at a server. After [`Unanswered`](crate::Error::Unanswered) and
    /// [`Unreachable`](crate::Error::Unreachable) it is said as soon as the server is reached, unless that is too late.
    ///
    /// # Examples
    ///
    /// See [`QueueTask`].
    pub fn done(self) -> Result<()> {
        match self.task {
            Task::Local(task) => {
                task.done();
                Ok(())
            }
            #[cfg(feature = "redis")]
            Task::Server(task, _) => task.done(),
        }
    }

    /// The message; the work is done.
    ///
    /// # Errors
    ///
    /// None on this machine; those of a [`Queue`](super::Queue) at a server. With each of them the message is not this process's: after
    /// [`OwnerDied`](crate::Error::OwnerDied) somebody else has it, or will; after [`Unreachable`](crate::Error::Unreachable) it is given
    /// back as soon as the server is reached; after [`Unanswered`](crate::Error::Unanswered) that, or it is done, and nobody has it.
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = crossproc::Manager::start()?.queue(4)?;
    /// queue.put("text".to_string())?;
    /// let text: String = queue.get_task()?.into_inner()?;
    /// assert!(queue.join_timeout(std::time::Duration::ZERO)?);
    /// # assert_eq!(text, "text");
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn into_inner(self) -> Result<T> {
        match self.task {
            Task::Local(task) => Ok(task.into_inner()),
            #[cfg(feature = "redis")]
            Task::Server(task, message) => task.take_out().map(|()| message),
        }
    }

    /// Gives the message back as it was put, for somebody else to get, maybe behind later ones.
    ///
    /// # Errors
    ///
    /// None on this machine; those of a [`Queue`](super::Queue) at a server. After [`Unanswered`](crate::Error::Unanswered) and
    /// [`Unreachable`](crate::Error::Unreachable) it is said as soon as the server is reached, unless that is too late.
    ///
    /// # Examples
    ///
    /// See [`QueueTask`].
    pub fn give_back(self) -> Result<()> {
        match self.task {
            Task::Local(task) => {
                task.give_back();
                Ok(())
            }
            #[cfg(feature = "redis")]
            Task::Server(task, _) => task.give_back(),
        }
    }

    /// The same task, whose drop gives the message back: only [`done`](Self::done) and [`into_inner`](Self::into_inner) say that the work
    /// is done, and an early return does not.
    ///
    /// # Death
    ///
    /// If a server is not reached in the drop, the message is given back as soon as it is.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::managed::Queue;
    /// use crossproc::{Manager, Result};
    ///
    /// fn work(jobs: &Queue<String>, results: &Queue<u32>) -> Result<()> {
    ///     let job = jobs.get_task()?.give_back_on_drop();
    ///     if let Ok(number) = job.parse::<u32>() {
    ///         results.try_put(number)?;
    ///     }
    ///     job.done()
    /// }
    ///
    /// let manager = Manager::start()?;
    /// let (jobs, results) = (manager.queue(4)?, manager.queue(1)?);
    /// jobs.put("1")?;
    /// jobs.put("2")?;
    /// work(&jobs, &results)?;
    /// assert!(work(&jobs, &results).is_err(), "no room for another result");
    /// assert_eq!(jobs.len()?, 1);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn give_back_on_drop(self) -> Self {
        let task = match self.task {
            Task::Local(task) => Task::Local(task.give_back_on_drop()),
            #[cfg(feature = "redis")]
            Task::Server(task, message) => Task::Server(task.give_back_on_drop(), message),
        };
        QueueTask { task }
    }
}

impl<T: Serialize + DeserializeOwned> Queue<T> {
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
        self.kept.task().map(QueueTask::of)
    }

    /// Gets the next message as a task if there is one.
    ///
    /// # Errors
    ///
    /// As [`try_get`](Self::try_get).
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = crossproc::Manager::start()?.queue(4)?;
    /// queue.put("job".to_string())?;
    /// let task = queue.try_get_task()?;
    /// assert_eq!(*task, "job");
    /// assert!(matches!(queue.try_get_task(), Err(crossproc::TryGetError::Empty)));
    /// # drop(task);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn try_get_task(&self) -> Result<QueueTask<'_, T>, TryGetError> {
        self.kept.try_task().map(QueueTask::of)
    }

    /// Gets the next message as a task; waits for `timeout` at most (monotonic).
    ///
    /// # Errors
    ///
    /// As [`try_get`](Self::try_get).
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = crossproc::Manager::start()?.queue::<u32>(1)?;
    /// assert!(queue.get_task_timeout(std::time::Duration::from_millis(1)).is_err());
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn get_task_timeout(&self, timeout: Duration) -> Result<QueueTask<'_, T>, TryGetError> {
        self.kept.task_timeout(timeout).map(QueueTask::of)
    }
}

impl<T> Deref for QueueTask<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        match &self.task {
            Task::Local(task) => task,
            #[cfg(feature = "redis")]
            Task::Server(_, message) => message,
        }
    }
}

impl<T> DerefMut for QueueTask<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        match &mut self.task {
            Task::Local(task) => task,
            #[cfg(feature = "redis")]
            Task::Server(_, message) => message,
        }
    }
}
