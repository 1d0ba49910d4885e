#![allow(unsafe_code)]

mod builder;
mod describe;
mod party;
mod wait;

use std::fmt;
use std::mem::offset_of;
use std::sync::Arc;
use std::time::Duration;

use self::party::Presence;
use crate::error::{Error, Kind, Result};
use crate::segment::impls::{impl_create, impl_from_fd, impl_memory_fd};
use crate::segment::place::{Body, Home, Placed};
use crate::segment::{Arena, Atomics, PEERS, Segment, stamp, type_stamp};
use crate::sys::atomic::{AtomicU64, Ordering::Relaxed};
use crate::sys::spin::Spin;
use crate::word::barrier::{BarrierWord, MOST_PARTIES};
use crate::word::meeting::Meeting;
use crate::word::parties::Place;

pub use builder::BarrierBuilder;
pub(crate) use describe::describe;
pub use wait::BarrierTurn;

/// A number of parties, threads of any processes, that wait for each other: nobody passes before all have come, again and
/// again.
///
/// # Concurrency
///
/// Whoever calls [`wait`](Self::wait) arrives; the arrival of the last of [`parties`](Self::parties) lets all pass, and the next
/// who comes begins the next generation. What each did before it arrived is seen by all who pass. A party that waits spins
/// briefly and then sleeps; where nobody sleeps, no system call is made.
///
/// A barrier that is *broken* lets nobody pass: all who wait, and all who come, are told so, and by what, until somebody calls
/// [`reset`](Self::reset). A timeout breaks it for all, as do [`abort`](Self::abort), an action that panics, and a death.
/// In each generation either all pass who have come, or all are told that it is broken.
///
/// # Death
///
/// A process is a possible party from the moment at which it has a handle until it drops its last one. If it dies meanwhile, by
/// whatever means and wherever it is, the generation that fills is broken, as nobody can know whether it would have come: those
/// who wait learn it within 50 ms of the kernel's having finished the exit; if nobody waits, the next who does, once it has
/// waited for some milliseconds. So:
///
/// - Whoever only makes a barrier for others counts as well: drop the handle when it has been given away.
/// - A process that drops its handles, and then ends, has left in order; the others still wait for as many parties. A party that
///   gives up should [`abort`](Self::abort). A function that panics drops its handles, too.
/// - A process that ends with a handle (by [`exit`](std::process::exit), or one in a static) counts as dead.
/// - A handle on its way to another process belongs to the message: a child that is killed, or not even started, before it has
///   its arguments counts as a death.
/// - A party that dies when all have arrived does not stop the others, but for the one that runs the action. The next generation
///   is then broken.
/// - A process that is stopped is waited for.
///
/// [`reset`](Self::reset) forgets the dead. A forked copy of a process is a possible party once it has waited or called `reset`,
/// or has a handle of its own making.
///
/// # Layout
///
/// Shape (parties,), fixed at creation: a word of 64 bits and 8 bytes for each process that may be attached, 2 KiB.
///
/// # Examples
///
/// ```
/// use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
/// use crossproc::{Barrier, Process, RawValue, Result};
///
/// fn work(barrier: Barrier, arrived: RawValue<AtomicU32>) -> Result<bool> {
///     arrived.fetch_add(1, SeqCst);
///     let turn = barrier.wait()?;
///     assert_eq!(arrived.load(SeqCst), 3); // all are here
///     Ok(turn.is_leader())
/// }
///
/// # fn main() -> Result<()> {
/// crossproc::init();
/// let (barrier, arrived) = (Barrier::new(3)?, RawValue::new(AtomicU32::new(0))?);
/// let processes = [0; 3].map(|_| Process::spawn(work, (&barrier, &arrived)));
/// let mut leaders = 0;
/// for process in processes {
///     leaders += u32::from(process?.join()??);
/// }
/// assert_eq!(leaders, 1);
/// # Ok(())
/// # }
/// ```
pub struct Barrier {
    placed: Placed<BarrierBody>,
    /// As it was when it was checked.
    parties: u32,
    timeout: Option<Duration>,
    presence: Presence,
    spin: Spin,
}

/// | offset | size      | field   | meaning                                                            |
/// |--------|-----------|---------|--------------------------------------------------------------------|
/// | 0      | 8         | word    | see `word/barrier.rs`                                              |
/// | 8      | 8         | timeout | of a wait that names none: 1 + nanoseconds; 0: none                |
/// | 16     | 48        | line    | 0: what is waited for has a cache line of its own                  |
/// | 64     | peers x 8 | places  | who may come, by slots of the table of peers: `word/parties.rs`    |
#[repr(C, align(64))]
struct BarrierBody {
    word: BarrierWord,
    timeout: AtomicU64,
    line: [AtomicU64; 6],
}

const _: () = {
    assert!(size_of::<BarrierBody>() == 64 && offset_of!(BarrierBody, timeout) == 8);
    assert!(size_of::<Place>() == 8);
};

// SAFETY: `repr(C)`, atomics only and no padding; zero is a barrier at which nobody has arrived.
unsafe impl Body for BarrierBody {
    const KIND: Kind = Kind::Barrier;
    const STAMP: u64 = stamp(&[size_of::<BarrierBody>(), offset_of!(BarrierBody, timeout), size_of::<Place>()]);
}

// SAFETY: `repr(transparent)` around an atomic.
unsafe impl Atomics for Place {}

impl Barrier {
    /// A new barrier for so many parties (1 to 65,535), in memory of its own.
    ///
    /// # Errors
    ///
    /// [`Capacity`](Error::Capacity) for none or too many, [`NoSpace`](Error::NoSpace) without shared memory,
    /// [`Os`](Error::Os) without a descriptor.
    ///
    /// # Examples
    ///
    /// ```
    /// let barrier = crossproc::Barrier::new(1)?;
    /// barrier.wait()?;
    /// barrier.wait()?;
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn new(parties: usize) -> Result<Self> {
        Self::builder().parties(parties).build()
    }

    /// A new barrier in an arena.
    ///
    /// # Errors
    ///
    /// [`Capacity`](Error::Capacity), and [`NoSpace`](Error::NoSpace) if the arena is full.
    ///
    /// # Examples
    ///
    /// ```
    /// let arena = crossproc::Arena::new(4096)?;
    /// assert_eq!(crossproc::Barrier::new_in(&arena, 8)?.parties(), 8);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn new_in(arena: &Arena, parties: usize) -> Result<Self> {
        Self::builder().parties(parties).build_in(arena)
    }

    /// More about a barrier than its parties.
    ///
    /// # Examples
    ///
    /// See [`BarrierBuilder`].
    pub fn builder() -> BarrierBuilder {
        BarrierBuilder::new()
    }

    fn make(home: Home<'_>, parties: usize) -> Result<Self> {
        Self::builder().parties(parties).make(home)
    }

    fn make_with(home: Home<'_>, parties: usize, timeout: u64) -> Result<Self> {
        let most = MOST_PARTIES as usize;
        if !(1..=most).contains(&parties) {
            return Err(Error::Capacity { object: Kind::Barrier, capacity: parties, most });
        }
        let peers = if let Home::In(segment) = home { segment.peers() } else { PEERS };
        let placed = Placed::create(home, type_stamp::<()>(), parties as u64, places(peers), |placed| {
            let body: &BarrierBody = placed.body();
            body.timeout.store(timeout, Relaxed);
        })?;
        Barrier::of(placed)
    }

    fn attach(segment: Arc<Segment>, offset: u64) -> Result<Self> {
        let peers = segment.peers();
        let tail = |parties| (1..=u64::from(MOST_PARTIES)).contains(&parties).then(|| places(peers))?;
        Barrier::of(Placed::attach(segment, offset, &type_stamp::<()>(), tail)?)
    }

    /// A handle of this process.
    fn of(placed: Placed<BarrierBody>) -> Result<Self> {
        let timeout = timeout_of(placed.body().timeout.load(Relaxed));
        let parties = placed.length() as u32;
        let barrier = Barrier { placed, parties, timeout, presence: Presence::new(), spin: Spin::for_parties(parties) };
        barrier.enter()?;
        Ok(barrier)
    }

    #[inline]
    fn meeting(&self) -> Meeting<'_> {
        let segment = self.placed.segment();
        Meeting {
            word: &self.placed.body().word,
            places: self.placed.tail_of(segment.peers() as usize),
            liveness: segment.liveness(),
            parties: self.parties,
        }
    }

    /// How many parties it takes.
    ///
    /// # Examples
    ///
    /// See [`new_in`](Self::new_in).
    pub fn parties(&self) -> usize {
        self.parties as usize
    }

    /// How many wait. Stale at once.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(crossproc::Barrier::new(2)?.n_waiting(), 0);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn n_waiting(&self) -> usize {
        self.meeting().waiting() as usize
    }

    /// Whether it is broken: whether a [`wait`](Self::wait) would be told so at once. A death is not found before somebody has
    /// waited. Stale where others reset it.
    ///
    /// # Examples
    ///
    /// See [`abort`](Self::abort).
    pub fn is_broken(&self) -> bool {
        self.meeting().is_broken()
    }

    /// Breaks the barrier: all who wait, and all who come until it is [`reset`](Self::reset), are told so. One that is broken
    /// stays as it is.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::{Barrier, BarrierError, BrokenBy};
    ///
    /// let barrier = Barrier::new(1)?;
    /// barrier.abort();
    /// assert!(barrier.is_broken());
    /// assert_eq!(barrier.wait(), Err(BarrierError::Broken(BrokenBy::Abort)));
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn abort(&self) {
        self.meeting().abort();
    }

    /// Makes the barrier whole again, with nobody waiting: those who wait are told that it was broken, and processes that have
    /// died with a handle are forgotten.
    ///
    /// A process that was killed a moment ago may still be at its exit, and break the barrier again: join it first.
    ///
    /// # Examples
    ///
    /// ```
    /// let barrier = crossproc::Barrier::new(1)?;
    /// barrier.abort();
    /// barrier.reset();
    /// barrier.wait()?;
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn reset(&self) {
        let _ = self.enter(); // a forked copy, too (`word/barrier.rs`, B5)
        self.meeting().reset();
    }
}

/// A timeout as it stands in shared memory; what no number can say is for ever.
fn timeout_word(timeout: Option<Duration>) -> u64 {
    timeout.and_then(|timeout| u64::try_from(timeout.as_nanos()).ok()?.checked_add(1)).unwrap_or(0)
}

fn timeout_of(word: u64) -> Option<Duration> {
    word.checked_sub(1).map(Duration::from_nanos)
}

/// A place for each peer.
fn places(peers: u32) -> Option<std::alloc::Layout> {
    std::alloc::Layout::array::<Place>(peers as usize).ok()
}

impl_from_fd!(Barrier, "Barrier");
impl_memory_fd!(Barrier);
impl_create!(Barrier, (parties: usize), ["parties": parties == parties]);

/// Says who waits, and whether it is broken.
impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Barrier")
            .field("parties", &self.parties)
            .field("n_waiting", &self.n_waiting())
            .field("is_broken", &self.is_broken())
            .finish()
    }
}
