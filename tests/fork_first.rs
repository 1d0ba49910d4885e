//! Plain forks while another thread does something for the first time in the process.
//!
//! Nothing of crossproc may happen in this test binary itself, before a copy of it.

mod common;

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::{Duration, Instant};

use common::watchdog;
use crossproc::{Lock, Ring, Value};

/// Forks this process; whether `copy` returned in the copy, unless it was still at it after half a minute.
fn returns_in_a_copy(copy: impl FnOnce()) -> bool {
    // SAFETY: the copy does what other threads cannot have broken by disappearing, and ends with _exit.
    match unsafe { libc::fork() } {
        0 => {
            // SAFETY: has no preconditions; the signal ends the copy.
            unsafe { libc::alarm(30) };
            copy();
            // SAFETY: ends the copy at once, without destructors.
            unsafe { libc::_exit(0) }
        }
        child => {
            let mut status = -1;
            // SAFETY: our child; `status` outlives the call.
            assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
            status == 0
        }
    }
}

/// Does `first` on another thread and in a copy of the process, `delays` after both are ready.
fn trial(delays: [Duration; 2], first: &(impl Fn() + Sync)) {
    // Spinning: to be woken up takes longer than what is to be met.
    let ready = AtomicU32::new(0);
    let pass = |delay| {
        ready.fetch_add(1, SeqCst);
        while ready.load(SeqCst) < 2 {}
        let start = Instant::now();
        while start.elapsed() < delay {}
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            pass(delays[0]);
            first();
        });
        pass(delays[1]);
        assert!(returns_in_a_copy(first), "hangs after {delays:?}");
    });
}

/// Tries many moments, each in a process that has done nothing of the kind. `longest`: how long after both are ready the thread
/// begins at most, and the fork.
fn try_moments<T: Sync>(longest: [Duration; 2], prepare: impl Fn() -> T, first: impl Fn(&T) + Sync) {
    let _watchdog = watchdog();
    const TRIALS: u32 = if cfg!(debug_assertions) { 300 } else { 1000 };
    for number in 0..TRIALS {
        let fine = returns_in_a_copy(|| {
            let prepared = prepare();
            trial(longest.map(|longest| longest * number / TRIALS), &|| first(&prepared));
        });
        assert!(fine);
    }
}

const AT_ONCE: Duration = Duration::ZERO;

#[test]
fn a_copy_can_wait_while_another_thread_waits_for_the_first_time() {
    let wait = |ring: &Ring<u64>| drop(ring.get_timeout(Duration::from_micros(10)));
    try_moments([AT_ONCE, Duration::from_micros(350)], || Ring::new(4).unwrap(), wait);
}

#[test]
fn a_copy_can_make_objects_while_another_thread_makes_its_first() {
    try_moments([AT_ONCE, Duration::from_micros(100)], || (), |()| drop(Value::new(1).unwrap()));
}

/// A fork takes longer than what a thread does when it locks for the first time, which then has to begin later.
#[test]
fn a_copy_can_lock_while_another_thread_locks_for_the_first_time() {
    let lock = |lock: &Lock| drop(lock.lock_timeout(Duration::from_micros(10)));
    try_moments([Duration::from_micros(250), AT_ONCE], || Lock::new().unwrap(), lock);
}
