//! A pool's maps, with chunks of its own choice.

use super::handle::Pool;
use super::mapping::Mapping;
use super::stream::{Imap, ImapUnordered};
use super::task::Task;
use crate::error::TaskError;
use crate::process::Function;

impl Pool {
    /// Runs `f` on each item, and waits for all results, which are in the order of the items.
    ///
    /// Items travel in chunks: see [`chunk`](Self::chunk). The input is pulled as fast as the workers take it.
    ///
    /// # Errors
    ///
    /// The first, in the order of the items, that any of them has ended with; all have run nevertheless, and
    /// [`try_map`](Self::try_map) has an outcome for each.
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

    /// As [`map`](Self::map), with the outcomes of all items, so that one that fails hides none of the others. It waits, too.
    ///
    /// There is an outcome for each item, in their order: of those that a pool refuses which is closed or has ended,
    /// [`TaskError::Closed`] or [`TaskError::Cancelled`]. (`map` stops to pull its input then, this does not.)
    ///
    /// # Panics
    ///
    /// As for [`map`](Self::map).
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::{Pool, TaskError};
    ///
    /// # fn main() -> crossproc::Result<()> {
    /// crossproc::init();
    /// let pool = Pool::new(2)?;
    /// let divide = |n: u32| if n == 9 { std::process::abort() } else { 6 / n };
    /// let outcomes = pool.try_map(divide, [3, 0, 9, 2]);
    /// assert_eq!((&outcomes[0], &outcomes[3]), (&Ok(2), &Ok(3)));
    /// assert!(matches!(&outcomes[1], Err(TaskError::Panicked { .. })));
    /// assert!(matches!(&outcomes[2], Err(TaskError::WorkerDied { .. })));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "each item's error is in it"]
    pub fn try_map<F, T, P, I>(&self, f: F, items: I) -> Vec<Result<F::Output, TaskError>>
    where
        F: Function<(T,), P>,
        I: IntoIterator<Item = T>,
    {
        Mapping::new(self, None).try_map(f, items)
    }

    /// As [`try_map`](Self::try_map), for functions of several parameters: each item is a tuple of arguments.
    ///
    /// # Panics
    ///
    /// As for [`map`](Self::map).
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::Pool;
    ///
    /// # fn main() -> crossproc::Result<()> {
    /// crossproc::init();
    /// let pool = Pool::new(2)?;
    /// let outcomes = pool.try_starmap(|a: u32, b: u32| a / b, [(6, 2), (6, 0), (6, 3)]);
    /// assert_eq!(outcomes.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "each item's error is in it"]
    pub fn try_starmap<F, S, P, I>(&self, f: F, items: I) -> Vec<Result<F::Output, TaskError>>
    where
        F: Function<S, P>,
        I: IntoIterator<Item = S>,
    {
        Mapping::new(self, None).try_starmap(f, items)
    }

    /// As [`map`](Self::map), without waiting for the results; it returns when all of the input is pulled, which waits for room where there is a
    /// [`queue_bound`](crate::PoolBuilder::queue_bound).
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
    /// It is lazy: the input, which may be infinite, is pulled by the thread that takes the outcomes, four
    /// [chunks](Self::chunk) for each worker ahead of what has been taken, whatever [`queue_bound`](crate::PoolBuilder::queue_bound)
    /// says; so it must not wait for outcomes itself. Chunks begin with one item, and grow to what a worker does in 2 ms, 4,096 at most: of
    /// quick calls, four workers are up to 70,000 items ahead. `chunk(1)` makes that 16, and is the knob for whatever is to be
    /// pulled late, or dropped early.
    ///
    /// In a pool that is closed meanwhile, what has been pulled has its outcomes, and then there is one
    /// [`Closed`](TaskError::Closed) for all the rest of the input, and the end. In one that is terminated, what was pulled and is not done is
    /// [`Cancelled`](TaskError::Cancelled), item by item, and so is the rest of the input, once. An item whose call fails is an
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
    /// a [`map`](Self::map), if its length is known, makes four chunks for each worker, as in Python, or more of 2,048 items; those of
    /// other inputs, and of lazy maps, take some milliseconds each. A chunk is no longer than 56 KiB of arguments and one item, whatever
    /// its size.
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
}
