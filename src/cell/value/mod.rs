#![allow(unsafe_code)]

mod guard;
mod update;

use std::alloc::Layout;
use std::marker::PhantomData;
use std::mem::offset_of;
use std::sync::Arc;

use crate::error::{Kind, Result};
use crate::segment::impls::{impl_create, impl_handle};
use crate::segment::place::{Body, Home, Placed};
use crate::segment::{Arena, Facts, Failure, Ownership, Section, Segment, Shared, Wait, stamp, type_stamp};
use crate::sys::atomic::AtomicU64;
use crate::sys::spin::Spin;
use crate::word::flip::Sequence;
use crate::word::lock::LockWord;

pub use guard::ValueGuard;

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
        Self::make(Home::Own, value)
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
        Self::make(arena.home(), value)
    }

    fn make(home: Home<'_>, value: T) -> Result<Self> {
        let fill = |placed: &Placed<ValueBody>| Self::write(placed, &value);
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
            if let Ok(turn) = self.acquire(Section::Whole, Wait::No) {
                return self.get_in_turn(&turn);
            }
        }
    }

    /// A copy of the value behind the writers' lock, where nothing moves.
    ///
    /// If it moves even so, somebody does not follow the protocol, and zeros are as good as a torn copy.
    fn get_in_turn(&self, _turn: &Ownership<'_>) -> T {
        self.read().unwrap_or_else(T::new_zeroed)
    }

    /// Commits a new value; the caller has the writers' lock.
    fn commit(&self, value: &T) {
        Self::write(&self.placed, value);
    }

    fn write(placed: &Placed<ValueBody>, value: &T) {
        placed.body().sequence.write(placed.tail_of(Self::WORDS), value.as_bytes());
    }

    fn acquire(&self, section: Section, wait: Wait) -> Result<Ownership<'_>, Failure> {
        Ownership::acquire(self.placed.segment(), &self.placed.body().lock, &self.spin, section, wait)
    }
}

impl_handle!(Value<T: Shared>, "Value");
impl_create!(Value<T: Shared>, (value: T), []);

pub(crate) fn describe(facts: &mut Facts<'_>) -> Result<()> {
    let body = facts.image.body::<ValueBody>()?;
    facts.say_lock(body + offset_of!(ValueBody, lock) as u64)?;
    let commits = facts.image.word(body + offset_of!(ValueBody, sequence) as u64)?;
    facts.say("commits", commits);
    let size = facts.image.object.element.size.checked_next_multiple_of(8).unwrap_or(u64::MAX);
    let copy = (commits % 2).saturating_mul(size);
    facts.say_elements("value", (body + size_of::<ValueBody>() as u64).saturating_add(copy), 1)
}
