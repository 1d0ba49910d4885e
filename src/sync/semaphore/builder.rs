use super::{Semaphore, most_for};
use crate::error::{Kind, Result};
use crate::segment::place::Home;
use crate::segment::{Arena, Name, named};

/// More about a [`Semaphore`] than how many permits it begins with.
///
/// # Examples
///
/// ```
/// use crossproc::{Error, Kind, Semaphore};
///
/// let items = Semaphore::builder().permits(0).max(2).build()?;
/// items.release(2)?;
/// let refused = items.release(1).unwrap_err();
/// assert_eq!(refused, Error::TooManyPermits { object: Kind::Semaphore, permits: 1, room: 0 });
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder makes nothing until it is told to"]
pub struct SemaphoreBuilder {
    permits: usize,
    max: Option<usize>,
}

impl SemaphoreBuilder {
    pub(super) fn new() -> Self {
        SemaphoreBuilder { permits: 1, max: None }
    }

    /// How many permits are free at the beginning: one unless told.
    ///
    /// # Examples
    ///
    /// See [`SemaphoreBuilder`].
    pub fn permits(self, permits: usize) -> Self {
        SemaphoreBuilder { permits, ..self }
    }

    /// The most permits that there can ever be: 1 to 2^30, and 1,024 more than at the beginning unless told. Each takes 4
    /// bytes.
    ///
    /// # Examples
    ///
    /// See [`SemaphoreBuilder`].
    pub fn max(self, permits: usize) -> Self {
        SemaphoreBuilder { max: Some(permits), ..self }
    }

    /// The semaphore, in memory of its own.
    ///
    /// # Errors
    ///
    /// As [`Semaphore::new`], and [`TooManyPermits`](crate::Error::TooManyPermits) if it is to begin with more permits than
    /// there can be.
    ///
    /// # Examples
    ///
    /// See [`SemaphoreBuilder`].
    pub fn build(self) -> Result<Semaphore> {
        self.make(Home::Own)
    }

    /// The semaphore in an arena.
    ///
    /// # Errors
    ///
    /// As [`Semaphore::new_in`] and [`build`](Self::build).
    ///
    /// # Examples
    ///
    /// ```
    /// let arena = crossproc::Arena::new(1024)?;
    /// let semaphore = crossproc::Semaphore::builder().permits(3).max(10).build_in(&arena)?;
    /// assert_eq!((semaphore.value(), semaphore.capacity()), (3, 10));
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn build_in(self, arena: &Arena) -> Result<Semaphore> {
        self.make(arena.home())
    }

    /// The semaphore under a name.
    ///
    /// # Errors
    ///
    /// As [`Semaphore::create`] and [`build`](Self::build).
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::Semaphore;
    ///
    /// # let unique = format!("example/built-semaphore-{}", std::process::id());
    /// # let name = unique.as_str();
    /// let semaphore = Semaphore::builder().permits(3).max(10).create(name)?; // or "app/slots"
    /// assert_eq!(Semaphore::open(name)?.capacity(), 10);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn create(self, name: impl Into<Name>) -> Result<Semaphore> {
        named::create(name.into(), |home| self.make(home))
    }

    /// The semaphore of this name, or a new one if there is none.
    ///
    /// # Errors
    ///
    /// As [`Semaphore::open_or_create`] and [`build`](Self::build); one that is there must have the most permits that this was told,
    /// if it was.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::{AttachError, Error, Semaphore};
    ///
    /// # let unique = format!("example/either-semaphore-{}", std::process::id());
    /// # let name = unique.as_str();
    /// let semaphore = Semaphore::builder().max(10).open_or_create(name)?; // or "app/slots"
    /// let refused = Semaphore::builder().max(11).open_or_create(name).unwrap_err();
    /// assert!(matches!(refused, Error::Attach(AttachError::WrongShape { found: 10, expected: 11, .. })));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn open_or_create(self, name: impl Into<Name>) -> Result<Semaphore> {
        let max = self.max;
        let check = |found: &Semaphore| match max {
            Some(max) => named::check_same(Kind::Semaphore, "capacity", found.capacity(), max),
            None => Ok(()),
        };
        named::open_or_create(name.into(), |home| self.make(home), check)
    }

    fn make(self, home: Home<'_>) -> Result<Semaphore> {
        Semaphore::make_with(home, self.permits, self.most())
    }

    fn most(&self) -> usize {
        self.max.unwrap_or_else(|| most_for(self.permits))
    }
}
