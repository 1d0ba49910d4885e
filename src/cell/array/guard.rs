//! Keeping the lock, and the elements in place.

#![allow(unsafe_code)]

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::slice;
use std::time::Duration;

use super::Array;
use crate::error::{Guard, Kind, LockError, TryLockError};
use crate::segment::{Failure, Lend, Ownership, Relock, Section, Shared, Wait};

impl<T: Shared> Array<T> {
    /// Waits for the lock and keeps it until the guard is dropped. The guard derefs to `[T]`, in place.
    ///
    /// # Errors
    ///
    /// [`OwnerDied`](LockError::OwnerDied), with the guard, if a process died with the guard in hand and nobody has
    /// repaired since; [`AlreadyHeld`](LockError::AlreadyHeld) if this thread has the guard.
    ///
    /// # Examples
    ///
    /// ```
    /// let array = crossproc::Array::from_iter([3, 1, 2])?;
    /// array.lock()?.sort();
    /// assert_eq!(array.to_vec(), [1, 2, 3]);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn lock(&self) -> Result<ArrayGuard<'_, T>, LockError<ArrayGuard<'_, T>>> {
        let turn = self.acquire(Section::Open, Wait::FOR_EVER).map_err(Failure::into_lock_error)?;
        ArrayGuard::new(self, turn).map_err(LockError::OwnerDied)
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
    /// assert_eq!(crossproc::Array::from_iter([1, 2])?.try_lock()?.to_vec(), [1, 2]);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn try_lock(&self) -> Result<ArrayGuard<'_, T>, TryLockError<ArrayGuard<'_, T>>> {
        let turn = self.acquire(Section::Open, Wait::No).map_err(Failure::into_try_lock_error)?;
        ArrayGuard::new(self, turn).map_err(TryLockError::OwnerDied)
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
    /// let array = crossproc::Array::from_iter([1, 2])?;
    /// array.lock_timeout(std::time::Duration::from_secs(1))?[0] = 5;
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn lock_timeout(&self, timeout: Duration) -> Result<ArrayGuard<'_, T>, TryLockError<ArrayGuard<'_, T>>> {
        let wait = Wait::at_most(timeout);
        let turn = self.acquire(Section::Open, wait).map_err(Failure::into_try_lock_error)?;
        ArrayGuard::new(self, turn).map_err(TryLockError::OwnerDied)
    }
}

/// The lock of an [`Array`], and its elements in place, until it is dropped, also by a panic. It stays on its thread.
///
/// # Examples
///
/// See [`Array::lock`]. Indexing is a slice's, with a slice's panic:
///
/// ```should_panic
/// let array = crossproc::Array::from_iter([1, 2]).unwrap();
/// array.lock().unwrap()[2] = 3; // index out of bounds: the len is 2 but the index is 2
/// ```
#[must_use = "the array is locked only as long as its guard lives"]
pub struct ArrayGuard<'a, T: Shared> {
    array: &'a Array<T>,
    turn: Ownership<'a>,
}

impl<'a, T: Shared> ArrayGuard<'a, T> {
    /// The guard, as an error if an owner died.
    fn new(array: &'a Array<T>, turn: Ownership<'a>) -> Result<Self, Self> {
        turn.hand_out(|turn| ArrayGuard { array, turn })
    }
}

impl<T: Shared> Guard for ArrayGuard<'_, T> {
    const KIND: Kind = Kind::Array;

    fn repair(&mut self) {
        self.turn.repair();
    }
}

impl<T: Shared> Relock for ArrayGuard<'_, T> {}

impl<T: Shared> Lend for ArrayGuard<'_, T> {
    fn is_ours(&self) -> bool {
        self.turn.is_ours()
    }

    fn lend<R>(self, meanwhile: impl FnOnce() -> R) -> (R, Result<Self, LockError<Self>>) {
        let array = self.array;
        drop(self);
        (meanwhile(), array.lock())
    }
}

impl<T: Shared> Deref for ArrayGuard<'_, T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        assert!(self.turn.is_ours(), "a forked copy of a guard holds nothing");
        // SAFETY: A1 (`Array::at`), for all elements; the lock is ours as long as `self` lives.
        unsafe { slice::from_raw_parts(self.array.at(0).as_ptr(), self.array.len()) }
    }
}

impl<T: Shared> DerefMut for ArrayGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut [T] {
        assert!(self.turn.is_ours(), "a forked copy of a guard holds nothing");
        // SAFETY: as in `deref`; and `&mut self` is the only way to the elements through this guard.
        unsafe { slice::from_raw_parts_mut(self.array.at(0).as_ptr(), self.array.len()) }
    }
}

impl<T: Shared + fmt::Debug> fmt::Debug for ArrayGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.turn.is_ours() {
            return f.debug_list().finish_non_exhaustive();
        }
        f.debug_list().entries(self.iter()).finish()
    }
}
