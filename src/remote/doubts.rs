//! Requests that were given up, and that a server may still carry out.
//!
//! It must not: its end of their connections is closed before this process asks for anything else there, whichever thread does. Otherwise
//! it could carry them out over what was asked for since. If no thread asks, the one that renews the session does.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use super::link::Seat;
use crate::sys::fork;

/// Connections over which something was asked that is given up.
#[derive(Default)]
pub(super) struct Doubts {
    /// Whether there are any, so that who asks need not lock. Relaxed: it is changed under the lock, and who knows that a request was given
    /// up before it asks itself is told so by the thread that gave it up.
    any: AtomicBool,
    /// Those of one fork generation: a forked copy has given up nothing.
    known: Mutex<(u32, Vec<Seat>)>,
}

impl Doubts {
    pub(super) fn add(&self, seat: Seat) {
        self.with(|seats| seats.push(seat));
    }

    pub(super) fn all(&self) -> Vec<Seat> {
        if self.any.load(Relaxed) { self.with(|seats| seats.clone()) } else { Vec::new() }
    }

    /// Nothing comes of this one any more.
    pub(super) fn settled(&self, seat: &Seat) {
        self.with(|seats| seats.retain(|known| known != seat));
    }

    fn with<R>(&self, work: impl FnOnce(&mut Vec<Seat>) -> R) -> R {
        let _no_fork = fork::exclude();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.0 != fork::generation() {
            *known = (fork::generation(), Vec::new());
        }
        let result = work(&mut known.1);
        self.any.store(!known.1.is_empty(), Relaxed);
        result
    }
}
