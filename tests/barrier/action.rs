//! What the last to come does before anybody passes.

use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::Ordering::Relaxed;
use std::thread;

use crossproc::{Barrier, BrokenBy, Event, Process};

use crate::common::watchdog;
use crate::{MOMENT, Number, PARTIES, broken, in_all, number, until_waiting};

#[test]
fn the_action_is_done_once_before_anybody_passes() {
    let _watchdog = watchdog();
    let (barrier, done) = (Barrier::new(PARTIES).unwrap(), number());
    let pass = |barrier: Barrier, done: Number| {
        for generation in 1..=20 {
            barrier.wait_with(|| _ = done.fetch_add(1, Relaxed)).unwrap();
            assert_eq!(done.load(Relaxed), generation);
            barrier.wait().unwrap();
        }
    };
    in_all!(pass, (barrier, done));
}

#[test]
fn an_action_that_panics_breaks_it_and_goes_on_panicking() {
    let _watchdog = watchdog();
    let barrier = Barrier::new(2).unwrap();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| barrier.wait());
        until_waiting(&barrier, 1);
        let acting = panic::catch_unwind(AssertUnwindSafe(|| {
            barrier.wait_with(|| panic::resume_unwind(Box::new("in the action")))
        }));
        assert_eq!(acting.unwrap_err().downcast_ref(), Some(&"in the action"));
        assert_eq!(waiting.join().unwrap(), broken(BrokenBy::Panic));
    });
    assert_eq!(barrier.wait(), broken(BrokenBy::Panic));
}

/// While the action runs, an abort, a reset and a timeout break the barrier, and the one that acts is told.
#[test]
fn an_action_may_be_in_vain() {
    let _watchdog = watchdog();
    for by in [BrokenBy::Abort, BrokenBy::Reset, BrokenBy::Timeout] {
        let barrier = Barrier::new(2).unwrap();
        thread::scope(|scope| {
            let waiting = scope.spawn(|| match by {
                BrokenBy::Timeout => barrier.wait_timeout(MOMENT),
                _ => barrier.wait(),
            });
            until_waiting(&barrier, 1);
            let acted = barrier.wait_with(|| {
                match by {
                    BrokenBy::Abort => barrier.abort(),
                    BrokenBy::Reset => barrier.reset(),
                    _ => {
                        while !barrier.is_broken() {
                            thread::yield_now();
                        }
                    }
                }
                // Nobody passes meanwhile.
                assert_eq!(barrier.n_waiting(), 0);
            });
            // The time may have been up before this one came.
            assert_eq!(acted, broken(by));
            assert_eq!(waiting.join().unwrap(), broken(by));
        });
    }
}

/// Whoever comes while the action of the generation before still runs waits for the next one.
#[test]
fn who_comes_during_an_action_is_of_the_next_generation() {
    let _watchdog = watchdog();
    let barrier = Barrier::new(2).unwrap();
    let (acting, may_end) = (Event::new().unwrap(), Event::new().unwrap());
    thread::scope(|scope| {
        let first = scope.spawn(|| barrier.wait());
        until_waiting(&barrier, 1);
        let second = scope.spawn(|| {
            barrier.wait_with(|| {
                acting.set();
                may_end.wait();
            })
        });
        acting.wait();
        let third = scope.spawn(|| barrier.wait());
        assert_eq!((barrier.n_waiting(), barrier.try_wait()), (1, Ok(None)));
        may_end.set();
        let first_two = [first, second].map(|party| party.join().unwrap().unwrap().index());
        assert_eq!(first_two, [0, 1]);
        assert_eq!(barrier.wait().map(drop), Ok(()));
        assert!(third.join().unwrap().is_ok());
    });
}
