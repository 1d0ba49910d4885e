use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::{Server, Two, end, until};
use crate::error::{BarrierError, BrokenBy, Error, Kind};
use crate::remote::barrier::{Arrived, Barrier};
use crate::sys::clock::Deadline;

const SOON: Duration = Duration::from_secs(20);

fn pair(two: &Two, parties: usize) -> (Barrier, Barrier) {
    let one = Barrier::make(&two.one, parties).unwrap();
    let (hold, found, _) = two.other.hold(Kind::Barrier, one.hold().object(), None).unwrap();
    assert_eq!(found, "barrier");
    let other = Barrier::of(hold).unwrap();
    assert_eq!(other.parties(), parties);
    (one, other)
}

fn wait(barrier: &Barrier) -> Result<usize, BarrierError> {
    wait_for(barrier, SOON)
}

fn wait_for(barrier: &Barrier, time: Duration) -> Result<usize, BarrierError> {
    match barrier.arrive(false, Deadline::after(time))? {
        Arrived::Passed(index) => Ok(index),
        Arrived::Act(_) => panic!("there is no action"),
    }
}

fn broken<T>(by: BrokenBy) -> Result<T, BarrierError> {
    Err(BarrierError::Broken(by))
}

#[test]
fn nobody_passes_before_all_have_come() {
    let server = Server::start();
    let two = Two::at(&server);
    let (one, other) = pair(&two, 4);
    let come = AtomicU32::new(0);
    for round in 1..=5 {
        let mut turns = thread::scope(|scope| {
            let parties = [&one, &other, &one, &other].map(|barrier| {
                let come = &come;
                scope.spawn(move || {
                    come.fetch_add(1, SeqCst);
                    let index = wait(barrier).unwrap();
                    assert!(come.load(SeqCst) >= 4 * round);
                    index
                })
            });
            parties.map(|party| party.join().unwrap())
        });
        turns.sort_unstable();
        assert_eq!(turns, [0, 1, 2, 3]);
    }
    assert_eq!((one.n_waiting(), one.is_broken()), (Ok(0), Ok(false)));
}

#[test]
fn it_cannot_be_made_for_any_number() {
    let server = Server::start();
    let two = Two::at(&server);
    for capacity in [0, 65_536] {
        let refused = Barrier::make(&two.one, capacity).map(drop);
        assert_eq!(refused, Err(Error::Capacity { object: Kind::Barrier, capacity, most: 65_535 }));
    }
}

#[test]
fn trying_does_not_arrive() {
    let server = Server::start();
    let two = Two::at(&server);
    let (one, other) = pair(&two, 2);
    assert!(one.try_arrive(false).unwrap().is_none());
    assert_eq!(one.n_waiting(), Ok(0));
    thread::scope(|scope| {
        let waiter = scope.spawn(|| wait(&other));
        until("one to wait", || one.n_waiting() == Ok(1));
        assert!(matches!(one.try_arrive(false).unwrap(), Some(Arrived::Passed(1))));
        assert_eq!(waiter.join().unwrap(), Ok(0));
    });
}

#[test]
fn the_last_acts_before_all_pass() {
    let server = Server::start();
    let two = Two::at(&server);
    let (one, other) = pair(&two, 2);
    thread::scope(|scope| {
        let waiter = scope.spawn(|| wait(&other));
        until("one to wait", || one.n_waiting() == Ok(1));
        let Arrived::Act(duty) = one.arrive(true, Deadline::after(SOON)).unwrap() else { panic!("no action") };
        // Who comes meanwhile belongs to the next generation.
        assert!(one.try_arrive(false).unwrap().is_none());
        let next = scope.spawn(|| wait(&one));
        until("two to wait", || server.waits(one.hold()) == 2);
        assert!(!waiter.is_finished());
        assert_eq!(one.finish(duty), Ok(1));
        assert_eq!(waiter.join().unwrap(), Ok(0));
        until("the next to wait", || one.n_waiting() == Ok(1));
        assert_eq!(wait(&other), Ok(1));
        assert_eq!(next.join().unwrap(), Ok(0));
    });
}

#[test]
fn an_action_that_fails_breaks_it() {
    let server = Server::start();
    let two = Two::at(&server);
    let (one, other) = pair(&two, 2);
    thread::scope(|scope| {
        let waiter = scope.spawn(|| wait(&other));
        until("one to wait", || one.n_waiting() == Ok(1));
        let Arrived::Act(duty) = one.arrive(true, Deadline::after(SOON)).unwrap() else { panic!("no action") };
        one.fail(duty).unwrap();
        assert_eq!(waiter.join().unwrap(), broken(BrokenBy::Panic));
    });
    assert_eq!((one.is_broken(), one.n_waiting()), (Ok(true), Ok(0)));
}

#[test]
fn a_timeout_breaks_it_for_all() {
    let server = Server::start();
    let two = Two::at(&server);
    let (one, other) = pair(&two, 3);
    thread::scope(|scope| {
        let waiter = scope.spawn(|| wait(&other));
        until("one to wait", || one.n_waiting() == Ok(1));
        assert_eq!(wait_for(&one, Duration::from_millis(20)), broken(BrokenBy::Timeout));
        assert_eq!(waiter.join().unwrap(), broken(BrokenBy::Timeout));
    });
    assert_eq!(wait(&one), broken(BrokenBy::Timeout));
    one.abort().unwrap();
    assert_eq!(wait(&one), broken(BrokenBy::Timeout));
    one.reset().unwrap();
    // A time of nothing breaks it, too.
    assert_eq!(wait_for(&one, Duration::ZERO), broken(BrokenBy::Timeout));
}

#[test]
fn abort_and_reset_reach_all() {
    let server = Server::start();
    let two = Two::at(&server);
    let (one, other) = pair(&two, 3);
    let reached = |breaking: &dyn Fn(), by| {
        thread::scope(|scope| {
            let waiters = [scope.spawn(|| wait(&other)), scope.spawn(|| wait(&one))];
            until("two to wait", || one.n_waiting() == Ok(2));
            breaking();
            for waiter in waiters {
                assert_eq!(waiter.join().unwrap(), broken(by));
            }
        });
    };
    reached(&|| one.reset().unwrap(), BrokenBy::Reset);
    assert_eq!(one.is_broken(), Ok(false));
    reached(&|| one.abort().unwrap(), BrokenBy::Abort);
    assert_eq!(one.is_broken(), Ok(true));
    other.reset().unwrap();
    reached(&|| one.reset().unwrap(), BrokenBy::Reset);
    // Resets that nobody has waited for keep nothing.
    let kept = || server.ask(&format!("HGET crossproc:o:{} void", one.hold().object()));
    let before = kept();
    one.reset().unwrap();
    assert_eq!(kept(), before);
}

#[test]
fn a_death_breaks_it() {
    let server = Server::start();
    let two = Two::at(&server);
    let (one, other) = pair(&two, 3);
    thread::scope(|scope| {
        let lost = scope.spawn(|| wait(&one));
        until("one to wait", || one.n_waiting() == Ok(1));
        let waiter = scope.spawn(|| wait(&other));
        until("two to wait", || one.n_waiting() == Ok(2));
        end(&server, &two.one, &two.other);
        assert_eq!(waiter.join().unwrap(), broken(BrokenBy::Death));
        assert_eq!(lost.join().unwrap(), broken(BrokenBy::Death));
    });
    other.reset().unwrap();
    assert_eq!(other.is_broken(), Ok(false));
    // Who has left is waited for no more, and does not count as dead.
    assert_eq!(one.try_arrive(false).map(|arrived| arrived.is_none()), Ok(true));
    drop(one);
    end(&server, &two.one, &two.other);
    assert_eq!(wait_for(&other, Duration::from_millis(1500)), broken(BrokenBy::Timeout));
}

#[test]
fn who_dies_in_the_action_breaks_it() {
    let server = Server::start();
    let two = Two::at(&server);
    let (one, other) = pair(&two, 2);
    thread::scope(|scope| {
        let waiter = scope.spawn(|| wait(&other));
        until("one to wait", || one.n_waiting() == Ok(1));
        let Arrived::Act(duty) = one.arrive(true, Deadline::after(SOON)).unwrap() else { panic!("no action") };
        end(&server, &two.one, &two.other);
        assert_eq!(waiter.join().unwrap(), broken(BrokenBy::Death));
        assert_eq!(one.finish(duty), broken(BrokenBy::Death));
    });
}

#[test]
fn who_waits_learns_that_the_server_lost_it() {
    let mut server = Server::start();
    let two = Two::at(&server);
    let (one, other) = pair(&two, 2);
    let (send, answers) = mpsc::channel();
    let waiter = thread::spawn(move || send.send(wait(&other)).unwrap());
    until("somebody to wait", || one.n_waiting() == Ok(1));
    server.restart();
    let gone = Error::Gone { object: Kind::Barrier };
    assert_eq!(answers.recv_timeout(SOON).unwrap(), Err(BarrierError::Failed(gone.clone())));
    waiter.join().unwrap();
    assert_eq!((one.abort(), one.reset()), (Err(gone.clone()), Err(gone)));
}

#[test]
fn a_full_server_lets_nobody_wait_for_ever() {
    let server = Server::start();
    let two = Two::at(&server);
    let (one, other) = pair(&two, 2);
    thread::scope(|scope| {
        let waiter = scope.spawn(|| wait(&other));
        until("one to wait", || one.n_waiting() == Ok(1));
        server.fill();
        assert!(matches!(wait(&one), Err(BarrierError::Failed(Error::ServerFull { .. }))));
        one.abort().unwrap();
        assert_eq!(waiter.join().unwrap(), broken(BrokenBy::Abort));
    });
}
