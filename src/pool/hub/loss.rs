//! What becomes of tasks that nobody does: their worker has died, nobody wants them any more, what says whose they are was destroyed, or
//! the pool has ended.

use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "redis")]
use super::Crew;
use super::{Cell, Hub, Phase, count_dropped, fail_rest};
use crate::error::TaskError;
use crate::pool::board::{Board, CELLS};
use crate::pool::job::Job;
use crate::pool::order::Order;
use crate::pool::staff::Worker;
use crate::queue::Queue;
use crate::sys::clock;

const NOBODYS: &str = "what says whose it is was destroyed";

/// A task in the hands of a worker.
#[derive(PartialEq, Eq)]
pub(in crate::pool) struct Started {
    pub(in crate::pool) cell: usize,
    pub(in crate::pool) generation: u64,
    pub(in crate::pool) worker: u32,
    /// That worker's.
    pub(in crate::pool) place: usize,
    /// From when on its time counts, in nanoseconds of the monotonic clock.
    since: u64,
}

impl Started {
    /// How much is left of its time.
    pub(in crate::pool) fn left(&self, limit: Duration) -> Duration {
        limit.saturating_sub(Duration::from_nanos(clock::nanoseconds().saturating_sub(self.since)))
    }
}

impl Hub {
    /// A worker has died, and all that it has sent was taken in; `error` is what has become of the call that it was at, which is
    /// tried again if `is_lost` and as often as its chunk may be.
    pub(in crate::pool) fn lose(&mut self, worker: u32, board: &Board, error: &TaskError, is_lost: bool) {
        let living: Vec<u32> = self.workers.iter().flatten().map(|worker| worker.number).collect();
        for index in 0..CELLS {
            let cell = &mut self.cells[index];
            if cell.condemned.take_if(|condemned| *condemned == worker).is_some() && cell.unit.is_none() {
                self.free.push(index);
            }
            let Some(unit) = cell.unit.as_mut() else { continue };
            let (starter, ender) = (board.starter(index, cell.generation), board.ender(index, cell.generation));
            if ender == Some(worker) {
                self.destroy(index, board, "a worker had done it, and what it had sent was destroyed");
                continue;
            }
            if starter != Some(worker) {
                if starter.or(ender).is_some_and(|other| !living.contains(&other)) {
                    self.destroy(index, board, NOBODYS);
                }
                continue;
            }
            let is_over = !is_lost || !unit.may_retry();
            if is_over && !unit.is_cancelled {
                let (_, number) = unit.calls();
                unit.fail(error.clone().of(number));
                board.count_failed(1);
            }
            self.retire(index, board);
        }
    }

    /// Ends what nobody will do, as it is in the hands of nobody who could.
    fn destroy(&mut self, index: usize, board: &Board, reason: &str) {
        if let Some(unit) = self.cells[index].unit.as_mut().filter(|unit| !unit.is_cancelled) {
            fail_rest(unit, board, &TaskError::Decode { reason: reason.into() });
        }
        self.retire(index, board);
    }

    /// Does what can be done where somebody has written over the shared words: ends tasks that are nobody's by them, and puts those
    /// that nobody has begun into the queue once more if they are not there. Whoever has the message of one twice drops one of the two
    /// (C1 in `word/errand.rs`).
    pub(in crate::pool) fn repair(&mut self, board: &Board, orders: &Queue<Order>) {
        let is_empty = orders.is_empty();
        for index in 0..CELLS {
            let Cell { generation, unit: Some(unit), .. } = &self.cells[index] else { continue };
            if !board.is_sound(index, *generation) {
                self.destroy(index, board, NOBODYS);
            } else if is_empty && board.is_queued(index, *generation) {
                let order = unit.order(&mut self.numbers, index, *generation);
                let _ = orders.try_put(&order); // or at the next look
            }
        }
    }

    /// What is in the hands of workers.
    pub(in crate::pool) fn started(&self, board: &Board) -> Vec<Started> {
        let of = |(index, cell): (usize, &Cell)| {
            cell.unit.as_ref()?;
            let number = board.starter(index, cell.generation)?;
            let is_it = |worker: &Option<Worker>| worker.as_ref().is_some_and(|worker| worker.number == number);
            let place = self.workers.iter().position(is_it)?;
            let since = self.workers[place].as_ref()?.counted_from(board.start(place));
            Some(Started { cell: index, generation: cell.generation, worker: number, place, since })
        };
        self.cells.iter().enumerate().filter_map(of).collect()
    }

    /// Nobody wants the outcomes of a job any more: what nobody has started is dropped. Those who are at work on it, with cells
    /// and generations.
    pub(in crate::pool) fn drop_job(
        &mut self,
        job: &Arc<Job>,
        board: &Board,
        orders: &Queue<Order>,
    ) -> Vec<(usize, u64, u32)> {
        board.count_dropped(self.backlog.drop_job(job));
        let mut at_work = Vec::new();
        for (index, cell) in self.cells.iter_mut().enumerate() {
            let Some(unit) = cell.unit.as_mut().filter(|unit| Arc::ptr_eq(&unit.job, job)) else { continue };
            if board.withdraw(index, cell.generation) {
                count_dropped(unit, board);
                cell.unit = None;
                self.free.push(index);
                continue;
            }
            unit.is_cancelled = true;
            self.orphans += 1;
            if let Some(worker) = board.starter(index, cell.generation) {
                at_work.push((index, cell.generation, worker));
            }
        }
        #[cfg(feature = "redis")]
        if let Crew::Hosts(far) = &mut self.crew {
            far.take_all(Some(job)).iter().for_each(|unit| count_dropped(unit, board));
        }
        self.feed(board, orders);
        at_work
    }

    /// Runs no task any more, and ends the workers.
    pub(in crate::pool) fn end(&mut self, board: &Board, error: &TaskError) {
        if !matches!(self.phase, Phase::Ended(_)) {
            self.phase = Phase::Ended(error.clone());
        }
        self.give_up(board, error);
        self.workers.iter().flatten().for_each(Worker::end);
        self.is_asked = true;
    }

    /// No task is run any more.
    pub(in crate::pool) fn give_up(&mut self, board: &Board, error: &TaskError) {
        let mut units = Vec::new();
        for (index, cell) in self.cells.iter_mut().enumerate() {
            board.withdraw(index, cell.generation);
            units.extend(cell.unit.take());
            cell.condemned = None;
        }
        #[cfg(feature = "redis")]
        if let Crew::Hosts(far) = &mut self.crew {
            units.extend(far.take_all(None));
        }
        units.extend(std::iter::from_fn(|| self.backlog.pop_front()));
        self.free = (0..CELLS).rev().collect();
        self.orphans = 0;
        for unit in units {
            self.fail_all(unit, board, error);
        }
    }

    /// Kills a worker for the task of this cell, unless it has done it; what the death will mean for that task. One that is not entered
    /// yet is killed by [`enter`](Hub::enter).
    pub(in crate::pool) fn end_task(
        &mut self,
        board: &Board,
        cell: usize,
        generation: u64,
        number: u32,
        verdict: TaskError,
    ) {
        if !board.condemn(cell, generation, number) {
            return;
        }
        self.cells[cell].condemned = Some(number);
        let is_it = |worker: &&mut Worker| worker.number == number;
        let Some(worker) = self.workers.iter_mut().flatten().find(is_it) else {
            self.early_verdict = Some((number, verdict));
            return;
        };
        // Nobody is to wait for what may not be ended: the task is over, and its worker is when it finds that (C3).
        if !worker.fail(verdict.clone())
            && let Some(unit) = self.cells[cell].unit.as_mut()
        {
            if !unit.is_cancelled {
                fail_rest(unit, board, &verdict);
            }
            self.retire(cell, board);
        }
    }
}
