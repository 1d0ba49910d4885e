//! Keeping the turn to write.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::thread;
use std::time::Duration;

use super::Value;
use crate::error::{Guard, Kind, LockError, TryLockError};
use crate::segment::{Failure, Lend, Ownership, Relock, Section, Shared, Wait};

impl<T: Shared> Value<T> {
    /// Waits for its turn as a writer and keeps it until the guard is dropped.
    ///
    /// The guard holds a copy of the value; what is changed through it is committed in one step when it is dropped, or
    /// by [`commit`](ValueGuard::commit).
    ///
    /// # Errors
    ///
    /// [`OwnerDied`](LockError::OwnerDied), with the guard, if a process died with the guard in hand and nobody has
    /// repaired since: the value is whole, but what was to follow did not happen.
    /// [`AlreadyHeld`](LockError::AlreadyHeld) if this thread has the guard.
    ///
    /// # Examples
    ///
    /// ```
    /// let value = crossproc::Value::new([1, 2, 3])?;
    /// let mut guard = value.lock()?;
    /// guard[0] = 10;
    /// assert_eq!(value.get(), [1, 2, 3]);
    /// drop(guard);
    /// assert_eq!(value.get(), [10, 2, 3]);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn lock(&self) -> Result<ValueGuard<'_, T>, LockError<ValueGuard<'_, T>>> {
        let turn = self.acquire(Section::Open, Wait::FOR_EVER).map_err(Failure::into_lock_error)?;
        ValueGuard::new(self, turn).map_err(LockError::OwnerDied)
    }

    /// [`lock`](Self::lock), if it is nobody else's turn.
    ///
    /// # Errors
    ///
    /// As [`lock`](Self::lock), and [`Held`](TryLockError::Held) if another thread or process is writing.
    ///
    /// # Examples
    ///
    /// ```
    /// let value = crossproc::Value::new(1)?;
    /// *value.try_lock()? += 1;
    /// assert_eq!(value.get(), 2);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn try_lock(&self) -> Result<ValueGuard<'_, T>, TryLockError<ValueGuard<'_, T>>> {
        let turn = self.acquire(Section::Open, Wait::No).map_err(Failure::into_try_lock_error)?;
        ValueGuard::new(self, turn).map_err(TryLockError::OwnerDied)
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
    /// let value = crossproc::Value::new(1)?;
    /// *value.lock_timeout(std::time::Duration::from_secs(1))? += 1;
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn lock_timeout(&self, timeout: Duration) -> Result<ValueGuard<'_, T>, TryLockError<ValueGuard<'_, T>>> {
        let wait = Wait::at_most(timeout);
        let turn = self.acquire(Section::Open, wait).map_err(Failure::into_try_lock_error)?;
        ValueGuard::new(self, turn).map_err(TryLockError::OwnerDied)
    }
}

/// The turn to write a [`Value`], and a copy of it; the changed copy is committed when this is dropped.
///
/// Dropped by a panic, it commits nothing. It stays on its thread.
///
/// # Examples
///
/// See [`Value::lock`].
#[must_use = "the value is locked only as long as its guard lives"]
pub struct ValueGuard<'a, T: Shared> {
    value: &'a Value<T>,
    copy: T,
    is_changed: bool,
    /// Whether the thread was unwinding already when it took the guard (in a destructor).
    was_panicking: bool,
    /// Dropped after the guard's own drop has committed.
    turn: Ownership<'a>,
}

impl<'a, T: Shared> ValueGuard<'a, T> {
    /// The guard, as an error if an owner died.
    fn new(value: &'a Value<T>, turn: Ownership<'a>) -> Result<Self, Self> {
        let (copy, was_panicking) = (value.get_in_turn(&turn), thread::panicking());
        turn.hand_out(|turn| ValueGuard { value, copy, is_changed: false, was_panicking, turn })
    }

    /// Makes the changes so far visible to everybody, and keeps the turn.
    ///
    /// # Examples
    ///
    /// ```
    /// let value = crossproc::Value::new(1)?;
    /// let mut guard = value.lock()?;
    /// *guard = 2;
    /// guard.commit();
    /// assert_eq!(value.get(), 2);
    /// # drop(guard);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn commit(&mut self) {
        if self.is_changed && self.turn.is_ours() {
            self.value.commit(&self.copy);
            self.is_changed = false;
        }
    }
}

impl<T: Shared> Guard for ValueGuard<'_, T> {
    const KIND: Kind = Kind::Value;

    fn repair(&mut self) {
        self.turn.repair();
    }
}

impl<T: Shared> Relock for ValueGuard<'_, T> {}

impl<T: Shared> Lend for ValueGuard<'_, T> {
    fn is_ours(&self) -> bool {
        self.turn.is_ours()
    }

    fn lend<R>(self, meanwhile: impl FnOnce() -> R) -> (R, Result<Self, LockError<Self>>) {
        let value = self.value;
        drop(self);
        (meanwhile(), value.lock())
    }
}

impl<T: Shared> Deref for ValueGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.copy
    }
}

impl<T: Shared> DerefMut for ValueGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.is_changed = true;
        &mut self.copy
    }
}

impl<T: Shared> Drop for ValueGuard<'_, T> {
    fn drop(&mut self) {
        if self.was_panicking || !thread::panicking() {
            self.commit();
        }
    }
}

impl<T: Shared + fmt::Debug> fmt::Debug for ValueGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ValueGuard").field(&self.copy).finish()
    }
}
