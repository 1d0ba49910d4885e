//! A lock word of a segment, held by this thread: acquired through one of the three forms, given back by drop.

#[cfg(feature = "redis")]
use std::any::Any;
use std::marker::PhantomData;
use std::time::Duration;

use super::Segment;
use crate::error::{Error, Guard, LockError, TryLockError};
use crate::sys::clock::Deadline;
use crate::sys::fork;
use crate::sys::spin::Spin;
use crate::word::lock::{Acquired, Claim, LockWord, Refused};

/// What death at any instruction leaves of the things that a lock guards.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    /// Perhaps something half changed: the next owner is told.
    Open,
    /// Something whole, by other means.
    Whole,
}

/// How long to wait.
#[derive(Clone, Copy)]
pub(crate) enum Wait {
    No,
    Until(Deadline),
}

impl Wait {
    pub(crate) const FOR_EVER: Wait = Wait::Until(Deadline::NEVER);

    /// `timeout` from now; nothing to wait for is a try.
    pub(crate) fn at_most(timeout: Duration) -> Self {
        if timeout.is_zero() { Wait::No } else { Wait::Until(Deadline::after(timeout)) }
    }
}

/// Why a lock was not got.
pub(crate) enum Failure {
    Held,
    AlreadyHeld,
    Failed(Error),
}

/// A lock word that is ours until drop. Bound to its thread: the word names it.
pub(crate) struct Ownership<'a> {
    word: &'a LockWord,
    /// The fork generation that acquired it.
    generation: u32,
    /// An owner died before, and nobody has repaired since.
    is_dirty: bool,
    _thread: PhantomData<*const ()>,
}

impl<'a> Ownership<'a> {
    #[inline]
    pub(crate) fn acquire(
        segment: &'a Segment,
        word: &'a LockWord,
        spin: &Spin,
        section: Section,
        wait: Wait,
    ) -> Result<Self, Failure> {
        let id = segment.me().map_err(Failure::Failed)?;
        let claim = match section {
            Section::Open => Claim::new(id),
            Section::Whole => Claim::whole(id),
        };
        let acquired = match wait {
            Wait::No => word.try_acquire(claim, segment.liveness()),
            Wait::Until(deadline) => word.acquire(claim, segment.liveness(), deadline, spin),
        };
        match acquired {
            Ok(acquired) => Ok(Ownership {
                word,
                generation: fork::generation(),
                is_dirty: acquired == Acquired::Dirty,
                _thread: PhantomData,
            }),
            Err(refused) => Err(refused.into()),
        }
    }

    /// The guard that is made of this, as an error if an owner died.
    pub(crate) fn hand_out<G>(self, guard: impl FnOnce(Self) -> G) -> Result<G, G> {
        if self.is_dirty { Err(guard(self)) } else { Ok(guard(self)) }
    }

    pub(crate) fn repair(&mut self) {
        self.is_dirty = false;
    }

    /// False in a forked copy of the process that acquired it, which holds nothing.
    #[inline]
    pub(crate) fn is_ours(&self) -> bool {
        self.generation == fork::generation()
    }
}

impl Drop for Ownership<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.is_ours() {
            self.word.release(self.is_dirty);
        }
    }
}

/// Guards whose lock can be given back for a while: what a [`Condvar`](crate::Condvar) waits with.
///
/// The guards of this crate that stand for an exclusive lock; no other type can be one. The [`ReadGuard`](crate::ReadGuard) of an
/// `RwLock` does not: others have the lock as well.
///
/// # Examples
///
/// ```
/// use crossproc::{Condvar, Error, Relock};
///
/// /// Waits for one notification, whatever it is that is locked.
/// fn next_change<G: Relock>(changed: &Condvar, guard: G) -> Result<G, Error> {
///     Ok(changed.wait(guard)?)
/// }
/// ```
pub trait Relock: Guard + Lend {}

/// How a [`Relock`] does it. Not nameable outside the crate, which so has the only implementations.
pub trait Lend: Sized {
    /// False in a forked copy of the process that took the lock.
    fn is_ours(&self) -> bool;

    /// Gives the lock back, all of it and as drop does, runs `meanwhile`, and takes as much of it again.
    fn lend<R>(self, meanwhile: impl FnOnce() -> R) -> (R, Result<Self, LockError<Self>>);

    /// What it has of a lock that is not in shared memory: a condition variable at the same place waits with that in one step.
    #[cfg(feature = "redis")]
    fn remote(&mut self) -> Option<&mut dyn Any> {
        None
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Held => Failure::Held,
            Refused::AlreadyHeld => Failure::AlreadyHeld,
        }
    }
}

impl Failure {
    /// The outcome of a `lock` that has no deadline, so that `Held` cannot be.
    pub(crate) fn into_lock_error<G>(self) -> LockError<G> {
        match self {
            Failure::Failed(error) => LockError::Failed(error),
            Failure::AlreadyHeld | Failure::Held => LockError::AlreadyHeld,
        }
    }

    pub(crate) fn into_try_lock_error<G>(self) -> TryLockError<G> {
        match self {
            Failure::Held => TryLockError::Held,
            Failure::AlreadyHeld => TryLockError::AlreadyHeld,
            Failure::Failed(error) => TryLockError::Failed(error),
        }
    }

    pub(crate) fn into_error(self, object: crate::error::Kind) -> Error {
        match self {
            Failure::Held => Error::Held { object },
            Failure::AlreadyHeld => Error::AlreadyHeld { object },
            Failure::Failed(error) => error,
        }
    }
}
