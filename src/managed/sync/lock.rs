#[cfg(feature = "redis")]
use std::any::Any;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::Manager;
use super::super::engine::Engine;
#[cfg(feature = "redis")]
use super::super::server::{Level, Remote, Waited};
use crate::cell::RawValue;
use crate::error::{Guard, Kind, LockError, Result, TryLockError};
#[cfg(feature = "redis")]
use crate::remote::{self, session::Hold};
use crate::segment::{Arena, Lend, Relock};
#[cfg(feature = "redis")]
use crate::sys::clock::Deadline;

/// Mutual exclusion, as a [`crate::Lock`], with a number for each acquisition.
///
/// [`Manager::lock`] makes one. It travels to other processes in their arguments and results. One at a server can be kept in the containers
/// of its manager; one of this machine in none ([`HandleOutsideTransfer`](crate::Error::HandleOutsideTransfer)).
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
/// # At a server
///
/// Nobody sees a process die there: it counts as dead when it has not been heard for a lease (`lease_ms`, 10 s unless the address says
/// otherwise; a thread of it speaks four times in that time). So the next owner waits for a lease and up to a second, and a process
/// that was stopped for longer, or cut off from the server, has lost the lock, and may go on for a while as if not: what it writes
/// elsewhere can be refused by its token, and [`unlock`](LockGuard::unlock) says so. The token is greater than those before also when
/// the server has lost its data, as long as its clock has not been set back.
///
/// Who waits is woken when the lock becomes free, and tries again each second. A server that does not answer is tried for `timeout_ms`, 5 s;
/// then [`Failed`](LockError::Failed) has [`Unreachable`](crate::Error::Unreachable), or [`Unanswered`](crate::Error::Unanswered) if it may have been locked: then it is
/// given back as soon as the server is there. The same is done about a guard that is dropped meanwhile.
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
    side: Side,
}

/// Where it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Side {
    Local {
        lock: crate::Lock,
        /// How often it has been acquired.
        acquired: RawValue<AtomicU64>,
    },
    #[cfg(feature = "redis")]
    Server(Remote<Lock>),
}

#[cfg(feature = "redis")]
impl Waited for Lock {
    type There = remote::lock::Lock;

    const KIND: Kind = Kind::Lock;

    fn attach(hold: Hold) -> Result<Self::There> {
        Ok(remote::lock::Lock::of(hold, Self::KIND))
    }

    fn hold(there: &Self::There) -> &Hold {
        there.hold()
    }

    fn of(remote: Remote<Self>) -> Self {
        Lock { side: Side::Server(remote) }
    }
}

/// Bytes for both: a page.
const ROOM: usize = 1 << 12;

impl Manager {
    /// A new lock, free.
    ///
    /// # Errors
    ///
    /// Those of [`Lock::new`](crate::Lock::new); at a server those of a [`Dict`](crate::managed::Dict).
    ///
    /// # Examples
    ///
    /// See [`Lock`].
    pub fn lock(&self) -> Result<Lock> {
        match &self.engine {
            Engine::Local(_) => {
                let arena = Arena::new(ROOM)?;
                let acquired = RawValue::new_in(&arena, AtomicU64::new(0))?;
                Ok(Lock { side: Side::Local { lock: crate::Lock::new_in(&arena)?, acquired } })
            }
            #[cfg(feature = "redis")]
            Engine::Server(server) => {
                Ok(Lock::of(Remote::new(remote::lock::Lock::make(server.session(), Kind::Lock)?)))
            }
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
        match &self.side {
            Side::Local { lock, acquired } => {
                let guard = |guard| LockGuard::local(guard, acquired);
                lock.lock().map(guard).map_err(|error| error.map(guard))
            }
            #[cfg(feature = "redis")]
            Side::Server(remote) => {
                Level::lock_ever(remote.there()).map(LockGuard::server).map_err(|error| error.map(LockGuard::server))
            }
        }
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
        match &self.side {
            Side::Local { lock, acquired } => {
                let guard = |guard| LockGuard::local(guard, acquired);
                lock.try_lock().map(guard).map_err(|error| error.map(guard))
            }
            #[cfg(feature = "redis")]
            Side::Server(remote) => Level::lock(remote.there(), Deadline::after(Duration::ZERO))
                .map(LockGuard::server)
                .map_err(|error| error.map(LockGuard::server)),
        }
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
        match &self.side {
            Side::Local { lock, acquired } => {
                let guard = |guard| LockGuard::local(guard, acquired);
                lock.lock_timeout(timeout).map(guard).map_err(|error| error.map(guard))
            }
            #[cfg(feature = "redis")]
            Side::Server(remote) => Level::lock(remote.there(), Deadline::after(timeout))
                .map(LockGuard::server)
                .map_err(|error| error.map(LockGuard::server)),
        }
    }
}

/// A [`Lock`] that is held until this is dropped, also by a panic. It stays on its thread.
#[must_use = "the lock is held only as long as its guard lives"]
#[derive(Debug)]
pub struct LockGuard<'a> {
    turn: Turn<'a>,
}

#[derive(Debug)]
enum Turn<'a> {
    Local {
        guard: crate::LockGuard<'a>,
        token: u64,
        acquired: &'a RawValue<AtomicU64>,
    },
    #[cfg(feature = "redis")]
    Server(Level),
}

impl<'a> LockGuard<'a> {
    fn local(guard: crate::LockGuard<'a>, acquired: &'a RawValue<AtomicU64>) -> Self {
        // Relaxed: between owners the lock orders.
        LockGuard { turn: Turn::Local { guard, token: acquired.fetch_add(1, Relaxed) + 1, acquired } }
    }

    #[cfg(feature = "redis")]
    fn server(level: Level) -> Self {
        LockGuard { turn: Turn::Server(level) }
    }

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
        match &self.turn {
            Turn::Local { token, .. } => *token,
            #[cfg(feature = "redis")]
            Turn::Server(level) => level.fence(),
        }
    }

    /// Gives it back, as dropping it does, and says if it was lost.
    ///
    /// # Errors
    ///
    /// [`ForkedCopy`](crate::Error::ForkedCopy) in a forked copy of the process that has locked. At a server: [`OwnerDied`](crate::Error::OwnerDied) if
    /// it was lost, so that somebody else may have it or have had it, and what was done under it may have met others; and those of the
    /// server: then it is given back when that is there again.
    ///
    /// # Examples
    ///
    /// ```
    /// let lock = crossproc::Manager::start()?.lock()?;
    /// lock.lock()?.unlock()?;
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn unlock(self) -> Result<()> {
        match self.turn {
            Turn::Local { guard, .. } if !Lend::is_ours(&guard) => Err(crate::Error::ForkedCopy { object: Self::KIND }),
            Turn::Local { .. } => Ok(()),
            #[cfg(feature = "redis")]
            Turn::Server(level) => level.unlock(),
        }
    }
}

impl Guard for LockGuard<'_> {
    const KIND: Kind = Kind::Lock;

    /// At a server at once; if that is away, the next owner is told nevertheless.
    fn repair(&mut self) {
        match &mut self.turn {
            Turn::Local { guard, .. } => guard.repair(),
            #[cfg(feature = "redis")]
            Turn::Server(level) => level.repair(),
        }
    }
}

impl Relock for LockGuard<'_> {}

impl Lend for LockGuard<'_> {
    fn is_ours(&self) -> bool {
        match &self.turn {
            Turn::Local { guard, .. } => Lend::is_ours(guard),
            #[cfg(feature = "redis")]
            Turn::Server(level) => level.is_ours(),
        }
    }

    fn lend<R>(self, meanwhile: impl FnOnce() -> R) -> (R, Result<Self, LockError<Self>>) {
        match self.turn {
            Turn::Local { guard, acquired, .. } => {
                let (result, guard) = guard.lend(meanwhile);
                let again = |guard| Self::local(guard, acquired);
                (result, guard.map(again).map_err(|error| error.map(again)))
            }
            #[cfg(feature = "redis")]
            Turn::Server(level) => {
                let (result, level) = level.lend(meanwhile);
                (result, level.map(Self::server).map_err(|error| error.map(Self::server)))
            }
        }
    }

    #[cfg(feature = "redis")]
    fn remote(&mut self) -> Option<&mut dyn Any> {
        match &mut self.turn {
            Turn::Local { .. } => None,
            Turn::Server(level) => Some(level),
        }
    }
}
