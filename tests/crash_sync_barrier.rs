//! SIGKILL at each crash point of an event and of a barrier: a child dies there, and what the survivors find is what the
//! table says.
//!
//! Only in builds with `--cfg crash_points`.

#![cfg(crash_points)]

mod common;

use common::locking::{self, Stage};
use common::processes::{dies_at, forked};
use common::watchdog;
use crossproc::{Barrier, BarrierError, BarrierTurn, BrokenBy, Event, Process};

crossproc::test_support!();

fn wait_for(event: Event, stage: Stage) {
    stage.advance();
    event.wait();
}

#[test]
fn an_event_after_the_death_of_its_setter() {
    let _watchdog = watchdog();
    let event = Event::new().unwrap();
    let sleepers = [0; 2].map(|_| locking::asleep!(wait_for, &event));
    // It is set, and nobody is woken.
    dies_at!("event.set", 0, |event: Event| event.set(), (&event,));
    assert!(event.is_set());
    for sleeper in sleepers {
        sleeper.join().unwrap();
    }
}

#[test]
fn an_event_after_the_death_of_a_waiter() {
    let _watchdog = watchdog();
    let event = Event::new().unwrap();
    dies_at!("event.waiting", 0, wait_for, (&event, &Stage::new()));
    let sleeper = locking::asleep!(wait_for, &event);
    event.set();
    sleeper.join().unwrap();
}

/// What those are told who do not die.
const DIED: Result<BarrierTurn, BarrierError> = Err(BarrierError::Broken(BrokenBy::Death));

fn wait(barrier: Barrier) {
    let _ = barrier.wait();
}

fn act(barrier: Barrier) {
    let _ = barrier.wait_with(|| ());
}

/// Why the other did not pass.
fn told(barrier: Barrier, stage: Stage) -> Option<BrokenBy> {
    stage.advance();
    match barrier.wait() {
        Ok(_) => None,
        Err(BarrierError::Broken(by)) => Some(by),
        Err(other) => panic!("{other}"),
    }
}

/// A process that waits, and whom the kernel has found asleep there.
fn asleep(barrier: &Barrier) -> Process<Option<BrokenBy>> {
    locking::asleep!(told, barrier)
}

fn passes(barrier: Barrier) -> bool {
    barrier.wait().is_ok()
}

/// All parties pass, one of them here.
fn works(barrier: &Barrier) {
    let others: Vec<_> = (1..barrier.parties()).map(|_| Process::spawn(passes, (barrier,)).unwrap()).collect();
    assert!(barrier.wait().is_ok());
    assert!(others.into_iter().all(|other| other.join().unwrap()));
}

fn works_again(barrier: &Barrier) {
    barrier.reset();
    works(barrier);
}

/// The victim is the first of two to come, or never does.
#[test]
fn a_barrier_after_the_death_of_a_party_that_others_wait_for() {
    let _watchdog = watchdog();
    for (point, has_arrived) in [("party.entered", 0), ("barrier.arrived", 1), ("barrier.announced", 1)] {
        let barrier = Barrier::new(3).unwrap();
        dies_at!(point, 0, wait, (&barrier,));
        assert_eq!(barrier.n_waiting(), has_arrived, "{point}");
        assert_eq!(barrier.wait(), DIED, "{point}");
        works_again(&barrier);
    }
}

/// Fails unless a death of the last to come leaves the other one with this.
macro_rules! leaves {
    ($point:expr, $last:expr, $left:expr) => {{
        let barrier = Barrier::new(2).unwrap();
        let sleeper = asleep(&barrier);
        dies_at!($point, 0, $last, (&barrier,));
        assert_eq!(sleeper.join().unwrap(), $left, "{}", $point);
        // Of the next generation it is the one that is missing.
        assert_eq!(barrier.wait(), DIED, "{}", $point);
        works_again(&barrier);
    }};
}

/// It completes the generation or not.
#[test]
fn a_barrier_after_the_death_of_the_last_to_come() {
    let _watchdog = watchdog();
    leaves!("barrier.arrived", act, Some(BrokenBy::Death));
    leaves!("barrier.turned", act, None);
    leaves!("barrier.turned", wait, None);
}

/// It is broken or reset, and nobody is woken.
#[test]
fn a_barrier_after_the_death_of_whoever_breaks_it() {
    let _watchdog = watchdog();
    let barrier = Barrier::new(2).unwrap();
    let sleeper = asleep(&barrier);
    dies_at!("barrier.turned", 0, |barrier: Barrier| barrier.abort(), (&barrier,));
    assert_eq!(sleeper.join().unwrap(), Some(BrokenBy::Abort));
    barrier.reset();
    let sleeper = asleep(&barrier);
    dies_at!("barrier.turned", 0, |barrier: Barrier| barrier.reset(), (&barrier,));
    assert_eq!(sleeper.join().unwrap(), Some(BrokenBy::Reset));
    assert_eq!(barrier.wait(), DIED);
    works_again(&barrier);
}

/// Some of the dead are forgotten, and it does not begin anew.
#[test]
fn a_barrier_after_the_death_of_whoever_resets_it() {
    let _watchdog = watchdog();
    let barrier = Barrier::new(2).unwrap();
    dies_at!("barrier.arrived", 0, wait, (&barrier,));
    dies_at!("party.forgotten", 0, |barrier: Barrier| barrier.reset(), (&barrier,));
    // The first is forgotten, but the second is dead as well; or its arrival completes the old generation.
    let _ = barrier.wait();
    works_again(&barrier);
}

fn reset_in_a_copy(barrier: Barrier) -> bool {
    forked(|| {
        barrier.reset();
        true
    })
}

/// As above, and who resets it is a forked copy, which has not done anything with it before.
#[test]
fn a_barrier_after_the_death_of_a_copy_that_resets_it() {
    let _watchdog = watchdog();
    let barrier = Barrier::new(3).unwrap();
    dies_at!("barrier.arrived", 0, wait, (&barrier,));
    let process = Process::builder().crash_at_nth("party.forgotten", 0).spawn(reset_in_a_copy, (&barrier,)).unwrap();
    assert!(!process.join().unwrap(), "the copy is killed");
    assert_eq!(barrier.wait(), DIED, "one of two dead is forgotten");
    works_again(&barrier);
}

/// Who has given back its handle is missed by nobody; who was about to is.
#[test]
fn a_barrier_after_a_death_at_the_giving_back_of_a_handle() {
    let _watchdog = watchdog();
    let barrier = Barrier::new(2).unwrap();
    // The first that leaves is the message that brought it.
    dies_at!("party.left", 0, |barrier: Barrier| drop(barrier), (&barrier,));
    assert_eq!(barrier.wait(), DIED);
    barrier.reset();
    dies_at!("party.left", 1, |barrier: Barrier| drop(barrier), (&barrier,));
    works(&barrier);
}
