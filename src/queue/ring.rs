#![allow(unsafe_code)]

use std::alloc::Layout;
use std::marker::PhantomData;
use std::mem::offset_of;
use std::sync::Arc;
use std::time::Duration;

use super::cells::{Cells, Shape};
use super::cursors::{Cursors, Refusal, check_capacity, is_capacity};
use super::slot::{Slot, Taken};
use crate::error::{GetError, Kind, PutError, Result, TryGetError, TryPutError};
use crate::ring::{CONTROL_LAYOUT, Control};
use crate::segment::handle::impl_handle;
use crate::segment::place::{Body, Home, Placed, assert_alignment};
use crate::segment::{Arena, Segment, Shared, Wait, stamp, type_stamp};
use crate::sys::barrier;

/// A bounded queue of plain data, lock-free, for any number of producers and consumers.
///
/// Messages are copied into and out of slots in shared memory ([`put`](Self::put), [`get`](Self::get)), or written and read
/// in place ([`reserve`](Self::reserve), [`take`](Self::take)). For messages that are not plain data there is
/// [`Queue`](crate::Queue).
///
/// # Concurrency
///
/// Every message is got by one consumer. What one producer puts is got in its order: each consumer sees a part of it, in
/// that order. A message whose put has returned can be got at once, by everybody. The ring holds exactly
/// [`capacity`](Self::capacity) messages, those included that are being written or read. Who waits sleeps; while nobody does,
/// no operation makes a system call.
///
/// # Death
///
/// A producer killed at any instruction has put the whole message or nothing. A consumer killed before its `get` has
/// returned has not got the message: another one gets it, maybe after later ones ([`redelivered`](Self::redelivered)
/// counts them). Whoever waits behind a dead process goes on within 50 ms. A process that is stopped (SIGSTOP) in the middle
/// is waited for.
///
/// # Trust
///
/// `get` copies. [`take`](Self::take) borrows shared memory in place and so trusts the other processes to keep to the
/// protocol.
///
/// # Layout
///
/// Shape (capacity,), fixed at creation: slots of a word and a `T`, each at a cache line of its own.
///
/// # Examples
///
/// ```
/// use crossproc::{Process, Result, Ring};
///
/// fn square(numbers: Ring<u64>, squares: Ring<[u64; 2]>) -> Result<()> {
///     while let Ok(n) = numbers.get() {
///         squares.put([n, n * n])?;
///     }
///     Ok(())
/// }
///
/// # fn main() -> Result<()> {
/// crossproc::init();
/// let (numbers, squares) = (Ring::new(8)?, Ring::new(8)?);
/// let process = Process::spawn(square, (&numbers, &squares))?;
/// for n in 1..=3 {
///     numbers.put(n)?;
/// }
/// numbers.close();
/// process.join()??;
/// assert_eq!(squares.get_many(10)?, [[1, 1], [2, 4], [3, 9]]);
/// # Ok(())
/// # }
/// ```
pub struct Ring<T: Shared> {
    placed: Placed<RingBody>,
    cursors: Cursors,
    element: PhantomData<T>,
}

/// | offset | size         | field   | meaning                                                             |
/// |--------|--------------|---------|---------------------------------------------------------------------|
/// | 0      | 256          | control | `ring/control.rs`                                                   |
/// | 256    | capacity x n |         | the slots: a word (`ring/slot.rs`), then the `T` at its alignment, filled up to a multiple of 64 |
#[repr(C, align(64))]
struct RingBody {
    control: Control,
}

const _: () = assert!(size_of::<RingBody>() == 256);

// SAFETY: `repr(C)`, atomics only and no padding; all zero is an empty ring.
unsafe impl Body for RingBody {
    const KIND: Kind = Kind::Ring;
    const STAMP: u64 = stamp(&CONTROL_LAYOUT);
}

const _: () = assert!(offset_of!(RingBody, control) == 0);

impl<T: Shared> Ring<T> {
    const SHAPE: Shape = {
        assert_alignment::<T>();
        Shape::of(Layout::new::<T>())
    };

    /// A ring for `capacity` messages (1 to 2^30), in memory of its own.
    ///
    /// # Errors
    ///
    /// [`Capacity`](crate::Error::Capacity) for none or too many, [`NoSpace`](crate::Error::NoSpace) without shared memory,
    /// [`Os`](crate::Error::Os) without a descriptor.
    ///
    /// # Examples
    ///
    /// ```
    /// let ring = crossproc::Ring::<f64>::new(6)?;
    /// assert_eq!(ring.capacity(), 6);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn new(capacity: usize) -> Result<Self> {
        Self::create(Home::Own, capacity)
    }

    /// A ring in an arena.
    ///
    /// # Errors
    ///
    /// [`Capacity`](crate::Error::Capacity), and [`NoSpace`](crate::Error::NoSpace) if the arena is full.
    ///
    /// # Examples
    ///
    /// ```
    /// let arena = crossproc::Arena::new(1 << 16)?;
    /// let ring = crossproc::Ring::new_in(&arena, 10)?;
    /// ring.put(1)?;
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn new_in(arena: &Arena, capacity: usize) -> Result<Self> {
        Self::create(arena.home(), capacity)
    }

    fn create(home: Home<'_>, capacity: usize) -> Result<Self> {
        let capacity = check_capacity(Kind::Ring, capacity)?;
        Ok(Self::of(Placed::create(home, type_stamp::<T>(), capacity, Self::SHAPE.row(capacity), |_| ())?))
    }

    fn attach(segment: Arc<Segment>, offset: u64) -> Result<Self> {
        let tail = |capacity| is_capacity(capacity).then(|| Self::SHAPE.row(capacity))?;
        Ok(Self::of(Placed::attach(segment, offset, &type_stamp::<T>(), tail)?))
    }

    fn of(placed: Placed<RingBody>) -> Self {
        barrier::register();
        let cursors = Cursors::new(&cells::<T>(&placed));
        Ring { placed, cursors, element: PhantomData }
    }

    #[inline]
    fn cells(&self) -> Cells<'_> {
        cells::<T>(&self.placed)
    }

    /// Puts a message; waits while the ring is full.
    ///
    /// # Errors
    ///
    /// [`Closed`](PutError::Closed) with the message if the ring is, or while it waits becomes, closed.
    ///
    /// # Examples
    ///
    /// ```
    /// let ring = crossproc::Ring::new(2)?;
    /// ring.put(1_u8)?;
    /// assert_eq!(ring.get()?, 1);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    #[inline]
    pub fn put(&self, message: T) -> Result<(), PutError<T>> {
        self.write(&message, Wait::FOR_EVER).map_err(|refusal| refusal.put(message))
    }

    /// Puts a message if there is room.
    ///
    /// # Errors
    ///
    /// [`Full`](TryPutError::Full) or [`Closed`](TryPutError::Closed), with the message.
    ///
    /// # Examples
    ///
    /// See [`TryPutError`].
    #[inline]
    pub fn try_put(&self, message: T) -> Result<(), TryPutError<T>> {
        self.write(&message, Wait::No).map_err(|refusal| refusal.try_put(message))
    }

    /// Puts a message; waits for `timeout` at most (monotonic).
    ///
    /// # Errors
    ///
    /// [`Full`](TryPutError::Full) or [`Closed`](TryPutError::Closed), with the message.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use crossproc::{Ring, TryPutError};
    ///
    /// let ring = Ring::new(1)?;
    /// ring.put(1)?;
    /// assert_eq!(ring.put_timeout(2, Duration::from_millis(1)), Err(TryPutError::Full(2)));
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn put_timeout(&self, message: T, timeout: Duration) -> Result<(), TryPutError<T>> {
        self.write(&message, Wait::at_most(timeout)).map_err(|refusal| refusal.try_put(message))
    }

    #[inline]
    fn write(&self, message: &T, wait: Wait) -> Result<(), Refusal> {
        let cells = self.cells();
        let mut slot = Slot::<T>::new(cells, self.cursors.claim(&cells, wait)?);
        slot.write(*message);
        slot.commit();
        Ok(())
    }

    /// Gets the next message; waits while there is none.
    ///
    /// # Errors
    ///
    /// [`Closed`](GetError::Closed) once the ring is closed and drained.
    ///
    /// # Examples
    ///
    /// See [`put`](Self::put).
    #[inline]
    pub fn get(&self) -> Result<T, GetError> {
        self.take().map(|taken| taken.read())
    }

    /// Gets the next message if there is one.
    ///
    /// # Errors
    ///
    /// [`Empty`](TryGetError::Empty), or [`Closed`](TryGetError::Closed) once the ring is closed and drained.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::{Ring, TryGetError};
    ///
    /// let ring = Ring::<i32>::new(2)?;
    /// assert_eq!(ring.try_get(), Err(TryGetError::Empty));
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    #[inline]
    pub fn try_get(&self) -> Result<T, TryGetError> {
        self.try_take().map(|taken| taken.read())
    }

    /// Gets the next message; waits for `timeout` at most (monotonic).
    ///
    /// # Errors
    ///
    /// As [`try_get`](Self::try_get).
    ///
    /// # Examples
    ///
    /// See [`take_timeout`](Self::take_timeout).
    pub fn get_timeout(&self, timeout: Duration) -> Result<T, TryGetError> {
        self.take_timeout(timeout).map(|taken| taken.read())
    }

    /// Room for a message, to be written in place; waits while the ring is full.
    ///
    /// It holds its place in the line until it is committed or dropped: whoever gets messages waits for it.
    ///
    /// # Errors
    ///
    /// [`Closed`](PutError::Closed).
    ///
    /// # Examples
    ///
    /// See [`Slot`].
    #[inline]
    pub fn reserve(&self) -> Result<Slot<'_, T>, PutError<()>> {
        self.slot(Wait::FOR_EVER).map_err(|refusal| refusal.put(()))
    }

    /// Room for a message if there is any now.
    ///
    /// # Errors
    ///
    /// [`Full`](TryPutError::Full) or [`Closed`](TryPutError::Closed).
    ///
    /// # Examples
    ///
    /// ```
    /// let ring = crossproc::Ring::<u64>::new(1)?;
    /// let slot = ring.try_reserve()?;
    /// assert!(ring.try_reserve().is_err() && ring.is_full() && ring.is_empty());
    /// # drop(slot);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    #[inline]
    pub fn try_reserve(&self) -> Result<Slot<'_, T>, TryPutError<()>> {
        self.slot(Wait::No).map_err(|refusal| refusal.try_put(()))
    }

    /// Room for a message; waits for `timeout` at most (monotonic).
    ///
    /// # Errors
    ///
    /// As [`try_reserve`](Self::try_reserve).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let ring = crossproc::Ring::<u64>::new(1)?;
    /// ring.reserve_timeout(Duration::from_millis(1))?.commit();
    /// assert!(ring.reserve_timeout(Duration::from_millis(1)).is_err());
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn reserve_timeout(&self, timeout: Duration) -> Result<Slot<'_, T>, TryPutError<()>> {
        self.slot(Wait::at_most(timeout)).map_err(|refusal| refusal.try_put(()))
    }

    #[inline]
    fn slot(&self, wait: Wait) -> Result<Slot<'_, T>, Refusal> {
        let cells = self.cells();
        Ok(Slot::new(cells, self.cursors.claim(&cells, wait)?))
    }

    /// The next message, to be read in place; waits while there is none.
    ///
    /// # Errors
    ///
    /// [`Closed`](GetError::Closed) once the ring is closed and drained.
    ///
    /// # Examples
    ///
    /// See [`Slot`].
    #[inline]
    pub fn take(&self) -> Result<Taken<'_, T>, GetError> {
        self.taken(Wait::FOR_EVER).map_err(Refusal::get)
    }

    /// The next message in place, if there is one.
    ///
    /// # Errors
    ///
    /// As [`try_get`](Self::try_get).
    ///
    /// # Examples
    ///
    /// ```
    /// let ring = crossproc::Ring::new(1)?;
    /// ring.put([1_u16; 100])?;
    /// let message = ring.try_take()?;
    /// assert!(message.iter().all(|&n| n == 1) && ring.is_full());
    /// # drop(message);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    #[inline]
    pub fn try_take(&self) -> Result<Taken<'_, T>, TryGetError> {
        self.taken(Wait::No).map_err(Refusal::try_get)
    }

    /// The next message in place; waits for `timeout` at most (monotonic).
    ///
    /// # Errors
    ///
    /// As [`try_get`](Self::try_get).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use crossproc::{Ring, TryGetError};
    ///
    /// let ring = Ring::<u8>::new(1)?;
    /// assert_eq!(ring.take_timeout(Duration::from_millis(1)).unwrap_err(), TryGetError::Empty);
    /// assert_eq!(ring.get_timeout(Duration::from_millis(1)), Err(TryGetError::Empty));
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn take_timeout(&self, timeout: Duration) -> Result<Taken<'_, T>, TryGetError> {
        self.taken(Wait::at_most(timeout)).map_err(Refusal::try_get)
    }

    #[inline]
    fn taken(&self, wait: Wait) -> Result<Taken<'_, T>, Refusal> {
        let cells = self.cells();
        Ok(Taken::new(cells, &self.cursors, self.cursors.take(&cells, wait)?))
    }

    /// Puts all messages, one after the other; waits while the ring is full. Those of other producers may come in between.
    ///
    /// # Errors
    ///
    /// [`Closed`](PutError::Closed) with how many have been put.
    ///
    /// # Examples
    ///
    /// ```
    /// let ring = crossproc::Ring::new(4)?;
    /// ring.put_many(&[1, 2, 3])?;
    /// assert_eq!(ring.get_many(2)?, [1, 2]);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn put_many(&self, messages: &[T]) -> Result<(), PutError<usize>> {
        for (put, message) in messages.iter().enumerate() {
            self.write(message, Wait::FOR_EVER).map_err(|refusal| refusal.put(put))?;
        }
        Ok(())
    }

    /// Puts messages while there is room; how many.
    ///
    /// # Errors
    ///
    /// [`Closed`](TryPutError::Closed) if not one could be put because the ring is closed.
    ///
    /// # Examples
    ///
    /// ```
    /// let ring = crossproc::Ring::new(2)?;
    /// assert_eq!(ring.try_put_many(&[1, 2, 3])?, 2);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn try_put_many(&self, messages: &[T]) -> Result<usize, TryPutError<()>> {
        for (put, message) in messages.iter().enumerate() {
            match self.write(message, Wait::No) {
                Ok(()) => {}
                Err(Refusal::NotNow) => return Ok(put),
                Err(refusal) if put == 0 => return Err(refusal.try_put(())),
                Err(_) => return Ok(put),
            }
        }
        Ok(messages.len())
    }

    /// Gets the next messages, as many as are there but `most` at most; waits while there is none.
    ///
    /// # Errors
    ///
    /// [`Closed`](GetError::Closed) once the ring is closed and drained.
    ///
    /// # Death
    ///
    /// A process killed before it has returned loses those messages that it had got already; the others are got by
    /// somebody else.
    ///
    /// # Examples
    ///
    /// See [`put_many`](Self::put_many).
    pub fn get_many(&self, most: usize) -> Result<Vec<T>, GetError> {
        if most == 0 {
            return Ok(Vec::new());
        }
        let mut messages = vec![self.get()?];
        while messages.len() < most
            && let Ok(message) = self.try_get()
        {
            messages.push(message);
        }
        Ok(messages)
    }

    /// Gets messages until the ring is closed and drained.
    ///
    /// # Examples
    ///
    /// ```
    /// let ring = crossproc::Ring::new(4)?;
    /// ring.put_many(&[1, 2, 3])?;
    /// ring.close();
    /// assert_eq!(ring.iter().sum::<i32>(), 6);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = T> + '_ {
        std::iter::from_fn(|| self.get().ok())
    }

    /// Refuses every put from now on, also those that wait. What has been put can still be got, and then gets end with
    /// [`Closed`](GetError::Closed).
    ///
    /// # Examples
    ///
    /// See [`iter`](Self::iter).
    pub fn close(&self) {
        self.placed.body().control.close();
    }

    /// Whether somebody has closed the ring.
    ///
    /// # Examples
    ///
    /// ```
    /// let ring = crossproc::Ring::<u8>::new(1)?;
    /// ring.close();
    /// assert!(ring.is_closed());
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn is_closed(&self) -> bool {
        self.placed.body().control.is_closed()
    }

    /// How many messages are ready to be got. Stale at once where others put and get. It looks at each of them.
    ///
    /// # Examples
    ///
    /// ```
    /// let ring = crossproc::Ring::new(4)?;
    /// ring.put_many(&[1, 2])?;
    /// assert_eq!((ring.len(), ring.is_empty(), ring.is_full()), (2, false, false));
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn len(&self) -> usize {
        self.cursors.count(&self.cells(), usize::MAX)
    }

    /// Whether no message is ready to be got. Stale at once where others put and get.
    ///
    /// # Examples
    ///
    /// See [`len`](Self::len).
    pub fn is_empty(&self) -> bool {
        self.cursors.count(&self.cells(), 1) == 0
    }

    /// Whether there is no room for another message. Stale at once where others put and get.
    ///
    /// # Examples
    ///
    /// See [`len`](Self::len).
    pub fn is_full(&self) -> bool {
        self.cursors.is_full(&self.cells())
    }

    /// How many messages the ring holds.
    ///
    /// # Examples
    ///
    /// See [`new`](Self::new).
    pub fn capacity(&self) -> usize {
        self.placed.length()
    }

    /// How many messages have been taken from a consumer that died, for another one to get.
    ///
    /// # Death
    ///
    /// A process killed at the moment of the taking may leave one uncounted.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(crossproc::Ring::<u8>::new(1)?.redelivered(), 0);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn redelivered(&self) -> u64 {
        self.placed.body().control.redelivered()
    }
}

#[inline]
fn cells<T: Shared>(placed: &Placed<RingBody>) -> Cells<'_> {
    // SAFETY: the tail was laid out, and checked at attach, as a row of `SHAPE`.
    unsafe { Cells::new(placed, &placed.body().control, 0, Ring::<T>::SHAPE) }
}

impl<T: Shared> Clone for Ring<T> {
    fn clone(&self) -> Self {
        Ring { placed: self.placed.clone(), cursors: self.cursors.clone(), element: PhantomData }
    }
}

impl_handle!(Ring<T: Shared>, "Ring");
