//! A pool's inner life, as its handle, its tasks and its threads share it.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::board::{Board, CELLS};
use super::callbacks::{self, Callbacks};
use super::desk::{self, Desk};
#[cfg(feature = "redis")]
use super::far::Far;
use super::gate::{Gate, Lead};
use super::hub::{Crew, Hub, MOST_MESSAGE, Phase};
use super::job::{Aftermath, Attended, Job};
use super::order::Order;
use super::unit::Unit;
use crate::cell::RawArray;
use crate::error::{Result, TaskError};
use crate::process::ProcessBuilder;
use crate::queue::Queue;
#[cfg(feature = "redis")]
use crate::remote::address::Address;
use crate::segment::handle::Parcel;
use crate::sync::Event;
use crate::sys::clock::Deadline;
use crate::sys::eventfd::EventFd;
use crate::sys::fork;

/// How long at most nobody looks for results that were sent without a ring of the bell: by a worker that was killed in
/// between, and those of a chunk that is not done. A guess, as is the bound within which a death is detected.
const PATIENCE: Duration = Duration::from_millis(50);

/// So many chunks are at a server for each worker that hosts are taken to have: one that it has in hands, and some that it finds when that is
/// done. A guess.
#[cfg(feature = "redis")]
const CHUNKS_EACH: usize = 4;

pub(super) struct Options {
    pub(super) name: String,
    /// How workers are to be started.
    pub(super) process: ProcessBuilder,
    pub(super) workers: usize,
    /// Where the initializer is in the program, and its encoded arguments.
    pub(super) initializer: Option<Parcel>,
    /// How long it may take.
    pub(super) initializer_limit: Option<Duration>,
    pub(super) most_calls: Option<u64>,
    pub(super) time_limit: Option<Duration>,
    pub(super) retries: u32,
    /// The server at which hosts serve the pool, instead of workers of its own.
    #[cfg(feature = "redis")]
    pub(super) engine: Option<Address>,
    /// Chunks that may wait.
    pub(super) bound: Option<usize>,
    /// Where the first worker is to be killed, and how often it passes there unharmed.
    #[cfg(crash_points)]
    pub(super) crash: Option<(String, u32)>,
}

impl Options {
    #[cfg(feature = "redis")]
    fn crew(&self) -> Crew {
        match &self.engine {
            Some(_) => Crew::Hosts(Far::new(self.workers.saturating_mul(CHUNKS_EACH))),
            None => Crew::Workers,
        }
    }
}

pub(super) struct Core {
    pub(super) options: Options,
    pub(super) board: Board,
    pub(super) desks: RawArray<AtomicU64>,
    pub(super) orders: Queue<Order>,
    /// Set by workers that have sent results.
    pub(super) bell: Event,
    /// Readable when the keeper has something to look after.
    pub(super) alarm: EventFd,
    pub(super) gate: Gate,
    /// Jobs that go on while nobody waits for them.
    pub(super) attended: Attended,
    pub(super) callbacks: Callbacks,
    hub: Mutex<Hub>,
    /// Notified when there may be something to do for those who talk to a server.
    pub(super) posted: Condvar,
    /// How many workers the pool has of its own.
    staff: usize,
    /// Threads that have taken ends out of the books and not yet done what these set going.
    following: AtomicUsize,
    /// How many tasks of a single call there have been.
    singles: AtomicU64,
    generation: u32,
}

impl Core {
    pub(super) fn new(options: Options) -> Result<Arc<Self>> {
        fork::prepare()?;
        #[cfg(feature = "redis")]
        let crew = options.crew();
        #[cfg(not(feature = "redis"))]
        let crew = Crew::Workers;
        let staff = match crew {
            Crew::Workers => options.workers,
            #[cfg(feature = "redis")]
            Crew::Hosts(_) => 0,
        };
        Ok(Arc::new(Core {
            board: Board::new(staff.max(1))?,
            desks: desk::make(staff.max(1))?,
            orders: Queue::builder().capacity(CELLS).max_message(MOST_MESSAGE).build()?,
            bell: Event::new()?,
            alarm: EventFd::new()?,
            gate: Gate::default(),
            attended: Attended::default(),
            callbacks: Callbacks::start()?,
            hub: Mutex::new(Hub::new(crew, staff)),
            posted: Condvar::new(),
            staff,
            following: AtomicUsize::new(0),
            singles: AtomicU64::new(0),
            generation: fork::generation(),
            options,
        }))
    }

    pub(super) fn hub(&self) -> MutexGuard<'_, Hub> {
        self.hub.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of the next task of a single call. Those of a map begin at 0 in each.
    pub(super) fn next_single(&self) -> u64 {
        // Relaxed: that it is a number of its own is all there is to it.
        self.singles.fetch_add(1, Relaxed)
    }

    /// Whether this process is a forked copy of the pool's.
    pub(super) fn is_copied(&self) -> bool {
        self.generation != fork::generation()
    }

    /// Runs `work` on the books, and then what it has set going.
    pub(super) fn with_hub<R>(&self, work: impl FnOnce(&mut Hub) -> R) -> R {
        let mut hub = self.hub();
        let result = work(&mut hub);
        let endings = hub.take_endings();
        if !endings.is_empty() {
            // Under the lock: who finds the books empty finds this.
            self.following.fetch_add(1, Relaxed);
        }
        if hub.take_asked() {
            self.alarm.raise();
        }
        let is_closing = hub.phase != Phase::Open;
        if hub.phase == Phase::Closed && hub.is_idle() && !self.orders.is_closed() {
            self.orders.close();
            self.alarm.raise();
            self.rouse_post();
        }
        drop(hub);
        if !endings.is_empty() {
            endings.into_iter().for_each(|ending| self.follow(ending));
            // Release: pairs with `is_idle`; the callbacks are where they run.
            self.following.fetch_sub(1, Release);
            // Who joins may be waiting at the bell for just that.
            if is_closing {
                self.stir();
            } else {
                self.gate.wake();
            }
        }
        result
    }

    /// Whether there is nothing left to do: no task has no outcome, and what their ends set going is on its way.
    pub(super) fn is_idle(&self) -> bool {
        self.hub().is_idle() && self.following.load(Acquire) == 0
    }

    /// Does what a job's end has set going.
    pub(super) fn follow(&self, aftermath: Aftermath) {
        aftermath.wakers.into_iter().for_each(|waker| callbacks::contain(|| waker.wake()));
        aftermath.callbacks.into_iter().for_each(|callback| self.callbacks.run(callback));
    }

    /// Whether a job is complete and its callbacks have run. For a callback, which they would have to wait for: whether it is
    /// complete.
    pub(super) fn is_over(&self, job: &Job) -> bool {
        job.is_complete() && (job.is_over() || self.callbacks.are_here())
    }

    /// Why no task can be submitted, if so.
    pub(super) fn check_open(&self) -> Result<(), TaskError> {
        if self.is_copied() {
            return Err(TaskError::ForkedCopy);
        }
        match &self.hub().phase {
            Phase::Open => Ok(()),
            Phase::Closed => Err(TaskError::Closed),
            Phase::Ended(error) => Err(error.clone()),
        }
    }

    pub(super) fn submit(&self, unit: Unit) {
        self.with_hub(|hub| {
            // While there is nothing to do, the keeper does not look at the time.
            if self.options.time_limit.is_some() && hub.is_idle() {
                self.alarm.raise();
            }
            hub.submit(unit, &self.board, &self.orders);
        });
        self.rouse_post();
    }

    /// Has those look who talk to a server. Where nobody does, it would be a system call for nothing, of each task.
    fn rouse_post(&self) {
        if self.staff == 0 {
            self.posted.notify_all();
        }
    }

    /// Whether there are results to come that nobody may be waiting for.
    fn has_unattended(&self) -> bool {
        !self.attended.is_none() || self.hub().has_orphans()
    }

    /// Sees to it that results are collected while nobody waits for them, if some have to be.
    pub(super) fn attend(&self) {
        if !self.is_copied() && self.has_unattended() {
            self.gate.attend();
        }
    }

    /// Takes in all results that there are, and hands out what can be.
    pub(super) fn collect(&self) {
        self.with_hub(|hub| {
            for place in 0..self.staff {
                hub.collect_from(place, &self.board);
            }
            hub.feed(&self.board, &self.orders);
        });
    }

    /// Whoever waits looks again, be it at the gate or, who leads, at the bell.
    pub(super) fn stir(&self) {
        self.bell.set();
        self.gate.wake();
        self.rouse_post();
    }

    /// Waits until `is_done`, which only what results set going makes so. Not in a forked copy, which does not even ask: it
    /// may have been made while another thread held a lock.
    pub(super) fn wait(&self, deadline: Deadline, is_done: impl Fn() -> bool) -> bool {
        if self.is_copied() {
            return false;
        }
        while !is_done() {
            if deadline.has_passed() {
                return false;
            }
            match self.gate.lead() {
                Some(lead) => {
                    self.collect_until(&lead, deadline, &is_done);
                    drop(lead);
                    self.attend();
                }
                None => self.gate.sleep(deadline, |has_leader| !has_leader || is_done()),
            }
        }
        true
    }

    fn collect_until(&self, _lead: &Lead<'_>, deadline: Deadline, is_done: impl Fn() -> bool) {
        let mut look = Deadline::after(PATIENCE);
        loop {
            // Before the look: what comes after it sets it again.
            self.bell.clear();
            self.collect();
            if look.has_passed() {
                self.look_closer();
                look = Deadline::after(PATIENCE);
            }
            if is_done() || deadline.has_passed() {
                return;
            }
            let patience = deadline.within(PATIENCE).remaining().unwrap_or(PATIENCE);
            let _ = self.bell.wait_timeout(patience);
        }
    }

    /// Takes in what workers have not sent, as they are in the midst of long chunks; and looks after what they will never send.
    fn look_closer(&self) {
        let founds = (0..self.staff).filter_map(|place| Desk::of(&self.desks, place).look());
        let founds: Vec<_> = founds.filter(|found| !found.results.is_empty()).collect();
        self.with_hub(|hub| {
            for found in founds {
                hub.collect_desk(&found, &self.board);
            }
            hub.repair(&self.board, &self.orders);
        });
    }

    /// Collects as long as there is anything to, whenever nobody else does; until the pool has ended.
    pub(super) fn attend_always(&self) {
        let has_ended = || matches!(self.hub().phase, Phase::Ended(_));
        let is_idle = || !self.has_unattended();
        while !has_ended() {
            match self.gate.lead() {
                Some(lead) if !is_idle() => self.collect_until(&lead, Deadline::NEVER, || is_idle() || has_ended()),
                lead => {
                    drop(lead);
                    self.gate.rest(|has_leader| !has_leader && !is_idle() || has_ended());
                }
            }
        }
    }
}
