#![allow(unsafe_code)]

use std::alloc::Layout;
use std::marker::PhantomData;
use std::mem::offset_of;
use std::ptr::NonNull;
use std::slice;
use std::sync::Arc;
use std::time::Duration;

use super::array_guard::ArrayGuard;
use crate::error::{Error, Kind, LockError, Result, TryLockError};
use crate::fault::crash_point;
use crate::segment::handle::impl_handle;
use crate::segment::place::{Body, Home, Placed};
use crate::segment::{Arena, Failure, Ownership, Section, Segment, Shared, Wait, stamp, type_stamp};
use crate::sys::atomic::{
    AtomicU64,
    Ordering::{Relaxed, Release},
};
use crate::sys::clock::Deadline;
use crate::sys::spin::Spin;
use crate::word::lock::LockWord;

/// A row of plain data, shared by processes under one lock.
///
/// # Concurrency
///
/// Every access takes the array's lock: [`get`](Self::get), [`set`](Self::set) and [`to_vec`](Self::to_vec) for their
/// own duration, [`lock`](Self::lock) until its guard is dropped. The guard derefs to `[T]`, in place: nothing is copied.
///
/// # Death
///
/// A process killed in `set` leaves the element's old value or its new one, and nobody is told. A process killed with the
/// guard in hand leaves what it had written so far; the next [`lock`](Self::lock) says so, `get` and `set` go on.
///
/// # Trust
///
/// `get`, `set` and `to_vec` copy. The guard borrows shared memory in place and so trusts the other processes to keep to
/// the lock.
///
/// # Layout
///
/// Shape (len,), fixed at creation: the elements, one after the other, at their own alignment, and one more for undoing.
///
/// # Examples
///
/// ```
/// use crossproc::{Array, Process};
///
/// fn negate(array: Array<i32>) -> crossproc::Result<()> {
///     for item in array.lock()?.iter_mut() {
///         *item = -*item;
///     }
///     Ok(())
/// }
///
/// # fn main() -> crossproc::Result<()> {
/// crossproc::init();
/// let array = Array::from_iter(0..4)?;
/// Process::spawn(negate, (&array,))?.join()??;
/// assert_eq!(array.to_vec(), [0, -1, -2, -3]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Array<T: Shared> {
    placed: Placed<ArrayBody>,
    spin: Spin,
    element: PhantomData<T>,
}

/// | offset | size          | field | meaning                                                            |
/// |--------|---------------|-------|--------------------------------------------------------------------|
/// | 0      | 8             | lock  | `word/lock.rs`                                                     |
/// | 8      | 8             | undo  | 0, or 1 + the index of an element that the last element replaces   |
/// | 64     | (len + 1) x n |       | the elements, and the old value of the one that is being set       |
///
/// `undo` changes only under the lock. An owner that finds it set took the lock from one that was killed within `set`.
#[repr(C, align(64))]
struct ArrayBody {
    lock: LockWord,
    undo: AtomicU64,
    line: [AtomicU64; 6],
}

const _: () = assert!(size_of::<ArrayBody>() == 64 && offset_of!(ArrayBody, undo) == 8);

// SAFETY: `repr(C)`, atomics only and no padding; zero is a free lock and nothing to undo.
unsafe impl Body for ArrayBody {
    const KIND: Kind = Kind::Array;
    const STAMP: u64 = stamp(&[size_of::<ArrayBody>(), offset_of!(ArrayBody, lock), offset_of!(ArrayBody, undo)]);
}

impl<T: Shared> Array<T> {
    /// `length` elements of zero bytes, in memory of their own.
    ///
    /// # Errors
    ///
    /// [`NoSpace`](Error::NoSpace) without shared memory, [`Os`](Error::Os) without a descriptor.
    ///
    /// # Examples
    ///
    /// ```
    /// let array = crossproc::Array::<u16>::new(3)?;
    /// assert_eq!(array.to_vec(), [0, 0, 0]);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn new(length: usize) -> Result<Self> {
        Self::create(Home::Own, length, |_| ())
    }

    /// `length` elements of zero bytes in an arena.
    ///
    /// # Errors
    ///
    /// [`NoSpace`](Error::NoSpace) if the arena is full.
    ///
    /// # Examples
    ///
    /// ```
    /// let arena = crossproc::Arena::new(4096)?;
    /// assert_eq!(crossproc::Array::<f64>::new_in(&arena, 10)?.len(), 10);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn new_in(arena: &Arena, length: usize) -> Result<Self> {
        Self::create(arena.home(), length, |_| ())
    }

    /// The items, in memory of their own.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    ///
    /// # Examples
    ///
    /// ```
    /// let array = crossproc::Array::from_iter([1.5, 2.5])?;
    /// assert_eq!(array.get(1)?, 2.5);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    #[expect(clippy::should_implement_trait, reason = "it can fail, and `FromIterator` cannot")]
    pub fn from_iter(items: impl IntoIterator<Item = T>) -> Result<Self> {
        let items: Vec<T> = items.into_iter().collect();
        Self::create(Home::Own, items.len(), |elements| {
            // SAFETY: the tail was laid out for so many T and one more, and nobody else can see it yet.
            unsafe { elements.as_ptr().copy_from_nonoverlapping(items.as_ptr(), items.len()) };
        })
    }

    fn create(home: Home<'_>, length: usize, fill: impl FnOnce(NonNull<T>)) -> Result<Self> {
        let (fill, length) = (|placed: &Placed<ArrayBody>| fill(placed.tail().cast()), length as u64);
        let placed = Placed::create(home, type_stamp::<T>(), length, Self::tail(length), fill)?;
        Ok(Array { placed, spin: Spin::new(), element: PhantomData })
    }

    fn attach(segment: Arc<Segment>, offset: u64) -> Result<Self> {
        let placed = Placed::attach(segment, offset, &type_stamp::<T>(), Self::tail)?;
        Ok(Array { placed, spin: Spin::new(), element: PhantomData })
    }

    fn tail(length: u64) -> Option<Layout> {
        const { assert!(size_of::<T>() > 0, "an array's elements have a size") };
        Layout::array::<T>(usize::try_from(length).ok()?.checked_add(1)?).ok()
    }

    /// The number of elements.
    ///
    /// # Examples
    ///
    /// See [`new_in`](Self::new_in).
    #[expect(clippy::len_without_is_empty, reason = "fixed at creation: nobody waits for it to become empty")]
    pub fn len(&self) -> usize {
        self.placed.length()
    }

    /// A copy of one element.
    ///
    /// # Errors
    ///
    /// [`OutOfRange`](Error::OutOfRange) with index and length; [`AlreadyHeld`](Error::AlreadyHeld) if this thread holds
    /// the guard, through which it should read.
    ///
    /// # Examples
    ///
    /// ```
    /// let array = crossproc::Array::from_iter([10, 20])?;
    /// assert_eq!(array.get(1)?, 20);
    /// assert_eq!(array.get(2).unwrap_err().to_string(), "index 2 is out of range for an array of length 2");
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn get(&self, index: usize) -> Result<T> {
        self.read(index, Wait::Until(Deadline::NEVER))
    }

    /// [`get`](Self::get), if nobody else has the lock.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get), and [`Held`](Error::Held) if another thread or process has the lock.
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
        self.read(index, Wait::Until(Deadline::after(timeout)))
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
        self.write(index, value, Wait::Until(Deadline::NEVER))
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
        self.write(index, value, Wait::No)
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
        self.write(index, value, Wait::Until(Deadline::after(timeout)))
    }

    fn write(&self, index: usize, value: T, wait: Wait) -> Result<()> {
        let (_turn, element) = self.element(index, wait)?;
        let undo = &self.placed.body().undo;
        // SAFETY: A1 for both; an element and the one behind all elements do not overlap.
        unsafe { self.at(self.len()).copy_from_nonoverlapping(element, 1) };
        crash_point!("array.saved");
        undo.store(index as u64 + 1, Release); // the old value comes first: pairs with the lock's Acquire
        crash_point!("array.writing");
        // SAFETY: A1.
        unsafe { element.write_volatile(value) };
        crash_point!("array.written");
        undo.store(0, Release); // the new value comes first
        Ok(())
    }

    /// All elements, copied.
    ///
    /// Waits for the lock as long as it takes; for a bound, lock with [`try_lock`](Self::try_lock) or
    /// [`lock_timeout`](Self::lock_timeout) and copy the guard: `array.try_lock()?.to_vec()`.
    ///
    /// # Panics
    ///
    /// If this thread holds the guard, through which it should read; or in a forked copy that cannot become a peer of
    /// its own (see [`LockError::Failed`]).
    ///
    /// # Examples
    ///
    /// See [`set`](Self::set).
    pub fn to_vec(&self) -> Vec<T> {
        match self.acquire(Section::Whole, Wait::Until(Deadline::NEVER)) {
            // SAFETY: A1, for all elements.
            Ok(_turn) => unsafe { slice::from_raw_parts(self.at(0).as_ptr(), self.len()) }.to_vec(),
            Err(failure) => panic!("{}", failure.into_error(Kind::Array)),
        }
    }

    /// Waits for the lock and keeps it until the guard is dropped. The guard derefs to `[T]`, in place.
    ///
    /// # Errors
    ///
    /// [`OwnerDied`](LockError::OwnerDied), with the guard, if a process died with the guard in hand and nobody has
    /// repaired since; [`AlreadyHeld`](LockError::AlreadyHeld) if this thread has the guard.
    ///
    /// # Examples
    ///
    /// ```
    /// let array = crossproc::Array::from_iter([3, 1, 2])?;
    /// array.lock()?.sort();
    /// assert_eq!(array.to_vec(), [1, 2, 3]);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn lock(&self) -> Result<ArrayGuard<'_, T>, LockError<ArrayGuard<'_, T>>> {
        let turn = self.acquire(Section::Open, Wait::Until(Deadline::NEVER)).map_err(Failure::into_lock_error)?;
        ArrayGuard::new(self, turn).map_err(LockError::OwnerDied)
    }

    /// [`lock`](Self::lock), if nobody else has the lock.
    ///
    /// # Errors
    ///
    /// As [`lock`](Self::lock), and [`Held`](TryLockError::Held) if another thread or process has it.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(crossproc::Array::from_iter([1, 2])?.try_lock()?.to_vec(), [1, 2]);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn try_lock(&self) -> Result<ArrayGuard<'_, T>, TryLockError<ArrayGuard<'_, T>>> {
        let turn = self.acquire(Section::Open, Wait::No).map_err(Failure::into_try_lock_error)?;
        ArrayGuard::new(self, turn).map_err(TryLockError::OwnerDied)
    }

    /// [`lock`](Self::lock), waiting `timeout` at most (monotonic; never shorter).
    ///
    /// # Errors
    ///
    /// As [`try_lock`](Self::try_lock), when the time is up.
    ///
    /// # Examples
    ///
    /// ```
    /// let array = crossproc::Array::from_iter([1, 2])?;
    /// array.lock_timeout(std::time::Duration::from_secs(1))?[0] = 5;
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn lock_timeout(&self, timeout: Duration) -> Result<ArrayGuard<'_, T>, TryLockError<ArrayGuard<'_, T>>> {
        let wait = Wait::Until(Deadline::after(timeout));
        let turn = self.acquire(Section::Open, wait).map_err(Failure::into_try_lock_error)?;
        ArrayGuard::new(self, turn).map_err(TryLockError::OwnerDied)
    }

    /// The lock, and all elements whole.
    fn acquire(&self, section: Section, wait: Wait) -> Result<Ownership<'_>, Failure> {
        let body = self.placed.body();
        let turn = Ownership::acquire(self.placed.segment(), &body.lock, &self.spin, section, wait)?;
        // Relaxed: ordered by the lock.
        let undo = body.undo.load(Relaxed);
        if undo != 0 {
            self.roll_back(undo);
        }
        Ok(turn)
    }

    /// Puts the old value of a half-written element back. Killed within, it leaves the same to do again.
    #[cold]
    fn roll_back(&self, undo: u64) {
        let index = usize::try_from(undo - 1).unwrap_or(usize::MAX);
        // A hostile index names nothing that was written.
        if index < self.len() {
            // SAFETY: A1 for both; they do not overlap.
            unsafe { self.at(index).copy_from_nonoverlapping(self.at(self.len()), 1) };
        }
        self.placed.body().undo.store(0, Release); // the old value comes first
    }

    /// The lock, and a pointer to an element that is good as long as the lock is held.
    fn element(&self, index: usize, wait: Wait) -> Result<(Ownership<'_>, NonNull<T>)> {
        if index >= self.len() {
            return Err(Error::OutOfRange { index, length: self.len() });
        }
        let turn = self.acquire(Section::Whole, wait).map_err(|failure| failure.into_error(Kind::Array))?;
        Ok((turn, self.at(index)))
    }

    /// A1. A pointer from here to an element up to and including `len()` is in bounds and aligned, for as long as the
    /// handle lives; who reads or writes through it holds the lock, so that nobody who keeps to it does so meanwhile;
    /// and any bytes are a T.
    pub(super) fn at(&self, index: usize) -> NonNull<T> {
        debug_assert!(index <= self.len());
        // SAFETY: the tail was laid out, and checked at attach, for `len() + 1` elements.
        unsafe { self.placed.tail().cast::<T>().add(index) }
    }
}

impl_handle!(Array<T: Shared>, "Array");
