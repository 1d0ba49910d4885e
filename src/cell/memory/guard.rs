//! Keeping the lock, and the bytes in place.

#![allow(unsafe_code)]

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::slice;
use std::time::Duration;

use super::SharedMemory;
use crate::error::{Guard, Kind, LockError, TryLockError};
use crate::segment::{Failure, Lend, Ownership, Relock, Wait};

impl SharedMemory {
    /// Waits for the lock and keeps it until the guard is dropped. The guard derefs to `[u8]`, in place.
    ///
    /// # Errors
    ///
    /// [`OwnerDied`](LockError::OwnerDied), with the guard, if a process died with the lock in hand and nobody has
    /// repaired since; [`AlreadyHeld`](LockError::AlreadyHeld) if this thread has the guard.
    ///
    /// # Examples
    ///
    /// ```
    /// let memory = crossproc::SharedMemory::create(3)?;
    /// memory.lock()?.copy_from_slice(&[3, 1, 2]);
    /// memory.lock()?.sort();
    /// assert_eq!(memory.to_vec(), [1, 2, 3]);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn lock(&self) -> Result<SharedMemoryGuard<'_>, LockError<SharedMemoryGuard<'_>>> {
        let turn = self.acquire(Wait::FOR_EVER).map_err(Failure::into_lock_error)?;
        SharedMemoryGuard::new(self, turn).map_err(LockError::OwnerDied)
    }

    /// [`lock`](Self::lock), if nobody else has the lock.
    ///
    /// # Errors
    ///
    /// As [`lock`](Self::lock), and [`Held`](TryLockError::Held) if another thread or process has it.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(crossproc::SharedMemory::create(2)?.try_lock()?.to_vec(), [0, 0]);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn try_lock(&self) -> Result<SharedMemoryGuard<'_>, TryLockError<SharedMemoryGuard<'_>>> {
        self.lock_within(Wait::No)
    }

    /// [`lock`](Self::lock), waiting `timeout` at most (monotonic; never shorter).
    ///
    /// # Errors
    ///
    /// As [`try_lock`](Self::try_lock), when the time is up.
    ///
    /// # Examples
    ///
    /// ```
    /// let memory = crossproc::SharedMemory::create(2)?;
    /// memory.lock_timeout(std::time::Duration::from_secs(1))?[0] = 5;
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn lock_timeout(
        &self,
        timeout: Duration,
    ) -> Result<SharedMemoryGuard<'_>, TryLockError<SharedMemoryGuard<'_>>> {
        self.lock_within(Wait::at_most(timeout))
    }

    fn lock_within(&self, wait: Wait) -> Result<SharedMemoryGuard<'_>, TryLockError<SharedMemoryGuard<'_>>> {
        let turn = self.acquire(wait).map_err(Failure::into_try_lock_error)?;
        SharedMemoryGuard::new(self, turn).map_err(TryLockError::OwnerDied)
    }
}

/// The lock of a [`SharedMemory`], and its bytes in place, until it is dropped, also by a panic. It stays on its thread.
///
/// # Examples
///
/// See [`SharedMemory::lock`]. Indexing is a slice's, with a slice's panic:
///
/// ```should_panic
/// let memory = crossproc::SharedMemory::create(2).unwrap();
/// memory.lock().unwrap()[2] = 3; // index out of bounds: the len is 2 but the index is 2
/// ```
#[must_use = "the memory is locked only as long as its guard lives"]
pub struct SharedMemoryGuard<'a> {
    memory: &'a SharedMemory,
    turn: Ownership<'a>,
}

impl<'a> SharedMemoryGuard<'a> {
    /// The guard, as an error if an owner died.
    fn new(memory: &'a SharedMemory, turn: Ownership<'a>) -> Result<Self, Self> {
        turn.hand_out(|turn| SharedMemoryGuard { memory, turn })
    }
}

impl Guard for SharedMemoryGuard<'_> {
    const KIND: Kind = Kind::SharedMemory;

    fn repair(&mut self) {
        self.turn.repair();
    }
}

impl Relock for SharedMemoryGuard<'_> {}

impl Lend for SharedMemoryGuard<'_> {
    fn is_ours(&self) -> bool {
        self.turn.is_ours()
    }

    fn lend<R>(self, meanwhile: impl FnOnce() -> R) -> (R, Result<Self, LockError<Self>>) {
        let memory = self.memory;
        drop(self);
        (meanwhile(), memory.lock())
    }
}

impl Deref for SharedMemoryGuard<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        assert!(self.turn.is_ours(), "a forked copy of a guard holds nothing");
        // SAFETY: R (`SharedMemory::bytes`); the lock is ours as long as `self` lives, and nobody who keeps to it writes.
        unsafe { slice::from_raw_parts(self.memory.bytes().start().as_ptr(), self.memory.len()) }
    }
}

impl DerefMut for SharedMemoryGuard<'_> {
    fn deref_mut(&mut self) -> &mut [u8] {
        assert!(self.turn.is_ours(), "a forked copy of a guard holds nothing");
        // SAFETY: as in `deref`; and `&mut self` is the only way to the bytes through this guard. Copies that are taken
        // meanwhile may hold anything.
        unsafe { slice::from_raw_parts_mut(self.memory.bytes().start().as_ptr(), self.memory.len()) }
    }
}

impl fmt::Debug for SharedMemoryGuard<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.turn.is_ours() {
            return f.debug_list().finish_non_exhaustive();
        }
        f.debug_list().entries(self.iter()).finish()
    }
}
