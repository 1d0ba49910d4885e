#[cfg(feature = "redis")]
use std::any::Any;
use std::marker::PhantomData;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::Manager;
use super::super::engine::Engine;
#[cfg(feature = "redis")]
use super::super::server::{Level, Remote, Waited};
use crate::error::{Guard, Kind, LockError, Result, TryLockError};
#[cfg(feature = "redis")]
use crate::remote::{self, session::Hold};
use crate::segment::{Lend, Relock};
#[cfg(feature = "redis")]
use crate::sys::clock::Deadline;

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
/// # At a server
///
/// As of a [`Lock`](super::Lock): a process counts as dead when it was not heard for a lease. All levels of its threads are lost then.
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
    side: Side,
}

/// Where it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Side {
    Local(crate::RLock),
    #[cfg(feature = "redis")]
    Server(Remote<RLock>),
}

#[cfg(feature = "redis")]
impl Waited for RLock {
    type There = remote::lock::Lock;

    const KIND: Kind = Kind::RLock;

    fn attach(hold: Hold) -> Result<Self::There> {
        Ok(remote::lock::Lock::of(hold, Self::KIND))
    }

    fn hold(there: &Self::There) -> &Hold {
        there.hold()
    }

    fn of(remote: Remote<Self>) -> Self {
        RLock { side: Side::Server(remote) }
    }
}

impl Manager {
    /// A new lock that its owner may lock again, free.
    ///
    /// # Errors
    ///
    /// Those of [`RLock::new`](crate::RLock::new); at a server those of a [`Dict`](crate::managed::Dict).
    ///
    /// # Examples
    ///
    /// See [`RLock`].
    pub fn rlock(&self) -> Result<RLock> {
        match &self.engine {
            Engine::Local(_) => Ok(RLock { side: Side::Local(crate::RLock::new()?) }),
            #[cfg(feature = "redis")]
            Engine::Server(server) => {
                Ok(RLock::of(Remote::new(remote::lock::Lock::make(server.session(), Kind::RLock)?)))
            }
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
        match &self.side {
            Side::Local(lock) => lock.lock().map(RLockGuard::local).map_err(|error| error.map(RLockGuard::local)),
            #[cfg(feature = "redis")]
            Side::Server(remote) => {
                Level::lock_ever(remote.there()).map(RLockGuard::server).map_err(|error| error.map(RLockGuard::server))
            }
        }
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
        match &self.side {
            Side::Local(lock) => lock.try_lock().map(RLockGuard::local).map_err(|error| error.map(RLockGuard::local)),
            #[cfg(feature = "redis")]
            Side::Server(remote) => Level::lock(remote.there(), Deadline::after(Duration::ZERO))
                .map(RLockGuard::server)
                .map_err(|error| error.map(RLockGuard::server)),
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
    /// let lock = crossproc::Manager::start()?.rlock()?;
    /// let _guard = lock.lock_timeout(std::time::Duration::from_secs(1))?;
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn lock_timeout(&self, timeout: Duration) -> Result<RLockGuard<'_>, TryLockError<RLockGuard<'_>>> {
        match &self.side {
            Side::Local(lock) => {
                lock.lock_timeout(timeout).map(RLockGuard::local).map_err(|error| error.map(RLockGuard::local))
            }
            #[cfg(feature = "redis")]
            Side::Server(remote) => Level::lock(remote.there(), Deadline::after(timeout))
                .map(RLockGuard::server)
                .map_err(|error| error.map(RLockGuard::server)),
        }
    }
}

/// One level of an [`RLock`], held until this is dropped, also by a panic. It stays on its thread.
#[must_use = "the lock is held only as long as its guard lives"]
#[derive(Debug)]
pub struct RLockGuard<'a> {
    turn: Turn<'a>,
    lock: PhantomData<&'a RLock>,
}

#[derive(Debug)]
enum Turn<'a> {
    Local(crate::RLockGuard<'a>),
    #[cfg(feature = "redis")]
    Server(Level),
}

impl<'a> RLockGuard<'a> {
    fn local(guard: crate::RLockGuard<'a>) -> Self {
        RLockGuard { turn: Turn::Local(guard), lock: PhantomData }
    }

    #[cfg(feature = "redis")]
    fn server(level: Level) -> Self {
        RLockGuard { turn: Turn::Server(level), lock: PhantomData }
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
    /// let lock = crossproc::Manager::start()?.rlock()?;
    /// lock.lock()?.unlock()?;
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn unlock(self) -> Result<()> {
        match self.turn {
            Turn::Local(guard) if !Lend::is_ours(&guard) => Err(crate::Error::ForkedCopy { object: Self::KIND }),
            Turn::Local(_) => Ok(()),
            #[cfg(feature = "redis")]
            Turn::Server(level) => level.unlock(),
        }
    }
}

impl Guard for RLockGuard<'_> {
    const KIND: Kind = Kind::RLock;

    /// At a server at once; if that is away, the next owner is told nevertheless.
    fn repair(&mut self) {
        match &mut self.turn {
            Turn::Local(guard) => guard.repair(),
            #[cfg(feature = "redis")]
            Turn::Server(level) => level.repair(),
        }
    }
}

impl Relock for RLockGuard<'_> {}

impl Lend for RLockGuard<'_> {
    fn is_ours(&self) -> bool {
        match &self.turn {
            Turn::Local(guard) => Lend::is_ours(guard),
            #[cfg(feature = "redis")]
            Turn::Server(level) => level.is_ours(),
        }
    }

    fn lend<R>(self, meanwhile: impl FnOnce() -> R) -> (R, Result<Self, LockError<Self>>) {
        match self.turn {
            Turn::Local(guard) => {
                let (result, guard) = guard.lend(meanwhile);
                (result, guard.map(Self::local).map_err(|error| error.map(Self::local)))
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
            Turn::Local(_) => None,
            Turn::Server(level) => Some(level),
        }
    }
}
