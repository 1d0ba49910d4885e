use std::ops::{Deref, DerefMut};

#[cfg(feature = "redis")]
use super::super::server;
use crate::error::Result;

/// A message that is being worked on: derefs to it. Dropping it says that the work is done.
///
/// # Death
///
/// If the process dies before that, somebody else gets the message; so does somebody if a panic drops it. At a server, so does somebody
/// when the process has not been heard for as long as its lease.
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
    pub(super) fn of(task: Task<'a, T>) -> Self {
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

    /// Leaves the message to somebody else.
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
