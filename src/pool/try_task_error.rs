use std::fmt;

use super::task::Task;
use crate::error::{Error, TaskError};

/// Why [`Task::try_get`] or [`Task::get_timeout`] returned no result.
///
/// # Examples
///
/// ```
/// use crossproc::{Error, Pool};
///
/// # fn main() -> crossproc::Result<()> {
/// crossproc::init();
/// let pool = Pool::new(1)?;
/// let task = pool.apply_async(std::thread::park, ());
/// assert_eq!(Error::from(task.try_get().unwrap_err()), Error::TaskRunning);
/// # Ok(())
/// # }
/// ```
pub enum TryTaskError<R> {
    /// It is not done: here it is.
    Running(Task<R>),
    /// It has ended without a result.
    Failed(TaskError),
}

impl<R> fmt::Display for TryTaskError<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TryTaskError::Running(_) => write!(f, "{}", Error::TaskRunning),
            TryTaskError::Failed(error) => write!(f, "{error}"),
        }
    }
}

impl<R> fmt::Debug for TryTaskError<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TryTaskError::Running(task) => f.debug_tuple("Running").field(task).finish(),
            TryTaskError::Failed(error) => f.debug_tuple("Failed").field(error).finish(),
        }
    }
}

impl<R> std::error::Error for TryTaskError<R> {}

impl<R> From<TryTaskError<R>> for Error {
    fn from(error: TryTaskError<R>) -> Self {
        match error {
            TryTaskError::Running(_) => Error::TaskRunning,
            TryTaskError::Failed(error) => error.into(),
        }
    }
}
