//! What a thread or a process has of something at a server, until it is dropped.

use std::any::Any;
use std::fmt;
use std::mem;
use std::sync::Arc;

use crate::error::{Error, Guard, Kind, LockError, Result, TryLockError};
use crate::remote::condvar::Condvar;
use crate::remote::lock::{Lock, Locked, Turn};
use crate::remote::semaphore::{Permit, Semaphore};
use crate::segment::Relock;
use crate::sys::clock::Deadline;

/// A level of a lock. None while it is waited with, and when it is lost.
pub(crate) struct Level {
    lock: Arc<Lock>,
    turn: Option<Turn>,
}

impl Level {
    /// Waits for it until the deadline; one that has passed is a try.
    pub(crate) fn lock(lock: &Arc<Lock>, deadline: Deadline) -> Result<Self, TryLockError<Self>> {
        match lock.lock(deadline) {
            Ok(Locked::Ours(turn)) => {
                let is_dirty = turn.owner_died();
                let level = Level { lock: Arc::clone(lock), turn: Some(turn) };
                if is_dirty { Err(TryLockError::OwnerDied(level)) } else { Ok(level) }
            }
            Ok(Locked::Held) => Err(TryLockError::Held),
            Ok(Locked::AlreadyHeld) => Err(TryLockError::AlreadyHeld),
            Err(failure) => Err(TryLockError::Failed(failure)),
        }
    }

    /// As long as it takes.
    pub(crate) fn lock_ever(lock: &Arc<Lock>) -> Result<Self, LockError<Self>> {
        Self::lock(lock, Deadline::NEVER).map_err(|error| match error {
            TryLockError::OwnerDied(level) => LockError::OwnerDied(level),
            TryLockError::AlreadyHeld => LockError::AlreadyHeld,
            TryLockError::Held => LockError::Failed(Error::Held { object: lock.kind() }),
            TryLockError::Failed(failure) => LockError::Failed(failure),
        })
    }

    pub(crate) fn fence(&self) -> u64 {
        self.turn.as_ref().map_or(0, Turn::fence)
    }

    /// If the server is away, the next owner is told nevertheless.
    pub(crate) fn repair(&mut self) {
        if let Some(turn) = &mut self.turn {
            let _ = self.lock.repair(turn);
        }
    }

    /// Gives it back: an error if it was lost.
    pub(crate) fn unlock(mut self) -> Result<()> {
        match self.turn.take() {
            Some(turn) => is_ours_still(self.lock.release(&turn)?, self.lock.kind()),
            None => Ok(()),
        }
    }

    pub(crate) fn is_ours(&self) -> bool {
        self.turn.as_ref().is_some_and(Turn::is_ours)
    }

    /// As `Lend::lend`.
    pub(crate) fn lend<R>(mut self, meanwhile: impl FnOnce() -> R) -> (R, Result<Self, LockError<Self>>) {
        let kind = self.lock.kind();
        let Some(turn) = self.turn.take() else {
            return (meanwhile(), Err(LockError::Failed(Error::OwnerDied { object: kind })));
        };
        let lent = self.lock.lend(&turn).and_then(|was_ours| is_ours_still(was_ours, kind)).inspect_err(|_| {
            let _ = self.lock.release(&turn);
        });
        let result = meanwhile();
        let relocked = match lent.and_then(|()| self.lock.relock(&turn)) {
            Ok(Locked::Ours(again)) => {
                let is_dirty = again.owner_died();
                self.turn = Some(again);
                return (result, if is_dirty { Err(LockError::OwnerDied(self)) } else { Ok(self) });
            }
            Ok(Locked::Held) => LockError::Failed(Error::Held { object: kind }),
            Ok(Locked::AlreadyHeld) => LockError::AlreadyHeld,
            Err(failure) => LockError::Failed(failure),
        };
        let _ = self.lock.release(&turn); // what was lent, and its owner waits for
        (result, Err(relocked))
    }

    /// Waits in one step with giving it up: whether it was notified, and whether an owner died meanwhile. After an error it is lost.
    fn wait(&mut self, condvar: &Condvar, deadline: Deadline) -> Result<(bool, bool)> {
        let turn = self.turn.take().ok_or(Error::OwnerDied { object: self.lock.kind() })?;
        let relocked = condvar.wait(&self.lock, turn, deadline)?;
        let has_died = relocked.turn.owner_died();
        self.turn = Some(relocked.turn);
        Ok((relocked.is_notified, has_died))
    }
}

impl Drop for Level {
    fn drop(&mut self) {
        if let Some(turn) = self.turn.take() {
            let _ = self.lock.release(&turn); // a forked copy's is the parent's, and if the server is away it is told later
        }
    }
}

impl fmt::Debug for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Level").field("fence", &self.fence()).finish_non_exhaustive()
    }
}

/// Waits at a server with a guard of whatever lock; whether it was notified.
pub(crate) fn wait_at<G: Relock>(
    condvar: &Condvar,
    mut guard: G,
    deadline: Deadline,
) -> Result<(G, bool), LockError<(G, bool)>> {
    if !guard.is_ours() {
        return Err(LockError::Failed(Error::ForkedCopy { object: <G as Guard>::KIND }));
    }
    if let Some(level) = guard.remote().and_then(<dyn Any>::downcast_mut::<Level>)
        && Arc::ptr_eq(level.lock.hold().session(), condvar.hold().session())
    {
        return match level.wait(condvar, deadline) {
            Ok((is_notified, false)) => Ok((guard, is_notified)),
            Ok((is_notified, true)) => Err(LockError::OwnerDied((guard, is_notified))),
            Err(failure) => Err(LockError::Failed(failure)),
        };
    }
    // In the line before the lock can be had by somebody who notifies.
    let place = condvar.enter().map_err(LockError::Failed)?;
    let (waited, relocked) = guard.lend(|| condvar.wait_in(&place, deadline));
    let has_failed = waited.is_err() || !matches!(relocked, Ok(_) | Err(LockError::OwnerDied(_)));
    let _ = condvar.leave(place, has_failed); // if it fails, somebody goes on trying
    let is_notified = waited.map_err(LockError::Failed)?;
    match relocked {
        Ok(guard) => Ok((guard, is_notified)),
        Err(error) => Err(error.map(|guard| (guard, is_notified))),
    }
}

/// A permit of a semaphore.
pub(crate) struct Pass {
    semaphore: Arc<Semaphore>,
    permit: Option<Permit>,
}

impl Pass {
    /// Waits for it until the deadline; one that has passed is a try.
    pub(crate) fn acquire(semaphore: &Arc<Semaphore>, deadline: Deadline) -> Result<Option<Self>> {
        let permit = semaphore.acquire(deadline)?;
        Ok(permit.map(|permit| Pass { semaphore: Arc::clone(semaphore), permit: Some(permit) }))
    }

    /// Gives it back: an error if it was lost.
    pub(crate) fn give_back(self) -> Result<()> {
        self.end(Semaphore::give_back)
    }

    pub(crate) fn forget(self) -> Result<()> {
        self.end(Semaphore::forget)
    }

    fn end(mut self, end: impl Fn(&Semaphore, &Permit) -> Result<bool>) -> Result<()> {
        match mem::take(&mut self.permit) {
            Some(permit) => is_ours_still(end(&self.semaphore, &permit)?, Kind::Semaphore),
            None => Ok(()),
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take() {
            let _ = self.semaphore.give_back(&permit); // as of a `Level`
        }
    }
}

impl fmt::Debug for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pass").finish_non_exhaustive()
    }
}

/// What was lost is a dead owner's.
fn is_ours_still(was_ours: bool, kind: Kind) -> Result<()> {
    if was_ours { Ok(()) } else { Err(Error::OwnerDied { object: kind }) }
}
