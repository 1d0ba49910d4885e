//! What breaks a barrier for all: an abort, a reset, a timeout; and what mends it.

use std::time::{Duration, Instant};

use crossproc::{Barrier, BarrierError, BrokenBy, Error, Event, Process};

use crate::common::watchdog;
use crate::{MOMENT, PARTIES, broken, in_all, until_waiting};

#[test]
fn an_abort_is_for_all() {
    let _watchdog = watchdog();
    let barrier = Barrier::new(PARTIES).unwrap();
    let pass = |barrier: Barrier| {
        if barrier.wait().unwrap().index() == PARTIES / 2 {
            barrier.abort();
            true
        } else {
            barrier.wait() == broken(BrokenBy::Abort)
        }
    };
    assert_eq!(in_all!(pass, (barrier)), [true; PARTIES]);
    assert!(barrier.is_broken());
    assert_eq!(format!("{barrier:?}"), "Barrier { parties: 5, n_waiting: 0, is_broken: true }");
    assert_eq!(barrier.try_wait(), Err(BarrierError::Broken(BrokenBy::Abort)));
}

#[test]
fn a_reset_frees_who_waits() {
    let _watchdog = watchdog();
    let barrier = Barrier::new(PARTIES).unwrap();
    let pass = |barrier: Barrier| {
        let was_freed = if barrier.wait().unwrap().index() == PARTIES / 2 {
            until_waiting(&barrier, PARTIES - 1);
            barrier.reset();
            true
        } else {
            barrier.wait() == broken(BrokenBy::Reset)
        };
        was_freed && barrier.wait().is_ok()
    };
    assert_eq!(in_all!(pass, (barrier)), [true; PARTIES]);
}

#[test]
fn what_was_aborted_can_be_reset() {
    let _watchdog = watchdog();
    let (barrier, other) = (Barrier::new(PARTIES).unwrap(), Barrier::new(PARTIES).unwrap());
    let pass = |barrier: Barrier, other: Barrier| {
        if barrier.wait().unwrap().index() == PARTIES / 2 {
            barrier.abort();
        } else {
            assert_eq!(barrier.wait(), broken(BrokenBy::Abort));
        }
        // All have left it before it is reset, and nobody comes before it is.
        if other.wait().unwrap().is_leader() {
            barrier.reset();
        }
        other.wait().unwrap();
        barrier.wait().is_ok()
    };
    assert_eq!(in_all!(pass, (barrier, other)), [true; PARTIES]);
}

#[test]
fn a_timeout_is_for_all_and_never_early() {
    let _watchdog = watchdog();
    let (barrier, late) = (Barrier::new(PARTIES).unwrap(), Event::new().unwrap());
    let pass = |barrier: Barrier, late: Event| {
        if barrier.wait().unwrap().index() == PARTIES / 2 {
            late.wait();
        }
        let told = barrier.wait_timeout(MOMENT);
        late.set();
        told == broken(BrokenBy::Timeout)
    };
    assert_eq!(in_all!(pass, (barrier, late)), [true; PARTIES]);
    for wait in [Duration::ZERO, Duration::from_micros(1), MOMENT, 4 * MOMENT] {
        barrier.reset();
        let start = Instant::now();
        assert_eq!(barrier.wait_timeout(wait), broken(BrokenBy::Timeout));
        assert!(start.elapsed() >= wait);
    }
}

#[test]
fn the_default_timeout_holds_in_all_processes() {
    let _watchdog = watchdog();
    let barrier = Barrier::builder().parties(2).timeout(MOMENT).build().unwrap();
    let wait = |barrier: Barrier| {
        let start = Instant::now();
        (barrier.wait() == broken(BrokenBy::Timeout), start.elapsed() >= MOMENT)
    };
    assert_eq!(Process::spawn(wait, (&barrier,)).unwrap().join().unwrap(), (true, true));
    assert!(wait(barrier.clone()).0, "it is broken by now");
    // More than can be said is for ever, and a wait may name another.
    let patient = Barrier::builder().parties(2).timeout(Duration::MAX).build().unwrap();
    assert_eq!(patient.wait_timeout(MOMENT), broken(BrokenBy::Timeout));
}

#[test]
fn errors_say_what_has_broken_it() {
    let fail = || -> crossproc::Result<()> {
        let barrier = Barrier::new(1)?;
        barrier.abort();
        barrier.wait()?;
        Ok(())
    };
    assert_eq!(fail(), Err(Error::BrokenBarrier { by: BrokenBy::Abort }));
    assert_eq!(fail().unwrap_err().to_string(), "the barrier is broken: somebody has aborted it");
}
