//! Deadlines on the monotonic clock.

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
