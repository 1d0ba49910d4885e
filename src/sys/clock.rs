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

    /// This moment, or `limit` from now if that is sooner.
    pub(crate) fn within(self, limit: Duration) -> Self {
        let latest = Deadline::after(limit);
        Deadline { at: self.at.into_iter().chain(latest.at).min() }
    }

    pub(crate) fn has_passed(self) -> bool {
        self.at.is_some_and(|at| Instant::now() >= at)
    }

    /// How long there is to wait, `None` for ever.
    pub(crate) fn remaining(self) -> Option<Duration> {
        self.at.map(|at| at.saturating_duration_since(Instant::now()))
    }
}

/// Nanoseconds of the monotonic clock, which all processes share.
pub(crate) fn nanoseconds() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a writable timespec.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    now.tv_sec.cast_unsigned() * 1_000_000_000 + now.tv_nsec.cast_unsigned()
}

/// Milliseconds of the monotonic clock as of the last tick: for a fraction of what the exact time costs.
pub(crate) fn coarse_milliseconds() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a writable timespec.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_COARSE, &raw mut now) };
    now.tv_sec.cast_unsigned() * 1_000 + now.tv_nsec.cast_unsigned() / 1_000_000
}

/// Whether it is time to ask the kernel again for something that changes rarely: at most once a tick of its clock, some
/// milliseconds, however often one is asked for it.
///
/// The look at the clock (5 ns) is left out in most calls of a dense series: after a pause in one, up to
/// [`DENSE`](Self::DENSE) calls may pass before it is due.
#[derive(Debug, Default)]
pub(crate) struct OncePerTick {
    last: u64,
    /// How many looks in a row have found the same tick, up to `DENSE`.
    looks: u32,
    /// Calls that need not look.
    free: u32,
}

impl OncePerTick {
    /// So many calls within a tick are a dense series.
    const DENSE: u32 = 16;

    /// True once in every tick, of a series that is not dense in the first call.
    #[inline]
    pub(crate) fn is_due(&mut self) -> bool {
        if self.free > 0 {
            self.free -= 1;
            return false;
        }
        self.look()
    }

    fn look(&mut self) -> bool {
        let now = coarse_milliseconds();
        if now != std::mem::replace(&mut self.last, now) {
            self.looks = 0;
            return true;
        }
        self.looks = (self.looks + 1).min(Self::DENSE);
        if self.looks == Self::DENSE {
            self.free = Self::DENSE - 1;
        }
        false
    }
}
