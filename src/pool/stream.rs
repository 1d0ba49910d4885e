//! The lazy maps: they pull their input as their results are taken.

use std::fmt;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use super::core::Core;
use super::feeder::{ChunkSize, Feeder};
use super::job::{Arrival, Job, Portion};
use super::results::Outcomes;
use crate::error::{TaskError, TryNextError};
use crate::process::Function;
use crate::sys::clock::Deadline;

struct Stream<F, S, P, I> {
    core: Arc<Core>,
    feeder: Feeder<F, S, P, I>,
    /// What has been taken from the job.
    outcomes: Outcomes,
    /// Outcomes given away.
    given: u64,
    /// Whether it has said that this process is a forked copy.
    has_refused: bool,
}

impl<F, S, P, I> Stream<F, S, P, I>
where
    F: Function<S, P>,
    I: Iterator<Item = S>,
{
    fn new(core: &Arc<Core>, order: Arrival, f: F, input: I, chunk: Option<usize>) -> Self {
        let size = ChunkSize::of(core, chunk, (0, None));
        let feeder = Feeder::new(core, Job::new(order), f, input, size);
        let mut stream =
            Stream { core: Arc::clone(core), feeder, outcomes: Outcomes::default(), given: 0, has_refused: false };
        stream.top_up();
        stream
    }

    /// Keeps the workers busy: so many calls ahead, and no more; but what is there is not kept waiting for the input.
    fn top_up(&mut self) {
        while self.feeder.fed() - self.given < self.feeder.lead() && self.feeder.feed() {
            if self.feeder.job.has_outcomes() {
                return;
            }
        }
    }

    /// The next one; `None` at the end.
    fn next(&mut self, deadline: Deadline) -> Result<Option<F::Output>, TryNextError> {
        loop {
            if let Some(outcome) = self.outcomes.next::<F::Output>() {
                self.given += 1;
                return Ok(Some(outcome.map_err(|error| *error)?));
            }
            // The copy may have been made while another thread had the job in hands.
            if self.core.is_copied() {
                return if mem::replace(&mut self.has_refused, true) { Ok(None) } else { Err(TaskError::ForkedCopy)? };
            }
            if let Portion::Some(outcomes) = self.feeder.job.take_some() {
                self.outcomes = outcomes;
                continue;
            }
            self.top_up();
            match self.feeder.job.take_some() {
                Portion::Some(outcomes) => self.outcomes = outcomes,
                Portion::End if self.feeder.has_ended() => {
                    self.core.follow(self.feeder.job.close());
                    return Ok(None);
                }
                Portion::End => {}
                Portion::NotYet => {
                    let job = &self.feeder.job;
                    if !self.core.wait(deadline, || job.has_some()) {
                        // Who asks now and then collects nothing in between, and not what a chunk has that takes long.
                        job.attend(&self.core.attended);
                        self.core.attend();
                        return Err(TryNextError::NotYet);
                    }
                }
            }
        }
    }
}

macro_rules! lazy_map {
    ($(#[$attribute:meta])* $name:ident, $map:literal, $order:expr) => {
        $(#[$attribute])*
        #[must_use = "iterators are lazy: what is not taken is not computed, but for what is ahead"]
        pub struct $name<F, T, P, I> {
            stream: Stream<F, (T,), P, Items<I>>,
        }

        impl<F, T, P, I> $name<F, T, P, I>
        where
            F: Function<(T,), P>,
            I: Iterator<Item = T>,
        {
            pub(super) fn new(core: &Arc<Core>, f: F, input: I, chunk: Option<usize>) -> Self {
                $name { stream: Stream::new(core, $order, f, Items(input), chunk) }
            }

            /// The next result, if it is there; `None` at the end. See [`next_timeout`](Self::next_timeout).
            ///
            /// # Errors
            ///
            /// As for [`next_timeout`](Self::next_timeout).
            ///
            /// # Examples
            ///
            /// See [`TryNextError`].
            pub fn try_next(&mut self) -> Result<Option<F::Output>, TryNextError> {
                self.next_timeout(Duration::ZERO)
            }

            /// Waits for the next result, for `timeout` at most (monotonic); `None` at the end.
            ///
            /// The input is pulled as [`next`](Iterator::next) does, and may take what time it likes.
            ///
            /// # Errors
            ///
            /// [`TryNextError::NotYet`] when the time is up: the outcome comes later. [`TryNextError::Failed`] is the outcome of
            /// this item, as the `Err` of [`next`](Iterator::next) would be; others may follow.
            ///
            /// # Examples
            ///
            /// ```
            /// use std::time::Duration;
            /// use crossproc::{Event, Pool, TryNextError};
            ///
            /// # fn main() -> crossproc::Result<()> {
            /// crossproc::init();
            /// let (pool, go) = (Pool::new(1)?, Event::new()?);
            #[doc = concat!(" let mut results = pool.", $map, "(|go: Event| go.wait(), [&go]);")]
            /// assert_eq!(results.next_timeout(Duration::from_millis(1)), Err(TryNextError::NotYet));
            /// go.set();
            /// assert_eq!(results.next_timeout(Duration::from_secs(60)), Ok(Some(())));
            /// assert_eq!(results.next_timeout(Duration::from_secs(60)), Ok(None));
            /// # Ok(())
            /// # }
            /// ```
            pub fn next_timeout(&mut self, timeout: Duration) -> Result<Option<F::Output>, TryNextError> {
                self.stream.next(Deadline::after(timeout))
            }
        }

        impl<F, T, P, I> Iterator for $name<F, T, P, I>
        where
            F: Function<(T,), P>,
            I: Iterator<Item = T>,
        {
            type Item = Result<F::Output, TaskError>;

            fn next(&mut self) -> Option<Self::Item> {
                match self.stream.next(Deadline::NEVER) {
                    Ok(result) => result.map(Ok),
                    Err(TryNextError::Failed(error)) => Some(Err(error)),
                    // Nobody waits that long.
                    Err(TryNextError::NotYet) => None,
                }
            }
        }

        impl<F, T, P, I> fmt::Debug for $name<F, T, P, I> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).field("given", &self.stream.given).finish_non_exhaustive()
            }
        }
    };
}

lazy_map!(
    /// The results of [`Pool::imap`](crate::Pool::imap), in the order of the items.
    ///
    /// # Examples
    ///
    /// See [`Pool::imap`](crate::Pool::imap).
    Imap,
    "imap",
    Arrival::InOrder
);

lazy_map!(
    /// The results of [`Pool::imap_unordered`](crate::Pool::imap_unordered), as they come.
    ///
    /// # Examples
    ///
    /// See [`Pool::imap_unordered`](crate::Pool::imap_unordered).
    ImapUnordered,
    "imap_unordered",
    Arrival::AsTheyCome
);

/// Items as the arguments of a function of one parameter.
struct Items<I>(I);

impl<I: Iterator> Iterator for Items<I> {
    type Item = (I::Item,);

    fn next(&mut self) -> Option<(I::Item,)> {
        self.0.next().map(|item| (item,))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}
