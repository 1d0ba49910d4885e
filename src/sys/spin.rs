//! Spinning before sleeping.

#![allow(unsafe_code)]

use std::ffi::c_long;
use std::hint;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// The most pauses that one wait spins: a few microseconds, what a sleep and a wake-up cost. A guess around
/// glibc's 100.
const MOST: u32 = 100;

/// How long it has lately paid to spin for one object, learnt as glibc's adaptive mutex does: an estimate that follows
/// the pauses that the last waits took. Private to one handle.
pub(crate) struct Spin {
    estimate: AtomicU32,
    habit: Habit,
}

/// What is waited for.
#[derive(Clone, Copy)]
enum Habit {
    /// A word that others want to change, too.
    Contended,
    /// A word that one other process will change.
    Answer,
}

impl Habit {
    /// The fewest pauses that a wait spins, however little it has paid lately.
    fn least(self) -> u32 {
        match self {
            Habit::Contended => 10,
            // What is spun in vain is a tenth of what the sleep then costs; and without it nobody would ever find
            // out that answers have become quick.
            Habit::Answer => MOST,
        }
    }

    /// The most pauses between two looks.
    fn longest_gap(self) -> u32 {
        match self {
            Habit::Contended => MOST,
            Habit::Answer => 4,
        }
    }
}

impl Spin {
    pub(crate) const fn new() -> Self {
        Spin { estimate: AtomicU32::new(0), habit: Habit::Contended }
    }

    /// For a wait for what one other process does next.
    pub(crate) const fn for_answers() -> Self {
        Spin { estimate: AtomicU32::new(0), habit: Habit::Answer }
    }

    /// Calls `done` until it gives something, or spinning longer than usual no longer promises to pay.
    ///
    /// The pauses between looks double: each look takes the cache line away from the one that is to release it, who
    /// then waits for it in turn.
    ///
    /// On one processor nobody else can make progress meanwhile, so there is one look. With more runnable processes
    /// than processors waits time out more often than not, and the estimate falls until a wait hardly spins.
    pub(crate) fn until<R>(&self, mut done: impl FnMut() -> Option<R>) -> Option<R> {
        // Relaxed: a hint for nobody but ourselves; a lost update costs a few pauses.
        let estimate = self.estimate.load(Ordering::Relaxed);
        let most = if processors() == 1 { 0 } else { (2 * estimate + self.habit.least()).min(MOST) };
        let (mut pauses, mut gap) = (0, 1);
        let result = loop {
            let result = done();
            if result.is_some() || pauses == most {
                break result;
            }
            gap = gap.min(most - pauses);
            for _ in 0..gap {
                hint::spin_loop();
            }
            pauses += gap;
            gap = (gap * 2).min(self.habit.longest_gap());
        };
        // A spin that failed says that spinning does not pay now: it counts as none at all.
        let took = if result.is_some() { pauses } else { 0 };
        self.estimate.store(((estimate * 7 + took) / 8).min(MOST), Ordering::Relaxed);
        result
    }
}

impl Spin {
    /// A pause of some hundred nanoseconds, for others to get ahead.
    pub(crate) fn pause(&self) {
        if processors() > 1 {
            for _ in 0..PAUSE {
                hint::spin_loop();
            }
        }
    }
}

/// Pauses of the processor, each of some 10 ns. A guess.
const PAUSE: u32 = 24;

impl Clone for Spin {
    fn clone(&self) -> Self {
        Spin { estimate: AtomicU32::new(self.estimate.load(Ordering::Relaxed)), habit: self.habit }
    }
}

/// Of the machine, not those that this process may use: bound to one of them, it still waits for others elsewhere.
fn processors() -> c_long {
    static COUNT: OnceLock<c_long> = OnceLock::new();
    // SAFETY: has no preconditions.
    *COUNT.get_or_init(|| unsafe { libc::sysconf(libc::_SC_NPROCESSORS_ONLN) })
}
