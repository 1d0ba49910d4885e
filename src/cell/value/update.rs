//! Replacing a value in one step.

use std::time::Duration;

use super::Value;
use crate::error::{Error, Kind, Result};
use crate::segment::{Section, Shared, Wait};

impl<T: Shared> Value<T> {
    /// Replaces the value. Waits for its turn among the writers.
    ///
    /// # Panics
    ///
    /// If this thread holds the value's guard, through which it should write; or in a forked copy that cannot become a
    /// peer of its own (see [`LockError::Failed`](crate::LockError::Failed)).
    ///
    /// # Examples
    ///
    /// ```
    /// let value = crossproc::Value::new([0_u16; 100])?;
    /// value.set([7; 100]);
    /// assert_eq!(value.get(), [7; 100]);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    #[track_caller]
    pub fn set(&self, value: T) {
        self.update(|_| value);
    }

    /// [`set`](Self::set), if it is nobody else's turn.
    ///
    /// # Errors
    ///
    /// [`Held`](crate::Error::Held) if another thread or process is writing, or holds the guard;
    /// [`AlreadyHeld`](crate::Error::AlreadyHeld) if this thread does.
    ///
    /// # Examples
    ///
    /// ```
    /// let value = crossproc::Value::new(1)?;
    /// value.try_set(2)?;
    /// assert_eq!(value.get(), 2);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn try_set(&self, value: T) -> Result<()> {
        self.try_update(|_| value).map(|_| ())
    }

    /// [`set`](Self::set), waiting `timeout` at most (monotonic; never shorter).
    ///
    /// # Errors
    ///
    /// As [`try_set`](Self::try_set), when the time is up.
    ///
    /// # Examples
    ///
    /// ```
    /// let value = crossproc::Value::new(1)?;
    /// value.set_timeout(2, std::time::Duration::from_secs(1))?;
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn set_timeout(&self, value: T, timeout: Duration) -> Result<()> {
        self.update_timeout(|_| value, timeout).map(|_| ())
    }

    /// Replaces the value by what `change` makes of it, with nobody between, and gives the new one.
    ///
    /// `change` runs while other writers wait, so it should be short; if it panics, the value stays as it was. If it
    /// forks, the copy commits nothing: the turn is its parent's, and this panics there.
    ///
    /// # Panics
    ///
    /// As [`set`](Self::set).
    ///
    /// # Examples
    ///
    /// ```
    /// let value = crossproc::Value::new(20)?;
    /// assert_eq!(value.update(|n| n + 1), 21);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    #[track_caller]
    pub fn update(&self, change: impl FnOnce(T) -> T) -> T {
        match self.change(change, Wait::FOR_EVER) {
            Ok(value) => value,
            Err(error) => panic!("{error}"),
        }
    }

    /// [`update`](Self::update), if it is nobody else's turn.
    ///
    /// # Errors
    ///
    /// As [`try_set`](Self::try_set); [`ForkedCopy`](crate::Error::ForkedCopy) in a copy of the process if `change` forks.
    ///
    /// # Examples
    ///
    /// ```
    /// let value = crossproc::Value::new(20)?;
    /// assert_eq!(value.try_update(|n| n + 1)?, 21);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn try_update(&self, change: impl FnOnce(T) -> T) -> Result<T> {
        self.change(change, Wait::No)
    }

    /// [`update`](Self::update), waiting `timeout` at most (monotonic; never shorter).
    ///
    /// # Errors
    ///
    /// As [`try_update`](Self::try_update), when the time is up.
    ///
    /// # Examples
    ///
    /// ```
    /// let value = crossproc::Value::new(20)?;
    /// assert_eq!(value.update_timeout(|n| n + 1, std::time::Duration::from_secs(1))?, 21);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn update_timeout(&self, change: impl FnOnce(T) -> T, timeout: Duration) -> Result<T> {
        self.change(change, Wait::at_most(timeout))
    }

    fn change(&self, change: impl FnOnce(T) -> T, wait: Wait) -> Result<T> {
        let turn = self.acquire(Section::Whole, wait).map_err(|failure| failure.into_error(Kind::Value))?;
        let value = change(self.get_in_turn(&turn));
        // `change` may have forked, and this may be the copy.
        if !turn.is_ours() {
            return Err(Error::ForkedCopy { object: Kind::Value });
        }
        self.commit(&value);
        Ok(value)
    }
}
