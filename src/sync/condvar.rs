#![allow(unsafe_code)]

use std::mem::offset_of;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, Guard, Kind, LockError, Result};
use crate::segment::impls::{impl_create, impl_handle};
use crate::segment::place::{Body, Home, NO_TAIL, Placed};
use crate::segment::{Arena, Facts, Relock, Segment, stamp, type_stamp};
use crate::sys::atomic::AtomicU64;
use crate::sys::clock::Deadline;
use crate::sys::spin::Spin;
use crate::word::condvar::{Attendance, Tally, WaiterWord, Waiters};

/// A condition variable: waiting, without the lock, until somebody in any process says that what it guards has changed.
///
/// It works with the guards of [`Lock`](crate::Lock), [`RLock`](crate::RLock), [`Value`](crate::Value), [`Array`](crate::Array) and
/// [`SharedMemory`](crate::SharedMemory), and with an [`RwLock`](crate::RwLock)'s for writing: what is [`Relock`]. All who wait at the same time use the same lock; who notifies need not hold it, but has held it for the change.
///
/// # Concurrency
///
/// [`notify`](Self::notify) wakes the `n` that have waited longest, or all if they are fewer: exactly so many, and never one that
/// came later. Who waits has begun to when it gives its lock up, so that no notification comes between. Nobody wakes without one,
/// as long as nobody dies. A notification that nobody waits for is gone, and costs no system call. Up to 1,024 threads wait at a time.
///
/// # Death
///
/// A dead waiter takes no notification. One that is killed after it was notified, and before it has its lock again, leaves the
/// notification to another who waits, within 50 ms of the kernel's having finished the exit, or else to the next who will. So a
/// death may wake some too many, and never one too few. A *stopped* waiter counts as alive: a notification that it was given
/// stays with it until it goes on. Whoever dies with the lock in hand leaves it as it would anywhere: the waiter that has it
/// next gets [`OwnerDied`](LockError::OwnerDied).
///
/// A plain `fork` does not copy a wait. In the forked child the copy of a guard holds nothing, and waiting with it fails.
///
/// # Layout
///
/// Shape (); three numbers in a pair of cache lines of their own, and 64 bits for each thread that may wait.
///
/// # Examples
///
/// ```
/// use crossproc::{Condvar, Process, Value};
///
/// fn work(jobs: Value<u32>, changed: Condvar) -> crossproc::Result<u32> {
///     let mut jobs = changed.wait_while(jobs.lock()?, |jobs| **jobs == 0)?;
///     *jobs -= 1;
///     Ok(*jobs)
/// }
///
/// # fn main() -> crossproc::Result<()> {
/// crossproc::init();
/// let (jobs, changed) = (Value::new(0)?, Condvar::new()?);
/// let worker = Process::spawn(work, (&jobs, &changed))?;
/// jobs.set(3);
/// changed.notify_one();
/// assert_eq!(worker.join()??, 2);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Condvar {
    placed: Placed<CondvarBody>,
    spin: Spin,
}

/// The most threads that wait at a time: four for each process that a segment has room for. A guess.
const MOST_WAITERS: usize = 1_024;

/// | offset | size | field | meaning                            |
/// |--------|------|-------|------------------------------------|
/// | 0      | 24   | tally | see `word/condvar.rs`              |
/// | 24     | 104  | line  | 0: the tally has lines of its own  |
/// | 128    | 8192 | words | see `word/condvar.rs`              |
#[repr(C)]
struct CondvarBody {
    tally: Tally,
    line: [AtomicU64; 13],
    words: [WaiterWord; MOST_WAITERS],
}

const _: () = assert!(offset_of!(CondvarBody, words) == 128 && size_of::<CondvarBody>() == 128 + 8 * MOST_WAITERS);

// SAFETY: `repr(C)`, atomics only and no padding; zero is nobody.
unsafe impl Body for CondvarBody {
    const KIND: Kind = Kind::Condvar;
    const STAMP: u64 = stamp(&[size_of::<CondvarBody>(), offset_of!(CondvarBody, words)]);
}

impl Condvar {
    /// A new condition variable, in memory of its own.
    ///
    /// # Errors
    ///
    /// [`NoSpace`](crate::Error::NoSpace) without shared memory, [`Os`](crate::Error::Os) without a descriptor.
    ///
    /// # Examples
    ///
    /// See [`Condvar`].
    pub fn new() -> Result<Self> {
        Condvar::make(Home::Own)
    }

    /// A new condition variable in an arena.
    ///
    /// # Errors
    ///
    /// [`NoSpace`](crate::Error::NoSpace) if the arena is full.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::{Arena, Condvar, Lock};
    ///
    /// let arena = Arena::new(1 << 14)?;
    /// let (lock, changed) = (Lock::new_in(&arena)?, Condvar::new_in(&arena)?);
    /// # let _ = (lock, changed);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn new_in(arena: &Arena) -> Result<Self> {
        Condvar::make(arena.home())
    }

    fn make(home: Home<'_>) -> Result<Self> {
        let placed = Placed::create(home, type_stamp::<()>(), 0, NO_TAIL, |_| ())?;
        Ok(Condvar { placed, spin: Spin::for_answers() })
    }

    fn attach(segment: Arc<Segment>, offset: u64) -> Result<Self> {
        let placed = Placed::attach(segment, offset, &type_stamp::<()>(), |_| NO_TAIL)?;
        Ok(Condvar { placed, spin: Spin::for_answers() })
    }

    /// Gives the guard's lock back, waits until notified, and takes the lock again.
    ///
    /// The guard of a `Value` commits its changes, as when it is dropped, and comes back with a new copy. An `RLock` is given back
    /// altogether, however often this thread has locked it, and comes back with as many levels. What was waited for may
    /// have changed once more before the lock could be had: [`wait_while`](Self::wait_while) looks.
    ///
    /// # Errors
    ///
    /// [`OwnerDied`](LockError::OwnerDied), with the guard, if an owner of the lock died and nobody has repaired since: also if
    /// it was so, and not repaired, when this was called.
    ///
    /// [`Failed`](LockError::Failed), and the lock is given back: with [`TooManyWaiters`](crate::Error::TooManyWaiters) if 1,024
    /// threads wait already, with [`ForkedCopy`](crate::Error::ForkedCopy) if the guard is one.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::{Condvar, Lock};
    ///
    /// let (lock, changed) = (Lock::new()?, Condvar::new()?);
    /// let guard = lock.lock()?;
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| {
    ///         let _guard = lock.lock().unwrap(); // can be had once the other one waits
    ///         assert!(changed.notify_one());
    ///     });
    ///     changed.wait(guard).map(drop)
    /// })?;
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn wait<G: Relock>(&self, guard: G) -> Result<G, LockError<G>> {
        match self.wait_until(guard, Deadline::NEVER) {
            Ok((guard, _)) => Ok(guard),
            Err(error) => Err(error.map(|(guard, _)| guard)),
        }
    }

    /// [`wait`](Self::wait), `timeout` at most (monotonic; never shorter); `true` if it was notified, `false` if the time was up.
    ///
    /// When the time is up, the lock is taken again, however long that takes. With a timeout of zero this gives the lock away for
    /// a moment.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait); [`OwnerDied`](LockError::OwnerDied) comes with both, the guard and whether it was notified.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use crossproc::{Condvar, Lock, LockError};
    ///
    /// let (lock, changed) = (Lock::new()?, Condvar::new()?);
    /// let waited = changed.wait_timeout(lock.lock()?, Duration::from_millis(1));
    /// let (_guard, is_notified) = waited.or_else(LockError::repair)?;
    /// assert!(!is_notified);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn wait_timeout<G: Relock>(&self, guard: G, timeout: Duration) -> Result<(G, bool), LockError<(G, bool)>> {
        self.wait_until(guard, Deadline::after(timeout))
    }

    /// Waits, notification by notification, while `condition` says so; it is asked with the lock held, the first time at once.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait). After a death `condition` is not asked: what it would look at may be half changed.
    ///
    /// # Examples
    ///
    /// See [`Condvar`].
    pub fn wait_while<G: Relock>(
        &self,
        mut guard: G,
        mut condition: impl FnMut(&mut G) -> bool,
    ) -> Result<G, LockError<G>> {
        while condition(&mut guard) {
            guard = self.wait(guard)?;
        }
        Ok(guard)
    }

    /// [`wait_while`](Self::wait_while), `timeout` at most in all (monotonic; never shorter); `true` if what was waited for has come,
    /// so that `condition` is false, and `false` if the time was up.
    ///
    /// # Errors
    ///
    /// As [`wait_while`](Self::wait_while), and `false` with the guard: nobody has asked `condition`.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use crossproc::{Condvar, Value};
    ///
    /// let (jobs, changed) = (Value::new(0)?, Condvar::new()?);
    /// let (jobs, is_there) = changed.wait_while_timeout(jobs.lock()?, |jobs| **jobs == 0, Duration::from_millis(1))?;
    /// assert!(!is_there && *jobs == 0);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn wait_while_timeout<G: Relock>(
        &self,
        mut guard: G,
        mut condition: impl FnMut(&mut G) -> bool,
        timeout: Duration,
    ) -> Result<(G, bool), LockError<(G, bool)>> {
        let deadline = Deadline::after(timeout);
        while condition(&mut guard) {
            if deadline.has_passed() {
                return Ok((guard, false));
            }
            let waited = self.wait_until(guard, deadline);
            (guard, _) = waited.map_err(|error| error.map(|(guard, _)| (guard, false)))?;
        }
        Ok((guard, true))
    }

    pub(crate) fn wait_until<G: Relock>(
        &self,
        guard: G,
        deadline: Deadline,
    ) -> Result<(G, bool), LockError<(G, bool)>> {
        if !guard.is_ours() {
            return Err(LockError::Failed(Error::ForkedCopy { object: <G as Guard>::KIND }));
        }
        let me = self.placed.segment().me().map_err(LockError::Failed)?;
        let waiters = self.waiters();
        let Some(place) = waiters.enter(me) else {
            return Err(LockError::Failed(Error::TooManyWaiters { limit: MOST_WAITERS as u32 }));
        };
        let (is_notified, relocked) = guard.lend(|| waiters.wait(&place, deadline, &self.spin));
        if is_notified {
            place.leave();
        }
        match relocked {
            Ok(guard) => Ok((guard, is_notified)),
            Err(error) => Err(error.map(|guard| (guard, is_notified))),
        }
    }

    /// Wakes the `n` threads that have waited longest, or all if they are fewer; how many.
    ///
    /// # Examples
    ///
    /// ```
    /// let changed = crossproc::Condvar::new()?;
    /// assert_eq!(changed.notify(3), 0); // nobody waits
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    #[inline]
    pub fn notify(&self, n: usize) -> usize {
        self.waiters().notify(n)
    }

    /// Wakes the thread that has waited longest; whether there was one.
    ///
    /// # Examples
    ///
    /// See [`Condvar`] and [`wait`](Self::wait).
    #[inline]
    pub fn notify_one(&self) -> bool {
        self.notify(1) == 1
    }

    /// Wakes all threads that wait; how many.
    ///
    /// # Examples
    ///
    /// ```
    /// let changed = crossproc::Condvar::new()?;
    /// assert_eq!(changed.notify_all(), 0); // nobody waits
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    #[inline]
    pub fn notify_all(&self) -> usize {
        self.notify(usize::MAX)
    }

    #[inline]
    fn waiters(&self) -> Waiters<'_> {
        let body = self.placed.body();
        Waiters { tally: &body.tally, words: &body.words, liveness: self.placed.segment().liveness() }
    }
}

impl_handle!(Condvar, "Condvar");
impl_create!(Condvar, (), []);

pub(crate) fn describe(facts: &mut Facts<'_>) -> Result<()> {
    let words = facts.image.body::<CondvarBody>()? + offset_of!(CondvarBody, words) as u64;
    let mut attendance = Attendance::default();
    for index in 0..MOST_WAITERS as u64 {
        attendance.count(facts.image.word(words + 8 * index)?);
    }
    for (what, owners) in [("waiting", attendance.waiting), ("notified", attendance.notified)] {
        facts.say_owners(what, &owners);
    }
    Ok(())
}
