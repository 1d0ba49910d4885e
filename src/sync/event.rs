#![allow(unsafe_code)]

use std::fmt;
use std::mem::offset_of;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Kind, Result};
use crate::segment::impls::{impl_create, impl_from_fd, impl_memory_fd, impl_travel};
use crate::segment::place::{Body, Home, NO_TAIL, Placed};
use crate::segment::{Arena, Facts, Segment, stamp, type_stamp};
use crate::sys::clock::Deadline;
use crate::sys::spin::Spin;
use crate::watch::{Watchable, Watched};
use crate::word::event::{self, EventWord};

/// A flag that any process sets, clears and waits for.
///
/// # Concurrency
///
/// [`set`](Self::set) wakes all who wait; what the setter did before is seen by them, and by whoever finds the flag set. Who
/// waits when it is set returns, also if it is cleared at once. A waiter spins briefly and then sleeps. Setting makes a system
/// call only if somebody sleeps (or did, and gave up or was killed, since the flag was last set), clearing and looking never.
///
/// To wait for work that others announce with `set`: wait, clear, then look for the work. What is announced after the clearing
/// sets the flag again.
///
/// # Death
///
/// Nobody owns an event, and so nobody's death is reported. A process killed in [`set`](Self::set) has set the flag or not; if
/// it has, those whom it did not wake any more return within 50 ms. A killed waiter takes no wake-up from others.
///
/// # Layout
///
/// One word of 64 bits in its own pair of cache lines: the flag, whether somebody waits, how often it was cleared.
///
/// # Examples
///
/// ```
/// use crossproc::{Event, Process};
///
/// # fn main() -> crossproc::Result<()> {
/// crossproc::init();
/// let (ready, go) = (Event::new()?, Event::new()?);
/// let runner = |ready: Event, go: Event| {
///     ready.set();
///     go.wait();
/// };
/// let process = Process::spawn(runner, (&ready, &go))?;
/// ready.wait();
/// go.set();
/// process.join()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Event {
    placed: Placed<EventBody>,
    spin: Spin,
    watched: Arc<Watched>,
}

/// | offset | size | field | meaning             |
/// |--------|------|-------|---------------------|
/// | 0      | 8    | word  | see `word/event.rs` |
#[repr(C)]
struct EventBody {
    word: EventWord,
}

// SAFETY: `repr(C)`, one atomic; zero is an event that is not set.
unsafe impl Body for EventBody {
    const KIND: Kind = Kind::Event;
    const STAMP: u64 = stamp(&[size_of::<EventBody>()]);
}

impl Event {
    /// A new event, not set, in memory of its own.
    ///
    /// # Errors
    ///
    /// [`NoSpace`](crate::Error::NoSpace) without shared memory, [`Os`](crate::Error::Os) without a descriptor.
    ///
    /// # Examples
    ///
    /// See [`Event`].
    pub fn new() -> Result<Self> {
        Event::make(Home::Own)
    }

    /// A new event in an arena.
    ///
    /// # Errors
    ///
    /// [`NoSpace`](crate::Error::NoSpace) if the arena is full.
    ///
    /// # Examples
    ///
    /// ```
    /// let arena = crossproc::Arena::new(4096)?;
    /// assert!(!crossproc::Event::new_in(&arena)?.is_set());
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn new_in(arena: &Arena) -> Result<Self> {
        Event::make(arena.home())
    }

    fn make(home: Home<'_>) -> Result<Self> {
        let placed = Placed::create(home, type_stamp::<()>(), 0, NO_TAIL, |_| ())?;
        Ok(Event { placed, spin: Spin::for_answers(), watched: Arc::default() })
    }

    fn attach(segment: Arc<Segment>, offset: u64) -> Result<Self> {
        let placed = Placed::attach(segment, offset, &type_stamp::<()>(), |_| NO_TAIL)?;
        Ok(Event { placed, spin: Spin::for_answers(), watched: Arc::default() })
    }

    #[inline]
    fn word(&self) -> &EventWord {
        &self.placed.body().word
    }

    /// Sets the flag, and wakes all who wait for it.
    ///
    /// # Signals
    ///
    /// It may be called in a signal handler, whatever it interrupts: an atomic operation and at most one system call
    /// (FUTEX_WAKE), which leaves `errno` as it is; no lock, no allocation. The handle must be there already, in a static, say.
    ///
    /// # Examples
    ///
    /// See [`Event`].
    #[inline]
    pub fn set(&self) {
        self.word().set();
    }

    /// Takes the flag back: who waits from now on waits for the next [`set`](Self::set).
    ///
    /// # Signals
    ///
    /// Not for signal handlers: where somebody has asked for the [`readiness`](Self::readiness), it takes a lock.
    ///
    /// # Examples
    ///
    /// ```
    /// let event = crossproc::Event::new()?;
    /// event.set();
    /// event.clear();
    /// assert!(!event.is_set());
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    #[inline]
    pub fn clear(&self) {
        self.word().clear();
        self.watched.settle(true); // as a call that found nothing: who waits for edges gets the next one
    }

    /// Whether the flag is set. Stale at once where others set and clear. It is what would be called `try_wait`.
    ///
    /// # Examples
    ///
    /// See [`clear`](Self::clear).
    #[inline]
    pub fn is_set(&self) -> bool {
        self.word().is_set()
    }

    /// Waits until the flag is set, as long as it takes; returns at once if it is.
    ///
    /// # Examples
    ///
    /// See [`Event`].
    #[inline]
    pub fn wait(&self) {
        self.word().wait(Deadline::NEVER, &self.spin);
    }

    /// Waits until the flag is set, `timeout` at most (monotonic; never shorter); whether it was.
    ///
    /// # Examples
    ///
    /// ```
    /// let event = crossproc::Event::new()?;
    /// assert!(!event.wait_timeout(std::time::Duration::from_millis(1)));
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    #[must_use = "whether the flag was set in time"]
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        self.is_set() || self.word().wait(Deadline::after(timeout), &self.spin)
    }

    /// The descriptor of [`AsFd`], where there may be none left: it polls readable while the flag is set.
    ///
    /// It is an eventfd of this process, only to be polled: alone, with [`wait_any`](crate::wait_any), which says what it
    /// costs, or in an event loop with others. The first call starts a thread, which keeps it right until this handle and its
    /// clones are gone; before that, nothing is paid for it. It is gone with them. A forked copy of the process has its own.
    ///
    /// # Concurrency
    ///
    /// What this handle and its clones clear is accounted for at once, and each call of this sees what is set. Where others
    /// clear, it may stay readable for 50 ms; a flag that they clear at once may not be seen at all.
    ///
    /// # Death
    ///
    /// A flag whose setter was killed before it woke anybody is seen within 50 ms.
    ///
    /// # Errors
    ///
    /// [`Os`](crate::Error::Os) without a descriptor or a thread.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::{Event, Queue, wait_any};
    ///
    /// let (stop, jobs) = (Event::new()?, Queue::<u32>::new(4)?);
    /// stop.readiness()?;
    /// jobs.put(7)?;
    /// assert_eq!(wait_any(&[&stop, &jobs], None)?, [1]);
    /// stop.set(); // from any process, or a signal handler
    /// assert_eq!(wait_any(&[&stop, &jobs], None)?, [0, 1]);
    /// stop.clear();
    /// assert_eq!(wait_any(&[&stop, &jobs], None)?, [1]);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn readiness(&self) -> Result<BorrowedFd<'_>> {
        self.watched.settle(false); // `set` does not, for the sake of signal handlers
        self.watched.descriptor(|| Ok(self.placed.clone()))
    }
}

impl Watchable for Placed<EventBody> {
    fn is_ready(&self) -> bool {
        self.body().word.is_set()
    }

    fn sleep_until(&self, is_awake: &dyn Fn() -> bool) {
        self.body().word.sleep_until(is_awake);
    }

    /// A set flag wakes everybody.
    fn pass_on(&self) {}

    fn rouse(&self) {
        self.body().word.rouse();
    }
}

impl_from_fd!(Event, "Event");
impl_memory_fd!(Event);
impl_travel!(Event);
impl_create!(Event, (), []);

/// Says whether it is set.
impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event").field("is_set", &self.is_set()).finish()
    }
}

/// Polls readable while the flag is set: see [`readiness`](Event::readiness), which says so where there is no such
/// descriptor; this panics.
impl AsFd for Event {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.readiness().unwrap_or_else(|error| panic!("a descriptor for `poll`: {error:?}"))
    }
}

/// As `as_fd`.
impl AsRawFd for Event {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

pub(crate) fn describe(facts: &mut Facts<'_>) -> Result<()> {
    let body = facts.image.body::<EventBody>()?;
    let is_set = event::is_set(facts.image.word(body + offset_of!(EventBody, word) as u64)?);
    facts.say("event", if is_set { "set" } else { "not set" });
    Ok(())
}
