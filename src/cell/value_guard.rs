use std::fmt;
use std::ops::{Deref, DerefMut};
use std::thread;

use super::Value;
use crate::error::{Guard, Kind};
use crate::segment::{Ownership, Shared};

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
    pub(super) fn new(value: &'a Value<T>, turn: Ownership<'a>) -> Result<Self, Self> {
        let (copy, was_panicking) = (value.get(), thread::panicking());
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
