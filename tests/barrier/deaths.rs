//! `Barrier` when parties die: whoever is left is told, and after a reset it works again.

use std::thread;
use std::time::Duration;

use crossproc::{Arena, Barrier, BarrierError, BrokenBy, Error, Event, Process, ProcessError};
use serde::{Serialize, Serializer};

use crate::common::locking::{self, Stage, wait_for_a_look, wait_for_state};
use crate::common::processes::{forked, signal};
use crate::common::watchdog;
use crate::{DIED, until_waiting};

fn is_told_of_a_death(barrier: Barrier) -> bool {
    barrier.wait() == DIED
}

/// Has a handle, and does nothing with it.
fn keep(_barrier: Barrier, stage: Stage) {
    stage.advance();
    loop {
        thread::park();
    }
}

/// A process that has a handle.
fn keeper(barrier: &Barrier) -> Process<()> {
    let stage = Stage::new();
    let process = Process::spawn(keep, (barrier, &stage)).unwrap();
    stage.wait_for(1);
    process
}

/// A process that waits, and whom the kernel has found asleep there.
fn asleep(barrier: &Barrier) -> Process<bool> {
    let wait = |barrier: Barrier, stage: Stage| {
        stage.advance();
        is_told_of_a_death(barrier)
    };
    locking::asleep!(wait, barrier)
}

fn kill<R: serde::de::DeserializeOwned + std::fmt::Debug>(process: Process<R>) {
    process.kill().unwrap();
    assert!(process.join().is_err());
}

/// Two parties pass, one here and one there.
fn works(barrier: &Barrier) -> bool {
    let pass = |barrier: Barrier| barrier.wait().is_ok();
    let other = Process::spawn(pass, (barrier,)).unwrap();
    barrier.wait().is_ok() && other.join().unwrap()
}

#[test]
fn sleepers_learn_of_a_death_before_arrival() {
    let _watchdog = watchdog();
    let barrier = Barrier::new(3).unwrap();
    let missing = keeper(&barrier);
    let sleepers = [asleep(&barrier), asleep(&barrier)];
    kill(missing);
    for sleeper in sleepers {
        assert!(sleeper.join().unwrap());
    }
    assert!(barrier.is_broken());
    assert_eq!(barrier.try_wait(), Err(BarrierError::Broken(BrokenBy::Death)));
}

#[test]
fn a_death_while_nobody_waits_is_found_by_the_next() {
    let _watchdog = watchdog();
    let barrier = Barrier::new(2).unwrap();
    kill(keeper(&barrier));
    assert!(!barrier.is_broken());
    assert!(Process::spawn(is_told_of_a_death, (&barrier,)).unwrap().join().unwrap());
    barrier.reset();
    assert!(works(&barrier));
    kill(keeper(&barrier));
    let told = barrier.wait_timeout(Duration::ZERO);
    assert_eq!(told, DIED, "of two causes, the one that explains the other");
}

#[test]
fn a_killed_waiter_breaks_it() {
    let _watchdog = watchdog();
    let barrier = Barrier::new(3).unwrap();
    let [killed, other] = [asleep(&barrier), asleep(&barrier)];
    assert_eq!(barrier.n_waiting(), 2);
    kill(killed);
    assert!(other.join().unwrap());
}

/// All have come, and one that sleeps there is killed before it could go: the last arrival is enough for the others.
#[test]
fn a_reset_forgets_the_dead() {
    let _watchdog = watchdog();
    let barrier = Barrier::new(2).unwrap();
    for _ in 0..3 {
        kill(keeper(&barrier));
        kill(asleep(&barrier));
        barrier.reset();
        assert!(works(&barrier));
    }
}

fn fail(_barrier: Barrier) {
    panic!("drops its handle, too");
}

#[test]
fn who_leaves_in_order_breaks_nothing() {
    let _watchdog = watchdog();
    let barrier = Barrier::new(2).unwrap();
    for _ in 0..3 {
        Process::spawn(|barrier: Barrier| drop((barrier.clone(), barrier)), (&barrier,)).unwrap().join().unwrap();
        let panicking = Process::spawn(fail, (&barrier,)).unwrap();
        assert!(matches!(panicking.join(), Err(ProcessError::Panicked { .. })));
        assert!(works(&barrier));
    }
    let told = barrier.wait_timeout(Duration::from_millis(200));
    assert_eq!(told, Err(BarrierError::Broken(BrokenBy::Timeout)), "nobody has died");
}

fn exit(_barrier: Barrier) {
    std::process::exit(0);
}

#[test]
fn who_exits_with_a_handle_is_dead() {
    let _watchdog = watchdog();
    let barrier = Barrier::new(2).unwrap();
    Process::spawn(std::mem::forget::<Barrier>, (&barrier,)).unwrap().join().unwrap();
    assert_eq!(barrier.wait(), DIED);
    barrier.reset();
    assert!(Process::spawn(exit, (&barrier,)).unwrap().join().is_err());
    assert_eq!(barrier.wait(), DIED);
}

/// Killed at any moment of its start: before it has the handle, and after.
#[test]
fn a_handle_that_is_lost_on_its_way_is_a_death() {
    let _watchdog = watchdog();
    for turns in [0, 100, 200, 400, 800, 1_600] {
        let barrier = Barrier::new(2).unwrap();
        let child = Process::spawn(keep, (&barrier, Stage::new())).unwrap();
        (0..turns).for_each(|_| thread::yield_now());
        kill(child);
        assert_eq!(barrier.wait(), DIED, "after {turns} turns");
    }
}

/// Whatever cannot be sent.
#[derive(Clone, serde::Deserialize)]
struct Refused;

impl Serialize for Refused {
    fn serialize<S: Serializer>(&self, _serializer: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("not today"))
    }
}

#[test]
fn a_handle_that_is_not_even_sent_is_a_death() {
    let _watchdog = watchdog();
    let barrier = Barrier::new(2).unwrap();
    let refused = Process::spawn(|_: Barrier, _: Refused| (), (&barrier, Refused));
    assert!(matches!(refused.map(drop), Err(Error::Encode { .. })));
    assert_eq!(barrier.wait(), DIED);
}

/// Each child's handle travels under an identity of its own, which is given back.
#[test]
fn more_handles_travel_than_there_are_places() {
    let _watchdog = watchdog();
    let barrier = Barrier::new(2).unwrap();
    for _ in 0..260 {
        Process::spawn(|_barrier: Barrier| (), (&barrier,)).unwrap().join().unwrap();
    }
    assert!(works(&barrier));
}

fn die(_event: Event) {
    std::process::abort();
}

/// The dead leave places behind that later processes take: no death is forgotten with its place.
#[test]
fn a_death_is_found_though_others_take_the_place() {
    let _watchdog = watchdog();
    let arena = Arena::new(1 << 16).unwrap();
    let (barrier, other) = (Barrier::new_in(&arena, 3).unwrap(), Event::new_in(&arena).unwrap());
    kill(keeper(&barrier));
    // Dead peers' places are given away when there are no others left.
    for _ in 0..256 {
        let _ = Process::spawn(die, (&other,)).unwrap().join();
    }
    let later = [keeper(&barrier), keeper(&barrier)];
    assert_eq!(barrier.wait(), DIED);
    later.into_iter().for_each(kill);
}

/// The death of the one that runs the action frees those who wait for it.
#[test]
fn a_death_in_the_action_breaks_it() {
    let _watchdog = watchdog();
    let (barrier, stage) = (Barrier::new(3).unwrap(), Stage::new());
    let act = |barrier: Barrier, stage: Stage| {
        let _ = barrier.wait_with(|| {
            stage.advance();
            loop {
                thread::park();
            }
        });
    };
    let sleepers = [asleep(&barrier), asleep(&barrier)];
    until_waiting(&barrier, 2);
    let acting = Process::spawn(act, (&barrier, &stage)).unwrap();
    stage.wait_for(1);
    // That of somebody else does not: all have arrived.
    kill(keeper(&barrier));
    sleepers.iter().for_each(|sleeper| wait_for_a_look(sleeper.pid()));
    assert!(!barrier.is_broken());
    kill(acting);
    for sleeper in sleepers {
        assert!(sleeper.join().unwrap());
    }
}

#[test]
fn a_stopped_party_is_waited_for() {
    let _watchdog = watchdog();
    let (barrier, stage) = (Barrier::new(2).unwrap(), Stage::new());
    let pause = |barrier: Barrier, stage: Stage| {
        stage.advance();
        stage.wait_for(2);
        barrier.wait().is_ok()
    };
    let stopped = Process::spawn(pause, (&barrier, &stage)).unwrap();
    stage.wait_for(1);
    signal(stopped.pid(), libc::SIGSTOP);
    wait_for_state(stopped.pid(), 'T');
    stage.advance();
    let waiting = asleep(&barrier);
    wait_for_a_look(waiting.pid());
    assert_eq!((barrier.n_waiting(), barrier.is_broken()), (1, false));
    signal(stopped.pid(), libc::SIGCONT);
    assert!(stopped.join().unwrap());
    assert!(!waiting.join().unwrap(), "nobody has died");
}

/// A copy that has waited once is a party, and its death is one.
#[test]
fn a_forked_copy_that_dies_breaks_it() {
    let _watchdog = watchdog();
    let barrier = Barrier::new(2).unwrap();
    assert!(forked(|| barrier.try_wait() == Ok(None)));
    assert_eq!(barrier.wait(), DIED);
}
