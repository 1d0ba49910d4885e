use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::Manager;
use super::super::engine::Engine;
use crate::error::{Guard, Kind, LockError, Result, TryLockError};
use crate::segment::{Lend, Relock};

/// Mutual exclusion for a thread that may lock it again, as a [`crate::RLock`].
///
/// [`Manager::rlock`] makes one. It travels as a [`Lock`](super::Lock) does.
///
/// # Concurrency
///
/// One thread has it at a time, until all its guards are dropped.
///
/// # Death
///
/// The next owner is told, with the guard, and so are all after it until one repairs.
///
/// # Examples
///
/// ```
/// use crossproc::managed::RLock;
/// use crossproc::{LockError, Manager, Process};
///
/// # fn main() -> crossproc::Result<()> {
/// crossproc::init();
/// let lock = Manager::start()?.rlock()?;
/// let outer = lock.lock()?;
/// let inner = lock.lock()?; // the same thread
/// let try_it = |lock: RLock| lock.try_lock().is_ok();
/// assert!(!Process::spawn(try_it, (&lock,))?.join()?);
/// drop((outer, inner));
/// assert!(Process::spawn(try_it, (&lock,))?.join()?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RLock {
    lock: crate::RLock,
}

impl Manager {
    /// A new lock that its owner may lock again, free.
    ///
    /// # Errors
    ///
    /// Those of [`RLock::new`](crate::RLock::new).
    ///
    /// # Examples
    ///
    /// See [`RLock`].
    pub fn rlock(&self) -> Result<RLock> {
        match &self.engine {
            Engine::Local(_) => Ok(RLock { lock: crate::RLock::new()? }),
            #[cfg(feature = "redis")]
            Engine::Server(_) => Err(crate::managed::server::lacks("an RLock")),
        }
    }
}

impl RLock {
    /// Waits for the lock as long as it takes, unless this thread has it.
    ///
    /// # Errors
    ///
    /// [`OwnerDied`](LockError::OwnerDied), with the guard, if an owner died and nobody has repaired since;
    /// [`Failed`](LockError::Failed).
    ///
    /// # Examples
    ///
    /// See [`RLock`].
    pub fn lock(&self) -> Result<RLockGuard<'_>, LockError<RLockGuard<'_>>> {
        self.lock.lock().map(RLockGuard::new).map_err(|error| error.map(RLockGuard::new))
    }

    /// Takes the lock if nobody else holds it, or if its owner is dead.
    ///
    /// # Errors
    ///
    /// As [`lock`](Self::lock), and [`Held`](TryLockError::Held) at once if somebody else holds it.
    ///
    /// # Examples
    ///
    /// See [`RLock`].
    pub fn try_lock(&self) -> Result<RLockGuard<'_>, TryLockError<RLockGuard<'_>>> {
        self.lock.try_lock().map(RLockGuard::new).map_err(|error| error.map(RLockGuard::new))
    }

    /// Waits for the lock, `timeout` at most (monotonic; never shorter).
    ///
    /// # Errors
    ///
    /// As [`lock`](Self::lock), and [`Held`](TryLockError::Held) when the time is up.
    ///
    /// # Examples
    ///
    /// ```
    /// let lock = crossproc::Manager::start()?.rlock()?;
    /// let _guard = lock.lock_timeout(std::time::Duration::from_secs(1))?;
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn lock_timeout(&self, timeout: Duration) -> Result<RLockGuard<'_>, TryLockError<RLockGuard<'_>>> {
        self.lock.lock_timeout(timeout).map(RLockGuard::new).map_err(|error| error.map(RLockGuard::new))
    }
}

/// One level of an [`RLock`], held until this is dropped, also by a panic. It stays on its thread.
#[must_use = "the lock is held only as long as its guard lives"]
#[derive(Debug)]
pub struct RLockGuard<'a> {
    guard: crate::RLockGuard<'a>,
}

impl<'a> RLockGuard<'a> {
    fn new(guard: crate::RLockGuard<'a>) -> Self {
        RLockGuard { guard }
    }
}

impl Guard for RLockGuard<'_> {
    const KIND: Kind = Kind::RLock;

    fn repair(&mut self) {
        self.guard.repair();
    }
}

impl Relock for RLockGuard<'_> {}

impl Lend for RLockGuard<'_> {
    fn is_ours(&self) -> bool {
        Lend::is_ours(&self.guard)
    }

    fn lend<R>(self, meanwhile: impl FnOnce() -> R) -> (R, Result<Self, LockError<Self>>) {
        let (result, guard) = self.guard.lend(meanwhile);
        (result, guard.map(Self::new).map_err(|error| error.map(Self::new)))
    }
}
