use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::builder::PoolBuilder;
use super::core::Core;
use super::feeder::{ChunkSize, Feeder};
use super::job::{Arrival, Job};
use super::keeper::Keeper;
use super::mapping::Mapping;
use super::progress::Progress;
use super::results::Outcomes;
use super::stream::{Imap, ImapUnordered};
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
    core: Arc<Core>,
    /// The keeper and the attendant.
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// How long the end of a pool waits for killed workers to be gone, which takes milliseconds unless the kernel is busy with them.
/// A guess.
const LAST_WAIT: Duration = Duration::from_secs(5);

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
        let mut keeper = Keeper::default();
        let pool = Pool { core, threads: Mutex::default() };
        let begun = keeper.start_all(&pool.core);
        let (keeping, attending) = (Arc::clone(&pool.core), Arc::clone(&pool.core));
        // Also after a failure: somebody has to see the workers off.
        pool.begin("crossproc-keeper", move || keeper.run(&keeping))?;
        begun?;
        pool.begin("crossproc-results", move || attending.attend_always())?;
        Ok(pool)
    }

    fn begin(&self, name: &str, work: impl FnOnce() + Send + 'static) -> Result<()> {
        let thread = thread::Builder::new().name(name.into()).spawn(work);
        let thread = thread.map_err(|error| Error::os("start a thread of a pool", error))?;
        self.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        Ok(())
    }

    pub(super) fn core(&self) -> &Arc<Core> {
        &self.core
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
    /// Does not wait, unless as many tasks wait as the pool is to hold ([`queue_bound`](PoolBuilder::queue_bound)). Every error is the
    /// task's.
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
        let mut feeder = Feeder::new(&self.core, job, f, std::iter::once(args), ChunkSize::Fixed(1));
        feeder.feed();
        Task::new(&self.core, feeder.close(), open_one)
    }

    /// Runs `f` on each item, and waits for all results, which are in the order of the items.
    ///
    /// Items travel in chunks: see [`chunk`](Self::chunk). The input is pulled as fast as the workers take it.
    ///
    /// # Errors
    ///
    /// The first, in the order of the items, that any of them has ended with; all have run nevertheless.
    ///
    /// # Panics
    ///
    /// If the input does; the chunks that were whole by then run, and the pool goes on.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::Pool;
    ///
    /// # fn main() -> crossproc::Result<()> {
    /// crossproc::init();
    /// let pool = Pool::new(2)?;
    /// assert_eq!(pool.map(|name: String| name.len(), ["a", "bc"])?, [1, 2]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn map<F, T, P, I>(&self, f: F, items: I) -> Result<Vec<F::Output>, TaskError>
    where
        F: Function<(T,), P>,
        I: IntoIterator<Item = T>,
    {
        Mapping::new(self, None).map(f, items)
    }

    /// As [`map`](Self::map), for functions of several parameters: each item is a tuple of arguments.
    ///
    /// # Errors
    ///
    /// As for [`map`](Self::map).
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::{Pool, Value};
    ///
    /// # fn main() -> crossproc::Result<()> {
    /// crossproc::init();
    /// let (pool, sum) = (Pool::new(2)?, Value::new(0)?);
    /// let add = |sum: Value<u64>, n: u64| drop(sum.update(|sum| sum + n));
    /// pool.starmap(add, (1..=10).map(|n| (&sum, n)))?;
    /// assert_eq!(sum.get(), 55);
    /// # Ok(())
    /// # }
    /// ```
    pub fn starmap<F, S, P, I>(&self, f: F, items: I) -> Result<Vec<F::Output>, TaskError>
    where
        F: Function<S, P>,
        I: IntoIterator<Item = S>,
    {
        Mapping::new(self, None).starmap(f, items)
    }

    /// As [`map`](Self::map), without waiting for the results; it returns when all of the input is pulled.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::Pool;
    ///
    /// # fn main() -> crossproc::Result<()> {
    /// crossproc::init();
    /// let pool = Pool::new(2)?;
    /// let task = pool.map_async(|n: u64| n * n, 0..4);
    /// assert_eq!(task.get()?, [0, 1, 4, 9]);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "a task's errors are heard of by who asks for its result, or by callbacks"]
    pub fn map_async<F, T, P, I>(&self, f: F, items: I) -> Task<Vec<F::Output>>
    where
        F: Function<(T,), P>,
        I: IntoIterator<Item = T>,
    {
        Mapping::new(self, None).map_async(f, items)
    }

    /// As [`starmap`](Self::starmap), without waiting for the results; it returns when all of the input is pulled.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::Pool;
    ///
    /// # fn main() -> crossproc::Result<()> {
    /// crossproc::init();
    /// let pool = Pool::new(2)?;
    /// assert_eq!(pool.starmap_async(u64::pow, [(2, 3), (3, 2)]).get()?, [8, 9]);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "a task's errors are heard of by who asks for its result, or by callbacks"]
    pub fn starmap_async<F, S, P, I>(&self, f: F, items: I) -> Task<Vec<F::Output>>
    where
        F: Function<S, P>,
        I: IntoIterator<Item = S>,
    {
        Mapping::new(self, None).starmap_async(f, items)
    }

    /// Runs `f` on each item, and gives the outcomes one by one, in the order of the items, as soon as they are there.
    ///
    /// It is lazy: the input, which may be infinite, is pulled by the thread that takes the outcomes, some chunks ahead, whatever
    /// [`queue_bound`](PoolBuilder::queue_bound) says; so it must not wait for outcomes itself. An item whose call fails is an
    /// `Err`, and the others go on. Dropping the iterator drops what no worker has begun. Outcomes within a chunk that takes long are
    /// seen with a delay of up to 50 ms.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::Pool;
    ///
    /// # fn main() -> crossproc::Result<()> {
    /// crossproc::init();
    /// let pool = Pool::new(2)?;
    /// let outcomes: Vec<_> = pool.imap(|n: u32| 6 / n, [3, 0, 2]).collect();
    /// assert_eq!((&outcomes[0], &outcomes[2]), (&Ok(2), &Ok(3)));
    /// assert!(outcomes[1].is_err());
    /// assert_eq!(pool.imap(|n: u64| n * n, 0..).nth(100), Some(Ok(10_000)));
    /// # Ok(())
    /// # }
    /// ```
    pub fn imap<F, T, P, I>(&self, f: F, items: I) -> Imap<F, T, P, I::IntoIter>
    where
        F: Function<(T,), P>,
        I: IntoIterator<Item = T>,
    {
        Mapping::new(self, None).imap(f, items)
    }

    /// As [`imap`](Self::imap), in the order in which the outcomes come.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::Pool;
    ///
    /// # fn main() -> crossproc::Result<()> {
    /// crossproc::init();
    /// let pool = Pool::new(2)?;
    /// let sum: u64 = pool.imap_unordered(|n: u64| n * n, 0..100).map(Result::unwrap).sum();
    /// assert_eq!(sum, 328_350);
    /// # Ok(())
    /// # }
    /// ```
    pub fn imap_unordered<F, T, P, I>(&self, f: F, items: I) -> ImapUnordered<F, T, P, I::IntoIter>
    where
        F: Function<(T,), P>,
        I: IntoIterator<Item = T>,
    {
        Mapping::new(self, None).imap_unordered(f, items)
    }

    /// The maps of this pool with so many items to a chunk, at least 1.
    ///
    /// A worker takes a chunk at a time. Large ones cost little for each item; small ones are shared out evenly. By default the input of
    /// a [`map`](Self::map), if its length is known, makes four chunks for each worker, as in Python; those of other inputs, and of
    /// lazy maps, take some milliseconds each. A chunk
    /// is no longer than 32 KiB of arguments and one item, whatever its size.
    ///
    /// # Examples
    ///
    /// See [`Mapping`].
    pub fn chunk(&self, items: usize) -> Mapping<'_> {
        Mapping::new(self, Some(items))
    }

    /// The maps of this pool with a bar that shows how far they have come; see [`Mapping::show_progress`].
    ///
    /// # Examples
    ///
    /// See [`Mapping::show_progress`].
    #[cfg(feature = "cli")]
    pub fn show_progress(&self) -> Mapping<'_> {
        Mapping::new(self, None).show_progress()
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

    /// No new tasks: whatever is submitted from now on ends as [`TaskError::Closed`]. Workers end when there is nothing left to do.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::{Pool, TaskError};
    ///
    /// # fn main() -> crossproc::Result<()> {
    /// crossproc::init();
    /// let pool = Pool::new(1)?;
    /// let task = pool.apply_async(|| 7, ());
    /// pool.close();
    /// assert_eq!(pool.apply(|| 8, ()), Err(TaskError::Closed));
    /// assert_eq!(task.get()?, 7);
    /// # Ok(())
    /// # }
    /// ```
    pub fn close(&self) {
        if !self.core.is_copied() {
            self.core.close();
        }
    }

    /// Closes it, and waits until all tasks are done, their callbacks have run, and the workers have ended, with all that belongs to
    /// their exit. Results can be asked for later.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::Pool;
    ///
    /// # fn main() -> crossproc::Result<()> {
    /// crossproc::init();
    /// let pool = Pool::new(2)?;
    /// let task = pool.apply_async(|| 7, ());
    /// pool.join();
    /// assert_eq!(task.get()?, 7);
    /// # Ok(())
    /// # }
    /// ```
    pub fn join(&self) {
        self.join_until(Deadline::NEVER);
    }

    /// As [`join`](Self::join), for `timeout` at most (monotonic); whether all has ended. A worker that is stopped does not.
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
    /// assert!(!pool.join_timeout(Duration::from_millis(1)));
    /// task.cancel();
    /// assert!(pool.join_timeout(Duration::from_secs(60)));
    /// # Ok(())
    /// # }
    /// ```
    pub fn join_timeout(&self, timeout: Duration) -> bool {
        self.join_until(Deadline::after(timeout))
    }

    fn join_until(&self, deadline: Deadline) -> bool {
        if self.core.is_copied() {
            return false;
        }
        self.core.close();
        let are_gone = || self.core.hub().workers.iter().all(Option::is_none);
        let has_ended = self.core.wait(deadline, || self.core.is_idle()) && self.core.wait(deadline, are_gone);
        if has_ended {
            self.core.callbacks.wait();
        }
        has_ended
    }

    /// Ends it at once: tasks that are not done end as [`Cancelled`](TaskError::Cancelled), and the workers are killed. Returns when
    /// they are gone. A callback may do it, too.
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
    /// pool.terminate();
    /// assert_eq!(task.get(), Err(TaskError::Cancelled));
    /// # Ok(())
    /// # }
    /// ```
    pub fn terminate(&self) {
        if self.core.is_copied() {
            return;
        }
        self.core.end(&TaskError::Cancelled);
        let are_gone = || self.core.hub().workers.iter().all(Option::is_none);
        self.core.wait(Deadline::after(LAST_WAIT), are_gone);
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let threads = std::mem::take(self.threads.get_mut().unwrap_or_else(PoisonError::into_inner));
        if self.core.is_copied() {
            // They are not in this process, and their handles would be closed.
            std::mem::forget(threads);
            return;
        }
        self.terminate();
        // They see the end for themselves; none of them is waited for, as the keeper may be.
        drop(threads);
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
    chunks.into_iter().next().and_then(|mut outcomes| outcomes.next()).unwrap_or(Err(TaskError::Cancelled))
}
