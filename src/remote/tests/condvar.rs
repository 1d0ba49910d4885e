use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use super::lock::{ours, pair as locks};
use super::{Server, Two, end, until};
use crate::error::{Error, Kind};
use crate::remote::condvar::{Condvar, Relocked};
use crate::remote::lock::{Lock, Locked};
use crate::sys::clock::Deadline;

const SOON: Duration = Duration::from_secs(20);

fn pair(two: &Two) -> (Condvar, Condvar) {
    let one = Condvar::make(&two.one).unwrap();
    let (hold, found, _) = two.other.hold(Kind::Condvar, one.hold().object(), None).unwrap();
    assert_eq!(found, "condvar");
    (one, Condvar::of(hold))
}

/// Locks, waits once and unlocks: whether it was notified, and whether an owner had died.
fn wait(condvar: &Condvar, lock: &Lock, time: Duration) -> Result<(bool, bool), Error> {
    let turn = ours(lock.lock(Deadline::after(SOON)));
    let Relocked { turn, is_notified } = condvar.wait(lock, turn, Deadline::after(time))?;
    let owner_died = turn.owner_died();
    assert!(lock.release(&turn).unwrap());
    Ok((is_notified, owner_died))
}

fn marks(server: &Server, condvar: &Condvar) -> redis::Value {
    server.ask(&format!("HLEN crossproc:o:{}:h", condvar.hold().object()))
}

#[test]
fn exactly_so_many_go_on() {
    let server = Server::start();
    let two = Two::at(&server);
    let ((condvar, condvar_there), (lock, lock_there)) = (pair(&two), locks(&two, Kind::Lock));
    assert_eq!(condvar.notify(3), Ok(0));
    let gone_on = AtomicU32::new(0);
    thread::scope(|scope| {
        for index in 0..5 {
            let (condvar, lock) = if index % 2 == 0 { (&condvar, &lock) } else { (&condvar_there, &lock_there) };
            let gone_on = &gone_on;
            scope.spawn(move || {
                assert_eq!(wait(condvar, lock, SOON), Ok((true, false)));
                gone_on.fetch_add(1, SeqCst);
            });
        }
        until("five to wait", || server.waits(condvar.hold()) == 5);
        // All have given the lock back.
        let turn = ours(lock.lock(Deadline::after(SOON)));
        assert_eq!(condvar.notify(2), Ok(2));
        assert_eq!((gone_on.load(SeqCst), server.waits(condvar.hold())), (0, 3));
        assert!(lock.release(&turn).unwrap());
        until("two to go on", || gone_on.load(SeqCst) == 2);
        assert_eq!(condvar_there.notify(usize::MAX), Ok(3));
    });
    assert_eq!((server.waits(condvar.hold()), marks(&server, &condvar)), (0, redis::Value::Int(0)));
}

#[test]
fn a_wait_ends_in_time_with_the_lock() {
    let server = Server::start();
    let two = Two::at(&server);
    let ((condvar, _), (lock, other)) = (pair(&two), locks(&two, Kind::Lock));
    let start = Instant::now();
    let turn = ours(lock.lock(Deadline::after(SOON)));
    let back = condvar.wait(&lock, turn, Deadline::after(Duration::from_millis(30))).unwrap();
    assert!(!back.is_notified && start.elapsed() >= Duration::from_millis(30));
    assert!(matches!(other.lock(Deadline::after(Duration::ZERO)).unwrap(), Locked::Held));
    assert!(lock.release(&back.turn).unwrap());
    assert_eq!(wait(&condvar, &lock, Duration::ZERO), Ok((false, false)));
    assert_eq!((server.waits(condvar.hold()), condvar.notify(1)), (0, Ok(0)));
}

#[test]
fn an_rlock_comes_back_as_deep() {
    let server = Server::start();
    let two = Two::at(&server);
    let ((condvar, other_condvar), (lock, other)) = (pair(&two), locks(&two, Kind::RLock));
    let outer = ours(lock.lock(Deadline::after(SOON)));
    let inner = ours(lock.lock(Deadline::after(SOON)));
    thread::scope(|scope| {
        scope.spawn(|| {
            until("it to wait", || server.waits(condvar.hold()) == 1);
            let turn = ours(other.lock(Deadline::after(SOON)));
            assert_eq!(other_condvar.notify(1), Ok(1));
            assert!(other.release(&turn).unwrap());
        });
        let back = condvar.wait(&lock, inner, Deadline::after(SOON)).unwrap();
        assert!(back.is_notified);
        assert!(lock.release(&back.turn).unwrap());
    });
    assert!(matches!(other.lock(Deadline::after(Duration::ZERO)).unwrap(), Locked::Held));
    assert!(lock.release(&outer).unwrap());
    let turn = ours(other.lock(Deadline::after(SOON)));
    assert!(other.release(&turn).unwrap());
}

#[test]
fn the_dead_take_no_notification() {
    let server = Server::start();
    let two = Two::at(&server);
    let (condvar, living) = pair(&two);
    let first = condvar.enter().unwrap();
    let second = living.enter().unwrap();
    end(&server, &two.one, &two.other);
    assert_eq!(living.notify(2), Ok(1));
    assert_eq!(living.wait_in(&second, Deadline::after(SOON)), Ok(true));
    living.leave(second, false).unwrap();
    // It cannot know what it has missed.
    assert_eq!(condvar.wait_in(&first, Deadline::after(SOON)), Ok(true));
    condvar.leave(first, false).unwrap();
}

#[test]
fn what_the_dead_were_notified_of_others_are() {
    let server = Server::start();
    let two = Two::at(&server);
    let (condvar, living) = pair(&two);
    let first = condvar.enter().unwrap();
    let second = living.enter().unwrap();
    assert_eq!(living.notify(1), Ok(1));
    assert_eq!(living.wait_in(&second, Deadline::after(Duration::from_millis(20))), Ok(false));
    living.leave(second, false).unwrap();
    let second = living.enter().unwrap();
    thread::scope(|scope| {
        let waiter = scope.spawn(|| living.wait_in(&second, Deadline::after(SOON)));
        end(&server, &two.one, &two.other);
        assert_eq!(waiter.join().unwrap(), Ok(true));
    });
    living.leave(second, false).unwrap();
    condvar.leave(first, true).unwrap();
    assert_eq!(living.notify(1), Ok(0));
}

#[test]
fn who_gives_up_leaves_its_notification_to_another() {
    let server = Server::start();
    let two = Two::at(&server);
    let (condvar, other) = pair(&two);
    let (first, second) = (condvar.enter().unwrap(), other.enter().unwrap());
    assert_eq!(other.notify(1), Ok(1));
    condvar.leave(first, true).unwrap();
    assert_eq!(other.wait_in(&second, Deadline::after(SOON)), Ok(true));
    other.leave(second, false).unwrap();
    assert_eq!(marks(&server, &condvar), redis::Value::Int(0));
}

#[test]
fn a_lost_lock_is_not_waited_with() {
    let server = Server::start();
    let two = Two::at(&server);
    let ((condvar, _), (lock, other)) = (pair(&two), locks(&two, Kind::Lock));
    let lost = ours(lock.lock(Deadline::after(SOON)));
    end(&server, &two.one, &two.other);
    let turn = ours(other.lock(Deadline::after(SOON)));
    let refused = condvar.wait(&lock, lost, Deadline::NEVER).map(drop);
    assert_eq!(refused, Err(Error::OwnerDied { object: Kind::Lock }));
    assert_eq!(server.waits(condvar.hold()), 0);
    assert!(other.release(&turn).unwrap());
}

/// A session that ends while it waits holds no lock, so nobody has died with it.
#[test]
fn a_waiter_whose_session_ends_goes_on() {
    let server = Server::start();
    let two = Two::at(&server);
    let ((condvar, _there), (lock, other)) = (pair(&two), locks(&two, Kind::RLock));
    thread::scope(|scope| {
        let waiter = scope.spawn(|| wait(&condvar, &lock, SOON));
        until("somebody to wait", || server.waits(condvar.hold()) == 1);
        end(&server, &two.one, &two.other);
        let turn = ours(other.lock(Deadline::after(SOON)));
        assert!(!turn.owner_died() && other.release(&turn).unwrap());
        // In the line of a session that has ended: the next notification drops it, and it goes on.
        assert_eq!(condvar.notify(1), Ok(0));
        assert_eq!(waiter.join().unwrap(), Ok((true, false)));
    });
}

#[test]
fn who_waits_learns_that_the_server_lost_it() {
    let mut server = Server::start();
    let two = Two::at(&server);
    let ((condvar, other), (_, lock)) = (pair(&two), locks(&two, Kind::Lock));
    let (send, answers) = mpsc::channel();
    let waiter = thread::spawn(move || send.send(wait(&other, &lock, SOON)).unwrap());
    until("somebody to wait", || server.waits(condvar.hold()) == 1);
    server.restart();
    let gone = Error::Gone { object: Kind::Condvar };
    assert_eq!(answers.recv_timeout(SOON).unwrap(), Err(gone.clone()));
    waiter.join().unwrap();
    assert_eq!(condvar.notify(1), Err(gone));
}

#[test]
fn a_full_server_notifies() {
    let server = Server::start();
    let two = Two::at(&server);
    let ((condvar, other), (lock, lock_there)) = (pair(&two), locks(&two, Kind::Lock));
    let turn = ours(lock.lock(Deadline::after(SOON)));
    thread::scope(|scope| {
        let waiter = scope.spawn(|| wait(&other, &lock_there, SOON));
        until("somebody to wait for the lock", || server.waits(lock.hold()) == 1);
        assert!(lock.release(&turn).unwrap());
        until("somebody to wait", || server.waits(condvar.hold()) == 1);
        server.fill();
        assert_eq!(condvar.notify(1), Ok(1));
        let waited = waiter.join().unwrap();
        assert_eq!(waited, Ok((true, false)));
    });
}

#[test]
fn many_are_notified_in_order() {
    let server = Server::start();
    let two = Two::at(&server);
    let (condvar, other) = pair(&two);
    let mut places: Vec<_> = (0..1_100).map(|_| condvar.enter().unwrap()).collect();
    assert_eq!(other.notify(2), Ok(2));
    let late = places.split_off(2);
    for place in places {
        assert_eq!(condvar.wait_in(&place, Deadline::after(SOON)), Ok(true));
        condvar.leave(place, false).unwrap();
    }
    assert_eq!(condvar.wait_in(&late[0], Deadline::after(Duration::ZERO)), Ok(false));
    assert_eq!((other.notify(usize::MAX), other.notify(usize::MAX)), (Ok(1_097), Ok(0)));
}

/// What a condition variable does with the guards of other things, and another one with a lock.
#[test]
fn a_lock_is_lent_and_taken_again() {
    for kind in [Kind::Lock, Kind::RLock] {
        let server = Server::start();
        let two = Two::at(&server);
        let (lock, other) = locks(&two, kind);
        let outer = ours(lock.lock(Deadline::after(SOON)));
        let inner = (kind == Kind::RLock).then(|| ours(lock.lock(Deadline::after(SOON))));
        assert!(lock.lend(&outer).unwrap() && lock.lend(&outer).unwrap());
        let turn = ours(other.lock(Deadline::after(SOON)));
        assert!(!turn.owner_died() && other.release(&turn).unwrap());
        let back = ours(lock.relock(&outer));
        assert!(back.fence() > turn.fence());
        for level in inner.iter().chain([&back]) {
            assert!(matches!(other.lock(Deadline::after(Duration::ZERO)).unwrap(), Locked::Held));
            assert!(lock.release(level).unwrap());
        }
        let turn = ours(other.lock(Deadline::after(SOON)));
        assert!(!lock.lend(&back).unwrap());
        assert!(other.release(&turn).unwrap());
    }
}
