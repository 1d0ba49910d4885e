//! Chunks that wait, in their order.
//!
//! Of a job that nobody wants any more, none is handed out. To look for its chunks among all others would make many cancellations take the
//! square of their number; so they stay where they are until they are more than half of all that is here, and go together then. Those with
//! handles or long arguments go at once.

use std::collections::VecDeque;

use crate::pool::job::Job;
use crate::pool::unit::Unit;

#[derive(Default)]
pub(super) struct Backlog {
    units: VecDeque<Unit>,
    /// So many of them belong to dropped jobs.
    dropped: usize,
}

impl Backlog {
    pub(super) fn len(&self) -> usize {
        self.units.len() - self.dropped
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Puts it behind all others, unless its job was dropped; whether it did.
    pub(super) fn push_back(&mut self, unit: Unit) -> bool {
        let is_wanted = !unit.job.waiting.is_dropped();
        if is_wanted {
            unit.job.waiting.add(unit.calls().0, unit.is_heavy());
            self.units.push_back(unit);
        }
        is_wanted
    }

    /// Puts it before all others. Its job was not dropped: it would have been dropped with it.
    pub(super) fn push_front(&mut self, unit: Unit) {
        debug_assert!(!unit.job.waiting.is_dropped());
        unit.job.waiting.add(unit.calls().0, unit.is_heavy());
        self.units.push_front(unit);
    }

    pub(super) fn pop_front(&mut self) -> Option<Unit> {
        loop {
            let unit = self.units.pop_front()?;
            if !unit.job.waiting.is_dropped() {
                unit.job.waiting.remove(unit.calls().0);
                return Some(unit);
            }
            self.dropped -= 1;
        }
    }

    /// Drops what there is of a job, now and in future; how many calls that is.
    pub(super) fn drop_job(&mut self, job: &Job) -> u64 {
        let (chunks, calls) = job.waiting.drop_all();
        self.dropped += chunks;
        // What it keeps alive, be it memory or a name, is not to wait for that.
        if chunks > 0 && job.waiting.is_heavy() || self.dropped > self.units.len() / 2 {
            self.units.retain(|unit| !unit.job.waiting.is_dropped());
            self.dropped = 0;
        }
        calls
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::pool::job::Arrival;
    use crate::pool::unit::Calls;
    use crate::segment::handle::Parcel;

    fn unit(job: &Arc<Job>, first: u64) -> Unit {
        let calls = Calls { ends: vec![1, 2], parcel: Parcel::of_bytes(vec![0; 2]) };
        Unit::new(Arc::clone(job), 0, 0, first, calls, 0)
    }

    fn jobs<const COUNT: usize>() -> [Arc<Job>; COUNT] {
        std::array::from_fn(|_| Arc::new(Job::new(Arrival::AtOnce)))
    }

    /// What is left, in order.
    fn rest(backlog: &mut Backlog) -> Vec<u64> {
        std::iter::from_fn(|| backlog.pop_front()).map(|unit| unit.first).collect()
    }

    #[test]
    fn others_keep_their_order_whatever_is_dropped() {
        const UNITS: u64 = 60;
        for dropped in 0..1_u32 << 5 {
            let (jobs, mut backlog) = (jobs::<5>(), Backlog::default());
            let whose = |number: u64| (number * number % 5) as usize;
            assert!((1..UNITS).all(|number| backlog.push_back(unit(&jobs[whose(number)], number))));
            backlog.push_front(unit(&jobs[0], 0));
            for job in (0..5).filter(|job| dropped >> job & 1 == 1) {
                let of_it = (0..UNITS).filter(|&number| whose(number) == job).count() as u64;
                assert_eq!((backlog.drop_job(&jobs[job]), backlog.drop_job(&jobs[job])), (2 * of_it, 0));
                assert!(!backlog.push_back(unit(&jobs[job], UNITS)));
            }
            let expected: Vec<_> = (0..UNITS).filter(|&number| dropped >> whose(number) & 1 == 0).collect();
            assert_eq!((backlog.len(), backlog.is_empty()), (expected.len(), expected.is_empty()));
            assert_eq!(rest(&mut backlog), expected);
            assert_eq!((backlog.len(), backlog.units.len()), (0, 0));
        }
    }

    #[test]
    fn what_was_handed_out_is_not_dropped_and_comes_back() {
        let ([job], mut backlog) = (jobs(), Backlog::default());
        assert!(backlog.push_back(unit(&job, 1)) && backlog.push_back(unit(&job, 2)));
        let first = backlog.pop_front().unwrap();
        assert_eq!((first.first, backlog.len()), (1, 1));
        backlog.push_front(first);
        assert_eq!(backlog.pop_front().map(|unit| unit.first), Some(1));
        assert_eq!((backlog.drop_job(&job), backlog.len()), (2, 0));
    }

    #[test]
    fn no_more_is_kept_of_dropped_jobs_than_of_others() {
        let (jobs, mut backlog) = (jobs::<100>(), Backlog::default());
        assert!((0..).zip(&jobs).all(|(number, job)| backlog.push_back(unit(job, number))));
        for job in &jobs[..99] {
            assert_eq!(backlog.drop_job(job), 2);
            assert!(backlog.units.len() <= 2 * backlog.len());
        }
        assert_eq!(rest(&mut backlog), [99]);
    }
}
