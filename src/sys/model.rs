//! The machine as loom sees it: twins of the modules of `sys` that the words use.
//!
//! What they add to loom:
//!
//! - **Processes that die.** A model runs each contender with [`Process::run`]; one that is told to dies before its k-th
//!   step, where a step is an atomic operation, a fence, a futex call or a question for somebody's death. Nothing of it
//!   runs after that; its identities are dead from then on.
//! - **A futex that wakes exactly one**, and whose sleepers wake for nothing else but the detection bound. The bound is
//!   not modelled as time: after each death, every process gets one look more (it wakes, or does not fall asleep).
//!   Without a death nobody ever wakes by time, so that a lost wake-up is a deadlock, which loom reports.
//! - **Mutants.** Each call remembers where in the source it stands. [`Mutant`]s change what one call site does: weaken
//!   its ordering, make its compare-exchange blind, leave its wake-up or its fence out. A protocol for which one of its mutants
//!   passes has either a step too many or a model too few.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::panic::{self, AssertUnwindSafe, Location};

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

// Plain thread-locals: loom runs all threads of a model on one thread of ours.
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
    let mutant = Mutant { file: site.file(), line: site.line(), column: site.column(), change };
    POSSIBLE.with_borrow_mut(|possible| possible.insert(mutant));
    ACTIVE.get() == Some(mutant)
}

/// Carried by the unwinding that stands for a SIGKILL.
struct Killed;

loom::thread_local! {
    /// Steps that this process still takes; `None`: it lives.
    static STEPS_LEFT: Cell<Option<usize>> = Cell::new(None);
    /// How many deaths this process has had its extra look for.
    static DEATHS_SEEN: Cell<usize> = Cell::new(0);
}

/// One instruction of the process that runs: the moment before it, it may be killed.
fn step() {
    STEPS_LEFT.with(|left| match left.get() {
        Some(0) => panic::resume_unwind(Box::new(Killed)),
        Some(steps) => left.set(Some(steps - 1)),
        None => {}
    });
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
    thread: loom::thread::Thread,
    is_woken: std::sync::Arc<std::sync::atomic::AtomicBool>,
}

loom::lazy_static! {
    static ref KERNEL: loom::sync::Mutex<Kernel> = loom::sync::Mutex::new(Kernel::default());
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

    /// The kernel has finished a killed process's exit, and the detection bound passes for everybody.
    pub(crate) fn bury() {
        with_kernel(|kernel| {
            kernel.deaths += 1;
            kernel.sleepers.drain(..).for_each(|sleeper| Kernel::wake(&sleeper));
        });
    }
}

pub(crate) mod atomic {
    use std::panic::Location;

    pub(crate) use loom::sync::atomic::Ordering;
    use loom::sync::atomic::Ordering::Relaxed;

    use super::{Change, is_changed, step};

    /// The ordering of a call, weakened if its mutant is active.
    fn ordering(site: &'static Location<'static>, ordering: Ordering) -> Ordering {
        if ordering != Relaxed && is_changed(site, Change::Relax) { Relaxed } else { ordering }
    }

    #[track_caller]
    pub(crate) fn fence(ordering: Ordering) {
        step();
        if !is_changed(Location::caller(), Change::Relax) {
            loom::sync::atomic::fence(ordering);
        }
    }

    macro_rules! twin {
        ($name:ident, $number:ty) => {
            pub(crate) struct $name(loom::sync::atomic::$name);

            #[allow(dead_code, reason = "not every word uses every operation at every width")]
            impl $name {
                pub(crate) fn new(value: $number) -> Self {
                    Self(loom::sync::atomic::$name::new(value))
                }

                #[track_caller]
                pub(crate) fn load(&self, order: Ordering) -> $number {
                    step();
                    self.0.load(ordering(Location::caller(), order))
                }

                #[track_caller]
                pub(crate) fn store(&self, value: $number, order: Ordering) {
                    step();
                    self.0.store(value, ordering(Location::caller(), order));
                }

                #[track_caller]
                pub(crate) fn swap(&self, value: $number, order: Ordering) -> $number {
                    step();
                    self.0.swap(value, ordering(Location::caller(), order))
                }

                #[track_caller]
                pub(crate) fn compare_exchange(
                    &self,
                    current: $number,
                    new: $number,
                    success: Ordering,
                    failure: Ordering,
                ) -> Result<$number, $number> {
                    step();
                    let site = Location::caller();
                    if is_changed(site, Change::Blind) {
                        self.0.swap(new, success);
                        return Ok(current);
                    }
                    self.0.compare_exchange(current, new, ordering(site, success), failure)
                }

                #[track_caller]
                pub(crate) fn fetch_add(&self, value: $number, order: Ordering) -> $number {
                    step();
                    self.0.fetch_add(value, ordering(Location::caller(), order))
                }

                /// What futex(2) compares: the latest value, without ordering anything.
                pub(super) fn latest(&self) -> $number {
                    self.0.fetch_or(0, Relaxed)
                }
            }
        };
    }

    twin!(AtomicU32, u32);
    twin!(AtomicU64, u64);
}

pub(crate) mod futex {
    use std::panic::Location;
    use std::ptr;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

    use super::atomic::AtomicU64;
    use super::clock::Deadline;
    use super::{Change, DEATHS_SEEN, Kernel, Sleeping, is_changed, step, with_kernel};

    /// One wait, which may take several sleeps.
    pub(crate) struct Sleeper;

    impl Sleeper {
        pub(crate) fn new() -> Self {
            Sleeper
        }

        pub(crate) fn watchful() -> Self {
            Sleeper
        }

        #[expect(clippy::unused_self, reason = "the twin of a method")]
        pub(crate) fn sleep(&mut self, word: &AtomicU64, expected: u32, deadline: Deadline) {
            wait(word, expected, deadline);
        }
    }

    fn wait(word: &AtomicU64, expected: u32, _deadline: Deadline) {
        step();
        let is_woken = Arc::new(AtomicBool::new(false));
        let falls_asleep = with_kernel(|kernel| {
            let bound_passes = DEATHS_SEEN.with(|seen| seen.replace(kernel.deaths)) < kernel.deaths;
            if bound_passes || word.latest() as u32 != expected {
                return false;
            }
            let thread = loom::thread::current();
            kernel.sleepers.push(Sleeping { word: ptr::from_ref(word).addr(), thread, is_woken: is_woken.clone() });
            true
        });
        while falls_asleep && !is_woken.load(Relaxed) {
            loom::thread::park();
        }
    }

    /// How many sleep now.
    pub(crate) fn sleepers() -> usize {
        with_kernel(|kernel| kernel.sleepers.len())
    }

    #[track_caller]
    pub(crate) fn wake_one(word: &AtomicU64) -> bool {
        wake(word, 1, Location::caller()) > 0
    }

    #[track_caller]
    pub(crate) fn wake_all(word: &AtomicU64) {
        wake(word, usize::MAX, Location::caller());
    }

    fn wake(word: &AtomicU64, most: usize, site: &'static Location<'static>) -> usize {
        step();
        if is_changed(site, Change::Silence) {
            return 0;
        }
        with_kernel(|kernel| {
            let mut woken = 0;
            while let Some(first) = kernel.sleepers.iter().position(|one| one.word == ptr::from_ref(word).addr()) {
                if woken == most {
                    break;
                }
                Kernel::wake(&kernel.sleepers.remove(first));
                woken += 1;
            }
            woken
        })
    }
}

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
    }

    pub(crate) fn coarse_milliseconds() -> u64 {
        0
    }
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
        pub(crate) fn until<R>(&self, _position: u64, mut done: impl FnMut() -> Option<R>) -> Option<R> {
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
    use super::fork::Exclusion;
    use super::{step, with_kernel};
    use crate::error::Result;

    /// The kernel's byte locks on a segment's file.
    pub(crate) struct Liveness;

    #[expect(clippy::unused_self, reason = "the twins of methods")]
    impl Liveness {
        pub(crate) fn is_dead(&self, id: u32) -> bool {
            step();
            with_kernel(|kernel| !kernel.held.contains(&id))
        }

        pub(crate) fn hold(&self, id: u32, _forks_excluded: &Exclusion) -> Result<Option<Hold>> {
            step();
            Ok(with_kernel(|kernel| kernel.held.insert(id)).then_some(Hold { id }))
        }
    }

    /// Dropped by the unwinding that stands for a kill, as the kernel drops the lock.
    pub(crate) struct Hold {
        id: u32,
    }

    impl Drop for Hold {
        fn drop(&mut self) {
            with_kernel(|kernel| kernel.held.remove(&self.id));
        }
    }
}
