use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::Manager;
use super::super::engine::Engine;
#[cfg(feature = "redis")]
use super::super::server::{self, Remote, Waited};
#[cfg(feature = "redis")]
use crate::error::Kind;
use crate::error::{LockError, Result};
#[cfg(feature = "redis")]
use crate::remote::{self, session::Hold};
use crate::segment::Relock;
use crate::sys::clock::Deadline;

/// Waiting, without the lock, until somebody says that what it guards has changed, as a [`crate::Condvar`].
///
/// [`Manager::condvar`] makes one. It travels as a [`Lock`](super::Lock) does, and works with the guards of a [`Lock`](super::Lock) and of
/// an [`RLock`](super::RLock).
///
/// # Concurrency
///
/// Who waits has begun to when it gives its lock up, so that no notification comes between.
///
/// # Death
///
/// A dead waiter takes no notification: another gets it.
///
/// # At a server
///
/// The same, when the dead one was not heard for a lease (see [`Lock`](super::Lock)): until then it counts, in what
/// [`notify`](Self::notify) returns, too. A wake-up without a notification comes only to a process that counted as dead meanwhile. With a
/// lock that is not at the same server, or is of this machine, waiting takes one step more. If a server does not answer, the lock is given up:
/// [`Failed`](LockError::Failed).
///
/// # Examples
///
/// ```
/// use crossproc::managed::{Condvar, List, Lock};
/// use crossproc::{Manager, Process};
///
/// fn work(jobs: List<u32>, lock: Lock, changed: Condvar) -> crossproc::Result<Option<u32>> {
///     let _guard = changed.wait_while(lock.lock()?, |_| jobs.is_empty() == Ok(true))?;
///     jobs.pop()
/// }
///
/// # fn main() -> crossproc::Result<()> {
/// crossproc::init();
/// let manager = Manager::start()?;
/// let (jobs, lock, changed) = (manager.list([])?, manager.lock()?, manager.condvar()?);
/// let worker = Process::spawn(work, (&jobs, &lock, &changed))?;
/// let guard = lock.lock()?;
/// jobs.push(7)?;
/// changed.notify_one()?;
/// drop(guard);
/// assert_eq!(worker.join()??, Some(7));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Condvar {
    side: Side,
}

/// Where it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Side {
    Local(crate::Condvar),
    #[cfg(feature = "redis")]
    Server(Remote<Condvar>),
}

#[cfg(feature = "redis")]
impl Waited for Condvar {
    type There = remote::condvar::Condvar;

    const KIND: Kind = Kind::Condvar;

    fn attach(hold: Hold) -> Result<Self::There> {
        Ok(remote::condvar::Condvar::of(hold))
    }

    fn hold(there: &Self::There) -> &Hold {
        there.hold()
    }

    fn of(remote: Remote<Self>) -> Self {
        Condvar { side: Side::Server(remote) }
    }
}

impl Manager {
    /// A new condition variable.
    ///
    /// # Errors
    ///
    /// Those of [`Condvar::new`](crate::Condvar::new); at a server those of a [`Dict`](crate::managed::Dict).
    ///
    /// # Examples
    ///
    /// See [`Condvar`].
    pub fn condvar(&self) -> Result<Condvar> {
        match &self.engine {
            Engine::Local(_) => Ok(Condvar { side: Side::Local(crate::Condvar::new()?) }),
            #[cfg(feature = "redis")]
            Engine::Server(server) => Ok(Condvar::of(Remote::new(remote::condvar::Condvar::make(server.session())?))),
        }
    }
}

impl Condvar {
    /// Gives the lock up, waits for a notification, and has the lock again.
    ///
    /// # Errors
    ///
    /// [`OwnerDied`](LockError::OwnerDied), with the guard, if an owner of the lock died meanwhile; and those of
    /// [`crate::Condvar::wait`].
    ///
    /// # Examples
    ///
    /// See [`Condvar`].
    pub fn wait<G: Relock>(&self, guard: G) -> Result<G, LockError<G>> {
        let waited = self.wait_until(guard, Deadline::NEVER);
        waited.map(|(guard, _)| guard).map_err(|error| error.map(|(guard, _)| guard))
    }

    /// As [`wait`](Self::wait), `timeout` at most (monotonic); whether there was a notification.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    ///
    /// # Examples
    ///
    /// ```
    /// let manager = crossproc::Manager::start()?;
    /// let (lock, changed) = (manager.lock()?, manager.condvar()?);
    /// let (_guard, is_notified) = changed.wait_timeout(lock.lock()?, std::time::Duration::from_millis(1))?;
    /// assert!(!is_notified);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn wait_timeout<G: Relock>(&self, guard: G, timeout: Duration) -> Result<(G, bool), LockError<(G, bool)>> {
        self.wait_until(guard, Deadline::after(timeout))
    }

    /// Waits as long as the condition is true, which is asked with the lock.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    ///
    /// # Examples
    ///
    /// See [`Condvar`].
    pub fn wait_while<G: Relock>(
        &self,
        mut guard: G,
        mut condition: impl FnMut(&mut G) -> bool,
    ) -> Result<G, LockError<G>> {
        while condition(&mut guard) {
            guard = self.wait(guard)?;
        }
        Ok(guard)
    }

    /// As [`wait_while`](Self::wait_while), `timeout` at most (monotonic); false if the condition is still true.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    ///
    /// # Examples
    ///
    /// ```
    /// let manager = crossproc::Manager::start()?;
    /// let (lock, changed) = (manager.lock()?, manager.condvar()?);
    /// let second = std::time::Duration::from_secs(1);
    /// let (_guard, is_over) = changed.wait_while_timeout(lock.lock()?, |_| false, second)?;
    /// assert!(is_over);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn wait_while_timeout<G: Relock>(
        &self,
        mut guard: G,
        mut condition: impl FnMut(&mut G) -> bool,
        timeout: Duration,
    ) -> Result<(G, bool), LockError<(G, bool)>> {
        let deadline = Deadline::after(timeout);
        while condition(&mut guard) {
            if deadline.has_passed() {
                return Ok((guard, false));
            }
            let waited = self.wait_until(guard, deadline);
            (guard, _) = waited.map_err(|error| error.map(|(guard, _)| (guard, false)))?;
        }
        Ok((guard, true))
    }

    fn wait_until<G: Relock>(&self, guard: G, deadline: Deadline) -> Result<(G, bool), LockError<(G, bool)>> {
        match &self.side {
            Side::Local(condvar) => condvar.wait_until(guard, deadline),
            #[cfg(feature = "redis")]
            Side::Server(remote) => server::wait_at(remote.there(), guard, deadline),
        }
    }

    /// Wakes the `n` that have waited longest, or all if they are fewer; how many.
    ///
    /// # Errors
    ///
    /// None on this machine; at a server those of a [`Dict`](crate::managed::Dict).
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(crossproc::Manager::start()?.condvar()?.notify(3)?, 0);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn notify(&self, n: usize) -> Result<usize> {
        match &self.side {
            Side::Local(condvar) => Ok(condvar.notify(n)),
            #[cfg(feature = "redis")]
            Side::Server(remote) => remote.there().notify(n),
        }
    }

    /// Wakes the one that has waited longest; whether there was one.
    ///
    /// # Errors
    ///
    /// None on this machine; at a server those of a [`Dict`](crate::managed::Dict).
    ///
    /// # Examples
    ///
    /// See [`Condvar`].
    pub fn notify_one(&self) -> Result<bool> {
        self.notify(1).map(|count| count == 1)
    }

    /// Wakes all who wait; how many.
    ///
    /// # Errors
    ///
    /// None on this machine; at a server those of a [`Dict`](crate::managed::Dict).
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(crossproc::Manager::start()?.condvar()?.notify_all()?, 0);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn notify_all(&self) -> Result<usize> {
        self.notify(usize::MAX)
    }
}
