//! What somebody has asked a pool for: one call, or all of a map. It gathers the outcomes, in whatever order they come.

use std::collections::VecDeque;
use std::mem;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use super::results::Outcomes;
use crate::error::TaskError;

pub(super) type Callback = Box<dyn FnOnce() + Send>;

pub(super) struct Job {
    pub(super) order: Arrival,
    /// Counted as one that goes on while nobody waits for it, until its end.
    attended: Option<Arc<AtomicUsize>>,
    state: Mutex<State>,
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
    has_ended: bool,
    is_cancelled: bool,
    wakers: Vec<Waker>,
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
        Job { order, attended: None, state: Mutex::default() }
    }

    /// One whose end comes when it comes: whoever counts these sees to it that outcomes are collected.
    pub(super) fn attended(order: Arrival, count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, SeqCst);
        Job { order, attended: Some(Arc::clone(count)), state: Mutex::default() }
    }

    fn end_if_due(&self, state: &mut State) -> Aftermath {
        if !state.is_complete() {
            return Aftermath::default();
        }
        if !state.has_ended
            && let Some(count) = &self.attended
        {
            count.fetch_sub(1, SeqCst);
        }
        state.has_ended = true;
        // With callbacks, the end is when they have returned; but not for a callback that waits.
        Aftermath { wakers: mem::take(&mut state.wakers), callbacks: mem::take(&mut state.callbacks) }
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
        self.end_if_due(&mut state)
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
        self.end_if_due(&mut state)
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
        Some(self.end_if_due(&mut state))
    }

    /// Whether all outcomes are there. Final.
    pub(super) fn is_complete(&self) -> bool {
        self.state().is_complete()
    }

    /// Whether they are, and no callback is to be waited for.
    pub(super) fn is_over(&self) -> bool {
        let state = self.state();
        state.is_complete() && state.calling == 0
    }

    /// Has `waker` woken at the end; false if that has come.
    pub(super) fn wake_at_end(&self, waker: &Waker) -> bool {
        let mut state = self.state();
        if state.is_complete() && state.calling == 0 {
            return false;
        }
        if !state.wakers.iter().any(|known| known.will_wake(waker)) {
            state.wakers.push(waker.clone());
        }
        true
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
        if state.calling == 0 { mem::take(&mut state.wakers) } else { Vec::new() }
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

impl Drop for Job {
    /// Where an input panicked, there was no end.
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if !state.has_ended
            && let Some(count) = &self.attended
        {
            count.fetch_sub(1, SeqCst);
        }
    }
}

pub(super) enum Portion {
    Some(Outcomes),
    NotYet,
    /// Nothing more will come, unless there are more calls.
    End,
}

impl State {
    fn has_outcomes(&self) -> bool {
        self.chunks.front().is_some_and(|chunk| !chunk.outcomes.is_empty()) || !self.arrived.is_empty()
    }

    fn is_complete(&self) -> bool {
        self.is_cancelled || self.is_closed && self.finished >= self.calls
    }
}
