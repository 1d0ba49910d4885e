#![allow(unsafe_code)]

mod guard;
mod item;

use std::alloc::Layout;
use std::marker::PhantomData;
use std::mem::offset_of;
use std::ptr::NonNull;
use std::sync::Arc;

use crate::error::{Error, Kind, Result};
use crate::fault::crash_point;
use crate::segment::Name;
use crate::segment::impls::{impl_create, impl_handle};
use crate::segment::named;
use crate::segment::place::{Body, Home, Placed, assert_alignment};
use crate::segment::{Arena, Facts, Failure, Ownership, Section, Segment, Shared, Wait, stamp, type_stamp};
use crate::sys::atomic::AtomicU64;
use crate::sys::spin::Spin;
use crate::word::lock::LockWord;
use crate::word::undo::UndoWord;

pub use guard::ArrayGuard;

/// A row of plain data, shared by processes under one lock.
///
/// # Concurrency
///
/// Every access takes the array's lock: [`get`](Self::get), [`set`](Self::set), [`update`](Self::update) and
/// [`to_vec`](Self::to_vec) for their own duration, [`lock`](Self::lock) until its guard is dropped. The guard derefs to `[T]`, in place: nothing is copied.
///
/// # Death
///
/// A process killed in `set` or `update` leaves the element's old value or its new one, and nobody is told. A process killed with the
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
        Self::make(Home::Own, length)
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
        Self::make(arena.home(), length)
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
        Self::make_of(Home::Own, items)
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
        Self::make_of(arena.home(), items)
    }

    /// The items, under a name.
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create).
    ///
    /// # Examples
    ///
    /// ```
    /// # let unique = format!("example/items-{}", std::process::id());
    /// # let name = unique.as_str();
    /// let array = crossproc::Array::create_from_iter(name, 1..=3)?; // or "app/items"
    /// assert_eq!(crossproc::Array::<i32>::open(name)?.to_vec(), [1, 2, 3]);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn create_from_iter(name: impl Into<Name>, items: impl IntoIterator<Item = T>) -> Result<Self> {
        named::create(name.into(), |home| Self::make_of(home, items))
    }

    fn make(home: Home<'_>, length: usize) -> Result<Self> {
        Self::make_with(home, length, |_| ())
    }

    fn make_of(home: Home<'_>, items: impl IntoIterator<Item = T>) -> Result<Self> {
        let items: Vec<T> = items.into_iter().collect();
        Self::make_with(home, items.len(), |elements| {
            // SAFETY: the tail was laid out for so many T and one more, and nobody has a handle to the object yet.
            unsafe { elements.as_ptr().copy_from_nonoverlapping(items.as_ptr(), items.len()) };
        })
    }

    fn make_with(home: Home<'_>, length: usize, fill: impl FnOnce(NonNull<T>)) -> Result<Self> {
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
    pub fn len(&self) -> usize {
        self.placed.length()
    }

    /// Whether there are no elements, now as ever.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(crossproc::Array::<u8>::new(0)?.is_empty());
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len() == 0
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
            self.copy(self.len(), index);
        }
        crash_point!("array.restored");
        self.placed.body().undo.end();
    }

    /// Copies one element to the place of another; the lock is ours.
    fn copy(&self, from: usize, to: usize) {
        // SAFETY: A1; volatile as in `read`.
        let value = unsafe { self.at(from).read_volatile() };
        // SAFETY: A1.
        unsafe { self.at(to).write_volatile(value) };
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
    fn at(&self, index: usize) -> NonNull<T> {
        debug_assert!(index <= self.len());
        // SAFETY: the tail was laid out, and checked at attach, for `len() + 1` elements.
        unsafe { self.placed.tail().cast::<T>().add(index) }
    }
}

impl_handle!(Array<T: Shared>, "Array");
impl_create!(Array<T: Shared>, (length: usize), ["length": length == len]);

pub(crate) fn describe(facts: &mut Facts<'_>) -> Result<()> {
    let body = facts.image.body::<ArrayBody>()?;
    facts.say_lock(body + offset_of!(ArrayBody, lock) as u64)?;
    facts.say_elements("items", facts.image.row::<ArrayBody>()?, facts.image.object.length)
}
