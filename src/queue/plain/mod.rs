#![allow(unsafe_code)]

mod get;
mod put;
mod slot;

use std::alloc::Layout;
use std::marker::PhantomData;
use std::mem::offset_of;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use super::cells::{Cells, Shape};
use super::cursors::{Cursors, check_capacity, is_capacity};
use crate::error::{Kind, Result};
use crate::ring::{CONTROL_LAYOUT, Control};
use crate::segment::handle::{impl_readable, impl_travel};
use crate::segment::place::{Body, Home, Placed, assert_alignment};
use crate::segment::{Arena, Segment, Shared, stamp, type_stamp};
use crate::sys::barrier;

pub use slot::{Slot, Taken};

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

    /// Refuses every put from now on, also those that wait. What has been put can still be got, and then gets end with
    /// [`Closed`](crate::GetError::Closed).
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

    /// The descriptor of [`AsFd`](std::os::fd::AsFd), where there may be none left: it polls readable while there is a
    /// message, and once the ring is closed and drained.
    ///
    /// It is an eventfd of this process, only to be polled: alone, with [`wait_any`](crate::wait_any), or in an event loop
    /// with others. The first call starts a thread, which keeps it right until this handle and its clones are gone; before
    /// that, nothing is paid for it. It is gone with them. A forked copy of the process has its own.
    ///
    /// # Concurrency
    ///
    /// What this handle and its clones get is accounted for at once. Where others drain the ring, it may stay readable for
    /// 50 ms: get with a `try_` form.
    ///
    /// # Errors
    ///
    /// [`Os`](crate::Error::Os) without a descriptor or a thread.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use crossproc::{Ring, wait_any};
    ///
    /// let (few, many) = (Ring::new(1)?, Ring::new(9)?);
    /// few.readiness()?;
    /// many.put(7)?;
    /// assert_eq!(wait_any(&[&few, &many], None)?, [1]);
    /// assert_eq!(many.try_get()?, 7);
    /// assert!(wait_any(&[&few, &many], Some(Duration::ZERO))?.is_empty());
    /// few.close();
    /// assert_eq!(wait_any(&[&few, &many], None)?, [0]);
    /// # few.put(1).unwrap_err();
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn readiness(&self) -> Result<BorrowedFd<'_>> {
        self.cursors.readiness(&self.placed, cells::<T>, |_| false)
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

impl_readable!(Ring<T: Shared>, "Ring");
impl_travel!(Ring<T: Shared>);
