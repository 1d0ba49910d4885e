#![allow(unsafe_code)]

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, Guard, Kind, LockError, Result, TryLockError};
use crate::segment::impls::{impl_create, impl_handle};
use crate::segment::place::{Body, Home, NO_TAIL, Placed};
use crate::segment::{Arena, Facts, Failure, Segment, Wait, stamp, type_stamp};
use crate::sys::fork;
use crate::sys::spin::Spin;
use crate::word::PeerId;
use crate::word::lock::{Acquired, Claim};
use crate::word::rlock::{NotLocked, RLockWords};

/// A [`Lock`](crate::Lock) that the thread which holds it may lock again: it is free when the last guard is dropped.
///
/// For functions that lock for themselves and are also called by those that have locked. A plain `Lock` says
/// [`AlreadyHeld`](LockError::AlreadyHeld) there, which this one never does, and costs a little less.
///
/// # Concurrency
///
/// As [`Lock`](crate::Lock). Whose it is, is a matter of threads: another thread of the same process waits.
///
/// Each guard is one level, in whatever order they are dropped. A guard stays on its thread, so that nobody can
/// unlock what another thread has locked: Python's error for that has no counterpart.
///
/// # Death
///
/// As [`Lock`](crate::Lock): the next owner gets [`OwnerDied`](LockError::OwnerDied) with the guard. So does each of its further levels
/// until one of them calls [`repair`](Guard::repair), which holds for all.
///
/// # Layout
///
/// A lock's word of 64 bits, and another one for the depth, which means something only to the owner.
///
/// # Examples
///
/// ```
/// use crossproc::{RLock, Result, Value};
///
/// fn add(lock: &RLock, total: &Value<u64>, n: u64) -> Result<()> {
///     let _guard = lock.lock()?;
///     total.set(total.get() + n);
///     Ok(())
/// }
///
/// fn add_twice(lock: &RLock, total: &Value<u64>, n: u64) -> Result<()> {
///     let _guard = lock.lock()?; // nobody comes between the two
///     add(lock, total, n)?;
///     add(lock, total, n)
/// }
///
/// let (lock, total) = (RLock::new()?, Value::new(0)?);
/// add_twice(&lock, &total, 5)?;
/// assert_eq!(total.get(), 10);
/// # Ok::<(), crossproc::Error>(())
/// ```
#[derive(Clone)]
pub struct RLock {
    placed: Placed<RLockBody>,
    spin: Spin,
}

/// | offset | size | field | meaning             |
/// |--------|------|-------|---------------------|
/// | 0      | 16   | words | see `word/rlock.rs` |
#[repr(C)]
struct RLockBody {
    words: RLockWords,
}

// SAFETY: `repr(C)`, two atomics; zero is a free lock.
unsafe impl Body for RLockBody {
    const KIND: Kind = Kind::RLock;
    const STAMP: u64 = stamp(&[size_of::<RLockBody>()]);
}

impl RLock {
    /// A new lock, free, in memory of its own.
    ///
    /// # Errors
    ///
    /// [`NoSpace`](Error::NoSpace) without shared memory, [`Os`](Error::Os) without a descriptor.
    ///
    /// # Examples
    ///
    /// See [`RLock`].
    pub fn new() -> Result<Self> {
        RLock::make(Home::Own)
    }

    /// A new lock in an arena.
    ///
    /// # Errors
    ///
    /// [`NoSpace`](Error::NoSpace) if the arena is full.
    ///
    /// # Examples
    ///
    /// ```
    /// let arena = crossproc::Arena::new(4096)?;
    /// let lock = crossproc::RLock::new_in(&arena)?;
    /// assert!(lock.try_lock().is_ok());
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn new_in(arena: &Arena) -> Result<Self> {
        RLock::make(arena.home())
    }

    fn make(home: Home<'_>) -> Result<Self> {
        let placed = Placed::create(home, type_stamp::<()>(), 0, NO_TAIL, |_| ())?;
        Ok(RLock { placed, spin: Spin::new() })
    }

    fn attach(segment: Arc<Segment>, offset: u64) -> Result<Self> {
        let placed = Placed::attach(segment, offset, &type_stamp::<()>(), |_| NO_TAIL)?;
        Ok(RLock { placed, spin: Spin::new() })
    }

    /// Waits for the lock as long as it takes; not at all if this thread has it.
    ///
    /// # Errors
    ///
    /// [`OwnerDied`](LockError::OwnerDied), with the guard, if an owner died and nobody has repaired since;
    /// [`Corrupted`](Error::Corrupted), in [`Failed`](LockError::Failed), if this thread has it and somebody who does not follow
    /// the protocol has written how often.
    ///
    /// # Examples
    ///
    /// ```
    /// let lock = crossproc::RLock::new()?;
    /// let (outer, inner) = (lock.lock()?, lock.lock()?);
    /// drop(outer);
    /// let other = lock.clone();
    /// assert!(std::thread::spawn(move || other.try_lock().is_err()).join().unwrap());
    /// drop(inner);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    #[inline]
    pub fn lock(&self) -> Result<RLockGuard<'_>, LockError<RLockGuard<'_>>> {
        self.acquire(Wait::FOR_EVER).map_err(Failure::into_lock_error)?.map_err(LockError::OwnerDied)
    }

    /// Takes the lock if nobody else holds it, or if its owner is dead.
    ///
    /// # Errors
    ///
    /// As [`lock`](Self::lock), and [`Held`](TryLockError::Held) at once if another thread or process holds it.
    ///
    /// # Examples
    ///
    /// ```
    /// let lock = crossproc::RLock::new()?;
    /// let _guards = [lock.try_lock()?, lock.try_lock()?];
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    #[inline]
    pub fn try_lock(&self) -> Result<RLockGuard<'_>, TryLockError<RLockGuard<'_>>> {
        self.acquire(Wait::No).map_err(Failure::into_try_lock_error)?.map_err(TryLockError::OwnerDied)
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
    /// let lock = crossproc::RLock::new()?;
    /// let _guard = lock.lock_timeout(std::time::Duration::from_secs(1))?;
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn lock_timeout(&self, timeout: Duration) -> Result<RLockGuard<'_>, TryLockError<RLockGuard<'_>>> {
        let locked = self.acquire(Wait::at_most(timeout)).map_err(Failure::into_try_lock_error)?;
        locked.map_err(TryLockError::OwnerDied)
    }

    /// The guard; as an error if an owner died.
    #[inline]
    fn acquire(&self, wait: Wait) -> Result<Result<RLockGuard<'_>, RLockGuard<'_>>, Failure> {
        let segment = self.placed.segment();
        let id = segment.me().map_err(Failure::Failed)?;
        let (words, claim) = (&self.placed.body().words, Claim::new(id));
        let acquired = match wait {
            Wait::No => words.try_acquire(claim, segment.liveness()),
            Wait::Until(deadline) => words.acquire(claim, segment.liveness(), deadline, &self.spin),
        };
        let guard = || RLockGuard { words, id, generation: fork::generation(), _thread: PhantomData };
        match acquired {
            Ok(Acquired::Clean) => Ok(Ok(guard())),
            Ok(Acquired::Dirty) => Ok(Err(guard())),
            Err(NotLocked::Held) => Err(Failure::Held),
            Err(NotLocked::Corrupted(found)) => {
                Err(Failure::Failed(Error::Corrupted { object: Kind::RLock, position: 0, found }))
            }
        }
    }
}

impl_handle!(RLock, "RLock");
impl_create!(RLock, (), []);

/// One level of an [`RLock`], held until this is dropped, also by a panic. It stays on its thread.
///
/// # Examples
///
/// See [`RLock::lock`]. A guard cannot be sent to another thread:
///
/// ```compile_fail,E0277
/// let lock = crossproc::RLock::new().unwrap();
/// let guard = lock.lock().unwrap();
/// std::thread::scope(|scope| {
///     scope.spawn(move || drop(guard));
/// });
/// ```
#[must_use = "the lock is held only as long as its guard lives"]
pub struct RLockGuard<'a> {
    words: &'a RLockWords,
    id: PeerId,
    /// The fork generation that acquired it.
    generation: u32,
    _thread: PhantomData<*const ()>,
}

impl RLockGuard<'_> {
    /// False in a forked copy of the process that acquired it, which holds nothing.
    #[inline]
    fn is_ours(&self) -> bool {
        self.generation == fork::generation()
    }
}

impl Guard for RLockGuard<'_> {
    const KIND: Kind = Kind::RLock;

    fn repair(&mut self) {
        if self.is_ours() {
            self.words.repair(Claim::new(self.id));
        }
    }
}

impl Drop for RLockGuard<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.is_ours() {
            self.words.release(Claim::new(self.id));
        }
    }
}

impl std::fmt::Debug for RLockGuard<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RLockGuard").finish_non_exhaustive()
    }
}

pub(crate) fn describe(facts: &mut Facts<'_>) -> Result<()> {
    let body = facts.image.body::<RLockBody>()?;
    facts.say_lock(body)?;
    facts.say("depth, if it is held", facts.image.word(body + RLockWords::DEPTH)?);
    Ok(())
}
