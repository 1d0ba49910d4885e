//! Single elements, and copies of all.

#![allow(unsafe_code)]

use std::time::Duration;

use super::Array;
use crate::error::{Error, Kind, Result};
use crate::fault::crash_point;
use crate::segment::{Section, Shared, Wait};

impl<T: Shared> Array<T> {
    /// A copy of one element.
    ///
    /// # Errors
    ///
    /// [`OutOfRange`](crate::Error::OutOfRange) with index and length; [`AlreadyHeld`](crate::Error::AlreadyHeld) if this thread holds
    /// the guard, through which it should read.
    ///
    /// # Examples
    ///
    /// ```
    /// let array = crossproc::Array::from_iter([10, 20])?;
    /// assert_eq!(array.get(1)?, 20);
    /// assert_eq!(array.get(2).unwrap_err().to_string(), "index 2 is out of range for a length of 2");
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn get(&self, index: usize) -> Result<T> {
        self.read(index, Wait::FOR_EVER)
    }

    /// [`get`](Self::get), if nobody else has the lock.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get), and [`Held`](crate::Error::Held) if another thread or process has the lock.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(crossproc::Array::from_iter([10, 20])?.try_get(0)?, 10);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn try_get(&self, index: usize) -> Result<T> {
        self.read(index, Wait::No)
    }

    /// [`get`](Self::get), waiting `timeout` at most (monotonic; never shorter).
    ///
    /// # Errors
    ///
    /// As [`try_get`](Self::try_get), when the time is up.
    ///
    /// # Examples
    ///
    /// ```
    /// let array = crossproc::Array::from_iter([10, 20])?;
    /// assert_eq!(array.get_timeout(0, std::time::Duration::from_secs(1))?, 10);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn get_timeout(&self, index: usize, timeout: Duration) -> Result<T> {
        self.read(index, Wait::at_most(timeout))
    }

    fn read(&self, index: usize, wait: Wait) -> Result<T> {
        let (_turn, element) = self.element(index, wait)?;
        // SAFETY: A1; volatile, because a peer that does not keep to the lock may write meanwhile: any bytes are a T.
        Ok(unsafe { element.read_volatile() })
    }

    /// Replaces one element, entirely or not at all.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    ///
    /// # Examples
    ///
    /// ```
    /// let array = crossproc::Array::from_iter([10, 20])?;
    /// array.set(0, 11)?;
    /// assert_eq!(array.to_vec(), [11, 20]);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn set(&self, index: usize, value: T) -> Result<()> {
        self.replace(index, |_| value, Wait::FOR_EVER).map(drop)
    }

    /// [`set`](Self::set), if nobody else has the lock.
    ///
    /// # Errors
    ///
    /// As [`try_get`](Self::try_get).
    ///
    /// # Examples
    ///
    /// ```
    /// crossproc::Array::from_iter([10, 20])?.try_set(0, 11)?;
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn try_set(&self, index: usize, value: T) -> Result<()> {
        self.replace(index, |_| value, Wait::No).map(drop)
    }

    /// [`set`](Self::set), waiting `timeout` at most (monotonic; never shorter).
    ///
    /// # Errors
    ///
    /// As [`try_get`](Self::try_get), when the time is up.
    ///
    /// # Examples
    ///
    /// ```
    /// crossproc::Array::from_iter([10, 20])?.set_timeout(0, 11, std::time::Duration::from_secs(1))?;
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn set_timeout(&self, index: usize, value: T, timeout: Duration) -> Result<()> {
        self.replace(index, |_| value, Wait::at_most(timeout)).map(drop)
    }

    fn replace(&self, index: usize, change: impl FnOnce(T) -> T, wait: Wait) -> Result<T> {
        let (turn, element) = self.element(index, wait)?;
        // SAFETY: A1; volatile as in `read`.
        let value = change(unsafe { element.read_volatile() });
        // `change` may have forked, and this may be the copy.
        if !turn.is_ours() {
            return Err(Error::ForkedCopy { object: Kind::Array });
        }
        let undo = &self.placed.body().undo;
        self.copy(index, self.len());
        crash_point!("array.saved");
        undo.begin(index);
        crash_point!("array.writing");
        // SAFETY: A1.
        unsafe { element.write_volatile(value) };
        crash_point!("array.written");
        undo.end();
        Ok(value)
    }

    /// Replaces one element by what `change` makes of it, with nobody between, and gives the new one.
    ///
    /// `change` runs while others wait for the lock; if it panics, the element stays as it was.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get); [`ForkedCopy`](crate::Error::ForkedCopy) in a copy of the process if `change` forks.
    ///
    /// # Examples
    ///
    /// ```
    /// let array = crossproc::Array::from_iter([10, 20])?;
    /// assert_eq!(array.update(1, |n| n + 1)?, 21);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn update(&self, index: usize, change: impl FnOnce(T) -> T) -> Result<T> {
        self.replace(index, change, Wait::FOR_EVER)
    }

    /// [`update`](Self::update), if nobody else has the lock.
    ///
    /// # Errors
    ///
    /// As [`try_get`](Self::try_get).
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(crossproc::Array::from_iter([10, 20])?.try_update(1, |n| n + 1)?, 21);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn try_update(&self, index: usize, change: impl FnOnce(T) -> T) -> Result<T> {
        self.replace(index, change, Wait::No)
    }

    /// [`update`](Self::update), waiting `timeout` at most (monotonic; never shorter).
    ///
    /// # Errors
    ///
    /// As [`try_get`](Self::try_get), when the time is up.
    ///
    /// # Examples
    ///
    /// ```
    /// let array = crossproc::Array::from_iter([10, 20])?;
    /// array.update_timeout(1, |n| n + 1, std::time::Duration::from_secs(1))?;
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn update_timeout(&self, index: usize, change: impl FnOnce(T) -> T, timeout: Duration) -> Result<T> {
        self.replace(index, change, Wait::at_most(timeout))
    }

    /// All elements, copied.
    ///
    /// Waits for the lock as long as it takes; for a bound, lock with [`try_lock`](Self::try_lock) or
    /// [`lock_timeout`](Self::lock_timeout) and copy the guard: `array.try_lock()?.to_vec()`.
    ///
    /// # Panics
    ///
    /// If this thread holds the guard, through which it should read; or in a forked copy that cannot become a peer of
    /// its own (see [`LockError::Failed`](crate::LockError::Failed)).
    ///
    /// # Examples
    ///
    /// See [`set`](Self::set).
    #[track_caller]
    pub fn to_vec(&self) -> Vec<T> {
        match self.acquire(Section::Whole, Wait::FOR_EVER) {
            // SAFETY: A1; volatile as in `read`.
            Ok(_turn) => (0..self.len()).map(|index| unsafe { self.at(index).read_volatile() }).collect(),
            Err(failure) => panic!("{}", failure.into_error(Kind::Array)),
        }
    }
}
