//! The machine as models see it: twins of the modules of `sys` that the words use.
//!
//! The engine below them is loom, which tries every schedule of a short model and every value that an ordering permits; or,
//! with `--cfg shuttle` besides `--cfg loom`, shuttle, which tries random schedules of long ones, with each access SeqCst.
//!
//! What the twins add to it:
//!
//! - **Processes that die.** A model runs each contender with [`Process::run`]; one that is told to dies before its k-th
//!   step, where a step is an atomic operation, a fence, a futex call or a question for somebody's death. Nothing of it
//!   runs after that; its identities are dead from then on.
//! - **A futex that wakes exactly one**, and whose sleepers wake for nothing else but the detection bound. The bound is
//!   not modelled as time: after each death, every process gets one look more (it wakes, or does not fall asleep).
//!   Without a death nobody ever wakes by time, so that a lost wake-up is a deadlock, which the engine reports.
//! - **Processes that stop** (shuttle only): [`Process::stop_at`].
//! - **Mutants.** Each call remembers where in the source it stands. [`Mutant`]s change what one call site does: weaken
//!   its ordering, make its compare-exchange blind, leave its wake-up or its fence out. A protocol for which one of its mutants
//!   passes has either a step too many or a model too few.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::panic::{self, AssertUnwindSafe, Location};

#[cfg(not(shuttle))]
pub(crate) use loom as engine;
#[cfg(shuttle)]
pub(crate) use shuttle as engine;

/// What a mutant does to the call at its place in the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Change {
    /// The operation, or fence, orders nothing.
    Relax,
    /// The compare-exchange stores without comparing.
    Blind,
    /// The wake-up does not happen.
    Silence,
}

/// A changed protocol: what a call site does differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mutant {
    pub(crate) file: &'static str,
    pub(crate) line: u32,
    pub(crate) column: u32,
    pub(crate) change: Change,
}

// Plain thread-locals: both engines run all threads of a model on one thread of ours.
thread_local! {
    static ACTIVE: Cell<Option<Mutant>> = const { Cell::new(None) };
    static POSSIBLE: RefCell<BTreeSet<Mutant>> = const { RefCell::new(BTreeSet::new()) };
}

/// Runs models on this thread with `mutant` from now on.
pub(crate) fn activate(mutant: Option<Mutant>) {
    ACTIVE.set(mutant);
}

/// The mutants of all calls that models on this thread have made so far.
pub(crate) fn possible_mutants() -> BTreeSet<Mutant> {
    POSSIBLE.with_borrow(Clone::clone)
}

/// Whether the call at `site` is to be changed in this way.
fn is_changed(site: &'static Location<'static>, change: Change) -> bool {
    if cfg!(shuttle) && change == Change::Relax {
        return false; // for shuttle all is ordered anyway
    }
    let mutant = Mutant { file: site.file(), line: site.line(), column: site.column(), change };
    POSSIBLE.with_borrow_mut(|possible| possible.insert(mutant));
    ACTIVE.get() == Some(mutant)
}

/// Carried by the unwinding that stands for a SIGKILL.
struct Killed;

engine::thread_local! {
    /// Steps that this process still takes; `None`: it lives.
    static STEPS_LEFT: Cell<Option<usize>> = Cell::new(None);
    /// How many deaths this process has had its extra look for.
    static DEATHS_SEEN: Cell<usize> = Cell::new(0);
    /// Steps until this process is stopped, and for how many turns.
    static STOP: Cell<Option<(usize, usize)>> = Cell::new(None);
}

/// One instruction of the process that runs: the moment before it, it may be killed.
fn step() {
    #[cfg(shuttle)]
    stop_if_due();
    STEPS_LEFT.with(|left| match left.get() {
        Some(0) => panic::resume_unwind(Box::new(Killed)),
        Some(steps) => left.set(Some(steps - 1)),
        None => {}
    });
}

/// One step nearer to the moment at which this process is stopped; there, it is, and goes on.
#[cfg(shuttle)]
fn stop_if_due() {
    match STOP.with(Cell::take) {
        Some((0, turns)) => (0..turns).for_each(|_| engine::thread::yield_now()),
        Some((steps, turns)) => STOP.with(|stop| stop.set(Some((steps - 1, turns)))),
        None => {}
    }
}

/// What the kernel knows.
#[derive(Default)]
struct Kernel {
    /// Identities whose byte is locked.
    held: BTreeSet<u32>,
    sleepers: Vec<Sleeping>,
    deaths: usize,
}

struct Sleeping {
    word: usize,
    thread: engine::thread::Thread,
    is_woken: std::sync::Arc<std::sync::atomic::AtomicBool>,
}

engine::lazy_static! {
    static ref KERNEL: engine::sync::Mutex<Kernel> = engine::sync::Mutex::new(Kernel::default());
}

fn with_kernel<R>(body: impl FnOnce(&mut Kernel) -> R) -> R {
    body(&mut KERNEL.lock().unwrap())
}

impl Kernel {
    fn wake(sleeper: &Sleeping) {
        sleeper.is_woken.store(true, std::sync::atomic::Ordering::Relaxed);
        sleeper.thread.unpark();
    }
}

/// A process of a model.
pub(crate) struct Process;

impl Process {
    /// Runs `body` as a process with this identity, which dies before its `death`-th step if it takes so many.
    ///
    /// `None` if it died.
    pub(crate) fn run<R>(id: u32, death: Option<usize>, body: impl FnOnce() -> R) -> Option<R> {
        with_kernel(|kernel| kernel.held.insert(id));
        let ended = Process::run_unborn(death, body);
        with_kernel(|kernel| kernel.held.remove(&id));
        if ended.is_none() {
            Process::bury();
        }
        ended
    }

    /// As [`run`](Self::run), for a process that gets its identity itself. Its caller calls [`bury`](Self::bury).
    pub(crate) fn run_unborn<R>(death: Option<usize>, body: impl FnOnce() -> R) -> Option<R> {
        STEPS_LEFT.with(|left| left.set(death));
        let ended = panic::catch_unwind(AssertUnwindSafe(body));
        STEPS_LEFT.with(|left| left.set(None));
        match ended {
            Ok(result) => Some(result),
            Err(payload) if payload.is::<Killed>() => None,
            Err(payload) => panic::resume_unwind(payload),
        }
    }

    /// Stops this process before its `step`-th step from now, as SIGSTOP does, until it has passed up so many turns. Then it
    /// goes on, or dies if its time has come.
    #[cfg(shuttle)]
    pub(crate) fn stop_at(step: usize, turns: usize) {
        STOP.with(|stop| stop.set(Some((step, turns))));
    }

    /// The kernel has finished a killed process's exit, and the detection bound passes for everybody.
    pub(crate) fn bury() {
        with_kernel(|kernel| {
            kernel.deaths += 1;
            kernel.sleepers.drain(..).for_each(|sleeper| Kernel::wake(&sleeper));
        });
    }
}

#[path = "model/atomic.rs"]
pub(crate) mod atomic;

/// Memory without atomics: an execution fails in which two are at it at once.
#[cfg(not(shuttle))]
pub(crate) use loom::cell;
#[cfg(shuttle)]
#[path = "model/cell.rs"]
pub(crate) mod cell;

#[path = "model/futex.rs"]
pub(crate) mod futex;

/// Both halves are the fence that they amount to together.
pub(crate) mod barrier {
    use super::atomic::{Ordering::SeqCst, fence};

    pub(crate) fn is_available() -> bool {
        true
    }

    #[track_caller]
    pub(crate) fn light() {
        fence(SeqCst);
    }

    #[track_caller]
    pub(crate) fn after_change() {
        fence(SeqCst);
    }

    #[track_caller]
    pub(crate) fn heavy() {
        fence(SeqCst);
    }
}

pub(crate) mod clock {
    /// Time does not pass in a model: a deadline is behind us or never comes.
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub(crate) enum Deadline {
        Never,
        Passed,
    }

    impl Deadline {
        pub(crate) fn has_passed(self) -> bool {
            self == Deadline::Passed
        }

        /// As short as can be: what waits for no longer than that must go on without.
        #[expect(clippy::unused_self, reason = "the twin of a method")]
        pub(crate) fn within(self, _limit: std::time::Duration) -> Self {
            Deadline::Passed
        }
    }

    pub(crate) fn coarse_milliseconds() -> u64 {
        0
    }
}

pub(crate) mod prefetch {
    /// A hint, which changes nothing.
    pub(crate) fn for_reading(_place: std::ptr::NonNull<u8>) {}
}

pub(crate) mod spin {
    /// Spinning adds nothing to a model but states: one look.
    pub(crate) struct Spin;

    #[expect(clippy::unused_self, reason = "the twin of a method")]
    impl Spin {
        pub(crate) fn until<R>(&self, mut done: impl FnMut() -> Option<R>) -> Option<R> {
            done()
        }
    }

    pub(crate) struct Pace;

    #[expect(clippy::unused_self, reason = "the twin of a method")]
    impl Pace {
        pub(crate) fn until_copied<R>(
            &self,
            _position: u64,
            _bytes: u64,
            mut done: impl FnMut() -> Option<R>,
        ) -> Option<R> {
            done()
        }
    }
}

pub(crate) mod thread {
    pub(crate) const BITS: u32 = 30;

    /// Every process of a model has one thread.
    pub(crate) fn token() -> u32 {
        1
    }
}

pub(crate) mod fork {
    /// Nobody forks in a model.
    pub(crate) struct Exclusion;
}

pub(crate) mod liveness {
    use super::{step, with_kernel};
    /// The kernel's byte locks on a segment's file.
    pub(crate) struct Liveness;

    #[expect(clippy::unused_self, reason = "the twins of methods")]
    impl Liveness {
        pub(crate) fn is_dead(&self, id: u32) -> bool {
            step();
            with_kernel(|kernel| !kernel.held.contains(&id))
        }

        pub(crate) fn hold(&self, id: u32) -> Option<Hold> {
            step();
            with_kernel(|kernel| kernel.held.insert(id)).then_some(Hold { id })
        }
    }

    /// Dropped by the unwinding that stands for a kill, as the kernel drops the lock.
    pub(crate) struct Hold {
        id: u32,
    }

    impl Hold {
        pub(crate) fn id(&self) -> u32 {
            self.id
        }
    }

    impl Drop for Hold {
        fn drop(&mut self) {
            with_kernel(|kernel| kernel.held.remove(&self.id));
        }
    }
}
