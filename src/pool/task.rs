use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::core::Core;
use super::job::Job;
use super::opened::{Open, Opened, open};
use super::try_task_error::TryTaskError;
use crate::error::TaskError;
use crate::sys::clock::Deadline;

/// What a [`Pool`](crate::Pool) has been asked for and will have a result of type `R`, or an error: exactly one of them.
///
/// Dropping it changes nothing about what runs. It is also a [`Future`], for any executor.
///
/// # Death
///
/// Whatever becomes of a worker, the task ends: see [`TaskError`]. When the pool ends, so do its tasks.
///
/// # Memory
///
/// A result that nobody has asked for stays as it came, with the descriptors of its handles, until the last task that knows it is dropped.
/// If there is a [`Barrier`](crate::Barrier) in it, or the end of a channel, it is itself one of the users of the memory that these lie
/// in, of which there may be 256 at a time: take such results, or drop their tasks, before there are hundreds.
///
/// # Examples
///
/// ```
/// use crossproc::Pool;
///
/// # fn main() -> crossproc::Result<()> {
/// crossproc::init();
/// let pool = Pool::new(2)?;
/// let tasks: Vec<_> = (0..4_u64).map(|n| pool.apply_async(u64::pow, (n, 2))).collect();
/// let squares: Result<Vec<_>, _> = tasks.into_iter().map(|task| task.get()).collect();
/// assert_eq!(squares?, [0, 1, 4, 9]);
/// # Ok(())
/// # }
/// ```
///
/// A server drops the future of a request whose time is up, or whose client has gone. What runs for it ends then, if the future has the task
/// in a guard:
///
/// ```
/// use crossproc::{Pool, Task, TaskError};
///
/// struct Wanted<R>(Task<R>);
///
/// impl<R> Drop for Wanted<R> {
///     fn drop(&mut self) {
///         self.0.cancel(); // nothing, once it is done
///     }
/// }
///
/// async fn answer(pool: &Pool, seconds: u64) -> Result<u64, TaskError> {
///     let work = |seconds| {
///         std::thread::sleep(std::time::Duration::from_secs(seconds));
///         seconds
///     };
///     let mut task = Wanted(pool.apply_async(work, (seconds,)));
///     (&mut task.0).await
/// }
///
/// # use std::future::Future;
/// # use std::task::{Context, Waker};
/// # fn main() -> crossproc::Result<()> {
/// crossproc::init();
/// let pool = Pool::new(1)?;
/// let mut answered = Box::pin(answer(&pool, 3_600)); // in a server, inside of `tokio::time::timeout(limit, ...)`
/// # assert!(answered.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
/// drop(answered);
/// assert_eq!(pool.apply(|| 7, ()), Ok(7)); // the only worker does not sleep for an hour
/// # Ok(())
/// # }
/// ```
pub struct Task<R> {
    pub(super) core: Arc<Core>,
    pub(super) job: Arc<Job>,
    number: u64,
    pub(super) open: Open<R>,
    pub(super) opened: Arc<Mutex<Opened<R>>>,
    /// Whether it was given away as a future's output.
    pub(super) is_taken: bool,
}

impl<R: DeserializeOwned> Task<R> {
    /// `number`: of its first call.
    pub(super) fn new(core: &Arc<Core>, job: Arc<Job>, number: u64, open: Open<R>) -> Self {
        Task { core: Arc::clone(core), job, number, open, opened: Arc::default(), is_taken: false }
    }

    /// Waits for the result. If there are callbacks, they have run by then, unless it is one that asks: a callback waits for none.
    ///
    /// # Errors
    ///
    /// What the task has ended with instead of a result. In a callback of this very task, [`TaskError::Taken`]: the callback has the outcome
    /// in hands, and those behind it are to see it, too. If a callback of another task takes it before this one's have run, these are told
    /// the same.
    ///
    /// # Examples
    ///
    /// See [`Task`].
    pub fn get(self) -> Result<R, TaskError> {
        self.wait();
        self.take()
    }

    /// The result, if it is there.
    ///
    /// # Errors
    ///
    /// [`TryTaskError::Running`] gives the task back.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::{Pool, TryTaskError};
    ///
    /// # fn main() -> crossproc::Result<()> {
    /// crossproc::init();
    /// let pool = Pool::new(1)?;
    /// let mut task = pool.apply_async(|| 7, ());
    /// let result = loop {
    ///     match task.try_get() {
    ///         Err(TryTaskError::Running(running)) => task = running,
    ///         Err(TryTaskError::Failed(error)) => return Err(error.into()),
    ///         Ok(result) => break result,
    ///     }
    ///     std::thread::yield_now(); // or something useful
    /// };
    /// assert_eq!(result, 7);
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_get(self) -> Result<R, TryTaskError<R>> {
        self.get_timeout(Duration::ZERO)
    }

    /// Waits for the result, for `timeout` at most (monotonic).
    ///
    /// # Errors
    ///
    /// [`TryTaskError::Running`] gives the task back when the time is up.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use crossproc::{Pool, TryTaskError};
    ///
    /// # fn main() -> crossproc::Result<()> {
    /// crossproc::init();
    /// let pool = Pool::new(1)?;
    /// let task = pool.apply_async(std::thread::park, ());
    /// match task.get_timeout(Duration::from_millis(1)) {
    ///     Err(TryTaskError::Running(task)) => assert!(task.cancel()),
    ///     other => panic!("{other:?}"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn get_timeout(self, timeout: Duration) -> Result<R, TryTaskError<R>> {
        if self.wait_timeout(timeout) {
            self.take().map_err(TryTaskError::Failed)
        } else {
            Err(TryTaskError::Running(self))
        }
    }

    /// Whether it has a result; `None` if it is not done. Final but for `None`.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::Pool;
    ///
    /// # fn main() -> crossproc::Result<()> {
    /// crossproc::init();
    /// let pool = Pool::new(1)?;
    /// let divide = |a: u32, b: u32| a / b;
    /// let (good, bad) = (pool.apply_async(divide, (6, 2)), pool.apply_async(divide, (6, 0)));
    /// good.wait();
    /// bad.wait();
    /// assert_eq!((good.is_successful(), bad.is_successful()), (Some(true), Some(false)));
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_successful(&self) -> Option<bool> {
        self.is_ready().then(|| open(&self.opened, &self.job, self.open).is_ok())
    }

    pub(super) fn take(&self) -> Result<R, TaskError> {
        if self.core.is_copied() {
            return Err(TaskError::ForkedCopy);
        }
        open(&self.opened, &self.job, self.open).take()
    }
}

impl<R> Task<R> {
    /// Waits until it is done, and its callbacks have run.
    ///
    /// # Examples
    ///
    /// See [`is_successful`](Self::is_successful).
    pub fn wait(&self) {
        self.core.wait(Deadline::NEVER, || self.core.is_over(&self.job));
    }

    /// The same, for `timeout` at most (monotonic); whether it is.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use crossproc::Pool;
    ///
    /// # fn main() -> crossproc::Result<()> {
    /// crossproc::init();
    /// let pool = Pool::new(1)?;
    /// let task = pool.apply_async(std::thread::park, ());
    /// assert!(!task.wait_timeout(Duration::from_millis(1)));
    /// # Ok(())
    /// # }
    /// ```
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        self.core.wait(Deadline::after(timeout), || self.core.is_over(&self.job))
    }

    /// Its number, which errors carry as `task`: how many tasks of [`apply`](crate::Pool::apply) and
    /// [`apply_async`](crate::Pool::apply_async) its pool had been given before it. In the errors of a map there is the number of an item; the
    /// task of a map itself has that of the first, 0.
    ///
    /// # Examples
    ///
    /// What was asked for, by what has come of it:
    ///
    /// ```
    /// use std::collections::HashMap;
    /// use crossproc::{Pool, Task, TaskError};
    ///
    /// # fn main() -> crossproc::Result<()> {
    /// crossproc::init();
    /// let pool = Pool::new(2)?;
    /// let parse = |text: String| text.parse::<u32>().unwrap();
    /// let (mut texts, mut tasks) = (HashMap::new(), Vec::new());
    /// for text in ["1", "x", "3"] {
    ///     let task = pool.apply_async(parse, (text,));
    ///     texts.insert(task.number(), text);
    ///     tasks.push(task);
    /// }
    /// for task in Task::as_completed(tasks) {
    ///     let text = texts[&task.number()];
    ///     match task.get() {
    ///         Err(TaskError::Panicked { task, .. }) => assert_eq!((text, texts[&task]), ("x", "x")),
    ///         number => assert_eq!(number?.to_string(), text),
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Whether it is done, and its callbacks have run. Final if so.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::Pool;
    ///
    /// # fn main() -> crossproc::Result<()> {
    /// crossproc::init();
    /// let pool = Pool::new(1)?;
    /// let task = pool.apply_async(|| 7, ());
    /// task.wait();
    /// assert!(task.is_ready());
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_ready(&self) -> bool {
        !self.core.is_copied() && self.core.is_over(&self.job)
    }

    /// Ends it as [`Cancelled`](TaskError::Cancelled), unless it is done; whether it was not.
    ///
    /// What no worker has begun is not run. A worker that is at it is killed and replaced; so whatever it shares with others must
    /// survive a kill, as everything in this crate does.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::{Pool, TaskError};
    ///
    /// # fn main() -> crossproc::Result<()> {
    /// crossproc::init();
    /// let pool = Pool::new(1)?;
    /// let task = pool.apply_async(std::thread::park, ());
    /// assert!(task.cancel() && !task.cancel());
    /// assert_eq!(task.get(), Err(TaskError::Cancelled));
    /// assert_eq!(pool.apply(|| 7, ()), Ok(7));
    /// # Ok(())
    /// # }
    /// ```
    pub fn cancel(&self) -> bool {
        self.core.abandon(&self.job, true)
    }
}

impl<R> fmt::Debug for Task<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").field("is_ready", &self.is_ready()).finish_non_exhaustive()
    }
}
