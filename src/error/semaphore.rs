use super::Error;

/// Why a `try_acquire` or an `acquire_timeout` did not give a permit.
///
/// # Examples
///
/// ```
/// use crossproc::{Semaphore, TryAcquireError};
/// use std::time::Duration;
///
/// let semaphore = Semaphore::new(1)?;
/// let _permit = semaphore.acquire()?;
/// assert!(matches!(semaphore.try_acquire(), Err(TryAcquireError::NoPermit)));
/// assert!(matches!(semaphore.acquire_timeout(Duration::from_millis(1)), Err(TryAcquireError::NoPermit)));
/// # Ok::<(), crossproc::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TryAcquireError {
    /// No permit is free, and none was until the time was up.
    #[error("no permit is free")]
    NoPermit,
    /// This process is a forked copy and could not become a peer of its own.
    #[error(transparent)]
    Failed(#[from] Error),
}

impl From<TryAcquireError> for Error {
    fn from(error: TryAcquireError) -> Self {
        match error {
            TryAcquireError::NoPermit => Error::NoPermit,
            TryAcquireError::Failed(error) => error,
        }
    }
}
