//! Passing a barrier, with an action or without.

use std::panic::{self, AssertUnwindSafe};

use super::{Arrived, Barrier};
use crate::error::BarrierError;
use crate::sys::clock::Deadline;

/// The action of those who have none.
pub(crate) type NoAction = fn();

impl Barrier {
    /// Waits for the others; the last one runs its action before any passes. How many had come before this one.
    pub(crate) fn pass(&self, deadline: Deadline, action: Option<impl FnOnce()>) -> Result<usize, BarrierError> {
        let arrived = self.arrive(action.is_some(), deadline)?;
        self.act(arrived, action)
    }

    /// The same if all others are there already; otherwise nobody has noticed anything.
    pub(crate) fn try_pass(&self, action: Option<impl FnOnce()>) -> Result<Option<usize>, BarrierError> {
        let arrived = self.try_arrive(action.is_some())?;
        arrived.map(|arrived| self.act(arrived, action)).transpose()
    }

    fn act(&self, arrived: Arrived, action: Option<impl FnOnce()>) -> Result<usize, BarrierError> {
        let duty = match arrived {
            Arrived::Passed(index) => return Ok(index),
            Arrived::Act(duty) => duty,
        };
        let done = panic::catch_unwind(AssertUnwindSafe(|| {
            if let Some(action) = action {
                action();
            }
        }));
        // A copy that the action has made of this process is not the one that runs it: that is told here.
        match done {
            Ok(()) => self.finish(duty),
            Err(panic) => {
                // If the server is away, the barrier is broken as soon as it is reached.
                let _ = self.fail(duty);
                panic::resume_unwind(panic)
            }
        }
    }
}
