use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::Manager;
use super::super::engine::Engine;
use crate::cell::RawValue;
use crate::error::{Guard, Kind, LockError, Result, TryLockError};
use crate::segment::{Arena, Lend, Relock};

/// Mutual exclusion, as a [`crate::Lock`], with a number for each acquisition.
///
/// [`Manager::lock`] makes one. It travels to other processes in their arguments, and through queues; it cannot be kept in a container
/// ([`HandleOutsideTransfer`](crate::Error::HandleOutsideTransfer)).
///
/// # Concurrency
///
/// One thread has it at a time. [`token`](LockGuard::token) tells those who had it apart, for what is guarded but somewhere else: who
/// keeps the largest number that it has seen, and refuses smaller ones, is safe from somebody who had the lock, lost it (by a `fork`, or
/// because it was taken for dead somewhere else), and goes on as if not.
///
/// # Death
///
/// The next owner is told, with the guard, and so are all after it until one repairs.
///
/// # Examples
///
/// ```
/// use crossproc::managed::{Dict, Lock};
/// use crossproc::{LockError, Manager, Process};
///
/// fn add(counts: Dict<String, u32>, lock: Lock) -> crossproc::Result<()> {
///     let _guard = lock.lock().or_else(LockError::repair)?;
///     let count = counts.get("visits")?.unwrap_or(0);
///     counts.insert("visits", count + 1)?;
///     Ok(())
/// }
///
/// # fn main() -> crossproc::Result<()> {
/// crossproc::init();
/// let manager = Manager::start()?;
/// let (counts, lock) = (manager.dict()?, manager.lock()?);
/// let children: Vec<_> = (0..4).map(|_| Process::spawn(add, (&counts, &lock))).collect::<Result<_, _>>()?;
/// for child in children {
///     child.join()??;
/// }
/// assert_eq!(counts.get("visits")?, Some(4));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Lock {
    lock: crate::Lock,
    /// How often it has been acquired.
    acquired: RawValue<AtomicU64>,
}

/// Bytes for both: a page.
const ROOM: usize = 1 << 12;

impl Manager {
    /// A new lock, free.
    ///
    /// # Errors
    ///
    /// Those of [`Lock::new`](crate::Lock::new).
    ///
    /// # Examples
    ///
    /// See [`Lock`].
    pub fn lock(&self) -> Result<Lock> {
        match &self.engine {
            Engine::Local(_) => {
                let arena = Arena::new(ROOM)?;
                let acquired = RawValue::new_in(&arena, AtomicU64::new(0))?;
                Ok(Lock { lock: crate::Lock::new_in(&arena)?, acquired })
            }
            #[cfg(feature = "redis")]
            Engine::Server(_) => Err(crate::managed::server::lacks("a Lock")),
        }
    }
}

impl Lock {
    /// Waits for the lock as long as it takes.
    ///
    /// # Errors
    ///
    /// [`OwnerDied`](LockError::OwnerDied), with the guard, if an owner died and nobody has repaired since;
    /// [`AlreadyHeld`](LockError::AlreadyHeld) if this thread holds it; [`Failed`](LockError::Failed).
    ///
    /// # Examples
    ///
    /// See [`Lock`].
    pub fn lock(&self) -> Result<LockGuard<'_>, LockError<LockGuard<'_>>> {
        self.lock.lock().map(|guard| self.guard(guard)).map_err(|error| error.map(|guard| self.guard(guard)))
    }

    /// Takes the lock if nobody holds it, or if its owner is dead.
    ///
    /// # Errors
    ///
    /// As [`lock`](Self::lock), and [`Held`](TryLockError::Held) at once if somebody else holds it.
    ///
    /// # Examples
    ///
    /// ```
    /// let lock = crossproc::Manager::start()?.lock()?;
    /// assert!(lock.try_lock().is_ok());
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn try_lock(&self) -> Result<LockGuard<'_>, TryLockError<LockGuard<'_>>> {
        self.tried(self.lock.try_lock())
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
    /// let lock = crossproc::Manager::start()?.lock()?;
    /// let _guard = lock.lock_timeout(std::time::Duration::from_secs(1))?;
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn lock_timeout(&self, timeout: Duration) -> Result<LockGuard<'_>, TryLockError<LockGuard<'_>>> {
        self.tried(self.lock.lock_timeout(timeout))
    }

    fn tried<'a>(
        &'a self,
        tried: Result<crate::LockGuard<'a>, TryLockError<crate::LockGuard<'a>>>,
    ) -> Result<LockGuard<'a>, TryLockError<LockGuard<'a>>> {
        tried.map(|guard| self.guard(guard)).map_err(|error| error.map(|guard| self.guard(guard)))
    }

    fn guard<'a>(&'a self, guard: crate::LockGuard<'a>) -> LockGuard<'a> {
        // Relaxed: between owners the lock orders.
        LockGuard { lock: self, token: self.acquired.fetch_add(1, Relaxed) + 1, guard }
    }
}

/// A [`Lock`] that is held until this is dropped, also by a panic. It stays on its thread.
#[must_use = "the lock is held only as long as its guard lives"]
#[derive(Debug)]
pub struct LockGuard<'a> {
    lock: &'a Lock,
    token: u64,
    guard: crate::LockGuard<'a>,
}

impl LockGuard<'_> {
    /// A number that is larger than those of all who had the lock before.
    ///
    /// # Examples
    ///
    /// ```
    /// let lock = crossproc::Manager::start()?.lock()?;
    /// let first = lock.lock()?.token();
    /// assert!(lock.lock()?.token() > first);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn token(&self) -> u64 {
        self.token
    }
}

impl Guard for LockGuard<'_> {
    const KIND: Kind = Kind::Lock;

    fn repair(&mut self) {
        self.guard.repair();
    }
}

impl Relock for LockGuard<'_> {}

impl Lend for LockGuard<'_> {
    fn is_ours(&self) -> bool {
        self.guard.is_ours()
    }

    fn lend<R>(self, meanwhile: impl FnOnce() -> R) -> (R, Result<Self, LockError<Self>>) {
        let lock = self.lock;
        let (result, guard) = self.guard.lend(meanwhile);
        (result, guard.map(|guard| lock.guard(guard)).map_err(|error| error.map(|guard| lock.guard(guard))))
    }
}
