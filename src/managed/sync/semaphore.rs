use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::Manager;
use super::super::engine::Engine;
use crate::error::{Result, TryAcquireError};

/// So many at a time, as a [`crate::Semaphore`].
///
/// [`Manager::semaphore`] makes one. It travels as a [`Lock`](super::Lock) does.
///
/// # Death
///
/// The permits of a dead process come back.
///
/// # Examples
///
/// ```
/// use crossproc::Manager;
/// use crossproc::managed::Semaphore;
///
/// # fn main() -> crossproc::Result<()> {
/// crossproc::init();
/// let seats = Manager::start()?.semaphore(2)?;
/// let permit = seats.acquire()?;
/// let count = |seats: Semaphore| seats.value();
/// assert_eq!(crossproc::Process::spawn(count, (&seats,))?.join()??, 1);
/// drop(permit);
/// assert_eq!(seats.value()?, 2);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Semaphore {
    semaphore: crate::Semaphore,
}

impl Manager {
    /// A new semaphore with so many permits, all free.
    ///
    /// # Errors
    ///
    /// Those of [`Semaphore::new`](crate::Semaphore::new).
    ///
    /// # Examples
    ///
    /// See [`Semaphore`].
    pub fn semaphore(&self, permits: usize) -> Result<Semaphore> {
        match &self.engine {
            Engine::Local(_) => Ok(Semaphore { semaphore: crate::Semaphore::new(permits)? }),
            #[cfg(feature = "redis")]
            Engine::Server(_) => Err(crate::managed::server::lacks("a Semaphore")),
        }
    }
}

impl Semaphore {
    /// Waits for a permit as long as it takes.
    ///
    /// # Errors
    ///
    /// Those of [`crate::Semaphore::acquire`].
    ///
    /// # Examples
    ///
    /// See [`Semaphore`].
    pub fn acquire(&self) -> Result<Permit<'_>> {
        self.semaphore.acquire().map(Permit::new)
    }

    /// Takes a permit if one is free, or its owner is dead.
    ///
    /// # Errors
    ///
    /// [`NoPermit`](TryAcquireError::NoPermit) if it finds none; [`Failed`](TryAcquireError::Failed).
    ///
    /// # Examples
    ///
    /// ```
    /// let semaphore = crossproc::Manager::start()?.semaphore(1)?;
    /// let _permit = semaphore.try_acquire()?;
    /// assert!(semaphore.try_acquire().is_err());
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn try_acquire(&self) -> Result<Permit<'_>, TryAcquireError> {
        self.semaphore.try_acquire().map(Permit::new)
    }

    /// Waits for a permit, `timeout` at most (monotonic; never shorter).
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire).
    ///
    /// # Examples
    ///
    /// ```
    /// let semaphore = crossproc::Manager::start()?.semaphore(1)?;
    /// let _permit = semaphore.acquire_timeout(std::time::Duration::from_secs(1))?;
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn acquire_timeout(&self, timeout: Duration) -> Result<Permit<'_>, TryAcquireError> {
        self.semaphore.acquire_timeout(timeout).map(Permit::new)
    }

    /// Makes so many permits free that nobody has, as those that were [forgotten](Permit::forget).
    ///
    /// # Errors
    ///
    /// [`TooManyPermits`](crate::Error::TooManyPermits), and nothing has changed.
    ///
    /// # Examples
    ///
    /// See [`Permit::forget`].
    pub fn release(&self, permits: usize) -> Result<()> {
        self.semaphore.release(permits)
    }

    /// How many permits are free. The answer may be stale when you read it.
    ///
    /// # Errors
    ///
    /// None on this machine.
    ///
    /// # Examples
    ///
    /// See [`Semaphore`].
    pub fn value(&self) -> Result<usize> {
        Ok(self.semaphore.value())
    }
}

/// A permit of a [`Semaphore`], which goes back when this is dropped, also by a panic.
#[must_use = "the permit is kept only as long as its guard lives"]
#[derive(Debug)]
pub struct Permit<'a> {
    permit: crate::Permit<'a>,
}

impl<'a> Permit<'a> {
    fn new(permit: crate::Permit<'a>) -> Self {
        Permit { permit }
    }

    /// Keeps the permit from going back: whoever calls [`release`](Semaphore::release) makes it free again, and nobody's death does.
    ///
    /// # Errors
    ///
    /// None on this machine.
    ///
    /// # Examples
    ///
    /// ```
    /// let semaphore = crossproc::Manager::start()?.semaphore(1)?;
    /// semaphore.acquire()?.forget()?;
    /// assert_eq!(semaphore.value()?, 0);
    /// semaphore.release(1)?;
    /// assert_eq!(semaphore.value()?, 1);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn forget(self) -> Result<()> {
        self.permit.forget();
        Ok(())
    }
}
