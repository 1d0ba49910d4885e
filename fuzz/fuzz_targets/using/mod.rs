//! What is done with an object that hostile bytes have made: whatever it answers, it answers in time.

pub mod cells;
pub mod queues;
pub mod sync;

use std::time::Duration;

use crossproc::{Error, Guard, Result, TryLockError};

/// The longest that any operation waits here for a lock that a forged owner holds.
const MOMENT: Duration = Duration::from_millis(1);

/// Of the outcomes of a lock, those that hostile bytes can bring about; `true` if the lock was got, and is clean now.
///
/// Nobody else is there, so whoever the word names as the owner is dead, except this process itself.
fn is_got<G: Guard>(outcome: Result<G, TryLockError<G>>) -> bool {
    match outcome {
        Ok(_) => true,
        Err(TryLockError::OwnerDied(mut guard)) => {
            guard.repair();
            true
        }
        Err(TryLockError::Held | TryLockError::AlreadyHeld) => false,
        Err(TryLockError::Failed(error)) => panic!("{error:?}"),
    }
}

/// As `is_got`, for an operation that takes the lock itself.
fn is_done<R>(outcome: Result<R>) -> Option<R> {
    match outcome {
        Ok(result) => Some(result),
        Err(Error::Held { .. } | Error::AlreadyHeld { .. }) => None,
        Err(other) => panic!("{other:?}"),
    }
}
