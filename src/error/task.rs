use serde::{Deserialize, Serialize};

use super::process::nested;
use super::{Error, Exit};

/// Why a task of a [`Pool`](crate::Pool) has no result. Each task has one outcome: its result or one of these.
///
/// Tasks have numbers, from 0 on: of a map (`map`, `imap` and their kind) that of the item, in each map anew; of
/// [`apply`](crate::Pool::apply) and [`apply_async`](crate::Pool::apply_async) how many such tasks the pool has been given before.
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
/// assert!(matches!(pool.apply(divide, (1, 9)), Err(TaskError::WorkerDied { task: 1, .. })));
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
        /// Its number; see [`TaskError`].
        task: u64,
    },

    /// Its worker was killed, or called `exit`. If there were to be retries, the last one's worker.
    #[error("process {pid} {exit} before it had done task {task}")]
    WorkerDied {
        /// The worker's process id.
        pid: u32,
        /// How the worker ended.
        exit: Exit,
        /// Its number; see [`TaskError`].
        task: u64,
    },

    /// It ran longer than the pool allows, and its worker was killed.
    #[error("task {task} has run out of time")]
    TimedOut {
        /// Its number; see [`TaskError`].
        task: u64,
    },

    /// The server lost it, of a pool with an [`engine`](crate::PoolBuilder), or what has come of it: it may have been run. If there were to be
    /// retries, the last one was lost, too.
    #[error("the server has lost task {task}, which may have been run")]
    Lost {
        /// Its number; see [`TaskError`].
        task: u64,
    },

    /// It was cancelled, or the pool ended, before it was done.
    #[error("the task was cancelled")]
    Cancelled,

    /// Its function or its arguments could not be sent, or its result could not be sent back.
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

    /// It was not run: the pool was closed already.
    #[error("the pool is closed")]
    Closed,

    /// It was not run, or its outcome is not here: this process is a forked copy of the pool's.
    #[error("this process is a forked copy of the one that has the pool in hand")]
    ForkedCopy,

    /// It was not run: the pool has no worker that works, and has given up starting others. Or, of a pool with an
    /// [`engine`](crate::PoolBuilder): its server has not been reached for too long, and it may have been run.
    #[error("the pool is broken: the last {failures} {}", attempts(source))]
    BrokenPool {
        /// So many starts, or requests to the server, in a row have failed.
        failures: u32,
        /// What went wrong with the last one: an [`Initializer`](crate::ProcessError::Initializer) if the initializer returned an `Err`. Of a
        /// server, which one and for how long.
        #[source]
        #[serde(deserialize_with = "nested")]
        source: Box<Error>,
    },

    /// Its outcome is in the hands of one of its callbacks, or a callback of another task has taken it.
    #[error("the outcome is with a callback, or was taken")]
    Taken,
}

/// Why the next outcome of a lazy map ([`Imap::next_timeout`](crate::Imap::next_timeout)) is not a result, or why
/// [`AsCompleted::next_timeout`](crate::AsCompleted::next_timeout), which only says `NotYet`, gives no task.
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

/// What a pool has tried in vain, by what came of it: what goes wrong in a worker is an `Error::Process`.
fn attempts(source: &Error) -> &'static str {
    match source {
        Error::Unreachable { .. }
        | Error::Unanswered { .. }
        | Error::ServerFull { .. }
        | Error::Refused { .. }
        | Error::Gone { .. } => "requests to its server have failed",
        _ => "workers could not be started",
    }
}

impl TaskError {
    /// What belongs to a task could not be sent.
    pub(crate) fn encode(why: &Error) -> Self {
        TaskError::Encode { reason: format!("{why:?}") }
    }

    /// What has come of it could not be understood.
    pub(crate) fn decode(why: &Error) -> Self {
        TaskError::Decode { reason: format!("{why:?}") }
    }

    /// The same, of the task of this number.
    pub(crate) fn of(mut self, number: u64) -> Self {
        if let TaskError::Panicked { task, .. }
        | TaskError::WorkerDied { task, .. }
        | TaskError::TimedOut { task }
        | TaskError::Lost { task } = &mut self
        {
            *task = number;
        }
        self
    }

    /// All texts that may be of any length, of what a worker says.
    pub(crate) fn texts(&mut self) -> Vec<&mut String> {
        match self {
            TaskError::Panicked { message, backtrace, .. } => backtrace.iter_mut().chain([message]).collect(),
            TaskError::Encode { reason } | TaskError::Decode { reason } => vec![reason],
            TaskError::WorkerDied { .. }
            | TaskError::TimedOut { .. }
            | TaskError::Lost { .. }
            | TaskError::Cancelled
            | TaskError::Closed
            | TaskError::ForkedCopy
            | TaskError::BrokenPool { .. }
            | TaskError::Taken => Vec::new(),
        }
    }
}
