#![allow(unsafe_code)]

use std::alloc::Layout;
use std::marker::PhantomData;
use std::mem::offset_of;
use std::sync::Arc;
use std::time::Duration;

use super::value_guard::ValueGuard;
use crate::error::{Kind, LockError, Result, TryLockError};
use crate::segment::handle::impl_handle;
use crate::segment::place::{Body, Home, Placed};
use crate::segment::{Arena, Failure, Ownership, Section, Segment, Shared, Wait, stamp, type_stamp};
use crate::sys::atomic::AtomicU64;
use crate::sys::spin::Spin;
use crate::word::flip::Sequence;
use crate::word::lock::LockWord;

/// One value of plain data, shared by processes and never seen half written.
///
/// # Concurrency
///
/// [`get`](Self::get) takes a copy without waiting for any writer: one that holds the value, even one that is stopped, does
/// not keep it; only where commits overtake it, it reads again. Writers ([`set`](Self::set),
/// [`update`](Self::update), [`lock`](Self::lock)) take turns; what they change becomes visible in one step. A `get`
/// that follows an `update` of another process in time sees it.
///
/// There is no `+=`: reading and then setting are two steps, between which others write. `update` is one.
///
/// # Death
///
/// A writer that is killed at any instruction leaves the value of the last commit. If it was killed while it held the
/// guard of [`lock`](Self::lock), the next `lock` says so; `get`, `set` and `update` go on as if nothing had happened,
/// because nothing half done can be seen.
///
/// # Layout
///
/// Shape (); two copies, each of `size_of::<T>()` rounded up to 8 bytes, and a number that says which of them counts.
///
/// # Examples
///
/// ```
/// use crossproc::{Process, Value};
///
/// fn count(total: Value<u32>) {
///     for _ in 0..1_000 {
///         total.update(|n| n + 1);
///     }
/// }
///
/// # fn main() -> crossproc::Result<()> {
/// crossproc::init();
/// let total = Value::new(0)?;
/// let children = [Process::spawn(count, (&total,))?, Process::spawn(count, (&total,))?];
/// for child in children {
///     child.join()?;
/// }
/// assert_eq!(total.get(), 2_000);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Value<T: Shared> {
    placed: Placed<ValueBody>,
    spin: Spin,
    element: PhantomData<T>,
}

/// | offset | size  | field    | meaning                                                          |
/// |--------|-------|----------|------------------------------------------------------------------|
/// | 0      | 8     | lock     | whose turn it is to write: `word/lock.rs`                        |
/// | 8      | 56    | line     | 0: readers and writers that wait do not share a cache line       |
/// | 64     | 8     | sequence | number of commits: `word/flip.rs`                                |
/// | 72     | 2 x n |          | the two copies, n = `size_of::<T>()` rounded up to 8             |
#[repr(C)]
struct ValueBody {
    lock: LockWord,
    line: [AtomicU64; 7],
    sequence: Sequence,
}

const _: () = assert!(offset_of!(ValueBody, sequence) == 64 && size_of::<ValueBody>() == 72);

// SAFETY: `repr(C)`, atomics only; zero is a free lock, no commit, and a first copy of zeros.
unsafe impl Body for ValueBody {
    const KIND: Kind = Kind::Value;
    const STAMP: u64 = stamp(&[size_of::<ValueBody>(), offset_of!(ValueBody, lock), offset_of!(ValueBody, sequence)]);
}

impl<T: Shared> Value<T> {
    const WORDS: usize = 2 * size_of::<T>().div_ceil(8);

    /// A new value in memory of its own.
    ///
    /// # Errors
    ///
    /// [`NoSpace`](crate::Error::NoSpace) without shared memory, [`Os`](crate::Error::Os) without a descriptor.
    ///
    /// # Examples
    ///
    /// ```
    /// let pi = crossproc::Value::new(3.14_f64)?;
    /// assert_eq!(pi.get(), 3.14);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn new(value: T) -> Result<Self> {
        Self::create(Home::Own, &value)
    }

    /// A new value in an arena.
    ///
    /// # Errors
    ///
    /// [`NoSpace`](crate::Error::NoSpace) if the arena is full.
    ///
    /// # Examples
    ///
    /// See [`Arena`].
    pub fn new_in(arena: &Arena, value: T) -> Result<Self> {
        Self::create(arena.home(), &value)
    }

    fn create(home: Home<'_>, value: &T) -> Result<Self> {
        let fill = |placed: &Placed<ValueBody>| Self::write(placed, value);
        let placed = Placed::create(home, type_stamp::<T>(), 1, Self::tail(1), fill)?;
        Ok(Value { placed, spin: Spin::new(), element: PhantomData })
    }

    fn attach(segment: Arc<Segment>, offset: u64) -> Result<Self> {
        let placed = Placed::attach(segment, offset, &type_stamp::<T>(), Self::tail)?;
        Ok(Value { placed, spin: Spin::new(), element: PhantomData })
    }

    fn tail(length: u64) -> Option<Layout> {
        (length == 1).then(|| Layout::array::<AtomicU64>(Self::WORDS).ok())?
    }

    /// A copy of the value. Never waits for a writer, and never sees one half done; reads again while commits overtake it.
    ///
    /// # Examples
    ///
    /// See [`new`](Self::new).
    #[inline]
    pub fn get(&self) -> T {
        match self.read() {
            Some(value) => value,
            None => self.read_between_commits(),
        }
    }

    /// One attempt to copy the value; `None` if a commit came between.
    #[inline]
    fn read(&self) -> Option<T> {
        let mut value = T::new_zeroed();
        let words = self.placed.tail_of(Self::WORDS);
        self.placed.body().sequence.read(words, value.as_mut_bytes()).then_some(value)
    }

    /// As `get`, when commits follow each other faster than the value can be copied.
    #[cold]
    fn read_between_commits(&self) -> T {
        loop {
            if let Some(value) = self.spin.until(|| self.read()) {
                return value;
            }
            // Behind the writers' lock nothing moves, if it can be had: a writer that holds it may be stopped.
            if let Ok(_turn) = self.acquire(Section::Whole, Wait::No) {
                // Where it moves even so, somebody does not follow the protocol, and zeros are as good as a torn copy.
                return self.read().unwrap_or_else(T::new_zeroed);
            }
        }
    }

    /// Commits a new value; the caller has the writers' lock.
    pub(super) fn commit(&self, value: &T) {
        Self::write(&self.placed, value);
    }

    fn write(placed: &Placed<ValueBody>, value: &T) {
        placed.body().sequence.write(placed.tail_of(Self::WORDS), value.as_bytes());
    }

    /// Replaces the value. Waits for its turn among the writers.
    ///
    /// # Panics
    ///
    /// If this thread holds the value's guard, through which it should write; or in a forked copy that cannot become a
    /// peer of its own (see [`LockError::Failed`]).
    ///
    /// # Examples
    ///
    /// ```
    /// let value = crossproc::Value::new([0_u16; 100])?;
    /// value.set([7; 100]);
    /// assert_eq!(value.get(), [7; 100]);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn set(&self, value: T) {
        self.update(|_| value);
    }

    /// [`set`](Self::set), if it is nobody else's turn.
    ///
    /// # Errors
    ///
    /// [`Held`](crate::Error::Held) if another thread or process is writing, or holds the guard;
    /// [`AlreadyHeld`](crate::Error::AlreadyHeld) if this thread does.
    ///
    /// # Examples
    ///
    /// ```
    /// let value = crossproc::Value::new(1)?;
    /// value.try_set(2)?;
    /// assert_eq!(value.get(), 2);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn try_set(&self, value: T) -> Result<()> {
        self.try_update(|_| value).map(|_| ())
    }

    /// [`set`](Self::set), waiting `timeout` at most (monotonic; never shorter).
    ///
    /// # Errors
    ///
    /// As [`try_set`](Self::try_set), when the time is up.
    ///
    /// # Examples
    ///
    /// ```
    /// let value = crossproc::Value::new(1)?;
    /// value.set_timeout(2, std::time::Duration::from_secs(1))?;
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn set_timeout(&self, value: T, timeout: Duration) -> Result<()> {
        self.update_timeout(|_| value, timeout).map(|_| ())
    }

    /// Replaces the value by what `change` makes of it, with nobody between, and gives the new one.
    ///
    /// `change` runs while other writers wait, so it should be short; if it panics, the value stays as it was.
    ///
    /// # Panics
    ///
    /// As [`set`](Self::set).
    ///
    /// # Examples
    ///
    /// ```
    /// let value = crossproc::Value::new(20)?;
    /// assert_eq!(value.update(|n| n + 1), 21);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn update(&self, change: impl FnOnce(T) -> T) -> T {
        match self.change(change, Wait::FOR_EVER) {
            Ok(value) => value,
            Err(error) => panic!("{error}"),
        }
    }

    /// [`update`](Self::update), if it is nobody else's turn.
    ///
    /// # Errors
    ///
    /// As [`try_set`](Self::try_set).
    ///
    /// # Examples
    ///
    /// ```
    /// let value = crossproc::Value::new(20)?;
    /// assert_eq!(value.try_update(|n| n + 1)?, 21);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn try_update(&self, change: impl FnOnce(T) -> T) -> Result<T> {
        self.change(change, Wait::No)
    }

    /// [`update`](Self::update), waiting `timeout` at most (monotonic; never shorter).
    ///
    /// # Errors
    ///
    /// As [`try_set`](Self::try_set), when the time is up.
    ///
    /// # Examples
    ///
    /// ```
    /// let value = crossproc::Value::new(20)?;
    /// assert_eq!(value.update_timeout(|n| n + 1, std::time::Duration::from_secs(1))?, 21);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn update_timeout(&self, change: impl FnOnce(T) -> T, timeout: Duration) -> Result<T> {
        self.change(change, Wait::at_most(timeout))
    }

    fn change(&self, change: impl FnOnce(T) -> T, wait: Wait) -> Result<T> {
        let _turn = self.acquire(Section::Whole, wait).map_err(|failure| failure.into_error(Kind::Value))?;
        let value = change(self.get());
        self.commit(&value);
        Ok(value)
    }

    /// Waits for its turn as a writer and keeps it until the guard is dropped.
    ///
    /// The guard holds a copy of the value; what is changed through it is committed in one step when it is dropped, or
    /// by [`commit`](ValueGuard::commit).
    ///
    /// # Errors
    ///
    /// [`OwnerDied`](LockError::OwnerDied), with the guard, if a process died with the guard in hand and nobody has
    /// repaired since: the value is whole, but what was to follow did not happen.
    /// [`AlreadyHeld`](LockError::AlreadyHeld) if this thread has the guard.
    ///
    /// # Examples
    ///
    /// ```
    /// let value = crossproc::Value::new([1, 2, 3])?;
    /// let mut guard = value.lock()?;
    /// guard[0] = 10;
    /// assert_eq!(value.get(), [1, 2, 3]);
    /// drop(guard);
    /// assert_eq!(value.get(), [10, 2, 3]);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn lock(&self) -> Result<ValueGuard<'_, T>, LockError<ValueGuard<'_, T>>> {
        let turn = self.acquire(Section::Open, Wait::FOR_EVER).map_err(Failure::into_lock_error)?;
        ValueGuard::new(self, turn).map_err(LockError::OwnerDied)
    }

    /// [`lock`](Self::lock), if it is nobody else's turn.
    ///
    /// # Errors
    ///
    /// As [`lock`](Self::lock), and [`Held`](TryLockError::Held) if another thread or process is writing.
    ///
    /// # Examples
    ///
    /// ```
    /// let value = crossproc::Value::new(1)?;
    /// *value.try_lock()? += 1;
    /// assert_eq!(value.get(), 2);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn try_lock(&self) -> Result<ValueGuard<'_, T>, TryLockError<ValueGuard<'_, T>>> {
        let turn = self.acquire(Section::Open, Wait::No).map_err(Failure::into_try_lock_error)?;
        ValueGuard::new(self, turn).map_err(TryLockError::OwnerDied)
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
    /// let value = crossproc::Value::new(1)?;
    /// *value.lock_timeout(std::time::Duration::from_secs(1))? += 1;
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn lock_timeout(&self, timeout: Duration) -> Result<ValueGuard<'_, T>, TryLockError<ValueGuard<'_, T>>> {
        let wait = Wait::at_most(timeout);
        let turn = self.acquire(Section::Open, wait).map_err(Failure::into_try_lock_error)?;
        ValueGuard::new(self, turn).map_err(TryLockError::OwnerDied)
    }

    fn acquire(&self, section: Section, wait: Wait) -> Result<Ownership<'_>, Failure> {
        Ownership::acquire(self.placed.segment(), &self.placed.body().lock, &self.spin, section, wait)
    }
}

impl_handle!(Value<T: Shared>, "Value");
