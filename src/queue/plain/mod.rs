#![allow(unsafe_code)]

mod get;
mod put;
mod slot;

use std::alloc::Layout;
use std::fmt;
use std::marker::PhantomData;
use std::mem::offset_of;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use super::cells::{Cells, Shape};
use super::cursors::{Cursors, check_capacity, is_capacity};
use super::line::impl_line;
use crate::error::{Kind, Result};
use crate::ring::{CONTROL_LAYOUT, Control};
use crate::segment::impls::{impl_create, impl_from_fd, impl_travel};
use crate::segment::place::{Body, Home, Placed, assert_alignment};
use crate::segment::{Arena, Facts, OBJECT_ALIGN, Segment, Shared, stamp, type_stamp};
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
/// [`capacity`](Self::capacity) messages, those included that are being written or read. Who waits sleeps. A put that finds
/// room and a get that finds a message make no system call while nobody sleeps, but for a look at who lives every 25 ms while
/// others are reading.
///
/// # Death
///
/// A producer killed at any instruction has put the whole message or nothing. A consumer killed before its `get` has
/// returned has not got the message: another one gets it, maybe after later ones ([`redelivered`](Self::redelivered)
/// counts them). Whoever waits behind a dead process goes on within 50 ms; a `try_` form may not see that it is dead for some
/// milliseconds. A process that is stopped (SIGSTOP) in the middle is waited for.
///
/// # Trust
///
/// `get` copies. [`take`](Self::take) borrows shared memory in place and so trusts the other processes to keep to the
/// protocol.
///
/// # Limits
///
/// At most 256 processes may have a handle of one ring at a time, as of any object ([`TooManyPeers`](crate::Error::TooManyPeers)).
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
        Self::make(Home::Own, capacity)
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
        Self::make(arena.home(), capacity)
    }

    fn make(home: Home<'_>, capacity: usize) -> Result<Self> {
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

    fn watch(&self) -> Result<BorrowedFd<'_>> {
        self.cursors.readiness(&self.placed, cells::<T>, |_| false)
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

impl<T: Shared> fmt::Debug for Ring<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = f.debug_struct("Ring");
        fields
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .field("is_closed", &self.is_closed())
            .finish()
    }
}

impl_line!(Ring, "Ring", "ring", [T: Shared], [T: Shared]);
impl_from_fd!(Ring<T: Shared>, "Ring");
impl_travel!(Ring<T: Shared>);
impl_create!(Ring<T: Shared>, (capacity: usize), ["capacity": capacity == capacity]);

pub(crate) fn describe(facts: &mut Facts<'_>) -> Result<()> {
    let body = facts.image.body::<RingBody>()?;
    let element = &facts.image.object.element;
    // A type that no ring can have is that of a damaged one.
    let layout = Layout::from_size_align(element.size as usize, element.align as usize);
    let row = layout.ok().filter(|layout| layout.align() as u64 <= OBJECT_ALIGN).and_then(|layout| {
        let shape = Shape::of(layout);
        Some((shape.row(facts.image.object.length)?, shape.stride()))
    });
    let (tail, stride) = row.ok_or_else(|| facts.image.wrong_length())?;
    let slots = facts.image.tail::<RingBody>(tail)?;
    super::describe::describe(facts, body + offset_of!(RingBody, control) as u64, slots, stride)
}
