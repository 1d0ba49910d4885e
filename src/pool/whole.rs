//! Maps of whole inputs: how these are fed to a pool, and their outcomes waited for.

use std::sync::Arc;

#[cfg(feature = "cli")]
use super::bar::Bar;
use super::board::CELLS;
use super::core::Core;
use super::feeder::{ChunkSize, Feeder};
use super::job::{Arrival, Job, Portion};
use super::mapping::Mapping;
use crate::error::TaskError;
use crate::process::Function;
use crate::sys::clock::Deadline;

impl<'a> Mapping<'a> {
    /// Gives `take` the outcomes of all calls, in the order of these and as they come; so that little is left to be decoded when
    /// the last one has come. It is told, too, how many calls there are.
    pub(super) fn each<F, S, P, I>(
        &self,
        f: F,
        items: I,
        mut take: impl FnMut(Result<F::Output, Box<TaskError>>, usize),
    ) -> Result<(), TaskError>
    where
        F: Function<S, P>,
        I: Iterator<Item = S>,
    {
        let core = self.core();
        #[cfg(feature = "cli")]
        let hint = items.size_hint();
        let feeder = self.feeder(f, items, Job::new(Arrival::AtOnce));
        #[cfg(feature = "cli")]
        let _bar = self.shows_progress.then(|| Bar::show(core, &feeder.job, hint));
        let job = Waited { core, job: self.feed(feeder, core.options.bound.unwrap_or(CELLS)) };
        let calls = usize::try_from(job.job.counts().0).unwrap_or(usize::MAX);
        loop {
            match job.job.take_some() {
                Portion::Some(mut outcomes) => {
                    while let Some(outcome) = outcomes.next() {
                        take(outcome, calls);
                    }
                }
                Portion::NotYet if core.wait(Deadline::NEVER, || job.job.has_some()) => {}
                Portion::NotYet => return Err(TaskError::Cancelled),
                Portion::End if job.job.is_cancelled() => return Err(TaskError::Cancelled),
                Portion::End => return Ok(()),
            }
        }
    }

    pub(super) fn feeder<F, S, P, I>(&self, f: F, items: I, job: Job) -> Feeder<F, S, P, I>
    where
        F: Function<S, P>,
        I: Iterator<Item = S>,
    {
        let size = ChunkSize::of(self.core(), self.chunk, items.size_hint());
        Feeder::new(self.core(), job, f, items, size)
    }

    /// Feeds all of the input to the pool, in which no more than `bound` chunks wait.
    pub(super) fn feed<F, S, P, I>(&self, mut feeder: Feeder<F, S, P, I>, bound: usize) -> Arc<Job>
    where
        F: Function<S, P>,
        I: Iterator<Item = S>,
    {
        let core = self.core();
        while feeder.feed() {
            core.wait(Deadline::NEVER, || core.hub().has_room(bound));
        }
        feeder.close()
    }

    pub(super) fn core(&self) -> &'a Arc<Core> {
        &self.pool.core
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
