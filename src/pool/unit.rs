//! A chunk of calls as the pool keeps it until it has all their outcomes.

use std::sync::Arc;

use super::job::Job;
use super::numbers::Numbers;
use super::order::{Bytes, Load, Order};
use super::results::{self, Outcomes};
use crate::error::TaskError;
use crate::segment::handle::Parcel;

/// The most bytes of a load that go through the queue, and so what the slots of a busy queue come to. A guess.
pub(super) const INLINE: usize = 64 << 10;

pub(super) struct Unit {
    pub(super) job: Arc<Job>,
    /// The number of the chunk in its job.
    pub(super) chunk: usize,
    pub(super) function: u64,
    /// The number of the first call.
    pub(super) first: u64,
    arguments: Bytes,
    /// Where the arguments of each call end.
    ends: Vec<u32>,
    /// The handles in the arguments.
    pub(super) parcel: Parcel,
    /// The next call that has no outcome.
    next: usize,
    /// How often the worker died that was at that call, and how often it may.
    losses: u32,
    retries: u32,
    /// Outcomes that the job has not got yet.
    outcomes: Outcomes,
    /// So many.
    pending: u64,
    /// Nobody wants the outcomes any more.
    pub(super) is_cancelled: bool,
}

impl Unit {
    pub(super) fn new(job: Arc<Job>, chunk: usize, function: u64, first: u64, mut calls: Calls, retries: u32) -> Self {
        let arguments = Bytes::new(std::mem::take(&mut calls.parcel.bytes));
        Unit {
            job,
            chunk,
            function,
            first,
            arguments,
            ends: calls.ends,
            parcel: calls.parcel,
            next: 0,
            losses: 0,
            retries,
            outcomes: Outcomes::default(),
            pending: 0,
            is_cancelled: false,
        }
    }

    /// Arguments of the calls that have no outcome.
    pub(super) fn arguments(&self) -> Bytes {
        let done = self.next.checked_sub(1).map_or(0, |last| self.ends[last]);
        self.arguments.skip(done as usize)
    }

    /// What workers are told of it, in this cell.
    pub(super) fn order(&self, numbers: &mut Numbers, cell: usize, generation: u64) -> Order {
        let (calls, first) = self.calls();
        let load = self.load(numbers);
        Order {
            cell: cell as u32,
            generation,
            function: numbers.of_function(self.function),
            first,
            calls,
            load: (load.size() <= INLINE).then_some(load),
        }
    }

    pub(super) fn load(&self, numbers: &mut Numbers) -> Load {
        let segments = self.parcel.segments().iter().map(|segment| numbers.of(segment)).collect();
        Load { segments, arguments: self.arguments() }
    }

    /// Calls without an outcome, and the number of the first.
    pub(super) fn calls(&self) -> (u32, u64) {
        ((self.ends.len() - self.next) as u32, self.first + self.next as u64)
    }

    /// Whether it keeps more alive than a few bytes.
    pub(super) fn is_heavy(&self) -> bool {
        self.parcel.handles.is_some() || self.arguments.as_slice().len() > INLINE
    }

    pub(super) fn is_whole(&self) -> bool {
        self.next == self.ends.len()
    }

    /// Notes what calls have returned, from call `first` on, as a worker has written it down; nothing that is not that, or too
    /// many, or that is known already; and nothing yet of what lies on the desk of one that has sent others since we looked there.
    pub(super) fn note_returned(&mut self, first: u64, mut results: &[u8]) {
        let (_, next) = self.calls();
        if first > next {
            return;
        }
        for _ in first..next {
            let Some(rest) = results::skip(results) else { return };
            results = rest;
        }
        let count = results::count(results).unwrap_or(0);
        if count > 0 && count <= self.ends.len() - self.next {
            self.outcomes.push(results);
            self.pending += count as u64;
            self.next += count;
            self.losses = 0;
        }
    }

    /// Notes the outcome of the next call; `push` puts it behind the others.
    pub(super) fn note(&mut self, push: impl FnOnce(&mut Outcomes)) {
        if !self.is_whole() {
            push(&mut self.outcomes);
            self.pending += 1;
            self.next += 1;
            self.losses = 0;
        }
    }

    pub(super) fn fail(&mut self, error: TaskError) {
        self.note(|outcomes| outcomes.push_failed(error));
    }

    /// Whether the call that a worker has just died of may be tried again.
    pub(super) fn may_retry(&mut self) -> bool {
        self.losses += 1;
        self.losses <= self.retries
    }

    /// Where the arguments end of the calls that have no outcome, and how often each may be tried again.
    #[cfg(feature = "redis")]
    pub(super) fn rest(&self) -> (Vec<u32>, u32) {
        let done = self.next.checked_sub(1).map_or(0, |last| self.ends[last]);
        (self.ends[self.next..].iter().map(|end| end - done).collect(), self.retries)
    }

    /// What the job has not got yet.
    pub(super) fn take_outcomes(&mut self) -> (Outcomes, u64) {
        (std::mem::take(&mut self.outcomes), std::mem::take(&mut self.pending))
    }

    pub(super) fn has_outcomes(&self) -> bool {
        self.pending > 0
    }
}

/// The encoded arguments of some calls.
pub(super) struct Calls {
    /// Where each ends.
    pub(super) ends: Vec<u32>,
    pub(super) parcel: Parcel,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::job::Arrival;

    fn result(byte: u8) -> Vec<u8> {
        vec![1, byte]
    }

    #[test]
    fn results_are_those_of_their_calls_in_whatever_portions_they_come() {
        let calls = Calls { ends: vec![1, 2, 3, 4], parcel: Parcel::of_bytes(vec![0; 4]) };
        let mut unit = Unit::new(Arc::new(Job::new(Arrival::AtOnce)), 0, 0, 10, calls, 0);
        let all: Vec<u8> = (0..4).flat_map(result).collect();
        let from = |call: usize| &all[2 * call..];
        let next_after =
            [(12, from(2), 10), (10, &all[..4], 12), (11, &all[2..4], 12), (11, from(1), 14), (12, from(2), 14)];
        for (first, results, next) in next_after {
            unit.note_returned(first, results);
            assert_eq!(unit.calls().1, next, "after those from {first} on");
        }
        let (mut outcomes, calls) = unit.take_outcomes();
        assert_eq!(calls, 4);
        assert!((0..4).all(|byte| outcomes.next::<u8>() == Some(Ok(byte))));
    }
}
