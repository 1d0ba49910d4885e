use std::fmt;

use super::handle::Process;
use crate::error::{Error, ProcessError};

/// Why [`Process::try_join`] or [`Process::join_timeout`] returned no result.
///
/// # Examples
///
/// ```
/// use crossproc::{Error, Process};
///
/// fn main() -> crossproc::Result<()> {
///     crossproc::init();
///     let process = Process::spawn(std::thread::park, ())?;
///     let child = process.child().clone();
///     let error = Error::from(process.try_join().unwrap_err());
///     assert_eq!(error.to_string(), format!("process Process-1 ({}) is still running", child.pid()));
///     child.kill()
/// }
/// ```
pub enum TryJoinError<R> {
    /// The process has not ended; here it is back.
    Running(Process<R>),
    /// It has ended without a result.
    Failed(ProcessError),
}

impl<R> fmt::Display for TryJoinError<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TryJoinError::Running(process) => {
                write!(f, "process {} ({}) is still running", process.name(), process.pid())
            }
            TryJoinError::Failed(error) => write!(f, "{error}"),
        }
    }
}

impl<R> fmt::Debug for TryJoinError<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TryJoinError::Running(process) => f.debug_tuple("Running").field(process).finish(),
            TryJoinError::Failed(error) => f.debug_tuple("Failed").field(error).finish(),
        }
    }
}

impl<R> std::error::Error for TryJoinError<R> {
    /// That of the failure, whose words are this error's, too.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            TryJoinError::Running(_) => None,
            TryJoinError::Failed(error) => error.source(),
        }
    }
}

impl<R> From<TryJoinError<R>> for Error {
    fn from(error: TryJoinError<R>) -> Self {
        match error {
            TryJoinError::Running(process) => {
                Error::StillRunning { name: process.name().to_string(), pid: process.pid() }
            }
            TryJoinError::Failed(error) => error.into(),
        }
    }
}
