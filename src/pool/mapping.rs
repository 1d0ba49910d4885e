use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;

#[cfg(feature = "cli")]
use super::bar::Bar;
use super::board::CELLS;
use super::core::Core;
use super::feeder::{ChunkSize, Feeder};
use super::handle::Pool;
use super::job::{Arrival, Job, Portion};
use super::results::Outcomes;
use super::stream::{Imap, ImapUnordered};
use super::task::Task;
use crate::error::TaskError;
use crate::process::Function;
use crate::sys::clock::Deadline;

/// The ways to map of a [`Pool`], with a chunk size; see [`Pool::chunk`].
///
/// # Examples
///
/// ```
/// use crossproc::Pool;
///
/// # fn main() -> crossproc::Result<()> {
/// crossproc::init();
/// let pool = Pool::new(2)?;
/// let one_by_one = pool.chunk(1);
/// assert_eq!(one_by_one.map(|n: u32| n + 1, 0..3)?, [1, 2, 3]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy)]
#[must_use = "says how to map, and maps nothing"]
pub struct Mapping<'a> {
    pool: &'a Pool,
    chunk: Option<usize>,
    #[cfg(feature = "cli")]
    shows_progress: bool,
}

impl<'a> Mapping<'a> {
    pub(super) fn new(pool: &'a Pool, chunk: Option<usize>) -> Self {
        Mapping {
            pool,
            chunk,
            #[cfg(feature = "cli")]
            shows_progress: false,
        }
    }

    /// The same maps with so many items to a chunk; see [`Pool::chunk`].
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::Pool;
    ///
    /// # fn main() -> crossproc::Result<()> {
    /// crossproc::init();
    /// let pool = Pool::new(2)?;
    /// assert_eq!(pool.chunk(100).chunk(1).map(|n: u32| n + 1, 0..3)?, [1, 2, 3]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn chunk(self, items: usize) -> Self {
        Mapping { chunk: Some(items), ..self }
    }

    /// Shows a bar on standard error while [`map`](Self::map) and [`starmap`](Self::starmap) wait, if that is a terminal: items
    /// done, of how many, and how long the rest will take. Needs the feature `cli`.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::Pool;
    ///
    /// # fn main() -> crossproc::Result<()> {
    /// crossproc::init();
    /// let pool = Pool::new(2)?;
    /// let squares = pool.show_progress().chunk(2).map(|n: u64| n * n, 0..4)?;
    /// assert_eq!(squares, [0, 1, 4, 9]);
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "cli")]
    pub fn show_progress(self) -> Self {
        Mapping { shows_progress: true, ..self }
    }

    /// As [`Pool::map`].
    ///
    /// # Examples
    ///
    /// See [`Mapping`].
    pub fn map<F, T, P, I>(&self, f: F, items: I) -> Result<Vec<F::Output>, TaskError>
    where
        F: Function<(T,), P>,
        I: IntoIterator<Item = T>,
    {
        self.starmap(f, items.into_iter().map(|item| (item,)))
    }

    /// As [`Pool::starmap`].
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::Pool;
    ///
    /// # fn main() -> crossproc::Result<()> {
    /// crossproc::init();
    /// let pool = Pool::new(2)?;
    /// assert_eq!(pool.chunk(2).starmap(u64::pow, [(2, 3), (3, 2), (10, 4)])?, [8, 9, 10_000]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn starmap<F, S, P, I>(&self, f: F, items: I) -> Result<Vec<F::Output>, TaskError>
    where
        F: Function<S, P>,
        I: IntoIterator<Item = S>,
    {
        let (mut results, mut failed) = (Vec::new(), None);
        self.each(f, items, |outcome| match outcome {
            Ok(result) if failed.is_none() => results.push(result),
            Err(error) if failed.is_none() => failed = Some(*error),
            _ => {}
        })?;
        failed.map_or(Ok(results), Err)
    }

    /// Gives `take` the outcomes of all calls, in the order of these and as they come; so that little is left to be decoded when
    /// the last one has come.
    fn each<F, S, P, I>(
        &self,
        f: F,
        items: I,
        mut take: impl FnMut(Result<F::Output, Box<TaskError>>),
    ) -> Result<(), TaskError>
    where
        F: Function<S, P>,
        I: IntoIterator<Item = S>,
    {
        let core = self.core();
        let items = items.into_iter();
        #[cfg(feature = "cli")]
        let bar = self.shows_progress.then(|| Bar::new(items.size_hint()));
        let bound = core.options.bound.unwrap_or(CELLS);
        let job = Waited { core, job: self.run(f, items, Job::new(Arrival::AtOnce), bound) };
        #[cfg(feature = "cli")]
        if let Some(bar) = bar {
            bar.watch(core, &job.job);
        }
        loop {
            match job.job.take_some() {
                Portion::Some(mut outcomes) => {
                    while let Some(outcome) = outcomes.next() {
                        take(outcome);
                    }
                }
                Portion::NotYet if core.wait(Deadline::NEVER, || job.job.has_some()) => {}
                Portion::NotYet => return Err(TaskError::Cancelled),
                Portion::End if job.job.is_cancelled() => return Err(TaskError::Cancelled),
                Portion::End => return Ok(()),
            }
        }
    }

    /// As [`Pool::map_async`].
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::Pool;
    ///
    /// # fn main() -> crossproc::Result<()> {
    /// crossproc::init();
    /// let pool = Pool::new(2)?;
    /// let task = pool.chunk(2).map_async(|n: u32| n + 1, 0..3);
    /// assert_eq!(task.get()?, [1, 2, 3]);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "a task's errors are heard of by who asks for its result, or by callbacks"]
    pub fn map_async<F, T, P, I>(&self, f: F, items: I) -> Task<Vec<F::Output>>
    where
        F: Function<(T,), P>,
        I: IntoIterator<Item = T>,
    {
        self.starmap_async(f, items.into_iter().map(|item| (item,)))
    }

    /// As [`Pool::starmap_async`].
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::Pool;
    ///
    /// # fn main() -> crossproc::Result<()> {
    /// crossproc::init();
    /// let pool = Pool::new(2)?;
    /// assert_eq!(pool.chunk(1).starmap_async(u64::pow, [(2, 3), (3, 2)]).get()?, [8, 9]);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "a task's errors are heard of by who asks for its result, or by callbacks"]
    pub fn starmap_async<F, S, P, I>(&self, f: F, items: I) -> Task<Vec<F::Output>>
    where
        F: Function<S, P>,
        I: IntoIterator<Item = S>,
    {
        let core = self.core();
        // It does not wait, unless it is told to.
        let bound = core.options.bound.unwrap_or(usize::MAX);
        let job = self.run(f, items, Job::attended(Arrival::AtOnce, &core.attended), bound);
        core.attend();
        Task::new(core, job, open_all)
    }

    /// As [`Pool::imap`].
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::Pool;
    ///
    /// # fn main() -> crossproc::Result<()> {
    /// crossproc::init();
    /// let pool = Pool::new(2)?;
    /// let sum: Result<u64, _> = pool.chunk(10).imap(|n: u64| n * n, 0..).take(5).sum();
    /// assert_eq!(sum?, 30);
    /// # Ok(())
    /// # }
    /// ```
    pub fn imap<F, T, P, I>(&self, f: F, items: I) -> Imap<F, T, P, I::IntoIter>
    where
        F: Function<(T,), P>,
        I: IntoIterator<Item = T>,
    {
        Imap::new(self.core(), f, items.into_iter(), self.chunk)
    }

    /// As [`Pool::imap_unordered`].
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::Pool;
    ///
    /// # fn main() -> crossproc::Result<()> {
    /// crossproc::init();
    /// let pool = Pool::new(2)?;
    /// let mut squares = pool.chunk(1).imap_unordered(|n: u64| n * n, 0..4).collect::<Result<Vec<_>, _>>()?;
    /// squares.sort();
    /// assert_eq!(squares, [0, 1, 4, 9]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn imap_unordered<F, T, P, I>(&self, f: F, items: I) -> ImapUnordered<F, T, P, I::IntoIter>
    where
        F: Function<(T,), P>,
        I: IntoIterator<Item = T>,
    {
        ImapUnordered::new(self.core(), f, items.into_iter(), self.chunk)
    }

    fn core(&self) -> &'a Arc<Core> {
        &self.pool.core
    }

    /// Feeds all of the input to the pool, in which no more than `bound` chunks wait.
    fn run<F, S, P, I>(&self, f: F, items: I, job: Job, bound: usize) -> Arc<Job>
    where
        F: Function<S, P>,
        I: IntoIterator<Item = S>,
    {
        let (core, items) = (self.core(), items.into_iter());
        let size = ChunkSize::of(core, self.chunk, items.size_hint());
        let mut feeder = Feeder::new(core, job, f, items, size);
        while feeder.feed() {
            core.wait(Deadline::NEVER, || core.hub().has_room(bound));
        }
        feeder.close()
    }
}

/// A job that somebody waits for. It goes on without, should the decoding of a result panic.
struct Waited<'a> {
    core: &'a Core,
    job: Arc<Job>,
}

impl Drop for Waited<'_> {
    fn drop(&mut self) {
        if !self.core.is_copied() && !self.job.is_complete() {
            self.core.follow(self.job.leave(&self.core.attended));
            self.core.attend();
        }
    }
}

impl fmt::Debug for Mapping<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mapping").field("pool", self.pool).field("chunk", &self.chunk).finish()
    }
}

/// All results, or the first error in the order of the calls.
fn open_all<R: DeserializeOwned>(chunks: Vec<Outcomes>) -> Result<Vec<R>, TaskError> {
    let mut results = Vec::new();
    for mut outcomes in chunks {
        while let Some(outcome) = outcomes.next() {
            results.push(outcome.map_err(|error| *error)?);
        }
    }
    Ok(results)
}
