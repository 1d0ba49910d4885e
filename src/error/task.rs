use serde::{Deserialize, Serialize};

use super::{Error, Exit};

/// Why a task of a [`Pool`](crate::Pool) has no result. Each task has one outcome: its result or one of these.
///
/// # Examples
///
/// ```
/// use crossproc::{Pool, TaskError};
///
/// fn divide(a: u32, b: u32) -> u32 {
///     if b == 9 { std::process::abort() }
///     a / b
/// }
///
/// # fn main() -> crossproc::Result<()> {
/// crossproc::init();
/// let pool = Pool::new(1)?;
/// assert!(matches!(pool.apply(divide, (1, 0)), Err(TaskError::Panicked { message, .. }) if message.contains("zero")));
/// assert!(matches!(pool.apply(divide, (1, 9)), Err(TaskError::WorkerDied { .. })));
/// assert_eq!(pool.apply(divide, (6, 2)), Ok(3));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum TaskError {
    /// Its function panicked. The worker goes on, unless the panic could not unwind.
    #[error("task {task} panicked at {location} in process {pid}: {message}")]
    Panicked {
        /// The panic's message, no more than 64 KiB of it.
        message: String,
        /// `file:line:column` of the panic.
        location: String,
        /// The panic's backtrace, where `RUST_BACKTRACE` asks for one, no more than 64 KiB of it.
        backtrace: Option<String>,
        /// The worker's process id.
        pid: u32,
        /// Which item of a `map`, or 0.
        task: u64,
    },

    /// Its worker was killed, or called `exit`. If there were to be retries, the last one's worker.
    #[error("process {pid} {exit} before it had done the task")]
    WorkerDied {
        /// The worker's process id.
        pid: u32,
        /// How the worker ended.
        exit: Exit,
    },

    /// It ran longer than the pool allows, and its worker was killed.
    #[error("the task has run out of time")]
    TimedOut,

    /// It was cancelled, or the pool ended, before it was done.
    #[error("the task was cancelled")]
    Cancelled,

    /// Its arguments could not be sent, or its result could not be sent back.
    #[error("cannot hand over what belongs to the task: {reason}")]
    Encode {
        /// What could not be encoded, and why.
        reason: String,
    },

    /// Its worker could not make sense of the arguments, or this process of the result.
    #[error("cannot take over what belongs to the task: {reason}")]
    Decode {
        /// What could not be decoded, and why.
        reason: String,
    },

    /// It was not run: the pool was closed already, or has no workers and cannot start any.
    #[error("the task was not run: {reason}")]
    NotRun {
        /// Why not.
        reason: String,
    },
}

/// Why the next outcome of a lazy map ([`Imap::next_timeout`](crate::Imap::next_timeout)) is not a result.
///
/// # Examples
///
/// ```
/// use crossproc::{Error, Pool, TryNextError};
///
/// # fn main() -> crossproc::Result<()> {
/// crossproc::init();
/// let pool = Pool::new(1)?;
/// let mut outcomes = pool.imap(|_: u32| std::thread::park(), 0..2);
/// let refused = outcomes.try_next().unwrap_err();
/// assert_eq!(refused, TryNextError::NotYet);
/// assert_eq!(Error::from(refused), Error::TaskRunning);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TryNextError {
    /// It is not there yet, and was not until the time was up.
    #[error("the next outcome is not there yet")]
    NotYet,
    /// The call on the next item has ended without a result. There may be more behind it.
    #[error(transparent)]
    Failed(#[from] TaskError),
}

impl From<TryNextError> for Error {
    fn from(error: TryNextError) -> Self {
        match error {
            TryNextError::NotYet => Error::TaskRunning,
            TryNextError::Failed(error) => error.into(),
        }
    }
}

impl TaskError {
    /// All texts that may be of any length.
    pub(crate) fn texts(&mut self) -> Vec<&mut String> {
        match self {
            TaskError::Panicked { message, backtrace, .. } => backtrace.iter_mut().chain([message]).collect(),
            TaskError::Encode { reason } | TaskError::Decode { reason } | TaskError::NotRun { reason } => vec![reason],
            TaskError::WorkerDied { .. } | TaskError::TimedOut | TaskError::Cancelled => Vec::new(),
        }
    }
}
