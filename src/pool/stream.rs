//! The lazy maps: they pull their input as their results are taken.

use std::fmt;
use std::sync::Arc;

use super::core::Core;
use super::feeder::{ChunkSize, Feeder};
use super::job::{Arrival, Job, Portion};
use super::results::Outcomes;
use crate::error::TaskError;
use crate::process::Function;
use crate::sys::clock::Deadline;

struct Stream<F, S, P, I> {
    core: Arc<Core>,
    feeder: Feeder<F, S, P, I>,
    /// What has been taken from the job.
    outcomes: Outcomes,
    /// Outcomes given away.
    given: u64,
}

impl<F, S, P, I> Stream<F, S, P, I>
where
    F: Function<S, P>,
    I: Iterator<Item = S>,
{
    fn new(core: &Arc<Core>, order: Arrival, f: F, input: I, chunk: Option<usize>) -> Self {
        let size = ChunkSize::of(core, chunk, (0, None));
        let feeder = Feeder::new(core, Job::new(order), f, input, size);
        let mut stream = Stream { core: Arc::clone(core), feeder, outcomes: Outcomes::default(), given: 0 };
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

    fn next(&mut self) -> Option<Result<F::Output, TaskError>> {
        loop {
            if let Some(outcome) = self.outcomes.next() {
                self.given += 1;
                return Some(outcome.map_err(|error| *error));
            }
            if let Portion::Some(outcomes) = self.feeder.job.take_some() {
                self.outcomes = outcomes;
                continue;
            }
            self.top_up();
            match self.feeder.job.take_some() {
                Portion::Some(outcomes) => self.outcomes = outcomes,
                Portion::End if self.feeder.has_ended() => return None,
                Portion::End => {}
                Portion::NotYet => {
                    let job = &self.feeder.job;
                    self.core.wait(Deadline::NEVER, || job.has_some());
                    if self.core.is_copied() {
                        return None;
                    }
                }
            }
        }
    }
}

macro_rules! lazy_map {
    ($(#[$attribute:meta])* $name:ident, $order:expr) => {
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
        }

        impl<F, T, P, I> Iterator for $name<F, T, P, I>
        where
            F: Function<(T,), P>,
            I: Iterator<Item = T>,
        {
            type Item = Result<F::Output, TaskError>;

            fn next(&mut self) -> Option<Self::Item> {
                self.stream.next()
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
    Arrival::InOrder
);

lazy_map!(
    /// The results of [`Pool::imap_unordered`](crate::Pool::imap_unordered), as they come.
    ///
    /// # Examples
    ///
    /// See [`Pool::imap_unordered`](crate::Pool::imap_unordered).
    ImapUnordered,
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
