use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::{self, JoinHandle};

use serde::de::DeserializeOwned;

use super::builder::PoolBuilder;
use super::core::Core;
use super::feeder::{ChunkSize, Feeder};
use super::job::{Arrival, Job};
use super::keeper::Keeper;
#[cfg(feature = "redis")]
use super::post::Post;
use super::progress::Progress;
use super::results::Outcomes;
use super::task::Task;
use crate::error::{Error, Result, TaskError};
use crate::process::{Child, Function};
use crate::sys::clock::Deadline;

/// A fixed number of processes that run functions, whichever is free taking the next.
///
/// Any thread may submit, and any number of them. Functions and arguments are as in [`Process::spawn`](crate::Process::spawn):
/// handles travel in arguments, and results, too. Tasks begin in the order in which they were submitted.
///
/// # Death
///
/// A worker that is killed, aborts, runs out of memory or calls `exit` takes the one task with it that it was at, which ends with
/// [`TaskError::WorkerDied`], unless it is to be tried again ([`retries`](PoolBuilder::retries)). Nothing else is lost: not what it had
/// done, nor the rest of its chunk. Another worker takes its place. The death of an idle worker goes unnoticed.
///
/// A panic is the outcome of its task ([`TaskError::Panicked`], with message, place and, where `RUST_BACKTRACE` asks for one, a backtrace) and
/// its worker goes on. Workers do not print it, as a process would: what nobody asks for, be it by [`Task::get`], [`Task::on_error`] or
/// the result of a map, is not seen.
///
/// If this process is killed, so are its workers, at once. Ctrl-C does nothing to them: this process decides.
///
/// # Dropping
///
/// is [`terminate`](Self::terminate): the workers are killed, with what they have buffered and not written. [`join`](Self::join)
/// waits for all tasks, and for the workers' orderly ends.
///
/// # Examples
///
/// ```
/// use crossproc::Pool;
///
/// fn square(n: u64) -> u64 {
///     n * n
/// }
///
/// fn main() -> crossproc::Result<()> {
///     crossproc::init();
///     let pool = Pool::new(2)?;
///     assert_eq!(pool.map(square, 0..5)?, [0, 1, 4, 9, 16]);
///     assert_eq!(pool.apply(square, (7,))?, 49);
///     let task = pool.apply_async(square, (8,));
///     assert_eq!(task.get()?, 64);
///     Ok(())
/// }
/// ```
pub struct Pool {
    pub(super) core: Arc<Core>,
    /// The keeper and the attendant.
    pub(super) threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Pool {
    /// A pool of so many workers, 1 to 240; returns when they are ready.
    ///
    /// # Errors
    ///
    /// As for [`PoolBuilder::start`].
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::{Error, Pool};
    ///
    /// # fn main() -> crossproc::Result<()> {
    /// crossproc::init();
    /// assert_eq!(Pool::new(3)?.workers().len(), 3);
    /// assert!(matches!(Pool::new(0), Err(Error::Workers { asked: 0, .. })));
    /// # Ok(())
    /// # }
    /// ```
    pub fn new(workers: usize) -> Result<Self> {
        PoolBuilder::new().workers(workers).start()
    }

    /// More about a pool than the number of its workers.
    ///
    /// # Examples
    ///
    /// See [`PoolBuilder`].
    pub fn builder() -> PoolBuilder {
        PoolBuilder::new()
    }

    pub(super) fn start(core: Arc<Core>) -> Result<Self> {
        #[cfg(feature = "redis")]
        if let Some(address) = &core.options.engine {
            let post = Arc::new(Post::at(address)?);
            return Self::start_at(core, &post);
        }
        let mut keeper = Keeper::default();
        let pool = Pool { core, threads: Mutex::default() };
        let (keeping, attending) = (Arc::clone(&pool.core), Arc::clone(&pool.core));
        // Before there are workers, and also after a failure: somebody has to see them off.
        let (hand_over, handed_over) = mpsc::channel::<Keeper>();
        pool.begin("crossproc-keeper", move || {
            if let Ok(keeper) = handed_over.recv() {
                keeper.run(&keeping);
            }
        })?;
        let begun = keeper.start_all(&pool.core);
        let _ = hand_over.send(keeper);
        begun?;
        pool.begin("crossproc-results", move || attending.attend_always())?;
        Ok(pool)
    }

    /// One without workers of its own.
    #[cfg(feature = "redis")]
    fn start_at(core: Arc<Core>, post: &Arc<Post>) -> Result<Self> {
        let pool = Pool { core, threads: Mutex::default() };
        pool.begin_at("crossproc-sender", post, Post::send)?;
        pool.begin_at("crossproc-results", post, Post::fetch)?;
        Ok(pool)
    }

    /// As [`begin`](Self::begin), a thread that is waited for at the pool's end: with the last of them the server is told that the pool is
    /// no more.
    #[cfg(feature = "redis")]
    fn begin_at(&self, name: &str, post: &Arc<Post>, work: fn(&Post, &Core)) -> Result<()> {
        let (core, post) = (Arc::clone(&self.core), Arc::clone(post));
        let count = |core: &Core, by: i32| {
            core.with_hub(|hub| hub.far().map(|far| far.threads = far.threads.saturating_add_signed(by)));
            core.stir();
        };
        count(&core, 1);
        let begun = self.begin(name, move || {
            work(&post, &core);
            drop(post);
            count(&core, -1);
        });
        begun.inspect_err(|_| count(&self.core, -1))
    }

    fn begin(&self, name: &str, work: impl FnOnce() + Send + 'static) -> Result<()> {
        let thread = thread::Builder::new().name(name.into()).spawn(work);
        let thread = thread.map_err(|error| Error::os("start a thread of a pool", error))?;
        self.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        Ok(())
    }

    /// Runs `f` with the arguments in the tuple `args` in a worker, and waits for its result.
    ///
    /// # Errors
    ///
    /// What the task has ended with instead.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::{Pool, Value};
    ///
    /// # fn main() -> crossproc::Result<()> {
    /// crossproc::init();
    /// let (pool, shared) = (Pool::new(1)?, Value::new(1)?);
    /// let add = |shared: Value<i32>, n: i32| shared.update(|value| value + n);
    /// assert_eq!(pool.apply(add, (&shared, 41))?, 42);
    /// # Ok(())
    /// # }
    /// ```
    pub fn apply<F, S, P>(&self, f: F, args: S) -> Result<F::Output, TaskError>
    where
        F: Function<S, P>,
    {
        // Who waits collects: nobody else is woken for it.
        self.submit(f, args, Job::new(Arrival::AtOnce)).get()
    }

    /// Has a worker run `f` with the arguments in the tuple `args`.
    ///
    /// Does not wait, unless as many tasks wait as the pool is to hold ([`queue_bound`](PoolBuilder::queue_bound)): then until there is room,
    /// or the pool ends, for which there is no form with a timeout. Every error is the task's.
    ///
    /// # Examples
    ///
    /// See [`Task`].
    #[must_use = "a task's errors are heard of by who asks for its result, or by callbacks"]
    pub fn apply_async<F, S, P>(&self, f: F, args: S) -> Task<F::Output>
    where
        F: Function<S, P>,
    {
        let task = self.submit(f, args, Job::attended(Arrival::AtOnce, &self.core.attended));
        self.core.attend();
        task
    }

    fn submit<F, S, P>(&self, f: F, args: S, job: Job) -> Task<F::Output>
    where
        F: Function<S, P>,
    {
        if let Some(bound) = self.core.options.bound {
            self.core.wait(Deadline::NEVER, || self.core.hub().has_room(bound));
        }
        let feeder = Feeder::new(&self.core, job, f, std::iter::once(args), ChunkSize::Fixed(1));
        let number = self.core.next_single();
        let mut feeder = feeder.numbered_from(number);
        feeder.feed();
        Task::new(&self.core, feeder.close(), number, open_one)
    }

    /// How far it has come.
    ///
    /// # Examples
    ///
    /// See [`Progress`].
    pub fn progress(&self) -> Progress {
        Progress::new(self.core.board.clone())
    }

    /// The workers that there are at this moment: for signals, and for looks from outside. One that has died may be among them, and
    /// one that replaces it not yet.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::Pool;
    ///
    /// # fn main() -> crossproc::Result<()> {
    /// crossproc::init();
    /// let pool = Pool::new(2)?;
    /// pool.workers()[0].kill()?; // replaced, and nobody notices
    /// assert_eq!(pool.map(|n: u32| n, 0..10)?.len(), 10);
    /// # Ok(())
    /// # }
    /// ```
    pub fn workers(&self) -> Vec<Child> {
        if self.core.is_copied() {
            return Vec::new();
        }
        self.core.hub().workers.iter().flatten().map(|worker| worker.socket.process.child().clone()).collect()
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("name", &self.core.options.name)
            .field("workers", &self.core.options.workers)
            .field("progress", &self.progress())
            .finish()
    }
}

fn open_one<R: DeserializeOwned>(chunks: Vec<Outcomes>) -> Result<R, TaskError> {
    let outcome = chunks.into_iter().next().and_then(|mut outcomes| outcomes.next());
    outcome.map_or(Err(TaskError::Cancelled), |outcome| outcome.map_err(|error| *error))
}
