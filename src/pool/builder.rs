use std::fmt;
use std::time::Duration;

use super::core::{Core, Options};
use super::handle::Pool;
use crate::error::{Error, Result};
use crate::process::{ProcessBuilder, cpu_count};
use crate::segment::handle::Parcel;

/// More workers than that could not all be attached to what they share, beside the pool and those that are being replaced.
const MOST: usize = 240;

/// How many workers hosts are taken to have if nobody says so, and at most. Guesses.
const FAR: usize = 32;
const MOST_FAR: usize = 10_000;

/// How a [`Pool`] is to be, beyond the number of its workers.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use crossproc::{Pool, Value};
///
/// # fn main() -> crossproc::Result<()> {
/// crossproc::init();
/// let started = Value::new(0)?;
/// let pool = Pool::builder()
///     .workers(2)
///     .name("squares")
///     .initializer(|started: Value<i32>| drop(started.update(|n| n + 1)), (&started,))
///     .max_tasks_per_worker(100)
///     .task_timeout(Duration::from_secs(60))
///     .retries(1)
///     .start()?;
/// assert_eq!(started.get(), 2);
/// assert_eq!(pool.map(|n: u64| n * n, [1, 2, 3])?, [1, 4, 9]);
/// # Ok(())
/// # }
/// ```
#[must_use = "a builder starts nothing until `start`"]
pub struct PoolBuilder {
    workers: Option<usize>,
    pub(super) name: String,
    /// How the workers are to be started; see `environment.rs`.
    pub(super) process: ProcessBuilder,
    pub(super) initializer: Option<Result<Parcel>>,
    pub(super) initializer_limit: Option<Duration>,
    pub(super) most_calls: Option<u64>,
    pub(super) time_limit: Option<Duration>,
    retries: u32,
    bound: Option<usize>,
    /// The first thing that was said of how workers are to be started.
    pub(super) of_workers: Option<&'static str>,
    #[cfg(feature = "redis")]
    pub(super) engine: Option<String>,
    #[cfg(crash_points)]
    crash: Option<(String, u32)>,
}

impl PoolBuilder {
    /// A pool of [`cpu_count`] workers; the same as [`Pool::builder`].
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::PoolBuilder;
    ///
    /// # fn main() -> crossproc::Result<()> {
    /// crossproc::init();
    /// assert_eq!(PoolBuilder::new().start()?.workers().len(), crossproc::cpu_count());
    /// # Ok(())
    /// # }
    /// ```
    pub fn new() -> Self {
        PoolBuilder {
            workers: None,
            name: "Pool".into(),
            process: ProcessBuilder::new(),
            initializer: None,
            initializer_limit: None,
            most_calls: None,
            time_limit: None,
            retries: 0,
            bound: None,
            of_workers: None,
            #[cfg(feature = "redis")]
            engine: None,
            #[cfg(crash_points)]
            crash: None,
        }
    }

    /// The number of workers, 1 to 240 (default: [`cpu_count`]).
    ///
    /// # Examples
    ///
    /// See [`PoolBuilder`].
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = Some(workers);
        self
    }

    /// Replaces each worker after so many tasks, at least 1 (default: never): for functions that leak.
    ///
    /// A `map` counts each item, where Python counts chunks; chunks are no longer than that.
    ///
    /// Such a worker ends as every process does (see [`init`](crate::init)): it ends its daemon children, and waits for the others that
    /// its tasks have left running, as in Python. Until then nobody takes its place. Tasks should join what they start, or start it as
    /// a [`daemon`](crate::ProcessBuilder::daemon).
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::Pool;
    ///
    /// # fn main() -> crossproc::Result<()> {
    /// crossproc::init();
    /// let pool = Pool::builder().workers(1).max_tasks_per_worker(3).start()?;
    /// let mut workers = pool.chunk(1).map(|_: u32| std::process::id(), 0..7)?;
    /// assert!(workers[0] == workers[2] && workers[2] != workers[3] && workers[3] == workers[5]);
    /// workers.dedup();
    /// assert_eq!(workers.len(), 3);
    /// # Ok(())
    /// # }
    /// ```
    pub fn max_tasks_per_worker(mut self, tasks: u64) -> Self {
        self.most_calls = Some(tasks.max(1));
        self
    }

    /// How long a task may run (monotonic; default: for ever). The worker of one that runs longer is killed and replaced, and the
    /// task ends with [`TaskError::TimedOut`](crate::TaskError::TimedOut), however many retries there are.
    ///
    /// What counts is the function's time: not how long this process, while it is stopped, keeps the worker waiting for arguments, nor how
    /// long a result waits for room while nobody asks for results. A panic's message and backtrace are part of it: with `RUST_BACKTRACE`
    /// set, a backtrace takes tens of milliseconds, and a task that panics within that of its limit may end as one that ran for too long.
    ///
    /// Where this process may not kill the worker, as it has changed its user since the worker was started, the task ends all the same;
    /// its function goes on until it returns, and then the worker ends.
    ///
    /// Tasks of such a pool are handed out one by one: chunk sizes do not count.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use crossproc::{Pool, TaskError};
    ///
    /// # fn main() -> crossproc::Result<()> {
    /// crossproc::init();
    /// let pool = Pool::builder().workers(1).task_timeout(Duration::from_millis(20)).start()?;
    /// assert_eq!(pool.apply(std::thread::park, ()), Err(TaskError::TimedOut { task: 0 }));
    /// # Ok(())
    /// # }
    /// ```
    pub fn task_timeout(mut self, limit: Duration) -> Self {
        self.time_limit = Some(limit);
        self
    }

    /// How often a task is tried again whose worker died (default: 0). Not tried again are a task that panicked, one that has run out of time
    /// ([`task_timeout`](Self::task_timeout)), for which its pool has killed the worker itself, and one that was cancelled.
    ///
    /// What has one owner, an end of a channel, cannot be handed over twice: it is lost with the first worker that took it, and the next
    /// try of that task ends with [`TaskError::Decode`](crate::TaskError::Decode).
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::{Pool, Value};
    ///
    /// fn fail_first(tries: Value<u32>) -> u32 {
    ///     if tries.update(|n| n + 1) == 1 {
    ///         std::process::abort();
    ///     }
    ///     tries.get()
    /// }
    ///
    /// # fn main() -> crossproc::Result<()> {
    /// crossproc::init();
    /// let (tries, pool) = (Value::new(0)?, Pool::builder().workers(1).retries(1).start()?);
    /// assert_eq!(pool.apply(fail_first, (&tries,)), Ok(2));
    /// # Ok(())
    /// # }
    /// ```
    pub fn retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    /// How many chunks may wait in this process (default: as many as memory holds): whoever submits another one waits.
    ///
    /// They are not all that wait: 256 chunks are with the workers or in the queue to them, from where these take the next without asking this
    /// process. So with a bound of 2, one worker, and chunks of one as `apply_async` makes them, 257 tasks wait while one runs. The
    /// bound is for memory, and not for who is to wait how long.
    ///
    /// The wait ends when there is room or the pool ends, and has no timeout. In an async program it would stop a thread of the runtime: have no
    /// bound there, but a semaphore of the runtime's with a permit for each task that may be under way, or look at
    /// [`Progress::queued`](crate::Progress::queued) and refuse what would be too much.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::Pool;
    ///
    /// # fn main() -> crossproc::Result<()> {
    /// crossproc::init();
    /// let pool = Pool::builder().workers(2).queue_bound(10).start()?;
    /// let tasks: Vec<_> = (0..1_000_u64).map(|n| pool.apply_async(u64::is_power_of_two, (n,))).collect();
    /// assert_eq!(tasks.into_iter().filter(|task| task.is_successful() != Some(false)).count(), 1_000);
    /// # Ok(())
    /// # }
    /// ```
    pub fn queue_bound(mut self, chunks: usize) -> Self {
        self.bound = Some(chunks.max(1));
        self
    }

    /// Has the first worker, and none that comes later, kill itself at the crash point after `passes` unharmed passes; only in builds
    /// with `cfg(crash_points)`.
    #[cfg(crash_points)]
    pub fn crash_at_nth(mut self, point: &str, passes: u32) -> Self {
        self.crash = Some((point.to_string(), passes));
        self
    }

    /// Starts the workers, and waits until each has run the initializer.
    ///
    /// # Errors
    ///
    /// Those of [`Process::spawn`](crate::Process::spawn); [`Error::Workers`] for a number of workers that cannot be; what went
    /// wrong with the first worker that did not get ready, as an [`Error::Process`]: [`Initializer`](crate::ProcessError::Initializer) if the
    /// initializer returned an `Err`, [`InitializerEnded`](crate::ProcessError::InitializerEnded) if its worker ended in it,
    /// [`InitializerTimedOut`](crate::ProcessError::InitializerTimedOut) if it took longer than
    /// [`initializer_timeout`](Self::initializer_timeout) allows. No worker is left then.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::{Error, Pool, ProcessError};
    ///
    /// fn connect(address: String) -> Result<(), String> {
    ///     Err(format!("nobody at {address}"))
    /// }
    ///
    /// # fn main() {
    /// crossproc::init();
    /// match Pool::builder().initializer(connect, ("here",)).start() {
    ///     Err(Error::Process(ProcessError::Initializer { reason, .. })) => assert_eq!(reason, "nobody at here"),
    ///     other => panic!("{other:?}"),
    /// }
    /// # }
    /// ```
    pub fn start(self) -> Result<Pool> {
        #[cfg(feature = "redis")]
        let engine = self.server()?;
        #[cfg(feature = "redis")]
        let has_engine = engine.is_some();
        #[cfg(not(feature = "redis"))]
        let has_engine = false;
        let (usual, most) = if has_engine { (FAR, MOST_FAR) } else { (cpu_count().min(MOST), MOST) };
        let workers = self.workers.unwrap_or(usual);
        if !(1..=most).contains(&workers) {
            return Err(Error::Workers { asked: workers, most });
        }
        let options = Options {
            name: self.name,
            process: self.process,
            workers,
            initializer: self.initializer.transpose()?,
            initializer_limit: self.initializer_limit,
            most_calls: self.most_calls,
            time_limit: self.time_limit,
            retries: self.retries,
            #[cfg(feature = "redis")]
            engine,
            bound: self.bound,
            #[cfg(crash_points)]
            crash: self.crash,
        };
        Pool::start(Core::new(options)?)
    }
}

impl Default for PoolBuilder {
    fn default() -> Self {
        PoolBuilder::new()
    }
}

impl fmt::Debug for PoolBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolBuilder")
            .field("workers", &self.workers)
            .field("name", &self.name)
            .field("process", &self.process)
            .field("initializer_timeout", &self.initializer_limit)
            .field("max_tasks_per_worker", &self.most_calls)
            .field("task_timeout", &self.time_limit)
            .field("retries", &self.retries)
            .field("queue_bound", &self.bound)
            .finish_non_exhaustive()
    }
}
