//! Deadlines on the monotonic clock.

#![allow(unsafe_code)]

use std::time::{Duration, Instant};

/// The moment at which a wait gives up, or never.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    at: Option<Instant>,
}

impl Deadline {
    pub(crate) const NEVER: Deadline = Deadline { at: None };

    /// `timeout` from now; a timeout beyond what the clock can name is no timeout.
    pub(crate) fn after(timeout: Duration) -> Self {
        Deadline { at: Instant::now().checked_add(timeout) }
    }

    pub(crate) fn has_passed(self) -> bool {
        self.at.is_some_and(|at| Instant::now() >= at)
    }

    /// How long there is to wait, `None` for ever.
    pub(crate) fn remaining(self) -> Option<Duration> {
        self.at.map(|at| at.saturating_duration_since(Instant::now()))
    }
}

/// Whether it is time to ask the kernel again for something that changes rarely: at most once a tick of the kernel's
/// clock, some milliseconds, however often one is asked for it. A look at the coarse clock costs 5 ns.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    last: (i64, i64),
}

impl Pace {
    /// True in the first call of every tick.
    #[inline]
    pub(crate) fn is_due(&mut self) -> bool {
        let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: `now` is writable. The call fails for unknown clocks only.
        unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_COARSE, &raw mut now) };
        let now = (now.tv_sec, now.tv_nsec);
        now != std::mem::replace(&mut self.last, now)
    }
}
