mod bounded;
mod builder;
mod describe;
mod methods;
mod permit;
mod placed;

use crate::error::Result;
use crate::segment::Arena;
use crate::segment::impls::{impl_create, impl_handle};
use crate::segment::place::Home;

pub use self::bounded::BoundedSemaphore;
pub use self::builder::SemaphoreBuilder;
pub(crate) use self::describe::describe;
use self::methods::impl_semaphore;
pub use self::permit::Permit;
use self::placed::PlacedSemaphore;

/// Room for permits that are released without having been acquired.
const SPARE: usize = 1024;

/// So many at a time, of the threads of any processes.
///
/// A permit is a guard: it goes back when it is dropped. One that is to go back elsewhere is [forgotten](Permit::forget) here
/// and [released](Self::release) there. A release without an acquire adds a permit; there is room for 1,024 more than at the
/// beginning, or for what [`builder`](Self::builder) was told. Where that would be a mistake, use a
/// [`BoundedSemaphore`](crate::BoundedSemaphore).
///
/// # Concurrency
///
/// A waiter spins briefly and then sleeps. Not fair: who arrives while a permit is free gets it, though others sleep. A process
/// may have many permits, also all of them; acquiring one more then waits for itself. Where hardly any of many permits is free,
/// finding it means looking at all of them: a microsecond for a thousand.
///
/// # Death
///
/// Permits of a process that is killed come back, within 50 ms of the kernel's having finished the exit. Nobody is told: what
/// permits stand for must bear it (a [`Lock`](crate::Lock) says so). A *stopped* process keeps its permits. A plain `fork`
/// does not duplicate them: the copy in the forked child does nothing.
///
/// # Layout
///
/// 16 bytes, filled up to a cache line, and a word of 32 bits for each permit that there can be, which says whose it is.
///
/// # Examples
///
/// ```
/// use crossproc::{Process, Result, Semaphore};
///
/// fn work(at_most_two: Semaphore) -> Result<()> {
///     let _permit = at_most_two.acquire()?;
///     // ... with one other at most
///     Ok(())
/// }
///
/// # fn main() -> Result<()> {
/// crossproc::init();
/// let semaphore = Semaphore::new(2)?;
/// let workers = [(); 4].map(|()| Process::spawn(work, (&semaphore,)));
/// for worker in workers {
///     worker?.join()??;
/// }
/// assert_eq!(semaphore.value(), 2);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Semaphore {
    placed: PlacedSemaphore<false>,
}

impl Semaphore {
    /// A new semaphore with so many free permits, in memory of its own, with room for 1,024 more.
    ///
    /// # Errors
    ///
    /// [`Capacity`](crate::Error::Capacity) beyond 2^30; [`NoSpace`](crate::Error::NoSpace) without shared memory,
    /// [`Os`](crate::Error::Os) without a descriptor.
    ///
    /// # Examples
    ///
    /// ```
    /// let done = crossproc::Semaphore::new(0)?;
    /// assert!(done.try_acquire().is_err());
    /// done.release(1)?;
    /// assert!(done.try_acquire().is_ok());
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn new(permits: usize) -> Result<Self> {
        Self::make(Home::Own, permits)
    }

    /// A new semaphore in an arena.
    ///
    /// # Errors
    ///
    /// [`Capacity`](crate::Error::Capacity) beyond 2^30; [`NoSpace`](crate::Error::NoSpace) if the arena is full.
    ///
    /// # Examples
    ///
    /// ```
    /// let arena = crossproc::Arena::new(1 << 16)?;
    /// let semaphore = crossproc::Semaphore::new_in(&arena, 3)?;
    /// assert_eq!(semaphore.value(), 3);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn new_in(arena: &Arena, permits: usize) -> Result<Self> {
        Self::make(arena.home(), permits)
    }

    /// More about a semaphore than how many permits it begins with.
    ///
    /// # Examples
    ///
    /// See [`SemaphoreBuilder`].
    pub fn builder() -> SemaphoreBuilder {
        SemaphoreBuilder::new()
    }

    fn make(home: Home<'_>, permits: usize) -> Result<Self> {
        Self::make_with(home, permits, permits.saturating_add(SPARE))
    }

    fn make_with(home: Home<'_>, permits: usize, most: usize) -> Result<Self> {
        Ok(Semaphore { placed: PlacedSemaphore::create(home, permits, most)? })
    }
}

impl_semaphore!(Semaphore, "Semaphore");
impl_handle!(Semaphore, "Semaphore");
impl_create!(Semaphore, (permits: usize), []);
