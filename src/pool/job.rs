//! What somebody has asked a pool for: one call, or all of a map. It gathers the outcomes, in whatever order they come.

use std::collections::VecDeque;
use std::mem;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use super::results::Outcomes;
use super::wakers::{Waiter, Wakers};
use crate::error::TaskError;

pub(super) type Callback = Box<dyn FnOnce() + Send>;

pub(super) struct Job {
    pub(super) order: Arrival,
    pub(super) waiting: Waiting,
    state: Mutex<State>,
}

/// What there is of a job in the backlog.
///
/// Relaxed, and no read-modify-writes: the books use it, under their lock.
#[derive(Default)]
pub(super) struct Waiting {
    chunks: AtomicUsize,
    calls: AtomicU64,
    /// Whether some of it keeps more than a few bytes alive.
    is_heavy: AtomicBool,
    is_dropped: AtomicBool,
}

impl Waiting {
    fn set(&self, chunks: usize, calls: u64) {
        self.chunks.store(chunks, Relaxed);
        self.calls.store(calls, Relaxed);
    }

    fn counts(&self) -> (usize, u64) {
        (self.chunks.load(Relaxed), self.calls.load(Relaxed))
    }

    /// A chunk of so many calls has come.
    pub(super) fn add(&self, calls: u32, is_heavy: bool) {
        if is_heavy {
            self.is_heavy.store(true, Relaxed);
        }
        let (chunks, all) = self.counts();
        self.set(chunks + 1, all + u64::from(calls));
    }

    /// One of so many calls has been taken out.
    pub(super) fn remove(&self, calls: u32) {
        let (chunks, all) = self.counts();
        self.set(chunks - 1, all - u64::from(calls));
    }

    /// Nobody wants it any more; how many chunks and calls there were.
    pub(super) fn drop_all(&self) -> (usize, u64) {
        let counts = self.counts();
        self.set(0, 0);
        self.is_dropped.store(true, Relaxed);
        counts
    }

    pub(super) fn is_heavy(&self) -> bool {
        self.is_heavy.load(Relaxed)
    }

    pub(super) fn is_dropped(&self) -> bool {
        self.is_dropped.load(Relaxed)
    }
}

/// How many jobs go on while nobody waits for them: somebody has to see to it that their outcomes are collected.
///
/// Relaxed: whoever asks, and whoever is woken to ask, has locked the gate since.
#[derive(Default)]
pub(super) struct Attended(Arc<AtomicUsize>);

/// One of them, as long as it lives.
struct Attendance(Arc<AtomicUsize>);

impl Attended {
    fn count(&self) -> Attendance {
        self.0.fetch_add(1, Relaxed);
        Attendance(Arc::clone(&self.0))
    }

    pub(super) fn is_none(&self) -> bool {
        self.0.load(Relaxed) == 0
    }
}

impl Drop for Attendance {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// In what portions, and in which order, outcomes are asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrival {
    /// All at the end.
    AtOnce,
    /// One by one, in the order of the calls.
    InOrder,
    /// One by one, as they come.
    AsTheyCome,
}

#[derive(Default)]
struct State {
    /// By the numbers of their chunks, from `taken` on.
    chunks: VecDeque<Chunk>,
    taken: usize,
    /// With [`Arrival::AsTheyCome`], all that has arrived.
    arrived: Outcomes,
    /// Calls so far, and those with outcomes.
    calls: u64,
    finished: u64,
    /// Whether there will be no more calls.
    is_closed: bool,
    /// Until its end, if it goes on while nobody waits for it.
    attendance: Option<Attendance>,
    is_cancelled: bool,
    wakers: Wakers,
    callbacks: Vec<Callback>,
    /// Callbacks that have been handed on and not returned yet.
    calling: usize,
}

#[derive(Default)]
struct Chunk {
    outcomes: Outcomes,
    is_whole: bool,
}

/// What a job's end sets going, outside of all locks.
#[derive(Default)]
pub(super) struct Aftermath {
    pub(super) wakers: Vec<Waker>,
    pub(super) callbacks: Vec<Callback>,
}

impl Job {
    /// One that somebody waits for, and collects its outcomes meanwhile.
    pub(super) fn new(order: Arrival) -> Self {
        Job { order, waiting: Waiting::default(), state: Mutex::default() }
    }

    /// One whose end comes when it comes.
    pub(super) fn attended(order: Arrival, attended: &Attended) -> Self {
        let state = State { attendance: Some(attended.count()), ..State::default() };
        Job { order, waiting: Waiting::default(), state: Mutex::new(state) }
    }

    /// Makes it one whose end comes when it comes, without further calls: nobody waits for it any more.
    pub(super) fn leave(&self, attended: &Attended) -> Aftermath {
        let mut state = self.state();
        state.is_closed = true;
        state.attendance.get_or_insert_with(|| attended.count());
        state.end_if_due()
    }

    /// Makes it one that nobody may be waiting for.
    pub(super) fn attend(&self, attended: &Attended) {
        let mut state = self.state();
        if !state.is_complete() {
            state.attendance.get_or_insert_with(|| attended.count());
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next chunk's number; `None` if nobody wants it any more.
    pub(super) fn add_chunk(&self, calls: u64) -> Option<usize> {
        let mut state = self.state();
        if state.is_cancelled {
            return None;
        }
        state.calls += calls;
        state.chunks.push_back(Chunk::default());
        Some(state.taken + state.chunks.len() - 1)
    }

    /// There will be no more calls.
    pub(super) fn close(&self) -> Aftermath {
        let mut state = self.state();
        state.is_closed = true;
        state.end_if_due()
    }

    /// Takes outcomes of a chunk, the next ones in their order.
    pub(super) fn deliver(&self, chunk: usize, outcomes: Outcomes, calls: u64, is_whole: bool) -> Aftermath {
        let mut state = self.state();
        if state.is_cancelled {
            return Aftermath::default();
        }
        let index = chunk.wrapping_sub(state.taken);
        if self.order == Arrival::AsTheyCome {
            state.arrived.append(outcomes);
        } else if let Some(chunk) = state.chunks.get_mut(index) {
            chunk.outcomes.append(outcomes);
        }
        if let Some(chunk) = state.chunks.get_mut(index) {
            chunk.is_whole |= is_whole;
        }
        state.finished += calls;
        state.end_if_due()
    }

    /// Forgets what has not been taken; whether it was still going on.
    pub(super) fn cancel(&self) -> Option<Aftermath> {
        let mut state = self.state();
        if state.is_complete() {
            return None;
        }
        state.is_cancelled = true;
        state.chunks.clear();
        state.arrived = Outcomes::default();
        Some(state.end_if_due())
    }

    /// Whether all outcomes are there. Final.
    pub(super) fn is_complete(&self) -> bool {
        self.state().is_complete()
    }

    /// Whether nobody wanted its outcomes any more before all were there.
    pub(super) fn is_cancelled(&self) -> bool {
        self.state().is_cancelled
    }

    /// Whether they are, and no callback is to be waited for.
    pub(super) fn is_over(&self) -> bool {
        self.state().is_over()
    }

    /// Has `waker` woken at the end; false if that has come.
    pub(super) fn wake_at_end(&self, waker: &Waker, whose: Waiter) -> bool {
        let mut state = self.state();
        let is_to_come = !state.is_over();
        let replaced = if is_to_come { state.wakers.add(waker, whose) } else { None };
        drop(state);
        drop(replaced);
        is_to_come
    }

    /// Has `callback` called at the end; gives it back if that has come.
    pub(super) fn call_at_end(&self, callback: Callback) -> Option<Callback> {
        let mut state = self.state();
        state.calling += 1;
        if state.is_complete() {
            return Some(callback);
        }
        state.callbacks.push(callback);
        None
    }

    /// A callback has returned.
    pub(super) fn has_called(&self) -> Vec<Waker> {
        let mut state = self.state();
        state.calling = state.calling.saturating_sub(1);
        if state.calling == 0 { state.wakers.take() } else { Vec::new() }
    }

    /// All outcomes of a job that is complete, chunk by chunk.
    pub(super) fn take_all(&self) -> Result<Vec<Outcomes>, TaskError> {
        let mut state = self.state();
        if state.is_cancelled {
            return Err(TaskError::Cancelled);
        }
        Ok(mem::take(&mut state.chunks).into_iter().map(|chunk| chunk.outcomes).collect())
    }

    /// What there is to take by now, for who takes one by one.
    pub(super) fn take_some(&self) -> Portion {
        let mut state = self.state();
        if state.is_cancelled {
            return Portion::End;
        }
        let mut taken = mem::take(&mut state.arrived);
        while let Some(chunk) = state.chunks.front_mut() {
            if taken.is_long() {
                break;
            }
            taken.append(mem::take(&mut chunk.outcomes));
            if !chunk.is_whole {
                break;
            }
            state.chunks.pop_front();
            state.taken += 1;
        }
        if !taken.is_empty() {
            Portion::Some(taken)
        } else if state.is_complete() || state.finished == state.calls {
            Portion::End
        } else {
            Portion::NotYet
        }
    }

    /// Whether there is an outcome to take.
    pub(super) fn has_outcomes(&self) -> bool {
        self.state().has_outcomes()
    }

    /// Whether [`take_some`](Self::take_some) has something to say.
    pub(super) fn has_some(&self) -> bool {
        let state = self.state();
        state.has_outcomes() || state.is_complete() || state.finished == state.calls
    }

    /// Calls so far, and those with an outcome.
    pub(super) fn counts(&self) -> (u64, u64) {
        let state = self.state();
        (state.calls, state.finished)
    }
}

pub(super) enum Portion {
    Some(Outcomes),
    NotYet,
    /// Nothing more will come, unless there are more calls.
    End,
}

impl State {
    fn end_if_due(&mut self) -> Aftermath {
        if !self.is_complete() {
            return Aftermath::default();
        }
        self.attendance = None;
        // With callbacks, the end is when they have returned; but not for a callback that waits.
        Aftermath { wakers: self.wakers.take(), callbacks: mem::take(&mut self.callbacks) }
    }

    fn has_outcomes(&self) -> bool {
        self.chunks.front().is_some_and(|chunk| !chunk.outcomes.is_empty()) || !self.arrived.is_empty()
    }

    fn is_over(&self) -> bool {
        self.is_complete() && self.calling == 0
    }

    fn is_complete(&self) -> bool {
        self.is_cancelled || self.is_closed && self.finished >= self.calls
    }
}
