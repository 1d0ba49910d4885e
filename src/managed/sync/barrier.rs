use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::Manager;
use super::super::engine::Engine;
#[cfg(feature = "redis")]
use super::super::server::{Remote, Waited};
use crate::BarrierTurn;
#[cfg(feature = "redis")]
use crate::error::Kind;
use crate::error::{BarrierError, Result};
#[cfg(feature = "redis")]
use crate::remote::{self, barrier::NoAction, session::Hold};
#[cfg(feature = "redis")]
use crate::sys::clock::Deadline;

/// A number of parties that wait for each other, as a [`crate::Barrier`].
///
/// [`Manager::barrier`] makes one. It travels as a [`Lock`](super::Lock) does.
///
/// # Death
///
/// A process that dies with a handle of it breaks it for the others, who are told so until somebody resets it.
///
/// # At a server
///
/// A process is a party from the first time that it waits, by whichever handle, until that is dropped. It breaks the barrier when it was
/// not heard for a lease (see [`Lock`](super::Lock)), and somebody waits: they look once a second. [`is_broken`](Self::is_broken) does not look
/// for the dead.
///
/// # Errors
///
/// Of the methods that do not wait: none on this machine; at a server those of a [`Dict`](crate::managed::Dict).
///
/// # Examples
///
/// ```
/// use crossproc::managed::Barrier;
/// use crossproc::{Manager, Process};
///
/// fn meet(barrier: Barrier) -> crossproc::Result<bool> {
///     Ok(barrier.wait()?.is_leader())
/// }
///
/// # fn main() -> crossproc::Result<()> {
/// crossproc::init();
/// let barrier = Manager::start()?.barrier(2)?;
/// let other = Process::spawn(meet, (&barrier,))?;
/// let is_leader = barrier.wait()?.is_leader();
/// assert_ne!(other.join()??, is_leader);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Barrier {
    side: Side,
}

/// Where it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Side {
    Local(crate::Barrier),
    #[cfg(feature = "redis")]
    Server(Remote<Barrier>),
}

#[cfg(feature = "redis")]
impl Waited for Barrier {
    type There = remote::barrier::Barrier;

    const KIND: Kind = Kind::Barrier;

    fn attach(hold: Hold) -> Result<Self::There> {
        remote::barrier::Barrier::of(hold)
    }

    fn hold(there: &Self::There) -> &Hold {
        there.hold()
    }

    fn of(remote: Remote<Self>) -> Self {
        Barrier { side: Side::Server(remote) }
    }
}

impl Manager {
    /// A new barrier for so many parties.
    ///
    /// # Errors
    ///
    /// Those of [`Barrier::new`](crate::Barrier::new); at a server those of a [`Dict`](crate::managed::Dict).
    ///
    /// # Examples
    ///
    /// See [`Barrier`].
    pub fn barrier(&self, parties: usize) -> Result<Barrier> {
        match &self.engine {
            Engine::Local(_) => Ok(Barrier { side: Side::Local(crate::Barrier::new(parties)?) }),
            #[cfg(feature = "redis")]
            Engine::Server(server) => {
                Ok(Barrier::of(Remote::new(remote::barrier::Barrier::make(server.session(), parties)?)))
            }
        }
    }
}

impl Barrier {
    /// Waits until all parties have come; which of them this is, and whether it leads.
    ///
    /// # Errors
    ///
    /// [`Broken`](BarrierError::Broken) with what has broken it; [`Failed`](BarrierError::Failed).
    ///
    /// # Examples
    ///
    /// See [`Barrier`].
    pub fn wait(&self) -> Result<BarrierTurn, BarrierError> {
        match &self.side {
            Side::Local(barrier) => barrier.wait(),
            #[cfg(feature = "redis")]
            Side::Server(remote) => pass(remote, Deadline::NEVER, None::<NoAction>),
        }
    }

    /// Passes if all others are there already; `None`, and nobody has noticed anything, if they are not.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    ///
    /// # Examples
    ///
    /// ```
    /// let manager = crossproc::Manager::start()?;
    /// assert_eq!(manager.barrier(2)?.try_wait()?, None);
    /// assert!(manager.barrier(1)?.try_wait()?.is_some());
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn try_wait(&self) -> Result<Option<BarrierTurn>, BarrierError> {
        match &self.side {
            Side::Local(barrier) => barrier.try_wait(),
            #[cfg(feature = "redis")]
            Side::Server(remote) => try_pass(remote, None::<NoAction>),
        }
    }

    /// As [`wait`](Self::wait), `timeout` at most (monotonic); when the time is up, it is broken for all.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::{BarrierError, BrokenBy};
    ///
    /// let barrier = crossproc::Manager::start()?.barrier(2)?;
    /// let alone = barrier.wait_timeout(std::time::Duration::from_millis(1));
    /// assert_eq!(alone.unwrap_err(), BarrierError::Broken(BrokenBy::Timeout));
    /// assert!(barrier.is_broken()?);
    /// barrier.reset()?;
    /// assert!(!barrier.is_broken()?);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn wait_timeout(&self, timeout: Duration) -> Result<BarrierTurn, BarrierError> {
        match &self.side {
            Side::Local(barrier) => barrier.wait_timeout(timeout),
            #[cfg(feature = "redis")]
            Side::Server(remote) => pass(remote, Deadline::after(timeout), None::<NoAction>),
        }
    }

    /// As [`wait`](Self::wait); and if this party is the last to arrive, it calls `action`, before anybody passes. So one of the
    /// parties does it, if each comes with the same. What it does is seen by all who pass.
    ///
    /// If it panics the barrier is broken, and the panic goes on here. Whose time is up while it runs breaks the barrier, too, as do
    /// `abort` and `reset`; the one that has acted is told then. It must not wait at this barrier.
    ///
    /// A process that dies in it breaks the barrier; at a server, so does one that is not heard for a lease.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait); [`ForkedCopy`](crate::Error::ForkedCopy) in a copy of the process if `action` forks.
    ///
    /// # Examples
    ///
    /// ```
    /// let manager = crossproc::Manager::start()?;
    /// let (barrier, sum) = (manager.barrier(2)?, manager.value(0)?);
    /// std::thread::scope(|scope| {
    ///     for _ in 0..2 {
    ///         scope.spawn(|| {
    ///             barrier.wait_with(|| sum.set(sum.get().unwrap() + 1).unwrap()).unwrap();
    ///             assert_eq!(sum.get(), Ok(1));
    ///         });
    ///     }
    /// });
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn wait_with(&self, action: impl FnOnce()) -> Result<BarrierTurn, BarrierError> {
        match &self.side {
            Side::Local(barrier) => barrier.wait_with(action),
            #[cfg(feature = "redis")]
            Side::Server(remote) => pass(remote, Deadline::NEVER, Some(action)),
        }
    }

    /// As [`try_wait`](Self::try_wait), with an action as for [`wait_with`](Self::wait_with).
    ///
    /// # Errors
    ///
    /// As [`wait_with`](Self::wait_with).
    ///
    /// # Examples
    ///
    /// ```
    /// let mut is_done = false;
    /// crossproc::Manager::start()?.barrier(1)?.try_wait_with(|| is_done = true)?;
    /// assert!(is_done);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn try_wait_with(&self, action: impl FnOnce()) -> Result<Option<BarrierTurn>, BarrierError> {
        match &self.side {
            Side::Local(barrier) => barrier.try_wait_with(action),
            #[cfg(feature = "redis")]
            Side::Server(remote) => try_pass(remote, Some(action)),
        }
    }

    /// As [`wait_timeout`](Self::wait_timeout), with an action as for [`wait_with`](Self::wait_with).
    ///
    /// # Errors
    ///
    /// As [`wait_with`](Self::wait_with).
    ///
    /// # Examples
    ///
    /// ```
    /// let mut is_done = false;
    /// let barrier = crossproc::Manager::start()?.barrier(1)?;
    /// barrier.wait_with_timeout(std::time::Duration::ZERO, || is_done = true)?;
    /// assert!(is_done);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn wait_with_timeout(&self, timeout: Duration, action: impl FnOnce()) -> Result<BarrierTurn, BarrierError> {
        match &self.side {
            Side::Local(barrier) => barrier.wait_with_timeout(timeout, action),
            #[cfg(feature = "redis")]
            Side::Server(remote) => pass(remote, Deadline::after(timeout), Some(action)),
        }
    }

    /// Breaks it for all who wait, and who come.
    ///
    /// # Examples
    ///
    /// ```
    /// let barrier = crossproc::Manager::start()?.barrier(2)?;
    /// barrier.abort()?;
    /// assert!(barrier.is_broken()?);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn abort(&self) -> Result<()> {
        match &self.side {
            Side::Local(barrier) => {
                barrier.abort();
                Ok(())
            }
            #[cfg(feature = "redis")]
            Side::Server(remote) => remote.there().abort(),
        }
    }

    /// Has it be as new. It is broken for those who wait.
    ///
    /// # Examples
    ///
    /// See [`wait_timeout`](Self::wait_timeout).
    pub fn reset(&self) -> Result<()> {
        match &self.side {
            Side::Local(barrier) => {
                barrier.reset();
                Ok(())
            }
            #[cfg(feature = "redis")]
            Side::Server(remote) => remote.there().reset(),
        }
    }

    /// Whether it is broken. The answer may be stale when you read it.
    ///
    /// # Examples
    ///
    /// See [`wait_timeout`](Self::wait_timeout).
    pub fn is_broken(&self) -> Result<bool> {
        match &self.side {
            Side::Local(barrier) => Ok(barrier.is_broken()),
            #[cfg(feature = "redis")]
            Side::Server(remote) => remote.there().is_broken(),
        }
    }

    /// How many are waiting. The answer may be stale when you read it.
    ///
    /// # Examples
    ///
    /// ```
    /// let barrier = crossproc::Manager::start()?.barrier(2)?;
    /// assert_eq!((barrier.parties(), barrier.n_waiting()?), (2, 0));
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn n_waiting(&self) -> Result<usize> {
        match &self.side {
            Side::Local(barrier) => Ok(barrier.n_waiting()),
            #[cfg(feature = "redis")]
            Side::Server(remote) => remote.there().n_waiting(),
        }
    }

    /// For how many parties it is.
    ///
    /// # Examples
    ///
    /// See [`n_waiting`](Self::n_waiting).
    pub fn parties(&self) -> usize {
        match &self.side {
            Side::Local(barrier) => barrier.parties(),
            #[cfg(feature = "redis")]
            Side::Server(remote) => remote.there().parties(),
        }
    }
}

#[cfg(feature = "redis")]
fn pass(
    remote: &Remote<Barrier>,
    deadline: Deadline,
    action: Option<impl FnOnce()>,
) -> Result<BarrierTurn, BarrierError> {
    remote.there().pass(deadline, action).map(BarrierTurn::of)
}

#[cfg(feature = "redis")]
fn try_pass(remote: &Remote<Barrier>, action: Option<impl FnOnce()>) -> Result<Option<BarrierTurn>, BarrierError> {
    Ok(remote.there().try_pass(action)?.map(BarrierTurn::of))
}
