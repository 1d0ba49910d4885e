use std::time::Duration;

use super::{Barrier, timeout_word};
use crate::error::{AttachError, Kind, Result};
use crate::segment::named::{self, check_same};
use crate::segment::place::Home;
use crate::segment::{Arena, Name};

/// More about a [`Barrier`] than its parties.
///
/// # Examples
///
/// ```
/// use crossproc::{Barrier, BarrierError, BrokenBy};
/// use std::time::Duration;
///
/// let barrier = Barrier::builder().parties(2).timeout(Duration::from_millis(1)).build()?;
/// assert_eq!(barrier.wait(), Err(BarrierError::Broken(BrokenBy::Timeout)));
/// # Ok::<(), crossproc::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder makes nothing until it is told to"]
pub struct BarrierBuilder {
    parties: Option<usize>,
    timeout: Option<Duration>,
}

impl BarrierBuilder {
    pub(super) fn new() -> Self {
        BarrierBuilder { parties: None, timeout: None }
    }

    /// How many parties it takes: 1 to 65,535, 1 unless told.
    ///
    /// # Examples
    ///
    /// See [`BarrierBuilder`].
    pub fn parties(self, parties: usize) -> Self {
        BarrierBuilder { parties: Some(parties), ..self }
    }

    /// How long a [`wait`](Barrier::wait) lasts at most, in all processes: for ever unless told.
    ///
    /// # Examples
    ///
    /// See [`BarrierBuilder`].
    pub fn timeout(self, timeout: Duration) -> Self {
        BarrierBuilder { timeout: Some(timeout), ..self }
    }

    /// The barrier, in memory of its own.
    ///
    /// # Errors
    ///
    /// As [`Barrier::new`].
    ///
    /// # Examples
    ///
    /// See [`BarrierBuilder`].
    pub fn build(self) -> Result<Barrier> {
        self.make(Home::Own)
    }

    /// The barrier in an arena.
    ///
    /// # Errors
    ///
    /// As [`Barrier::new_in`].
    ///
    /// # Examples
    ///
    /// ```
    /// let arena = crossproc::Arena::new(4096)?;
    /// let barrier = crossproc::Barrier::builder().parties(2).build_in(&arena)?;
    /// assert_eq!(barrier.parties(), 2);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn build_in(self, arena: &Arena) -> Result<Barrier> {
        self.make(arena.home())
    }

    /// The barrier under a name.
    ///
    /// # Errors
    ///
    /// As [`Barrier::create`].
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::Barrier;
    ///
    /// # let unique = format!("example/built-barrier-{}", std::process::id());
    /// # let name = unique.as_str();
    /// let barrier = Barrier::builder().parties(2).create(name)?; // or "app/phase"
    /// assert_eq!(Barrier::open(name)?.parties(), 2);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn create(self, name: impl Into<Name>) -> Result<Barrier> {
        named::create(name.into(), |home| self.make(home))
    }

    /// The barrier of this name, or a new one if there is none.
    ///
    /// # Errors
    ///
    /// As [`Barrier::open_or_create`]; one that is there must have the parties and the timeout that this was told, if it was.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::{AttachError, Barrier, Error};
    ///
    /// # let unique = format!("example/either-barrier-{}", std::process::id());
    /// # let name = unique.as_str();
    /// let barrier = Barrier::builder().parties(2).open_or_create(name)?; // or "app/phase"
    /// let refused = Barrier::builder().parties(3).open_or_create(name).unwrap_err();
    /// assert!(matches!(refused, Error::Attach(AttachError::WrongShape { found: 2, expected: 3, .. })));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn open_or_create(self, name: impl Into<Name>) -> Result<Barrier> {
        let (parties, timeout) = (self.parties, self.timeout);
        let check = |found: &Barrier| {
            if let Some(parties) = parties {
                check_same(Kind::Barrier, "parties", found.parties(), parties)?;
            }
            match (found.timeout, timeout) {
                (found, Some(expected)) if timeout_word(found) != timeout_word(timeout) => {
                    Err(AttachError::WrongTimeout { object: Kind::Barrier, found, expected }.into())
                }
                _ => Ok(()),
            }
        };
        named::open_or_create(name.into(), |home| self.make(home), check)
    }

    pub(super) fn make(self, home: Home<'_>) -> Result<Barrier> {
        Barrier::make_with(home, self.parties.unwrap_or(1), timeout_word(self.timeout))
    }
}
