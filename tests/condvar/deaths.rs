//! What deaths, stops and forks leave of those who wait.

use std::cell::Cell;
use std::thread;
use std::time::Duration;

use crossproc::{Error, LockError, Process};

use super::{MOMENT, Room, wait_once};
use crate::common::locking::wait_for_state;
use crate::common::processes::{forked, signal};
use crate::common::watchdog;

#[test]
fn a_dead_waiter_takes_no_notification() {
    let _watchdog = watchdog();
    for notified in [1, 3] {
        let room = Room::new();
        let victim = room.start();
        room.wait_for(1);
        let others = [room.start(), room.start()];
        room.wait_for(3);
        victim.kill().unwrap();
        assert!(victim.join().is_err());
        assert_eq!(room.changed.notify(notified), notified.min(2), "two of three live");
        room.woken.wait_for(notified.min(2) as u32);
        assert_eq!(room.changed.notify_all(), 2 - notified.min(2));
        others.into_iter().for_each(|other| other.join().unwrap());
    }
}

/// Killed when it has been notified, and cannot have its lock yet.
#[test]
fn a_notification_outlives_whom_it_was_for() {
    let _watchdog = watchdog();
    let room = Room::new();
    let victim = room.start();
    room.wait_for(1);
    let other = room.start();
    room.wait_for(2);
    let guard = room.lock.lock().unwrap();
    assert!(room.changed.notify_one());
    victim.kill().unwrap();
    assert!(victim.join().is_err());
    drop(guard);
    other.join().unwrap();
    assert!(!room.changed.notify_one(), "nobody waits any more");
}

#[test]
fn a_stopped_waiter_keeps_its_notification() {
    let _watchdog = watchdog();
    let room = Room::new();
    let first = room.start();
    room.wait_for(1);
    let second = room.start();
    room.wait_for(2);
    signal(first.pid(), libc::SIGSTOP);
    wait_for_state(first.pid(), 'T');
    assert!(room.changed.notify_one());
    assert!(room.changed.notify_one(), "the second still waits");
    second.join().unwrap();
    assert!(!room.woken.has_reached(2));
    signal(first.pid(), libc::SIGCONT);
    first.join().unwrap();
}

fn die_with_the_lock(room: Room) {
    let _guard = room.lock.lock();
    room.changed.notify_one();
    std::process::abort();
}

#[test]
fn a_waiter_learns_of_a_death() {
    let _watchdog = watchdog();
    let room = Room::new();
    let guard = room.lock.lock().unwrap();
    let victim = Process::spawn(die_with_the_lock, (&room,)).unwrap();
    let Err(LockError::OwnerDied(guard)) = room.changed.wait(guard) else { panic!("nobody says so") };
    assert!(victim.join().is_err());
    // Not repaired: told once more, with the guard and the outcome.
    let waited = room.changed.wait_timeout(guard, Duration::ZERO);
    let Err(LockError::OwnerDied((guard, false))) = waited else { panic!("{waited:?}") };
    let waited = room.changed.wait_while_timeout(guard, |_| true, MOMENT);
    let (guard, _) = waited.or_else(LockError::repair).unwrap();
    drop(guard);
    assert!(room.lock.lock().is_ok());
}

#[test]
fn a_forked_copy_waits_with_a_guard_of_its_own_only() {
    let _watchdog = watchdog();
    let room = Room::new();
    let guard = Cell::new(Some(room.lock.lock().unwrap()));
    let is_refused = forked(|| {
        let waited = room.changed.wait(guard.take().unwrap());
        matches!(waited, Err(LockError::Failed(Error::ForkedCopy { .. })))
    });
    assert!(is_refused);
    assert!(!room.changed.notify_one(), "the copy has not come to wait");
    drop(guard.take());
    thread::scope(|scope| {
        // With a guard of its own it is a peer like any other.
        let copy = || {
            wait_once(room.clone());
            true
        };
        let copying = scope.spawn(move || forked(copy));
        room.wait_for(1);
        assert!(room.changed.notify_one());
        assert!(copying.join().unwrap());
        let guard = room.lock.lock().unwrap();
        let copy = || {
            let _guard = room.lock.lock().unwrap();
            room.changed.notify_one()
        };
        let copying = scope.spawn(move || forked(copy));
        drop(room.changed.wait(guard).unwrap());
        assert!(copying.join().unwrap());
    });
}
