#![allow(unsafe_code)]

mod guard;

use std::alloc::Layout;
use std::marker::PhantomData;
use std::mem::{offset_of, size_of};
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, Kind, LockError, Result, TryLockError};
use crate::segment::impls::{impl_create, impl_handle};
use crate::segment::place::{Body, Home, Placed, assert_alignment};
use crate::segment::{Arena, Facts, Failure, Segment, Shared, Wait, stamp, type_stamp};
use crate::sys::atomic::AtomicU64;
use crate::sys::spin::Spin;
use crate::word::lock::Acquired;
use crate::word::rwlock::{NotRead, Rw, RwWords, readers_in, words_for};

pub use guard::{ReadGuard, WriteGuard};

/// A value of plain data that many may read at a time, or one may write, in place, in threads of any processes.
///
/// Where reads are short, a [`Value`](crate::Value) is the better choice: its readers wait for nobody. Here they
/// borrow what is too large to copy, or look at several parts of it that must not change meanwhile.
///
/// # Concurrency
///
/// Any number of readers, or one writer. A writer that waits for readers keeps new ones out, so that a stream of them cannot keep it
/// waiting; and after eight writers, those that come with [`write`](Self::write) or [`write_timeout`](Self::write_timeout) let one of
/// the readers that wait go first. Otherwise who arrives first at a free lock gets it. Waiters spin briefly and then sleep.
///
/// Each process counts its readers in a place of its own: readers in different processes take nothing from one another.
///
/// Not recursive: writing while this thread writes, and reading while it writes, is an error. A thread that reads should ask for
/// nothing more: to write, it would wait for itself; to read again, it might wait for a writer that waits for it.
///
/// # Death
///
/// A process killed while it reads, or waits, costs nobody anything. One killed while it has the [`WriteGuard`] leaves what it had
/// written so far: from then on reading and writing give [`OwnerDied`](LockError::OwnerDied), with the guard, until somebody
/// [repairs](crate::Guard::repair) with a [`WriteGuard`]. All within 50 ms of the kernel's having finished the exit.
///
/// A *stopped* process keeps what it has, and a stopped writer that waits keeps new readers out; others that have a timeout give up
/// then. A plain `fork` does not duplicate guards: their copies in the forked child do nothing.
///
/// # Trust
///
/// The guards borrow shared memory in place and so trust the other processes to keep to the lock.
///
/// # Layout
///
/// Shape (): 64 bytes of words; one of 8 bytes for each peer, in the order in which they share cache lines least (2 KiB); then
/// the value, at its own alignment.
///
/// # Examples
///
/// ```
/// use crossproc::{Process, RwLock};
///
/// fn highest(table: RwLock<[u32; 1_000]>) -> crossproc::Result<u32> {
///     let table = table.read()?;
///     Ok(table.iter().copied().max().unwrap_or(0))
/// }
///
/// # fn main() -> crossproc::Result<()> {
/// crossproc::init();
/// let table = RwLock::new([0; 1_000])?;
/// table.write()?[500] = 7;
/// let readers = [Process::spawn(highest, (&table,))?, Process::spawn(highest, (&table,))?];
/// for reader in readers {
///     assert_eq!(reader.join()??, 7);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RwLock<T: Shared> {
    placed: Placed<RwLockBody>,
    spin: Spin,
    value: PhantomData<T>,
}

/// | offset | size | field   | meaning                                                       |
/// |--------|------|---------|---------------------------------------------------------------|
/// | 0      | 40   | words   | `word/rwlock.rs`                                              |
/// | 40     | 24   | line    | 0: these words have a cache line of their own                 |
/// | 64     | n x 8 |        | a word for each peer, n = their number rounded up to 32       |
/// | then   |      |         | the value, at the first multiple of its alignment             |
#[repr(C, align(64))]
struct RwLockBody {
    words: RwWords,
    line: [AtomicU64; 3],
}

const _: () = assert!(size_of::<RwLockBody>() == 64 && offset_of!(RwLockBody, line) == 40);

// SAFETY: `repr(C)`, atomics only and no padding; zero is a free lock.
unsafe impl Body for RwLockBody {
    const KIND: Kind = Kind::RwLock;
    const STAMP: u64 = stamp(&[size_of::<RwLockBody>(), size_of::<RwWords>(), words_for(1)]);
}

/// The layout of the tail, and where in it the value begins.
fn tail<T>(peers: u32) -> Option<(Layout, usize)> {
    const { assert_alignment::<T>() };
    Layout::array::<AtomicU64>(words_for(peers)).ok()?.extend(Layout::new::<T>()).ok()
}

impl<T: Shared> RwLock<T> {
    /// A new lock around a value, free, in memory of its own.
    ///
    /// # Errors
    ///
    /// [`NoSpace`](Error::NoSpace) without shared memory, [`Os`](Error::Os) without a descriptor.
    ///
    /// # Examples
    ///
    /// See [`RwLock`].
    pub fn new(value: T) -> Result<Self> {
        Self::make(Home::Own, value)
    }

    /// A new lock around a value in an arena.
    ///
    /// # Errors
    ///
    /// [`NoSpace`](Error::NoSpace) if the arena is full.
    ///
    /// # Examples
    ///
    /// ```
    /// let arena = crossproc::Arena::new(1 << 16)?;
    /// let lock = crossproc::RwLock::new_in(&arena, 1.5_f64)?;
    /// assert_eq!(*lock.read()?, 1.5);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn new_in(arena: &Arena, value: T) -> Result<Self> {
        Self::make(arena.home(), value)
    }

    fn make(home: Home<'_>, value: T) -> Result<Self> {
        let tail = tail::<T>(home.peers()).map(|(layout, _)| layout);
        let fill = |placed: &Placed<RwLockBody>| {
            // SAFETY: R1; nobody else knows the object yet.
            unsafe { Self::value_of(placed).write(value) };
        };
        let placed = Placed::create(home, type_stamp::<T>(), 1, tail, fill)?;
        Ok(RwLock { placed, spin: Spin::new(), value: PhantomData })
    }

    fn attach(segment: Arc<Segment>, offset: u64) -> Result<Self> {
        let tail = tail::<T>(segment.peers()).map(|(layout, _)| layout);
        let placed = Placed::attach(segment, offset, &type_stamp::<T>(), |length| tail.filter(|_| length == 1))?;
        Ok(RwLock { placed, spin: Spin::new(), value: PhantomData })
    }

    /// Waits until nobody writes or is about to, and keeps writers out until the guard is dropped.
    ///
    /// # Errors
    ///
    /// [`OwnerDied`](LockError::OwnerDied), with the guard, if a writer died and no writer has repaired since: the value may be
    /// half changed. A read guard cannot repair that; who can do with such a value reads it all the same, by
    /// `.or_else(LockError::repair)`. [`AlreadyHeld`](LockError::AlreadyHeld) if this thread writes.
    ///
    /// # Examples
    ///
    /// ```
    /// let lock = crossproc::RwLock::new([1, 2, 3])?;
    /// let (first, second) = (lock.read()?, lock.try_read()?);
    /// assert_eq!(first[0] + second[2], 4);
    /// # drop((first, second));
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    #[inline]
    pub fn read(&self) -> Result<ReadGuard<'_, T>, LockError<ReadGuard<'_, T>>> {
        self.read_within(Wait::FOR_EVER).map_err(Failure::into_lock_error)?.map_err(LockError::OwnerDied)
    }

    /// [`read`](Self::read), if nobody writes or is about to.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read), and [`Held`](TryLockError::Held) at once if another thread or process writes, or waits to.
    ///
    /// # Examples
    ///
    /// ```
    /// let lock = crossproc::RwLock::new(5)?;
    /// assert_eq!(*lock.try_read()?, 5);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    #[inline]
    pub fn try_read(&self) -> Result<ReadGuard<'_, T>, TryLockError<ReadGuard<'_, T>>> {
        self.read_within(Wait::No).map_err(Failure::into_try_lock_error)?.map_err(TryLockError::OwnerDied)
    }

    /// [`read`](Self::read), waiting `timeout` at most (monotonic; never shorter).
    ///
    /// # Errors
    ///
    /// As [`try_read`](Self::try_read), when the time is up.
    ///
    /// # Examples
    ///
    /// ```
    /// let lock = crossproc::RwLock::new(5)?;
    /// assert_eq!(*lock.read_timeout(std::time::Duration::from_secs(1))?, 5);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn read_timeout(&self, timeout: Duration) -> Result<ReadGuard<'_, T>, TryLockError<ReadGuard<'_, T>>> {
        let read = self.read_within(Wait::at_most(timeout)).map_err(Failure::into_try_lock_error)?;
        read.map_err(TryLockError::OwnerDied)
    }

    /// Waits until nobody reads or writes, and keeps all others out until the guard is dropped.
    ///
    /// # Errors
    ///
    /// [`OwnerDied`](LockError::OwnerDied), with the guard, if a writer died and nobody has repaired since;
    /// [`AlreadyHeld`](LockError::AlreadyHeld) if this thread writes. (If it reads, it waits for itself.)
    ///
    /// # Examples
    ///
    /// ```
    /// let lock = crossproc::RwLock::new([1, 2, 3])?;
    /// lock.write()?[0] = 10;
    /// assert_eq!(*lock.read()?, [10, 2, 3]);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    #[inline]
    pub fn write(&self) -> Result<WriteGuard<'_, T>, LockError<WriteGuard<'_, T>>> {
        self.write_within(Wait::FOR_EVER).map_err(Failure::into_lock_error)?.map_err(LockError::OwnerDied)
    }

    /// [`write`](Self::write), if nobody reads or writes. It does not stand back for readers that wait.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write), and [`Held`](TryLockError::Held) at once if anybody else reads or writes.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::{RwLock, TryLockError};
    ///
    /// let lock = RwLock::new(1)?;
    /// *lock.try_write()? += 1;
    /// let reader = lock.read()?;
    /// assert!(matches!(lock.try_write(), Err(TryLockError::Held)));
    /// # drop(reader);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    #[inline]
    pub fn try_write(&self) -> Result<WriteGuard<'_, T>, TryLockError<WriteGuard<'_, T>>> {
        self.write_within(Wait::No).map_err(Failure::into_try_lock_error)?.map_err(TryLockError::OwnerDied)
    }

    /// [`write`](Self::write), waiting `timeout` at most (monotonic; never shorter).
    ///
    /// # Errors
    ///
    /// As [`try_write`](Self::try_write), when the time is up.
    ///
    /// # Examples
    ///
    /// ```
    /// let lock = crossproc::RwLock::new(1)?;
    /// *lock.write_timeout(std::time::Duration::from_secs(1))? += 1;
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn write_timeout(&self, timeout: Duration) -> Result<WriteGuard<'_, T>, TryLockError<WriteGuard<'_, T>>> {
        let written = self.write_within(Wait::at_most(timeout)).map_err(Failure::into_try_lock_error)?;
        written.map_err(TryLockError::OwnerDied)
    }

    /// The guard; as an error if a writer died.
    #[inline]
    fn read_within(&self, wait: Wait) -> Result<Result<ReadGuard<'_, T>, ReadGuard<'_, T>>, Failure> {
        let id = self.placed.segment().me().map_err(Failure::Failed)?;
        let read = match wait {
            Wait::No => self.rw().try_read(id),
            Wait::Until(deadline) => self.rw().read(id, deadline, &self.spin),
        };
        match read {
            Ok(Acquired::Clean) => Ok(Ok(ReadGuard::new(self, id))),
            Ok(Acquired::Dirty) => Ok(Err(ReadGuard::new(self, id))),
            Err(NotRead::Refused(refused)) => Err(refused.into()),
            Err(NotRead::Corrupted(found)) => {
                let position = id.slot() as u64;
                Err(Failure::Failed(Error::Corrupted { object: Kind::RwLock, position, found }))
            }
        }
    }

    /// The guard; as an error if a writer died.
    #[inline]
    fn write_within(&self, wait: Wait) -> Result<Result<WriteGuard<'_, T>, WriteGuard<'_, T>>, Failure> {
        let id = self.placed.segment().me().map_err(Failure::Failed)?;
        let written = match wait {
            Wait::No => self.rw().try_write(id),
            Wait::Until(deadline) => self.rw().write(id, deadline, &self.spin),
        };
        match written.map_err(Failure::from)? {
            Acquired::Clean => Ok(Ok(WriteGuard::new(self, false))),
            Acquired::Dirty => Ok(Err(WriteGuard::new(self, true))),
        }
    }

    #[inline]
    fn rw(&self) -> Rw<'_> {
        let segment = self.placed.segment();
        Rw {
            words: &self.placed.body().words,
            readers: self.placed.tail_of(words_for(segment.peers())),
            liveness: segment.liveness(),
        }
    }

    /// R1. The pointer is in bounds and aligned, for as long as the handle lives; who reads or writes through it has the lock,
    /// so that nobody who keeps to it writes, or reads, meanwhile; and any bytes are a T.
    #[inline]
    fn value(&self) -> NonNull<T> {
        Self::value_of(&self.placed)
    }

    #[inline]
    fn value_of(placed: &Placed<RwLockBody>) -> NonNull<T> {
        let peers = placed.segment().peers();
        let offset = (words_for(peers) * size_of::<AtomicU64>()).next_multiple_of(align_of::<T>());
        debug_assert_eq!(tail::<T>(peers).map(|(_, value)| value), Some(offset));
        // SAFETY: the tail was laid out, and checked at attach, with a T at this place: where `tail` says that it is.
        unsafe { placed.tail().byte_add(offset) }.cast()
    }
}

impl_handle!(RwLock<T: Shared>, "RwLock");
impl_create!(RwLock<T: Shared>, (value: T), []);

pub(crate) fn describe(facts: &mut Facts<'_>) -> Result<()> {
    let body = facts.image.body::<RwLockBody>()?;
    facts.say_lock(body + RwWords::WRITER)?;
    let places = facts.image.places();
    let align = usize::try_from(facts.image.object.element.align).unwrap_or(usize::MAX);
    let value = Layout::from_size_align(0, align).ok();
    let tail = Layout::array::<AtomicU64>(words_for(places))
        .ok()
        .zip(value)
        .and_then(|(words, value)| words.extend(value).ok());
    let (tail, value) = tail.ok_or_else(|| facts.image.wrong_length())?;
    let tail = facts.image.tail::<RwLockBody>(tail)?;
    let count = |word: usize| facts.image.word(tail + 8 * word as u64).map(readers_in);
    let readers = (0..words_for(places)).map(count).sum::<Result<u64>>()?;
    facts.say("readers", readers);
    facts.say_elements("value", tail + value as u64, 1)
}
