//! Plain forks while another thread does something for the first time in the process.
//!
//! Nothing of crossproc may happen in this test binary itself, before a copy of it.

mod common;

use std::sync::Barrier;
use std::time::{Duration, Instant};

use common::watchdog;
use crossproc::{Ring, Value};

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

/// Does `first` on another thread and, `delay` later, in a copy of the process.
fn trial(delay: Duration, first: &(impl Fn() + Sync)) {
    let ready = Barrier::new(2);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            ready.wait();
            first();
        });
        ready.wait();
        let start = Instant::now();
        while start.elapsed() < delay {}
        assert!(returns_in_a_copy(first), "hangs after {delay:?}");
    });
}

/// Tries many moments, each in a process that has done nothing of the kind.
fn try_moments<T: Sync>(longest: Duration, prepare: impl Fn() -> T, first: impl Fn(&T) + Sync) {
    let _watchdog = watchdog();
    const TRIALS: u32 = if cfg!(debug_assertions) { 300 } else { 1000 };
    for number in 0..TRIALS {
        let fine = returns_in_a_copy(|| {
            let prepared = prepare();
            trial(longest * (number % 100) / 100, &|| first(&prepared));
        });
        assert!(fine);
    }
}

#[test]
fn a_copy_can_wait_while_another_thread_waits_for_the_first_time() {
    let wait = |ring: &Ring<u64>| drop(ring.get_timeout(Duration::from_micros(10)));
    try_moments(Duration::from_micros(350), || Ring::new(4).unwrap(), wait);
}

#[test]
fn a_copy_can_make_objects_while_another_thread_makes_its_first() {
    try_moments(Duration::from_micros(100), || (), |()| drop(Value::new(1).unwrap()));
}
