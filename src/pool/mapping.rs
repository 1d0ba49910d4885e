use std::cell::Cell;
use std::fmt;

use serde::de::DeserializeOwned;

use super::handle::Pool;
use super::job::{Arrival, Job};
use super::results::Outcomes;
use super::stream::{Imap, ImapUnordered};
use super::task::Task;
use crate::error::TaskError;
use crate::process::Function;

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
    pub(super) pool: &'a Pool,
    pub(super) chunk: Option<usize>,
    #[cfg(feature = "cli")]
    pub(super) shows_progress: bool,
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

    /// Shows a bar on standard error while [`map`](Self::map), [`starmap`](Self::starmap), [`try_map`](Self::try_map) and
    /// [`try_starmap`](Self::try_starmap) pull their input and wait, if that is a terminal: items done, of how many (as far as the
    /// input says, or has been pulled), and how long the rest will take. Needs the feature `cli`.
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
        self.each(f, items.into_iter(), |outcome, calls| match outcome {
            Ok(result) if failed.is_none() => {
                // Once, for all: a list that grows is copied, and its pages are new to this process, again and again.
                if results.is_empty() {
                    results.reserve_exact(calls);
                }
                results.push(result);
            }
            Err(error) if failed.is_none() => failed = Some(*error),
            _ => {}
        })?;
        failed.map_or(Ok(results), Err)
    }

    /// As [`Pool::try_map`].
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::Pool;
    ///
    /// # fn main() -> crossproc::Result<()> {
    /// crossproc::init();
    /// let pool = Pool::new(2)?;
    /// let outcomes = pool.chunk(2).try_map(|n: u32| 6 / n, [3, 0, 2]);
    /// assert_eq!(outcomes.into_iter().flatten().collect::<Vec<_>>(), [2, 3]);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "each item's error is in it"]
    pub fn try_map<F, T, P, I>(&self, f: F, items: I) -> Vec<Result<F::Output, TaskError>>
    where
        F: Function<(T,), P>,
        I: IntoIterator<Item = T>,
    {
        self.try_starmap(f, items.into_iter().map(|item| (item,)))
    }

    /// As [`Pool::try_starmap`].
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::Pool;
    ///
    /// # fn main() -> crossproc::Result<()> {
    /// crossproc::init();
    /// let pool = Pool::new(2)?;
    /// assert_eq!(pool.chunk(1).try_starmap(u64::pow, [(2, 3), (3, 2)]), [Ok(8), Ok(9)]);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "each item's error is in it"]
    pub fn try_starmap<F, S, P, I>(&self, f: F, items: I) -> Vec<Result<F::Output, TaskError>>
    where
        F: Function<S, P>,
        I: IntoIterator<Item = S>,
    {
        let (mut items, pulled) = (items.into_iter().fuse(), Cell::new(0));
        let mut outcomes = Vec::new();
        let input = items.by_ref().inspect(|_| pulled.set(pulled.get() + 1));
        let ended = self.each(f, input, |outcome, _| outcomes.push(outcome.map_err(|error| *error)));
        // A pool that takes nothing more says so once, for all that would have followed.
        let last = || outcomes.last().and_then(|outcome| outcome.as_ref().err().cloned());
        let refused = ended.err().or_else(last).unwrap_or(TaskError::Cancelled);
        while outcomes.len() < pulled.get() || items.next().is_some() {
            outcomes.push(Err(refused.clone()));
        }
        outcomes
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
        let job = self.feed(self.feeder(f, items.into_iter(), Job::attended(Arrival::AtOnce, &core.attended)), bound);
        core.attend();
        Task::new(core, job, 0, open_all)
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
