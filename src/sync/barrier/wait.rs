use std::time::Duration;

use super::Barrier;
use crate::error::{BarrierError, BrokenBy, Error, Kind};
use crate::sys::clock::Deadline;
use crate::sys::fork;
use crate::word::meeting::{Arrival, Duty, Meeting};

/// The action of those who have none.
type NoAction = fn();

impl Barrier {
    /// Waits for the others, as long as it takes, or for the time that the [builder](crate::BarrierBuilder::timeout) was told.
    ///
    /// # Errors
    ///
    /// [`Broken`](BarrierError::Broken) if the barrier is broken, or breaks meanwhile, and by what.
    ///
    /// # Examples
    ///
    /// See [`Barrier`].
    #[inline]
    pub fn wait(&self) -> Result<BarrierTurn, BarrierError> {
        self.pass(self.deadline(), None::<NoAction>)
    }

    /// Passes if all others are there already; `None`, and nobody has noticed anything, if they are not.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    ///
    /// # Examples
    ///
    /// ```
    /// let barrier = crossproc::Barrier::new(2)?;
    /// assert_eq!(barrier.try_wait()?, None);
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| barrier.wait().unwrap());
    ///     while barrier.try_wait().unwrap().is_none() {
    ///         std::thread::yield_now();
    ///     }
    /// });
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn try_wait(&self) -> Result<Option<BarrierTurn>, BarrierError> {
        self.try_pass(None::<NoAction>)
    }

    /// Waits for the others, `timeout` at most (monotonic; never shorter). When the time is up the barrier is broken, for all:
    /// also with a timeout of zero, unless all others are there.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    ///
    /// # Examples
    ///
    /// See [`BarrierError`].
    pub fn wait_timeout(&self, timeout: Duration) -> Result<BarrierTurn, BarrierError> {
        self.pass(Deadline::after(timeout), None::<NoAction>)
    }

    /// As [`wait`](Self::wait); and if this party is the last to arrive, it calls `action`, before anybody passes. So one of the
    /// parties does it, if each comes with the same. What it does is seen by all who pass.
    ///
    /// If it panics the barrier is broken, and the panic goes on here. Whose time is up while it runs breaks the barrier, too, as
    /// do `abort` and `reset`; the one that has acted is told then. It must not wait at this barrier.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait); [`ForkedCopy`](Error::ForkedCopy) in a copy of the process if `action` forks.
    ///
    /// # Examples
    ///
    /// ```
    /// let (barrier, sum) = (crossproc::Barrier::new(2)?, crossproc::Value::new(0)?);
    /// std::thread::scope(|scope| {
    ///     for _ in 0..2 {
    ///         scope.spawn(|| {
    ///             barrier.wait_with(|| sum.set(sum.get() + 1)).unwrap();
    ///             assert_eq!(sum.get(), 1);
    ///         });
    ///     }
    /// });
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn wait_with(&self, action: impl FnOnce()) -> Result<BarrierTurn, BarrierError> {
        self.pass(self.deadline(), Some(action))
    }

    /// As [`try_wait`](Self::try_wait), with an action as for [`wait_with`](Self::wait_with).
    ///
    /// # Errors
    ///
    /// As [`wait_with`](Self::wait_with).
    ///
    /// # Examples
    ///
    /// ```
    /// let mut is_done = false;
    /// crossproc::Barrier::new(1)?.try_wait_with(|| is_done = true)?;
    /// assert!(is_done);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn try_wait_with(&self, action: impl FnOnce()) -> Result<Option<BarrierTurn>, BarrierError> {
        self.try_pass(Some(action))
    }

    /// As [`wait_timeout`](Self::wait_timeout), with an action as for [`wait_with`](Self::wait_with).
    ///
    /// # Errors
    ///
    /// As [`wait_with`](Self::wait_with).
    ///
    /// # Examples
    ///
    /// ```
    /// let mut is_done = false;
    /// crossproc::Barrier::new(1)?.wait_with_timeout(std::time::Duration::ZERO, || is_done = true)?;
    /// assert!(is_done);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn wait_with_timeout(&self, timeout: Duration, action: impl FnOnce()) -> Result<BarrierTurn, BarrierError> {
        self.pass(Deadline::after(timeout), Some(action))
    }

    fn deadline(&self) -> Deadline {
        self.timeout.map_or(Deadline::NEVER, Deadline::after)
    }

    #[inline]
    fn pass(&self, deadline: Deadline, action: Option<impl FnOnce()>) -> Result<BarrierTurn, BarrierError> {
        let me = self.enter()?;
        let meeting = self.meeting();
        let arrival = meeting.arrive(me, action.is_some(), deadline, &self.spin)?;
        match arrival.duty {
            Duty::Wait => meeting.wait_for_others(arrival, deadline, &self.spin)?,
            _ => act(meeting, arrival, action)?,
        }
        Ok(BarrierTurn { index: arrival.index })
    }

    fn try_pass(&self, action: Option<impl FnOnce()>) -> Result<Option<BarrierTurn>, BarrierError> {
        let me = self.enter()?;
        let meeting = self.meeting();
        match meeting.try_arrive(me, action.is_some())? {
            Some(arrival) => {
                act(meeting, arrival, action)?;
                Ok(Some(BarrierTurn { index: arrival.index }))
            }
            None => Ok(None),
        }
    }
}

/// What the last one does.
#[inline]
fn act(meeting: Meeting<'_>, arrival: Arrival, action: Option<impl FnOnce()>) -> Result<(), BarrierError> {
    let Some(action) = action else { return Ok(()) };
    let mut unfinished = Unfinished { meeting, arrival, generation: fork::generation() };
    action();
    // A copy that the action has made of this process is not the one that runs it.
    if unfinished.generation != fork::generation() {
        return Err(Error::ForkedCopy { object: Kind::Barrier }.into());
    }
    unfinished.generation = 0;
    Ok(meeting.finish(arrival)?)
}

/// An action that has begun. Dropped by a panic, it breaks the barrier.
struct Unfinished<'a> {
    meeting: Meeting<'a>,
    arrival: Arrival,
    /// The fork generation that runs it; 0: none any more.
    generation: u32,
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if self.generation == fork::generation() {
            self.meeting.break_in_action(self.arrival, BrokenBy::Panic);
        }
    }
}

/// How a party has passed a barrier.
///
/// # Examples
///
/// See [`Barrier`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BarrierTurn {
    index: u32,
}

impl BarrierTurn {
    #[cfg(feature = "redis")]
    pub(crate) fn of(index: usize) -> Self {
        // There are 65,535 parties at most.
        BarrierTurn { index: index as u32 }
    }

    /// How many had arrived before this one: 0 to `parties - 1`, each for one of those who pass together.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(crossproc::Barrier::new(1)?.wait()?.index(), 0);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn index(self) -> usize {
        self.index as usize
    }

    /// Whether this is the one of those who pass together that does what one of them is to do: the first that arrived.
    ///
    /// # Examples
    ///
    /// See [`Barrier`].
    pub fn is_leader(self) -> bool {
        self.index == 0
    }
}
