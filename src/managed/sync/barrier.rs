use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::Manager;
use super::super::engine::Engine;
use crate::BarrierTurn;
use crate::error::{BarrierError, Result};

/// A number of parties that wait for each other, as a [`crate::Barrier`].
///
/// [`Manager::barrier`] makes one. It travels as a [`Lock`](super::Lock) does.
///
/// # Death
///
/// A process that dies with a handle of it breaks it for the others, who are told so until somebody resets it.
///
/// # Errors
///
/// Of the methods that do not wait: none on this machine.
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
    barrier: crate::Barrier,
}

impl Manager {
    /// A new barrier for so many parties.
    ///
    /// # Errors
    ///
    /// Those of [`Barrier::new`](crate::Barrier::new).
    ///
    /// # Examples
    ///
    /// See [`Barrier`].
    pub fn barrier(&self, parties: usize) -> Result<Barrier> {
        match &self.engine {
            Engine::Local(_) => Ok(Barrier { barrier: crate::Barrier::new(parties)? }),
            #[cfg(feature = "redis")]
            Engine::Server(_) => Err(crate::managed::server::lacks("a Barrier")),
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
        self.barrier.wait()
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
        self.barrier.wait_timeout(timeout)
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
        self.barrier.abort();
        Ok(())
    }

    /// Has it be as new. It is broken for those who wait.
    ///
    /// # Examples
    ///
    /// See [`wait_timeout`](Self::wait_timeout).
    pub fn reset(&self) -> Result<()> {
        self.barrier.reset();
        Ok(())
    }

    /// Whether it is broken. The answer may be stale when you read it.
    ///
    /// # Examples
    ///
    /// See [`wait_timeout`](Self::wait_timeout).
    pub fn is_broken(&self) -> Result<bool> {
        Ok(self.barrier.is_broken())
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
        Ok(self.barrier.n_waiting())
    }

    /// For how many parties it is.
    ///
    /// # Examples
    ///
    /// See [`n_waiting`](Self::n_waiting).
    pub fn parties(&self) -> usize {
        self.barrier.parties()
    }
}
