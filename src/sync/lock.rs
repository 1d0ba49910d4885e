#![allow(unsafe_code)]

use std::mem::offset_of;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Guard, Kind, LockError, Result, TryLockError};
use crate::segment::impls::{impl_create, impl_handle};
use crate::segment::place::{Body, Home, NO_TAIL, Placed};
use crate::segment::{Arena, Facts, Failure, Lend, Ownership, Relock, Section, Segment, Wait, stamp, type_stamp};
use crate::sys::spin::Spin;
use crate::word::lock::LockWord;

/// A mutual exclusion lock between threads of any processes, which survives the death of its owner.
///
/// It guards no data of its own: use it around whatever the processes share. [`Value`](crate::Value) and
/// [`Array`](crate::Array) have locks of their own.
///
/// # Concurrency
///
/// One owner at a time; a waiter spins briefly and then sleeps. Not fair: who arrives while the lock is free gets it,
/// though others sleep. Not recursive: relocking by the thread that holds it is an error.
///
/// # Death
///
/// If a process is killed while it holds the lock, the next one gets it as [`OwnerDied`](LockError::OwnerDied), within
/// 50 ms of the kernel's having finished the exit, and so does every later one until one calls
/// [`repair`](Guard::repair). A *stopped* owner keeps the lock; waiters with a timeout give up then. A plain `fork` does
/// not duplicate ownership: the copy of a guard in the forked child does nothing.
///
/// # Layout
///
/// One word of 64 bits in its own pair of cache lines: owner, thread, whether somebody waits, whether an owner died.
///
/// # Examples
///
/// ```
/// use crossproc::{Lock, Process, Value};
///
/// fn add(lock: Lock, total: Value<u64>) -> crossproc::Result<()> {
///     for _ in 0..100 {
///         let _guard = lock.lock()?;
///         total.set(total.get() + 1);
///     }
///     Ok(())
/// }
///
/// # fn main() -> crossproc::Result<()> {
/// crossproc::init();
/// let (lock, total) = (Lock::new()?, Value::new(0)?);
/// let processes = [Process::spawn(add, (&lock, &total))?, Process::spawn(add, (&lock, &total))?];
/// for process in processes {
///     process.join()??;
/// }
/// assert_eq!(total.get(), 200);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Lock {
    placed: Placed<LockBody>,
    spin: Spin,
}

/// | offset | size | field | meaning            |
/// |--------|------|-------|--------------------|
/// | 0      | 8    | word  | see `word/lock.rs` |
#[repr(C)]
struct LockBody {
    word: LockWord,
}

// SAFETY: `repr(C)`, one atomic; zero is a free lock.
unsafe impl Body for LockBody {
    const KIND: Kind = Kind::Lock;
    const STAMP: u64 = stamp(&[size_of::<LockBody>()]);
}

impl Lock {
    /// A new lock, free, in memory of its own.
    ///
    /// # Errors
    ///
    /// [`NoSpace`](crate::Error::NoSpace) without shared memory, [`Os`](crate::Error::Os) without a descriptor.
    ///
    /// # Examples
    ///
    /// See [`Lock`].
    pub fn new() -> Result<Self> {
        Lock::make(Home::Own)
    }

    /// A new lock in an arena.
    ///
    /// # Errors
    ///
    /// [`NoSpace`](crate::Error::NoSpace) if the arena is full.
    ///
    /// # Examples
    ///
    /// See [`Arena`].
    pub fn new_in(arena: &Arena) -> Result<Self> {
        Lock::make(arena.home())
    }

    fn make(home: Home<'_>) -> Result<Self> {
        let placed = Placed::create(home, type_stamp::<()>(), 0, NO_TAIL, |_| ())?;
        Ok(Lock { placed, spin: Spin::new() })
    }

    fn attach(segment: Arc<Segment>, offset: u64) -> Result<Self> {
        let placed = Placed::attach(segment, offset, &type_stamp::<()>(), |_| NO_TAIL)?;
        Ok(Lock { placed, spin: Spin::new() })
    }

    /// Waits for the lock as long as it takes.
    ///
    /// # Errors
    ///
    /// [`OwnerDied`](LockError::OwnerDied), with the guard, if an owner died and nobody has repaired since;
    /// [`AlreadyHeld`](LockError::AlreadyHeld) if this thread holds it.
    ///
    /// # Examples
    ///
    /// ```
    /// let lock = crossproc::Lock::new()?;
    /// let guard = lock.lock()?;
    /// assert!(matches!(lock.lock(), Err(crossproc::LockError::AlreadyHeld)));
    /// drop(guard);
    /// assert!(lock.lock().is_ok());
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    #[inline]
    pub fn lock(&self) -> Result<LockGuard<'_>, LockError<LockGuard<'_>>> {
        let turn = self.acquire(Wait::FOR_EVER).map_err(Failure::into_lock_error)?;
        LockGuard::new(self, turn).map_err(LockError::OwnerDied)
    }

    /// Takes the lock if nobody holds it, or if its owner is dead.
    ///
    /// # Errors
    ///
    /// As [`lock`](Self::lock), and [`Held`](TryLockError::Held) at once if another thread or process holds it.
    ///
    /// # Examples
    ///
    /// ```
    /// let lock = crossproc::Lock::new()?;
    /// assert!(lock.try_lock().is_ok());
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    #[inline]
    pub fn try_lock(&self) -> Result<LockGuard<'_>, TryLockError<LockGuard<'_>>> {
        let turn = self.acquire(Wait::No).map_err(Failure::into_try_lock_error)?;
        LockGuard::new(self, turn).map_err(TryLockError::OwnerDied)
    }

    /// Waits for the lock, `timeout` at most (monotonic; never shorter). Zero is a [`try_lock`](Self::try_lock).
    ///
    /// # Errors
    ///
    /// As [`lock`](Self::lock), and [`Held`](TryLockError::Held) when the time is up.
    ///
    /// # Examples
    ///
    /// ```
    /// let lock = crossproc::Lock::new()?;
    /// let _guard = lock.lock_timeout(std::time::Duration::from_secs(1))?;
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn lock_timeout(&self, timeout: Duration) -> Result<LockGuard<'_>, TryLockError<LockGuard<'_>>> {
        let turn = self.acquire(Wait::at_most(timeout)).map_err(Failure::into_try_lock_error)?;
        LockGuard::new(self, turn).map_err(TryLockError::OwnerDied)
    }

    #[inline]
    fn acquire(&self, wait: Wait) -> Result<Ownership<'_>, Failure> {
        Ownership::acquire(self.placed.segment(), &self.placed.body().word, &self.spin, Section::Open, wait)
    }
}

impl_handle!(Lock, "Lock");
impl_create!(Lock, (), []);

/// A [`Lock`] that is held until this is dropped, also by a panic. It stays on its thread.
///
/// # Examples
///
/// A guard cannot be sent to another thread:
///
/// ```compile_fail,E0277
/// let lock = crossproc::Lock::new().unwrap();
/// let guard = lock.lock().unwrap();
/// std::thread::scope(|scope| {
///     scope.spawn(move || drop(guard));
/// });
/// ```
#[must_use = "the lock is held only as long as its guard lives"]
pub struct LockGuard<'a> {
    lock: &'a Lock,
    turn: Ownership<'a>,
}

impl<'a> LockGuard<'a> {
    /// The guard, as an error if an owner died.
    #[inline]
    fn new(lock: &'a Lock, turn: Ownership<'a>) -> Result<Self, Self> {
        turn.hand_out(|turn| LockGuard { lock, turn })
    }
}

impl Guard for LockGuard<'_> {
    const KIND: Kind = Kind::Lock;

    fn repair(&mut self) {
        self.turn.repair();
    }
}

impl Relock for LockGuard<'_> {}

impl Lend for LockGuard<'_> {
    fn is_ours(&self) -> bool {
        self.turn.is_ours()
    }

    fn lend<R>(self, meanwhile: impl FnOnce() -> R) -> (R, Result<Self, LockError<Self>>) {
        let lock = self.lock;
        drop(self);
        (meanwhile(), lock.lock())
    }
}

impl std::fmt::Debug for LockGuard<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LockGuard").finish_non_exhaustive()
    }
}

pub(crate) fn describe(facts: &mut Facts<'_>) -> Result<()> {
    let body = facts.image.body::<LockBody>()?;
    facts.say_lock(body + offset_of!(LockBody, word) as u64)
}
