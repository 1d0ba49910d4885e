use std::marker::PhantomData;
#[cfg(feature = "redis")]
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::Manager;
use super::super::engine::Engine;
#[cfg(feature = "redis")]
use super::super::server::{Pass, Remote, Waited};
#[cfg(feature = "redis")]
use crate::error::Kind;
use crate::error::{Result, TryAcquireError};
#[cfg(feature = "redis")]
use crate::remote::{self, semaphore::MOST, session::Hold};
#[cfg(feature = "redis")]
use crate::sys::clock::Deadline;

/// So many at a time, as a [`crate::Semaphore`].
///
/// [`Manager::semaphore`] makes one. It travels as a [`Lock`](super::Lock) does.
///
/// # Death
///
/// The permits of a dead process come back.
///
/// # At a server
///
/// They come back when the process was not heard for a lease (see [`Lock`](super::Lock)), to whoever finds none free or asks for the
/// [`value`](Semaphore::value): each look takes in a hundred owners. One that lives nevertheless has lost its permits, and
/// [`release`](Permit::release) says so.
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
    side: Side,
}

/// Where it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Side {
    Local(crate::Semaphore),
    #[cfg(feature = "redis")]
    Server(Remote<Semaphore>),
}

#[cfg(feature = "redis")]
impl Waited for Semaphore {
    type There = remote::semaphore::Semaphore;

    const KIND: Kind = Kind::Semaphore;

    fn attach(hold: Hold) -> Result<Self::There> {
        Ok(remote::semaphore::Semaphore::of(hold, Self::KIND))
    }

    fn hold(there: &Self::There) -> &Hold {
        there.hold()
    }

    fn of(remote: Remote<Self>) -> Self {
        Semaphore { side: Side::Server(remote) }
    }
}

impl Manager {
    /// A new semaphore with so many permits, all free.
    ///
    /// # Errors
    ///
    /// Those of [`Semaphore::new`](crate::Semaphore::new); at a server those of a [`Dict`](crate::managed::Dict).
    ///
    /// # Examples
    ///
    /// See [`Semaphore`].
    pub fn semaphore(&self, permits: usize) -> Result<Semaphore> {
        match &self.engine {
            Engine::Local(_) => Ok(Semaphore { side: Side::Local(crate::Semaphore::new(permits)?) }),
            #[cfg(feature = "redis")]
            Engine::Server(server) => Ok(Semaphore::of(Remote::new(remote::semaphore::Semaphore::make(
                server.session(),
                Kind::Semaphore,
                permits,
                MOST,
            )?))),
        }
    }
}

impl Semaphore {
    /// Waits for a permit as long as it takes.
    ///
    /// # Errors
    ///
    /// Those of [`crate::Semaphore::acquire`]; at a server, if it does not answer, those of a [`Lock`](super::Lock).
    ///
    /// # Examples
    ///
    /// See [`Semaphore`].
    pub fn acquire(&self) -> Result<Permit<'_>> {
        match &self.side {
            Side::Local(semaphore) => semaphore.acquire().map(Permit::local),
            #[cfg(feature = "redis")]
            Side::Server(remote) => match Pass::acquire(remote.there(), Deadline::NEVER)? {
                Some(pass) => Ok(Permit::server(pass)),
                None => Err(crate::Error::NoPermit),
            },
        }
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
        match &self.side {
            Side::Local(semaphore) => semaphore.try_acquire().map(Permit::local),
            #[cfg(feature = "redis")]
            Side::Server(remote) => acquire(remote.there(), Deadline::after(Duration::ZERO)),
        }
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
        match &self.side {
            Side::Local(semaphore) => semaphore.acquire_timeout(timeout).map(Permit::local),
            #[cfg(feature = "redis")]
            Side::Server(remote) => acquire(remote.there(), Deadline::after(timeout)),
        }
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
        match &self.side {
            Side::Local(semaphore) => semaphore.release(permits),
            #[cfg(feature = "redis")]
            Side::Server(remote) => remote.there().release(permits),
        }
    }

    /// How many permits are free. The answer may be stale when you read it.
    ///
    /// # Errors
    ///
    /// None on this machine; at a server those of a [`Dict`](crate::managed::Dict).
    ///
    /// # Examples
    ///
    /// See [`Semaphore`].
    pub fn value(&self) -> Result<usize> {
        match &self.side {
            Side::Local(semaphore) => Ok(semaphore.value()),
            #[cfg(feature = "redis")]
            Side::Server(remote) => remote.there().value(),
        }
    }
}

/// A permit of a [`Semaphore`], which goes back when this is dropped, also by a panic.
#[must_use = "the permit is kept only as long as its guard lives"]
#[derive(Debug)]
pub struct Permit<'a> {
    kept: Kept<'a>,
    semaphore: PhantomData<&'a Semaphore>,
}

#[derive(Debug)]
enum Kept<'a> {
    Local(crate::Permit<'a>),
    #[cfg(feature = "redis")]
    Server(Pass),
}

impl<'a> Permit<'a> {
    fn local(permit: crate::Permit<'a>) -> Self {
        Permit { kept: Kept::Local(permit), semaphore: PhantomData }
    }

    #[cfg(feature = "redis")]
    fn server(pass: Pass) -> Self {
        Permit { kept: Kept::Server(pass), semaphore: PhantomData }
    }

    /// Gives it back, as dropping it does, and says if it was lost.
    ///
    /// # Errors
    ///
    /// None on this machine. At a server: [`OwnerDied`](crate::Error::OwnerDied) if this process was not heard for so long that it counted
    /// as dead and the permit came back without it, or if the server has lost its data; those of a [`Lock`](super::Lock).
    ///
    /// # Examples
    ///
    /// ```
    /// let semaphore = crossproc::Manager::start()?.semaphore(1)?;
    /// semaphore.acquire()?.release()?;
    /// assert_eq!(semaphore.value()?, 1);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn release(self) -> Result<()> {
        match self.kept {
            Kept::Local(permit) => {
                drop(permit);
                Ok(())
            }
            #[cfg(feature = "redis")]
            Kept::Server(pass) => pass.give_back(),
        }
    }

    /// Keeps the permit from going back: whoever calls [`release`](Semaphore::release) makes it free again, and nobody's death does.
    ///
    /// # Errors
    ///
    /// None on this machine; at a server those of [`release`](Self::release), and then the permit goes back as soon as the server is reached, if
    /// it has not been forgotten.
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
        match self.kept {
            Kept::Local(permit) => {
                permit.forget();
                Ok(())
            }
            #[cfg(feature = "redis")]
            Kept::Server(pass) => pass.forget(),
        }
    }
}

#[cfg(feature = "redis")]
fn acquire<'a>(
    semaphore: &Arc<remote::semaphore::Semaphore>,
    deadline: Deadline,
) -> Result<Permit<'a>, TryAcquireError> {
    match Pass::acquire(semaphore, deadline) {
        Ok(pass) => pass.map(Permit::server).ok_or(TryAcquireError::NoPermit),
        Err(failure) => Err(TryAcquireError::Failed(failure)),
    }
}
