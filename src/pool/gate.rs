//! Who collects results: one thread at a time, and if possible one that waits for them, as then nobody has to be woken.
//!
//! A thread that waits for its results leads: it sleeps at the workers' bell and hands out what arrives, also what others wait for,
//! who sleep here. While nobody waits and there is something to collect, the pool's own thread, the attendant, leads. Whoever
//! stops leading tells the others.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::sys::clock::Deadline;

#[derive(Default)]
pub(super) struct Gate {
    state: Mutex<State>,
    /// For threads that wait for their results.
    moved: Condvar,
    /// For the attendant.
    wanted: Condvar,
}

#[derive(Default)]
struct State {
    has_leader: bool,
    /// Threads that sleep here.
    sleepers: u32,
    is_attendant_asleep: bool,
}

/// The right to collect.
pub(super) struct Lead<'a> {
    gate: &'a Gate,
}

impl Gate {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leads, unless somebody does.
    pub(super) fn lead(&self) -> Option<Lead<'_>> {
        let mut state = self.state();
        let is_free = !state.has_leader;
        state.has_leader = true;
        is_free.then(|| Lead { gate: self })
    }

    /// Waits for something to happen, unless `is_due` holds already, given whether somebody leads.
    pub(super) fn sleep(&self, deadline: Deadline, is_due: impl Fn(bool) -> bool) {
        let mut state = self.state();
        if is_due(state.has_leader) {
            return;
        }
        state.sleepers += 1;
        let timeout = deadline.remaining().unwrap_or(Duration::MAX);
        let waited = self.moved.wait_timeout(state, timeout);
        waited.unwrap_or_else(PoisonError::into_inner).0.sleepers -= 1;
    }

    /// Something has happened that others may wait for.
    pub(super) fn wake(&self) {
        if self.state().sleepers > 0 {
            self.moved.notify_all();
        }
    }

    /// The attendant waits for work, unless there is some.
    pub(super) fn rest(&self, is_due: impl Fn(bool) -> bool) {
        let mut state = self.state();
        if is_due(state.has_leader) {
            return;
        }
        state.is_attendant_asleep = true;
        let waited = self.wanted.wait(state);
        waited.unwrap_or_else(PoisonError::into_inner).is_attendant_asleep = false;
    }

    /// Has the attendant look again, whoever leads: a leader that stops tells it only of what there is to collect.
    pub(super) fn dismiss(&self) {
        if self.state().is_attendant_asleep {
            self.wanted.notify_one();
        }
    }

    /// Has the attendant lead if nobody does.
    pub(super) fn attend(&self) {
        let state = self.state();
        if state.is_attendant_asleep && !state.has_leader {
            self.wanted.notify_one();
        }
    }
}

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        let mut state = self.gate.state();
        state.has_leader = false;
        if state.sleepers > 0 {
            self.gate.moved.notify_all();
        }
    }
}
