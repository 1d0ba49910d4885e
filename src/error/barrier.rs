use std::fmt;

use serde::{Deserialize, Serialize};

use super::Error;

/// What has broken a barrier, as far as it is known.
///
/// # Examples
///
/// ```
/// assert_eq!(crossproc::BrokenBy::Abort.to_string(), "somebody has aborted it");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum BrokenBy {
    /// A process died that had a handle of it, or a message that carried one was lost.
    Death,
    /// Somebody's time was up.
    Timeout,
    /// Somebody has called [`abort`](crate::Barrier::abort).
    Abort,
    /// An action has panicked.
    Panic,
    /// Somebody has called [`reset`](crate::Barrier::reset): while the others waited, or after it was broken, before this party
    /// had seen why.
    Reset,
}

impl fmt::Display for BrokenBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BrokenBy::Death => "a process died that had a handle of it",
            BrokenBy::Timeout => "somebody's time was up",
            BrokenBy::Abort => "somebody has aborted it",
            BrokenBy::Panic => "an action has panicked",
            BrokenBy::Reset => "somebody has reset it",
        })
    }
}

/// Why a party did not pass a barrier.
///
/// # Examples
///
/// ```
/// use crossproc::{Barrier, BarrierError, BrokenBy};
/// use std::time::Duration;
///
/// let barrier = Barrier::new(2)?;
/// // Nobody else comes, and then it is broken for all.
/// let broken = Err(BarrierError::Broken(BrokenBy::Timeout));
/// assert_eq!(barrier.wait_timeout(Duration::from_millis(1)), broken);
/// assert_eq!(barrier.wait(), broken);
/// # Ok::<(), crossproc::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BarrierError {
    /// The barrier is broken, for all that wait or come, until somebody resets it.
    #[error("the barrier is broken: {0}")]
    Broken(BrokenBy),
    /// This process is a forked copy and could not become a peer of its own.
    #[error(transparent)]
    Failed(#[from] Error),
}

impl From<BrokenBy> for BarrierError {
    fn from(by: BrokenBy) -> Self {
        BarrierError::Broken(by)
    }
}

impl From<BarrierError> for Error {
    fn from(error: BarrierError) -> Self {
        match error {
            BarrierError::Broken(by) => Error::BrokenBarrier { by },
            BarrierError::Failed(error) => error,
        }
    }
}
