//! Spinning before sleeping.

use std::hint;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

/// The most rounds that one wait spins: a few microseconds, what a sleep and a wake-up cost. A guess around
/// glibc's 100.
const MOST: u32 = 100;

/// How long it has lately paid to spin for one object, learnt as glibc's adaptive mutex does: an estimate that follows
/// the rounds that the last waits took. Private to one handle.
pub(crate) struct Spin {
    estimate: AtomicU32,
}

impl Spin {
    pub(crate) const fn new() -> Self {
        Spin { estimate: AtomicU32::new(0) }
    }

    /// Calls `done` until it gives something, or spinning longer than usual no longer promises to pay.
    ///
    /// On one processor nobody else can make progress meanwhile, so there is one look. With more runnable processes
    /// than processors waits time out more often than not, and the estimate falls until a wait hardly spins.
    pub(crate) fn until<R>(&self, mut done: impl FnMut() -> Option<R>) -> Option<R> {
        // Relaxed: a hint for nobody but ourselves; a lost update costs a few rounds.
        let estimate = self.estimate.load(Ordering::Relaxed);
        let most = if processors() == 1 { 0 } else { (2 * estimate + 10).min(MOST) };
        let mut rounds = 0;
        let result = loop {
            let result = done();
            if result.is_some() || rounds == most {
                break result;
            }
            rounds += 1;
            hint::spin_loop();
        };
        // A spin that failed says that spinning does not pay now: it counts as none at all.
        let took = if result.is_some() { rounds } else { 0 };
        self.estimate.store((estimate * 7 + took).div_ceil(8).min(MOST), Ordering::Relaxed);
        result
    }
}

impl Clone for Spin {
    fn clone(&self) -> Self {
        Spin { estimate: AtomicU32::new(self.estimate.load(Ordering::Relaxed)) }
    }
}

fn processors() -> usize {
    static COUNT: OnceLock<usize> = OnceLock::new();
    *COUNT.get_or_init(|| thread::available_parallelism().map_or(1, usize::from))
}
