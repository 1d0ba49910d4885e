//! SIGKILL at each crash point of an `RwLock` and an `RLock`: a child dies there, and what the next ones find is what the
//! table says.
//!
//! Only in builds with `--cfg crash_points`.

#![cfg(crash_points)]

mod common;

use std::time::Duration;

use common::locking::Told::{Nothing, OwnerDied};
use common::locking::{Stage, Told, asleep, told};
use common::processes::{dies_at, is_killed};
use common::watchdog;
use crossproc::{LockError, Process, RLock, RwLock, TryLockError};

crossproc::test_support!();

type Pair = RwLock<[u64; 2]>;

fn pair() -> Pair {
    RwLock::new([0; 2]).unwrap()
}

fn write(lock: Pair) {
    let mut guard = lock.write().unwrap();
    guard[0] += 1;
    guard[1] += 1;
}

fn read(lock: Pair) {
    drop(lock.read().unwrap());
}

#[test]
fn a_readers_writer_lock_after_a_writers_death_at_each_point() {
    let _watchdog = watchdog();
    for (point, expected, value) in [
        ("lock.claimed", Nothing, 0),
        ("rwlock.pending", Nothing, 0),
        ("rwlock.held", OwnerDied, 0),
        ("lock.released", Nothing, 1),
    ] {
        let finders: [fn(&Pair) -> Told; 2] = [|lock| told(lock.read()), |lock| told(lock.write())];
        for find in finders {
            let lock = pair();
            dies_at!(point, write, (&lock,));
            assert_eq!(find(&lock), expected, "{point}");
            assert_eq!((told(lock.write()), told(lock.read())), (expected, expected), "{point}");
            assert_eq!(*lock.write().or_else(LockError::repair).unwrap(), [value; 2], "{point}");
            assert_eq!(told(lock.read()), Nothing, "{point}");
        }
    }
}

#[test]
fn a_readers_writer_lock_after_a_readers_death_at_each_point() {
    let _watchdog = watchdog();
    for point in ["rwlock.counted", "rwlock.left"] {
        let lock = pair();
        dies_at!(point, read, (&lock,));
        assert_eq!(told(lock.read()), Nothing, "{point}");
        assert_eq!(told(lock.write()), Nothing, "{point}");
        // The next one in its place, and one that writes it off, die there as well.
        dies_at!(point, read, (&lock,));
        dies_at!(point, read, (&lock,));
        assert!(lock.try_write().is_ok(), "{point}");
        if point == "rwlock.counted" {
            dies_at!(point, read, (&lock,));
            dies_at!("rwlock.written_off", write, (&lock,));
            assert_eq!(told(lock.write()), Nothing);
        }
    }
}

#[test]
fn a_readers_writer_lock_after_the_death_of_those_who_wait() {
    let _watchdog = watchdog();
    let lock = pair();
    let guard = lock.write().unwrap();
    for point in ["event.announced", "rwlock.no_longer_overtaken"] {
        let wait = |lock: Pair| drop(lock.read_timeout(Duration::from_millis(5)));
        dies_at!(point, wait, (&lock,));
    }
    dies_at!("lock.announced", write, (&lock,));
    drop(guard);
    let guard = lock.read().unwrap();
    dies_at!("event.announced", write, (&lock,));
    assert!(lock.try_read().is_ok());
    drop(guard);
    // The reader that was overtaken is dead: writers wait for it once, at most.
    for _ in 0..50 {
        assert_eq!(told(lock.write()), Nothing);
    }
}

/// A reader that comes after a dead writer, and dies before it has given the writer's word back.
#[test]
fn a_readers_writer_lock_after_the_death_of_an_heir() {
    let _watchdog = watchdog();
    for (point, expected) in [("rwlock.pending", Nothing), ("rwlock.held", OwnerDied)] {
        let lock = pair();
        dies_at!(point, write, (&lock,));
        for heir in ["rwlock.inherited", "lock.claimed"] {
            let read = |lock: Pair| drop(lock.read().or_else(LockError::repair).unwrap());
            dies_at!(heir, read, (&lock,));
        }
        assert_eq!(told(lock.read()), expected, "{point}");
        assert_eq!(told(lock.write()), expected, "{point}");
    }
}

/// Whoever dies between freeing the lock and waking those that wait.
#[test]
fn those_who_wait_find_out_about_a_waker_that_died() {
    let _watchdog = watchdog();
    let hold = |lock: Pair, stage: Stage| {
        let guard = lock.write().unwrap();
        stage.advance();
        stage.wait_for(2);
        drop(guard);
    };
    for point in ["lock.released", "event.notified", "event.cleared"] {
        let (lock, stage) = (pair(), Stage::new());
        let owner = Process::builder().crash_at(point).spawn(hold, (&lock, &stage)).unwrap();
        stage.wait_for(1);
        let wait = |lock: Pair, stage: Stage| {
            stage.advance();
            read(lock);
        };
        let waiters = [0; 2].map(|_| asleep!(wait, &lock));
        stage.advance();
        is_killed(point, owner);
        for waiter in waiters {
            waiter.join().unwrap();
        }
    }
}

fn lock_twice(lock: RLock) {
    let outer = lock.lock().unwrap();
    let inner = lock.lock().unwrap();
    drop((inner, outer));
}

#[test]
fn a_recursive_lock_after_a_death_at_each_point() {
    let _watchdog = watchdog();
    for (point, expected) in [
        ("lock.claimed", OwnerDied),
        ("rlock.begun", OwnerDied),
        ("rlock.deepened", OwnerDied),
        ("rlock.raised", OwnerDied),
        ("lock.released", Nothing),
    ] {
        let lock = RLock::new().unwrap();
        dies_at!(point, lock_twice, (&lock,));
        assert_eq!(told(lock.lock()), expected, "{point}");
        drop(lock.lock().or_else(LockError::repair).unwrap());
        // One level was one level.
        let held = lock.lock().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| assert!(matches!(lock.try_lock(), Err(TryLockError::Held))));
        });
        drop(held);
        assert!(Process::spawn(|lock: RLock| lock.try_lock().is_ok(), (&lock,)).unwrap().join().unwrap());
    }
}
