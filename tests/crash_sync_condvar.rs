//! SIGKILL at each crash point of a `Condvar`: nobody else sleeps on, and nobody is counted who is dead.
//!
//! Only in builds with `--cfg crash_points`.

#![cfg(crash_points)]

mod common;

use common::locking::Stage;
use common::processes::{dies_at, is_killed};
use common::watchdog;
use crossproc::{Condvar, Lock, LockError, Process, Value};

crossproc::test_support!();

/// A lock, what is waited for with it, how many have begun to wait, and how many have been woken.
#[derive(Clone, serde::Serialize, serde::Deserialize)]
struct Room {
    lock: Lock,
    changed: Condvar,
    entering: Stage,
    woken: Stage,
}

impl Room {
    fn new() -> Self {
        let (lock, changed) = (Lock::new().unwrap(), Condvar::new().unwrap());
        Room { lock, changed, entering: Stage::new(), woken: Stage::new() }
    }

    fn start(&self) -> Process<()> {
        Process::spawn(wait_once, (self,)).unwrap()
    }

    /// When so many have begun to wait, and are counted; whether somebody has died with the lock.
    fn wait_for(&self, entered: u32) -> bool {
        self.entering.wait_for(entered);
        let locked = self.lock.lock();
        let has_died = matches!(locked, Err(LockError::OwnerDied(_)));
        drop(locked.or_else(LockError::repair).unwrap());
        has_died
    }
}

fn wait_once(room: Room) {
    let guard = room.lock.lock().or_else(LockError::repair).unwrap();
    room.entering.advance();
    let guard = room.changed.wait(guard).or_else(LockError::repair).unwrap();
    room.woken.advance();
    drop(guard);
}

#[test]
fn a_condvar_after_the_death_of_one_who_comes_to_wait() {
    let _watchdog = watchdog();
    for point in ["condvar.entered", "condvar.arrived", "lock.released"] {
        let room = Room::new();
        dies_at!(point, wait_once, (&room,));
        let other = room.start();
        assert!(!room.wait_for(2), "{point}: the other one was told");
        assert_eq!(room.changed.notify(2), 1, "{point}");
        other.join().unwrap();
    }
}

/// Killed between its notification and its lock, it leaves the notification; killed with the lock, the lock's next owner is told.
#[test]
fn a_condvar_after_the_death_of_one_who_was_notified() {
    let _watchdog = watchdog();
    for (point, passes, has_returned) in [("lock.claimed", 1, false), ("condvar.left", 0, true)] {
        let room = Room::new();
        let victim = Process::builder().crash_at_nth(point, passes).spawn(wait_once, (&room,)).unwrap();
        room.wait_for(1);
        let other = room.start();
        room.wait_for(2);
        assert_eq!(room.changed.notify(1), 1);
        is_killed(point, victim);
        if has_returned {
            assert!(room.wait_for(2), "{point}: somebody is told");
            assert_eq!(room.changed.notify(2), 1, "{point}: the other one still waits");
        }
        other.join().unwrap();
        assert_eq!(room.changed.notify_all(), 0, "{point}");
    }
}

/// A dead one's notification is taken over by one that is killed in the middle of this: the third has it.
#[test]
fn a_condvar_after_the_death_of_an_heir() {
    let _watchdog = watchdog();
    let room = Room::new();
    let first = room.start();
    room.wait_for(1);
    let heir = Process::builder().crash_at("condvar.inherited").spawn(wait_once, (&room,)).unwrap();
    room.wait_for(2);
    let guard = room.lock.lock().unwrap();
    assert_eq!(room.changed.notify(1), 1);
    first.kill().unwrap();
    is_killed("asleep", first);
    drop(guard);
    is_killed("condvar.inherited", heir);
    let third = room.start();
    third.join().unwrap();
}

#[test]
fn a_condvar_after_the_death_of_a_notifier() {
    let _watchdog = watchdog();
    let room = Room::new();
    let waiters = [room.start(), room.start()];
    room.wait_for(2);
    let notify = |room: Room| room.changed.notify_all();
    dies_at!("condvar.notified", notify, (&room,));
    // The first finds its notification, though nobody has woken it; the second has none.
    room.woken.wait_for(1);
    assert_eq!(room.changed.notify_all(), 1);
    waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
}

#[test]
fn a_value_after_a_death_in_the_commit_of_a_wait() {
    let _watchdog = watchdog();
    for (point, expected) in [("value.writing", 1), ("value.written", 1), ("value.committed", 2), ("lock.released", 2)]
    {
        let (value, changed) = (Value::new(1_u64).unwrap(), Condvar::new().unwrap());
        let wait = |value: Value<u64>, changed: Condvar| {
            let mut guard = value.lock().unwrap();
            *guard = 2;
            drop(changed.wait(guard).unwrap());
        };
        dies_at!(point, wait, (&value, &changed));
        assert_eq!(value.get(), expected, "{point}");
        assert!(!changed.notify_one(), "{point}");
        assert_eq!(matches!(value.lock(), Err(LockError::OwnerDied(_))), point != "lock.released", "{point}");
    }
}
