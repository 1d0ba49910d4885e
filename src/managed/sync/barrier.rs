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
use crate::remote::{self, session::Hold};
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
                Ok(Barrier::of(Remote::new(remote::barrier::Barrier::make(server.session(), parties, None)?)))
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
            Side::Server(remote) => arrive(remote.there(), Deadline::NEVER),
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
            Side::Server(remote) => arrive(remote.there(), Deadline::after(timeout)),
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
fn arrive(barrier: &remote::barrier::Barrier, deadline: Deadline) -> Result<BarrierTurn, BarrierError> {
    use remote::barrier::Arrived;
    match barrier.arrive(false, deadline)? {
        Arrived::Passed(index) => Ok(BarrierTurn::of(index)),
        // Of one that acts; these have no action.
        Arrived::Act(duty) => barrier.finish(duty).map(BarrierTurn::of),
    }
}
