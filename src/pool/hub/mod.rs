//! The pool's books: which chunks wait, which are in the queue or with workers, and what comes of them.

mod backlog;
mod collect;
mod loss;

use std::mem;
use std::sync::Arc;

use self::backlog::Backlog;
pub(super) use self::loss::Started;
use crate::error::{TaskError, TryPutError};
use crate::pool::board::{Board, CELLS};
#[cfg(feature = "redis")]
use crate::pool::far::{Batch, Far};
use crate::pool::job::{Aftermath, Arrival};
use crate::pool::numbers::Numbers;
use crate::pool::order::{Load, ORDER_HEAD, Order};
use crate::pool::staff::Worker;
use crate::pool::unit::{INLINE, Unit};
#[cfg(feature = "redis")]
use crate::pool::{results::Travelling, wire};
use crate::queue::Queue;
use crate::segment::Segment;

/// The longest message in the queue.
pub(super) const MOST_MESSAGE: usize = INLINE + ORDER_HEAD;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Open,
    /// No new tasks.
    Closed,
    /// Tasks are not run any more, for this reason.
    Ended(TaskError),
}

/// Who does the work.
pub(super) enum Crew {
    /// The pool's own: cells are theirs.
    Workers,
    /// Whoever serves the pool at a server.
    #[cfg(feature = "redis")]
    Hosts(Far),
}

pub(super) struct Hub {
    pub(super) phase: Phase,
    crew: Crew,
    backlog: Backlog,
    cells: Vec<Cell>,
    free: Vec<usize>,
    numbers: Numbers,
    pub(super) workers: Vec<Option<Worker>>,
    /// The number of a worker whose task was ended before it was entered here, and the verdict. One is enough: one is started at a time.
    early_verdict: Option<(u32, TaskError)>,
    /// Chunks that workers are at although nobody wants their outcomes.
    orphans: usize,
    /// Whether the keeper has to answer what is not in a socket any more.
    is_asked: bool,
    /// What is to be done outside of the lock.
    endings: Vec<Aftermath>,
}

#[derive(Default)]
struct Cell {
    generation: u64,
    unit: Option<Unit>,
    /// Who is being killed for the task that is or was here: the cell stays as it is until that is done.
    condemned: Option<u32>,
}

impl Hub {
    /// `workers`: so many of the pool's own.
    pub(super) fn new(crew: Crew, workers: usize) -> Self {
        Hub {
            phase: Phase::Open,
            crew,
            backlog: Backlog::default(),
            cells: (0..CELLS).map(|_| Cell::default()).collect(),
            free: (0..CELLS).rev().collect(),
            numbers: Numbers::default(),
            workers: (0..workers).map(|_| None).collect(),
            early_verdict: None,
            orphans: 0,
            is_asked: false,
            endings: Vec::new(),
        }
    }

    /// Enters a worker that was started, unless it is not to live: then it is killed, and reaped as the others are.
    pub(super) fn enter(&mut self, place: usize, mut worker: Worker) {
        let early = self.early_verdict.take_if(|(number, _)| *number == worker.number);
        if let Some((_, verdict)) = early {
            worker.fail(verdict);
        }
        if matches!(self.phase, Phase::Ended(_)) {
            worker.end();
        }
        self.workers[place] = Some(worker);
    }

    /// Takes a chunk over; gives it back if the pool does not run tasks any more.
    pub(super) fn submit(&mut self, unit: Unit, board: &Board, orders: &Queue<Order>) {
        let calls = u64::from(unit.calls().0);
        board.count_submitted(calls);
        if !self.backlog.push_back(unit) {
            board.count_dropped(calls);
        }
        match self.phase.clone() {
            Phase::Ended(error) => self.give_up(board, &error),
            _ => self.feed(board, orders),
        }
    }

    /// Whether a further chunk need not wait, with so many that may: also if it would be refused.
    pub(super) fn has_room(&self, bound: usize) -> bool {
        self.backlog.len() < bound || self.phase != Phase::Open
    }

    /// Whether there is anything to wait for.
    pub(super) fn is_idle(&self) -> bool {
        self.backlog.is_empty()
            && match &self.crew {
                Crew::Workers => self.free.len() == CELLS,
                #[cfg(feature = "redis")]
                Crew::Hosts(far) => far.is_empty(),
            }
    }

    /// Whether nobody is left of those who did the work for this process.
    pub(super) fn is_deserted(&self) -> bool {
        match &self.crew {
            Crew::Workers => self.workers.iter().all(Option::is_none),
            #[cfg(feature = "redis")]
            Crew::Hosts(far) => far.threads == 0,
        }
    }

    pub(super) fn has_orphans(&self) -> bool {
        self.orphans > 0
    }

    /// Whether the keeper is to be told, once.
    pub(super) fn take_asked(&mut self) -> bool {
        mem::take(&mut self.is_asked)
    }

    pub(super) fn take_endings(&mut self) -> Vec<Aftermath> {
        mem::take(&mut self.endings)
    }

    /// Hands out what waits as far as there is room.
    pub(super) fn feed(&mut self, board: &Board, orders: &Queue<Order>) {
        match &self.crew {
            Crew::Workers => self.feed_workers(board, orders),
            #[cfg(feature = "redis")]
            Crew::Hosts(_) => self.feed_hosts(board),
        }
    }

    /// Puts what waits into the queue as far as there is room.
    fn feed_workers(&mut self, board: &Board, orders: &Queue<Order>) {
        if self.phase == Phase::Open && orders.is_closed() {
            // Its workers would end as soon as they are started.
            let reason = "somebody has closed the queue to its workers".into();
            return self.end(board, &TaskError::Decode { reason });
        }
        while let Some(&index) = self.free.last()
            && let Some(unit) = self.backlog.pop_front()
        {
            let cell = &mut self.cells[index];
            cell.generation += 1;
            let order = unit.order(&mut self.numbers, index, cell.generation);
            board.queue(index, cell.generation);
            match orders.try_put(&order) {
                Ok(()) => {
                    cell.unit = Some(unit);
                    self.free.pop();
                }
                // Messages whose tasks were withdrawn are still in there.
                Err(TryPutError::Full(_)) => {
                    self.backlog.push_front(unit);
                    return;
                }
                Err(TryPutError::Closed(_)) => self.fail_all(unit, board, &TaskError::Closed),
                Err(error) => self.fail_all(unit, board, &TaskError::encode(&error.into())),
            }
        }
    }

    fn unit(&mut self, cell: usize, generation: u64) -> Option<&mut Unit> {
        self.cells.get_mut(cell).filter(|cell| cell.generation == generation)?.unit.as_mut()
    }

    /// Hands over what has arrived of a chunk to a job that asks for one by one.
    fn flush(&mut self, index: usize, board: &Board) {
        if let Some(unit) = self.cells[index].unit.as_mut()
            && unit.job.order != Arrival::AtOnce
            && unit.has_outcomes()
        {
            let ending = hand_over(unit, board);
            self.endings.push(ending);
        }
    }

    /// A worker has nothing to do with the chunk of this cell any more: the chunk is done, or what is left of it waits again,
    /// before all others.
    fn retire(&mut self, index: usize, board: &Board) {
        let Some(mut unit) = self.cells[index].unit.take() else { return };
        if self.cells[index].condemned.is_none() {
            self.free.push(index);
        }
        if unit.has_outcomes() {
            self.endings.push(hand_over(&mut unit, board));
        }
        if unit.is_cancelled {
            self.orphans = self.orphans.saturating_sub(1);
            count_dropped(&unit, board);
        } else if !unit.is_whole() {
            self.backlog.push_front(unit);
        }
    }

    fn fail_all(&mut self, mut unit: Unit, board: &Board, error: &TaskError) {
        fail_rest(&mut unit, board, error);
        self.endings.push(hand_over(&mut unit, board));
    }

    /// The load of a cell's task, for a worker that asks; none if there is no such task any more.
    pub(super) fn load(&mut self, cell: u32) -> Option<Load> {
        let unit = self.cells.get(cell as usize)?.unit.as_ref()?;
        Some(unit.load(&mut self.numbers))
    }

    pub(super) fn segment(&self, number: u64) -> Option<Arc<Segment>> {
        self.numbers.segment(number)
    }

    /// The offset of a function, for a worker that asks; nothing if it was never told of one.
    pub(super) fn function(&self, number: u64) -> Vec<u8> {
        self.numbers.function(number).map_or(Vec::new(), |offset| offset.to_ne_bytes().to_vec())
    }
}

#[cfg(feature = "redis")]
impl Hub {
    /// The books of a pool that hosts serve.
    pub(super) fn far(&mut self) -> Option<&mut Far> {
        match &mut self.crew {
            Crew::Workers => None,
            Crew::Hosts(far) => Some(far),
        }
    }

    fn feed_hosts(&mut self, board: &Board) {
        while let Crew::Hosts(far) = &mut self.crew
            && far.has_room()
            && let Some(unit) = self.backlog.pop_front()
        {
            if unit.parcel.descriptors().is_empty() {
                far.add(unit);
            } else {
                let reason = "there is a handle of this machine in the arguments, and hosts may be on others".into();
                self.fail_all(unit, board, &TaskError::Encode { reason });
            }
        }
    }

    /// Takes in what a host has sent. What it has not sent is lost; what is not asked for any more is not wanted.
    pub(super) fn note_report(&mut self, report: &[u8], board: &Board) {
        let Some((number, outcomes)) = wire::read_report(report) else { return };
        let Some(mut unit) = self.far().and_then(|far| far.take(number)) else { return };
        for outcome in outcomes.into_iter().take(unit.calls().0 as usize) {
            let is_failure = matches!(outcome, Travelling::Failed(_));
            board.count_failed(u64::from(is_failure));
            unit.note(|outcomes| outcomes.push_travelling(outcome));
        }
        let reason = "a host has sent something else than the outcomes".into();
        self.fail_all(unit, board, &TaskError::Decode { reason });
    }

    /// The server has lost these entries, or all that it had.
    pub(super) fn lose_entries(&mut self, entries: Option<&[String]>, board: &Board) {
        let Some(far) = self.far() else { return };
        for unit in far.lose(entries) {
            self.fail_all(unit, board, &TaskError::Lost { task: 0 });
        }
    }

    /// The server does not take this batch, for this reason.
    pub(super) fn refuse_batch(&mut self, batch: &Batch, board: &Board, error: &TaskError) {
        for number in &batch.numbers {
            if let Some(unit) = self.far().and_then(|far| far.take(*number)) {
                self.fail_all(unit, board, error);
            }
        }
    }
}

/// All calls without an outcome end with this error.
fn fail_rest(unit: &mut Unit, board: &Board, error: &TaskError) {
    board.count_failed(u64::from(unit.calls().0));
    while !unit.is_whole() {
        let (_, number) = unit.calls();
        unit.fail(error.clone().of(number));
    }
}

fn hand_over(unit: &mut Unit, board: &Board) -> Aftermath {
    let (outcomes, calls) = unit.take_outcomes();
    board.count_done(calls);
    unit.job.deliver(unit.chunk, outcomes, calls, unit.is_whole())
}

/// Calls of which nobody will hear.
fn count_dropped(unit: &Unit, board: &Board) {
    board.count_dropped(u64::from(unit.calls().0));
}
