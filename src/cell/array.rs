#![allow(unsafe_code)]

use std::alloc::Layout;
use std::marker::PhantomData;
use std::mem::offset_of;
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::Duration;

use super::array_guard::ArrayGuard;
use crate::error::{Error, Kind, LockError, Result, TryLockError};
use crate::fault::crash_point;
use crate::segment::handle::impl_handle;
use crate::segment::place::{Body, Home, Placed, assert_alignment};
use crate::segment::{Arena, Failure, Ownership, Section, Segment, Shared, Wait, stamp, type_stamp};
use crate::sys::atomic::AtomicU64;
use crate::sys::spin::Spin;
use crate::word::lock::LockWord;
use crate::word::undo::UndoWord;

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
/// | 8      | 8             | undo  | which element is being replaced: `word/undo.rs`                    |
/// | 16     | 48            | line  | 0: the elements have cache lines of their own                      |
/// | 64     | (len + 1) x n |       | the elements, and the old value of the one that is being replaced  |
///
/// The elements begin at the first multiple of their alignment from 64.
#[repr(C, align(64))]
struct ArrayBody {
    lock: LockWord,
    undo: UndoWord,
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
        Self::create_from(Home::Own, items)
    }

    /// The items, in an arena.
    ///
    /// # Errors
    ///
    /// As [`new_in`](Self::new_in).
    ///
    /// # Examples
    ///
    /// ```
    /// let arena = crossproc::Arena::new(4096)?;
    /// let array = crossproc::Array::from_iter_in(&arena, 1..=3)?;
    /// assert_eq!(array.to_vec(), [1, 2, 3]);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn from_iter_in(arena: &Arena, items: impl IntoIterator<Item = T>) -> Result<Self> {
        Self::create_from(arena.home(), items)
    }

    fn create_from(home: Home<'_>, items: impl IntoIterator<Item = T>) -> Result<Self> {
        let items: Vec<T> = items.into_iter().collect();
        Self::create(home, items.len(), |elements| {
            // SAFETY: the tail was laid out for so many T and one more, and nobody has a handle to the object yet.
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
        const { assert_alignment::<T>() };
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
        self.read(index, Wait::FOR_EVER)
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
        self.write(index, value, Wait::FOR_EVER)
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
        self.write(index, value, Wait::at_most(timeout))
    }

    fn write(&self, index: usize, value: T, wait: Wait) -> Result<()> {
        let (_turn, element) = self.element(index, wait)?;
        let undo = &self.placed.body().undo;
        self.copy(element, self.at(self.len()));
        crash_point!("array.saved");
        undo.begin(index);
        crash_point!("array.writing");
        // SAFETY: A1.
        unsafe { element.write_volatile(value) };
        crash_point!("array.written");
        undo.end();
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
        match self.acquire(Section::Whole, Wait::FOR_EVER) {
            // SAFETY: A1; volatile as in `read`.
            Ok(_turn) => (0..self.len()).map(|index| unsafe { self.at(index).read_volatile() }).collect(),
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
        let turn = self.acquire(Section::Open, Wait::FOR_EVER).map_err(Failure::into_lock_error)?;
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
        let wait = Wait::at_most(timeout);
        let turn = self.acquire(Section::Open, wait).map_err(Failure::into_try_lock_error)?;
        ArrayGuard::new(self, turn).map_err(TryLockError::OwnerDied)
    }

    /// The lock, and all elements whole.
    fn acquire(&self, section: Section, wait: Wait) -> Result<Ownership<'_>, Failure> {
        let body = self.placed.body();
        let turn = Ownership::acquire(self.placed.segment(), &body.lock, &self.spin, section, wait)?;
        if let Some(index) = body.undo.pending() {
            self.roll_back(index);
        }
        Ok(turn)
    }

    /// Puts the old value of a half-written element back (U2).
    #[cold]
    fn roll_back(&self, index: u64) {
        // A hostile index names nothing that was written.
        if let Some(index) = usize::try_from(index).ok().filter(|&index| index < self.len()) {
            self.copy(self.at(self.len()), self.at(index));
        }
        crash_point!("array.restored");
        self.placed.body().undo.end();
    }

    /// Copies one element; the lock is ours.
    fn copy(&self, from: NonNull<T>, to: NonNull<T>) {
        // SAFETY: A1; volatile as in `read`.
        let value = unsafe { from.read_volatile() };
        // SAFETY: A1.
        unsafe { to.write_volatile(value) };
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
