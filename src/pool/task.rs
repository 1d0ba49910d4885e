use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::panic::{self, AssertUnwindSafe};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::callbacks;
use super::core::Core;
use super::job::Job;
use super::results::Outcomes;
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
pub struct Task<R> {
    core: Arc<Core>,
    job: Arc<Job>,
    open: Open<R>,
    opened: Arc<Mutex<Option<Result<R, TaskError>>>>,
    is_taken: bool,
}

type Open<R> = fn(Vec<Outcomes>) -> Result<R, TaskError>;

impl<R: DeserializeOwned> Task<R> {
    pub(super) fn new(core: &Arc<Core>, job: Arc<Job>, open: Open<R>) -> Self {
        Task { core: Arc::clone(core), job, open, opened: Arc::default(), is_taken: false }
    }

    /// Waits for the result. If there are callbacks, they have run by then, unless it is one that asks.
    ///
    /// # Errors
    ///
    /// What the task has ended with instead of a result.
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
        self.is_ready().then(|| open(&self.opened, &self.job, self.open).as_ref().is_some_and(Result::is_ok))
    }

    /// Has `callback` called with the outcome: in this process, on one thread for all callbacks of the pool, one at a time, in the
    /// order in which the tasks end. At once if the task is done.
    ///
    /// It may do what it likes, also submit to the pool, or terminate it; while it runs, others wait. A panic of it is printed,
    /// and changes nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::mpsc;
    /// use crossproc::Pool;
    ///
    /// # fn main() -> crossproc::Result<()> {
    /// crossproc::init();
    /// let (pool, (sender, results)) = (Pool::new(2)?, mpsc::channel());
    /// for n in 1..=3_u32 {
    ///     let sender = sender.clone();
    ///     pool.apply_async(u32::pow, (n, 2)).on_done(move |result| sender.send(result.clone()).unwrap());
    /// }
    /// pool.join();
    /// drop(sender);
    /// assert_eq!(results.iter().map(Result::unwrap).sum::<u32>(), 14);
    /// # Ok(())
    /// # }
    /// ```
    pub fn on_done(self, callback: impl FnOnce(&Result<R, TaskError>) + Send + 'static) -> Self
    where
        R: Send + 'static,
    {
        if self.core.is_copied() {
            return self;
        }
        let (core, job, opened, how) =
            (Arc::downgrade(&self.core), Arc::clone(&self.job), Arc::clone(&self.opened), self.open);
        let call = Box::new(move || {
            // Also after a panic.
            let _called = Called { job: &job, wake: &|| core.upgrade().into_iter().for_each(|core| core.stir()) };
            if let Some(outcome) = &*open(&opened, &job, how) {
                callback(outcome);
            }
        });
        if let Some(call) = self.job.call_at_end(call) {
            self.core.callbacks.run(call);
        }
        self
    }

    /// As [`on_done`](Self::on_done), for tasks that end without a result.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::mpsc;
    /// use crossproc::Pool;
    ///
    /// # fn main() -> crossproc::Result<()> {
    /// crossproc::init();
    /// let (pool, (sender, errors)) = (Pool::new(1)?, mpsc::channel());
    /// let task = pool.apply_async(|a: u32| 6 / a, (0,)).on_error(move |error| sender.send(error.clone()).unwrap());
    /// assert_eq!(task.get().unwrap_err(), errors.recv().unwrap());
    /// # Ok(())
    /// # }
    /// ```
    pub fn on_error(self, callback: impl FnOnce(&TaskError) + Send + 'static) -> Self
    where
        R: Send + 'static,
    {
        self.on_done(move |outcome| {
            if let Err(error) = outcome {
                callback(error);
            }
        })
    }

    fn take(&self) -> Result<R, TaskError> {
        if self.core.is_copied() {
            return Err(TaskError::ForkedCopy);
        }
        open(&self.opened, &self.job, self.open).take().unwrap_or(Err(TaskError::Cancelled))
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

    /// The tasks, each when it is done.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::{Event, Pool, Task};
    ///
    /// # fn main() -> crossproc::Result<()> {
    /// crossproc::init();
    /// let (pool, go) = (Pool::new(2)?, Event::new()?);
    /// let second = pool.apply_async(|go: Event| go.wait(), (&go,));
    /// let first = pool.apply_async(|go: Event| go.set(), (&go,));
    /// for task in Task::as_completed([second, first]) {
    ///     task.get()?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn as_completed(tasks: impl IntoIterator<Item = Task<R>>) -> AsCompleted<R> {
        AsCompleted { tasks: tasks.into_iter().collect(), ready: VecDeque::new() }
    }

    /// Waits until at least one is done, for `timeout` at most (monotonic; `None`: as long as it takes); the indices of all that
    /// are. The tasks may be of several pools. An empty list when the time is up, or if there are none.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::{Pool, Task};
    ///
    /// # fn main() -> crossproc::Result<()> {
    /// crossproc::init();
    /// let pool = Pool::new(2)?;
    /// let tasks = [pool.apply_async(std::thread::park, ()), pool.apply_async(|| (), ())];
    /// assert_eq!(Task::wait_any(&tasks, None), [1]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn wait_any(tasks: &[Task<R>], timeout: Option<Duration>) -> Vec<usize> {
        let deadline = timeout.map_or(Deadline::NEVER, Deadline::after);
        let waker = UNPARK.with(Waker::clone);
        loop {
            // First the wakers, then the look: what ends in between wakes us.
            let has_ended = |task: &Task<R>| {
                !task.core.is_copied() && (!task.job.wake_at_end(&waker) || task.core.is_over(&task.job))
            };
            let ready: Vec<_> = (0..tasks.len()).filter(|&index| has_ended(&tasks[index])).collect();
            let is_copied = tasks.first().is_none_or(|task| task.core.is_copied());
            if !ready.is_empty() || is_copied || deadline.has_passed() {
                return ready;
            }
            match deadline.remaining() {
                Some(left) => thread::park_timeout(left),
                None => thread::park(),
            }
        }
    }

    /// Waits until all are done, for `timeout` at most (monotonic; `None`: as long as it takes); whether they are.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::{Pool, Task};
    ///
    /// # fn main() -> crossproc::Result<()> {
    /// crossproc::init();
    /// let pool = Pool::new(2)?;
    /// let tasks: Vec<_> = (0..4_u32).map(|n| pool.apply_async(u32::count_ones, (n,))).collect();
    /// assert!(Task::wait_all(&tasks, None));
    /// # Ok(())
    /// # }
    /// ```
    pub fn wait_all(tasks: &[Task<R>], timeout: Option<Duration>) -> bool {
        let deadline = timeout.map_or(Deadline::NEVER, Deadline::after);
        tasks.iter().all(|task| task.core.wait(deadline, || task.core.is_over(&task.job)))
    }
}

/// # Panics
///
/// If it is polled again after it was ready, as other futures do.
impl<R: DeserializeOwned> Future for Task<R> {
    type Output = Result<R, TaskError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        assert!(!self.is_taken, "a task was polled after it was ready");
        if !self.core.is_copied() && self.job.wake_at_end(context.waker()) && !self.core.is_over(&self.job) {
            return Poll::Pending;
        }
        self.is_taken = true;
        Poll::Ready(self.take())
    }
}

// Nothing in it is pinned.
impl<R> Unpin for Task<R> {}

impl<R> fmt::Debug for Task<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").field("is_ready", &self.is_ready()).finish_non_exhaustive()
    }
}

/// The iterator that [`Task::as_completed`] returns.
///
/// # Examples
///
/// See [`Task::as_completed`].
#[derive(Debug)]
pub struct AsCompleted<R> {
    tasks: Vec<Task<R>>,
    ready: VecDeque<Task<R>>,
}

impl<R> Iterator for AsCompleted<R> {
    type Item = Task<R>;

    fn next(&mut self) -> Option<Task<R>> {
        if self.ready.is_empty() {
            for index in Task::wait_any(&self.tasks, None).into_iter().rev() {
                self.ready.push_front(self.tasks.swap_remove(index));
            }
        }
        self.ready.pop_front()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.tasks.len() + self.ready.len();
        (left, Some(left))
    }
}

/// The outcome, decoded by whoever comes first.
fn open<'a, R>(
    opened: &'a Mutex<Option<Result<R, TaskError>>>,
    job: &Job,
    open: Open<R>,
) -> MutexGuard<'a, Option<Result<R, TaskError>>> {
    let mut opened = opened.lock().unwrap_or_else(PoisonError::into_inner);
    if opened.is_none() {
        let outcome = job.take_all().and_then(|outcomes| {
            // The first to ask is not the only one: the others need an outcome, too.
            panic::catch_unwind(AssertUnwindSafe(|| open(outcomes))).unwrap_or_else(|payload| {
                callbacks::dispose(payload);
                Err(TaskError::Decode { reason: "the decoding of the result panicked".into() })
            })
        });
        *opened = Some(outcome);
    }
    opened
}

/// A callback that runs.
struct Called<'a> {
    job: &'a Job,
    wake: &'a dyn Fn(),
}

impl Drop for Called<'_> {
    fn drop(&mut self) {
        self.job.has_called().into_iter().for_each(|waker| callbacks::contain(|| waker.wake()));
        (self.wake)();
    }
}

thread_local! {
    /// One for each thread: a job that it is told to wake by again knows it already.
    static UNPARK: Waker = Waker::from(Arc::new(Unpark(thread::current())));
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
