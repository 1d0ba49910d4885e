use std::fmt;

use crate::error::{Error, Kind};

/// What the guards of all locks have in common.
///
/// # Examples
///
/// ```
/// use crossproc::{Guard, Kind, Lock, LockGuard};
///
/// assert_eq!(LockGuard::KIND, Kind::Lock);
/// let lock = Lock::new()?;
/// let mut guard = lock.lock()?;
/// guard.repair(); // nothing to repair: no effect
/// # Ok::<(), crossproc::Error>(())
/// ```
pub trait Guard {
    /// The kind of object that it guards.
    ///
    /// # Examples
    ///
    /// See [`Guard`].
    const KIND: Kind;

    /// Says that what a dead owner left half done has been put right: the next owner is no longer told. That of a
    /// [`ReadGuard`](crate::ReadGuard) does nothing.
    ///
    /// # Examples
    ///
    /// See [`LockError`].
    fn repair(&mut self);
}

/// A guard, and whether its owner was notified: what [`Condvar::wait_timeout`](crate::Condvar::wait_timeout) gives.
impl<G: Guard> Guard for (G, bool) {
    const KIND: Kind = G::KIND;

    fn repair(&mut self) {
        self.0.repair();
    }
}

/// Why [`lock`](crate::Lock::lock) did not simply give a guard.
///
/// In a function that returns this crate's [`Result`](crate::Result), `?` makes an [`Error`] of it. In one that returns a
/// `Box<dyn std::error::Error>` or the like, the guard in it is in the way: write
/// `lock.lock().map_err(crossproc::Error::from)?`.
///
/// # Examples
///
/// Taking a lock over from a dead owner, when what it guards needs no mending:
///
/// ```
/// use crossproc::{Lock, LockError, Process};
///
/// fn die_with(lock: Lock) {
///     let _guard = lock.lock();
///     std::process::abort();
/// }
///
/// # fn main() -> crossproc::Result<()> {
/// crossproc::init();
/// let lock = Lock::new()?;
/// let _ = Process::spawn(die_with, (&lock,))?.join();
/// assert!(matches!(lock.lock(), Err(LockError::OwnerDied(_))));
///
/// drop(lock.lock().or_else(LockError::repair)?);
/// assert!(lock.lock().is_ok());
/// # Ok(())
/// # }
/// ```
pub enum LockError<G> {
    /// An owner died while it held the lock, and nobody has repaired since. The lock is yours; what it guards may be
    /// half changed. Every owner is told so until one calls [`repair`](Guard::repair).
    OwnerDied(G),
    /// This thread holds the lock already: waiting would never end.
    AlreadyHeld,
    /// This process is a forked copy and could not become a peer of its own; somebody who does not follow the protocol has
    /// written how often it has an [`RLock`](crate::RLock) or an [`RwLock`](crate::RwLock); or why a
    /// [`Condvar`](crate::Condvar) could not wait.
    Failed(Error),
}

/// Why a `try_lock` or a `lock_timeout` did not simply give a guard.
///
/// # Examples
///
/// ```
/// use crossproc::{Lock, TryLockError};
/// use std::time::Duration;
///
/// let lock = Lock::new()?;
/// let guard = lock.lock()?;
/// let other = lock.clone();
/// std::thread::spawn(move || {
///     assert!(matches!(other.try_lock(), Err(TryLockError::Held)));
///     assert!(matches!(other.lock_timeout(Duration::from_millis(1)), Err(TryLockError::Held)));
/// })
/// .join()
/// .unwrap();
/// # drop(guard);
/// # Ok::<(), crossproc::Error>(())
/// ```
pub enum TryLockError<G> {
    /// Somebody else holds the lock, and did so until the time was up.
    Held,
    /// As [`LockError::OwnerDied`].
    OwnerDied(G),
    /// As [`LockError::AlreadyHeld`].
    AlreadyHeld,
    /// As [`LockError::Failed`].
    Failed(Error),
}

impl<G: Guard> LockError<G> {
    /// Takes the lock of a dead owner as it is and marks it repaired; any other failure stays one. A
    /// [`ReadGuard`](crate::ReadGuard)'s is taken as it is and stays marked: a reader has not put anything right.
    ///
    /// # Errors
    ///
    /// Any other failure than [`OwnerDied`](LockError::OwnerDied).
    ///
    /// # Examples
    ///
    /// See [`LockError`].
    pub fn repair(self) -> Result<G, Error> {
        match self {
            LockError::OwnerDied(mut guard) => {
                guard.repair();
                Ok(guard)
            }
            other => Err(other.into()),
        }
    }
}

impl<G> LockError<G> {
    /// The same, with another guard.
    pub(crate) fn map<H>(self, change: impl FnOnce(G) -> H) -> LockError<H> {
        match self {
            LockError::OwnerDied(guard) => LockError::OwnerDied(change(guard)),
            LockError::AlreadyHeld => LockError::AlreadyHeld,
            LockError::Failed(error) => LockError::Failed(error),
        }
    }
}

impl<G: Guard> TryLockError<G> {
    /// Takes the lock of a dead owner as it is and marks it repaired; any other failure stays one. A
    /// [`ReadGuard`](crate::ReadGuard)'s is taken as it is and stays marked: a reader has not put anything right.
    ///
    /// # Errors
    ///
    /// Any other failure than [`OwnerDied`](TryLockError::OwnerDied).
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::{Lock, TryLockError};
    ///
    /// let lock = Lock::new()?;
    /// let _guard = lock.try_lock().or_else(TryLockError::repair)?;
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn repair(self) -> Result<G, Error> {
        match self {
            TryLockError::OwnerDied(guard) => LockError::OwnerDied(guard).repair(),
            other => Err(other.into()),
        }
    }
}

impl<G> TryLockError<G> {
    pub(crate) fn map<H>(self, change: impl FnOnce(G) -> H) -> TryLockError<H> {
        match self {
            TryLockError::Held => TryLockError::Held,
            TryLockError::OwnerDied(guard) => TryLockError::OwnerDied(change(guard)),
            TryLockError::AlreadyHeld => TryLockError::AlreadyHeld,
            TryLockError::Failed(error) => TryLockError::Failed(error),
        }
    }
}

impl<G: Guard> From<LockError<G>> for Error {
    /// The guard of a dead owner's lock is dropped: the lock stays marked for its next owner.
    fn from(error: LockError<G>) -> Self {
        match error {
            LockError::OwnerDied(_) => Error::OwnerDied { object: G::KIND },
            LockError::AlreadyHeld => Error::AlreadyHeld { object: G::KIND },
            LockError::Failed(error) => error,
        }
    }
}

impl<G: Guard> From<TryLockError<G>> for Error {
    /// The guard of a dead owner's lock is dropped: the lock stays marked for its next owner.
    fn from(error: TryLockError<G>) -> Self {
        match error {
            TryLockError::Held => Error::Held { object: G::KIND },
            TryLockError::OwnerDied(guard) => LockError::OwnerDied(guard).into(),
            TryLockError::AlreadyHeld => Error::AlreadyHeld { object: G::KIND },
            TryLockError::Failed(error) => error,
        }
    }
}

impl<G: Guard> fmt::Display for LockError<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LockError::OwnerDied(_) => Error::OwnerDied { object: G::KIND }.fmt(f),
            LockError::AlreadyHeld => Error::AlreadyHeld { object: G::KIND }.fmt(f),
            LockError::Failed(error) => error.fmt(f),
        }
    }
}

impl<G: Guard> fmt::Display for TryLockError<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TryLockError::Held => Error::Held { object: G::KIND }.fmt(f),
            TryLockError::OwnerDied(_) => Error::OwnerDied { object: G::KIND }.fmt(f),
            TryLockError::AlreadyHeld => Error::AlreadyHeld { object: G::KIND }.fmt(f),
            TryLockError::Failed(error) => error.fmt(f),
        }
    }
}

/// As `Display`: a guard has nothing to show.
impl<G: Guard> fmt::Debug for LockError<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// As `Display`: a guard has nothing to show.
impl<G: Guard> fmt::Debug for TryLockError<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<G: Guard> std::error::Error for LockError<G> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            LockError::Failed(error) => error.source(),
            _ => None,
        }
    }
}

impl<G: Guard> std::error::Error for TryLockError<G> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            TryLockError::Failed(error) => error.source(),
            _ => None,
        }
    }
}

/// At a server it is said, besides, to whoever has lost what he had: taken for dead, or with the server's memory. A permit or a message is
/// lost in no other way.
pub(super) fn owner_died(object: Kind) -> String {
    const LOST: &str = "was not heard at the server for as long as its lease, or the server was restarted";
    let died = format!(
        "an owner of {object} died while holding it (`LockError::repair`, or `TryLockError`'s, takes it over as it is), \
         and nobody has repaired it since"
    );
    match object {
        Kind::Lock | Kind::RLock => format!("{died}; or, at a server, this process had it and has lost it: it {LOST}"),
        Kind::Semaphore => format!("this process has lost its permit: it {LOST}"),
        Kind::Queue => format!("somebody else has the message, or will: this process {LOST}"),
        _ => died,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_lost_something_is_told_so() {
        let text = |object| Error::OwnerDied { object }.to_string();
        for object in [Kind::Lock, Kind::RLock] {
            let both = [format!("an owner of {object} died"), "this process had it and has lost it".to_owned()];
            assert!(both.iter().all(|said| text(object).contains(said)), "{}", text(object));
            assert!(text(object).contains("LockError::repair"), "{}", text(object));
        }
        for object in [Kind::Semaphore, Kind::Queue] {
            assert!(text(object).contains("was not heard at the server"), "{}", text(object));
        }
        // These are on this machine alone.
        for object in [Kind::Value, Kind::RwLock, Kind::SharedMemory] {
            assert!(text(object).ends_with("and nobody has repaired it since"), "{}", text(object));
            assert!(text(object).contains("LockError::repair"), "{}", text(object));
        }
    }
}
