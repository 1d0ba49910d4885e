use std::time::Duration;

use super::Barrier;
use crate::error::Result;
use crate::segment::place::Home;
use crate::segment::{Arena, PEERS};

/// More about a [`Barrier`] than its parties.
///
/// # Examples
///
/// ```
/// use crossproc::{Barrier, BarrierError, BrokenBy};
/// use std::time::Duration;
///
/// let barrier = Barrier::builder().parties(2).timeout(Duration::from_millis(1)).build()?;
/// assert_eq!(barrier.wait(), Err(BarrierError::Broken(BrokenBy::Timeout)));
/// # Ok::<(), crossproc::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder makes nothing until it is told to"]
pub struct BarrierBuilder {
    parties: usize,
    timeout: Option<Duration>,
}

impl BarrierBuilder {
    pub(super) fn new() -> Self {
        BarrierBuilder { parties: 1, timeout: None }
    }

    /// How many parties it takes: 1 to 65,535, 1 unless told.
    ///
    /// # Examples
    ///
    /// See [`BarrierBuilder`].
    pub fn parties(self, parties: usize) -> Self {
        BarrierBuilder { parties, ..self }
    }

    /// How long a [`wait`](Barrier::wait) lasts at most, in all processes: for ever unless told.
    ///
    /// # Examples
    ///
    /// See [`BarrierBuilder`].
    pub fn timeout(self, timeout: Duration) -> Self {
        BarrierBuilder { timeout: Some(timeout), ..self }
    }

    /// The barrier, in memory of its own.
    ///
    /// # Errors
    ///
    /// As [`Barrier::new`].
    ///
    /// # Examples
    ///
    /// See [`BarrierBuilder`].
    pub fn build(self) -> Result<Barrier> {
        Barrier::create(Home::Own, PEERS, self.parties, self.timeout)
    }

    /// The barrier in an arena.
    ///
    /// # Errors
    ///
    /// As [`Barrier::new_in`].
    ///
    /// # Examples
    ///
    /// ```
    /// let arena = crossproc::Arena::new(4096)?;
    /// let barrier = crossproc::Barrier::builder().parties(2).build_in(&arena)?;
    /// assert_eq!(barrier.parties(), 2);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn build_in(self, arena: &Arena) -> Result<Barrier> {
        Barrier::create(arena.home(), arena.peers(), self.parties, self.timeout)
    }
}
