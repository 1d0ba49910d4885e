#![allow(unsafe_code)]

use std::alloc::Layout;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

use crate::error::{Kind, Result};
use crate::segment::impls::{impl_create, impl_handle};
use crate::segment::place::{Body, Home, Placed, assert_alignment};
use crate::segment::{Arena, Atomics, Facts, Segment, stamp, type_stamp};

/// Atomics in shared memory, without a lock: derefs to `&T`.
///
/// # Concurrency and death
///
/// Those of the atomics themselves: every operation happens or does not, whoever is killed.
///
/// # Layout
///
/// The `T`, and nothing else.
///
/// # Examples
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
/// use crossproc::{Process, RawValue};
///
/// fn count(total: RawValue<AtomicU64>) {
///     for _ in 0..1_000 {
///         total.fetch_add(1, Relaxed);
///     }
/// }
///
/// # fn main() -> crossproc::Result<()> {
/// crossproc::init();
/// let total = RawValue::new(AtomicU64::new(0))?;
/// Process::spawn(count, (&total,))?.join()?;
/// assert_eq!(total.load(Relaxed), 1_000);
/// # Ok(())
/// # }
/// ```
///
/// Plain data is refused; it would be torn:
///
/// ```compile_fail,E0277
/// let value = crossproc::RawValue::new(0_u64);
/// ```
pub struct RawValue<T: Atomics> {
    placed: Placed<RawValueBody>,
    element: PhantomData<T>,
}

/// A row of atomics in shared memory, without a lock: derefs to `&[T]`.
///
/// # Concurrency and death
///
/// Those of the atomics themselves: every operation happens or does not, whoever is killed. Shape (len,), fixed at
/// creation.
///
/// # Layout
///
/// The elements, one after the other.
///
/// # Examples
///
/// ```
/// use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
/// use crossproc::RawArray;
///
/// let hits = RawArray::<AtomicU32>::new(3)?;
/// hits[1].fetch_add(5, Relaxed);
/// assert_eq!(hits.iter().map(|hit| hit.load(Relaxed)).collect::<Vec<_>>(), [0, 5, 0]);
/// # Ok::<(), crossproc::Error>(())
/// ```
pub struct RawArray<T: Atomics> {
    placed: Placed<RawArrayBody>,
    element: PhantomData<T>,
}

/// No words of its own: all is in the tail.
#[repr(C)]
struct RawValueBody {}

/// No words of its own: all is in the tail.
#[repr(C)]
struct RawArrayBody {}

// SAFETY: a struct without fields has no bytes.
unsafe impl Body for RawValueBody {
    const KIND: Kind = Kind::RawValue;
    const STAMP: u64 = stamp(&[size_of::<Self>()]);
}

// SAFETY: as above.
unsafe impl Body for RawArrayBody {
    const KIND: Kind = Kind::RawArray;
    const STAMP: u64 = stamp(&[size_of::<Self>()]);
}

impl<T: Atomics> RawValue<T> {
    /// New atomics with these values, in memory of their own.
    ///
    /// # Errors
    ///
    /// [`NoSpace`](crate::Error::NoSpace) without shared memory, [`Os`](crate::Error::Os) without a descriptor.
    ///
    /// # Examples
    ///
    /// See [`RawValue`].
    pub fn new(value: T) -> Result<Self> {
        Self::make(Home::Own, value)
    }

    /// New atomics in an arena.
    ///
    /// # Errors
    ///
    /// [`NoSpace`](crate::Error::NoSpace) if the arena is full.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::atomic::AtomicI64;
    /// use crossproc::{Arena, RawValue};
    ///
    /// let arena = Arena::new(4096)?;
    /// let balance = RawValue::new_in(&arena, AtomicI64::new(-3))?;
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn new_in(arena: &Arena, value: T) -> Result<Self> {
        Self::make(arena.home(), value)
    }

    fn make(home: Home<'_>, value: T) -> Result<Self> {
        let placed = Placed::create(home, type_stamp::<T>(), 1, Self::tail(1), |placed| {
            // SAFETY: the tail was laid out for one T, and nobody has a handle to the object yet.
            unsafe { placed.tail().cast::<T>().write(value) };
        })?;
        Ok(RawValue { placed, element: PhantomData })
    }

    fn attach(segment: Arc<Segment>, offset: u64) -> Result<Self> {
        let placed = Placed::attach(segment, offset, &type_stamp::<T>(), Self::tail)?;
        Ok(RawValue { placed, element: PhantomData })
    }

    fn tail(length: u64) -> Option<Layout> {
        const { assert_alignment::<T>() };
        (length == 1).then(Layout::new::<T>)
    }
}

impl<T: Atomics> RawArray<T> {
    /// `length` atomics, all bytes zero, in memory of their own.
    ///
    /// # Errors
    ///
    /// [`NoSpace`](crate::Error::NoSpace) without shared memory, [`Os`](crate::Error::Os) without a descriptor.
    ///
    /// # Examples
    ///
    /// See [`RawArray`].
    pub fn new(length: usize) -> Result<Self> {
        Self::make(Home::Own, length)
    }

    /// `length` atomics in an arena, all bytes zero.
    ///
    /// # Errors
    ///
    /// [`NoSpace`](crate::Error::NoSpace) if the arena is full.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::atomic::AtomicU8;
    /// use crossproc::{Arena, RawArray};
    ///
    /// let arena = Arena::new(4096)?;
    /// assert_eq!(RawArray::<AtomicU8>::new_in(&arena, 100)?.len(), 100);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn new_in(arena: &Arena, length: usize) -> Result<Self> {
        Self::make(arena.home(), length)
    }

    fn make(home: Home<'_>, length: usize) -> Result<Self> {
        let length = length as u64;
        let placed = Placed::create(home, type_stamp::<T>(), length, Self::tail(length), |_| ())?;
        Ok(RawArray { placed, element: PhantomData })
    }

    fn attach(segment: Arc<Segment>, offset: u64) -> Result<Self> {
        let placed = Placed::attach(segment, offset, &type_stamp::<T>(), Self::tail)?;
        Ok(RawArray { placed, element: PhantomData })
    }

    fn tail(length: u64) -> Option<Layout> {
        const { assert_alignment::<T>() };
        Layout::array::<T>(usize::try_from(length).ok()?).ok()
    }
}

impl<T: Atomics> Deref for RawValue<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.placed.tail_of(1)[0]
    }
}

impl<T: Atomics> Deref for RawArray<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        self.placed.tail_of(self.placed.length())
    }
}

impl_handle!(RawValue<T: Atomics>, "RawValue");
impl_create!(RawValue<T: Atomics>, (value: T), []);
impl_handle!(RawArray<T: Atomics>, "RawArray");
impl_create!(RawArray<T: Atomics>, (length: usize), ["length": length == len]);

impl<T: Atomics> Clone for RawValue<T> {
    fn clone(&self) -> Self {
        RawValue { placed: self.placed.clone(), element: PhantomData }
    }
}

impl<T: Atomics> Clone for RawArray<T> {
    fn clone(&self) -> Self {
        RawArray { placed: self.placed.clone(), element: PhantomData }
    }
}

pub(crate) fn describe_value(facts: &mut Facts<'_>) -> Result<()> {
    facts.say_elements("value", facts.image.row::<RawValueBody>()?, 1)
}

pub(crate) fn describe_array(facts: &mut Facts<'_>) -> Result<()> {
    facts.say_elements("items", facts.image.row::<RawArrayBody>()?, facts.image.object.length)
}
