use super::methods::impl_semaphore;
use super::placed::PlacedSemaphore;
use crate::error::Result;
use crate::segment::Arena;
use crate::segment::impls::{impl_create, impl_handle};
use crate::segment::place::Home;

/// A [`Semaphore`](crate::Semaphore) that never has more permits than at the beginning: a release without an acquire is an
/// error.
///
/// # Concurrency and death
///
/// As for a [`Semaphore`](crate::Semaphore).
///
/// # Layout
///
/// As that of a [`Semaphore`](crate::Semaphore).
///
/// # Examples
///
/// ```
/// use crossproc::{BoundedSemaphore, Error, Kind};
///
/// let connections = BoundedSemaphore::new(5)?;
/// let permit = connections.acquire()?;
/// drop(permit); // gives it back
/// let refused = connections.release(1).unwrap_err();
/// assert_eq!(refused, Error::TooManyPermits { object: Kind::BoundedSemaphore, permits: 1, room: 0 });
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone)]
pub struct BoundedSemaphore {
    placed: PlacedSemaphore<true>,
}

impl BoundedSemaphore {
    /// A new semaphore with so many permits, all of them free, in memory of its own.
    ///
    /// # Errors
    ///
    /// [`Capacity`](crate::Error::Capacity) for none, which nobody could ever acquire, and beyond 2^30;
    /// [`NoSpace`](crate::Error::NoSpace) without shared memory, [`Os`](crate::Error::Os) without a descriptor.
    ///
    /// # Examples
    ///
    /// See [`BoundedSemaphore`].
    pub fn new(permits: usize) -> Result<Self> {
        Self::make(Home::Own, permits)
    }

    /// A new semaphore in an arena.
    ///
    /// # Errors
    ///
    /// [`Capacity`](crate::Error::Capacity) as for [`new`](Self::new); [`NoSpace`](crate::Error::NoSpace) if the arena is full.
    ///
    /// # Examples
    ///
    /// ```
    /// let arena = crossproc::Arena::new(4096)?;
    /// let semaphore = crossproc::BoundedSemaphore::new_in(&arena, 3)?;
    /// assert_eq!(semaphore.value(), 3);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn new_in(arena: &Arena, permits: usize) -> Result<Self> {
        Self::make(arena.home(), permits)
    }

    fn make(home: Home<'_>, permits: usize) -> Result<Self> {
        Ok(BoundedSemaphore { placed: PlacedSemaphore::create(home, permits, permits)? })
    }
}

impl_semaphore!(BoundedSemaphore, "BoundedSemaphore");
impl_handle!(BoundedSemaphore, "BoundedSemaphore");
impl_create!(BoundedSemaphore, (permits: usize), ["capacity": permits == capacity]);
