//! `Condvar`: within a process, across processes, after a death.

#[path = "../common/mod.rs"]
mod common;

mod deaths;
mod guards;
mod kills;

use std::thread;
use std::time::{Duration, Instant};

use common::locking::Stage;
use common::system_calls::system_calls;
use common::watchdog;
use crossproc::{Arena, Array, Condvar, Error, Lock, LockError, Process, Value};

crossproc::test_support!();

const MOMENT: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(600);

/// A lock, what is waited for with it, and how many have begun to wait, and have been woken.
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

    /// When so many have begun to wait, and are counted.
    fn wait_for(&self, entered: u32) {
        self.entering.wait_for(entered);
        drop(self.lock.lock().unwrap()); // they advance the stage with the lock, and give it up by waiting
    }
}

/// Is woken by a notification, and says so.
fn wait_once(room: Room) {
    let guard = room.lock.lock().unwrap();
    room.entering.advance();
    let guard = room.changed.wait(guard).unwrap();
    room.woken.advance();
    drop(guard);
}

/// So many wait in threads, and as many in processes, while `body` runs, which wakes them all.
fn with_waiters(room: &Room, each: u32, body: impl FnOnce()) {
    let processes: Vec<_> = (0..each).map(|_| room.start()).collect();
    thread::scope(|scope| {
        for _ in 0..each {
            scope.spawn(|| wait_once(room.clone()));
        }
        room.wait_for(2 * each);
        body();
    });
    for process in processes {
        process.join().unwrap();
    }
}

#[test]
fn a_notification_wakes_one() {
    let _watchdog = watchdog();
    let room = Room::new();
    with_waiters(&room, 1, || {
        assert!(room.changed.notify_one());
        room.woken.wait_for(1);
        assert!(!room.woken.has_reached(2));
        assert!(room.changed.notify_one(), "the other one still waits");
        room.woken.wait_for(2);
        assert!(!room.changed.notify_one(), "nobody is left");
    });
}

#[test]
fn a_notification_for_n_wakes_n() {
    let _watchdog = watchdog();
    let room = Room::new();
    with_waiters(&room, 3, || {
        assert_eq!(room.changed.notify(0), 0);
        assert_eq!(room.changed.notify(2), 2);
        room.woken.wait_for(2);
        assert_eq!(room.changed.notify(5), 4, "four are left");
        room.woken.wait_for(6);
        assert_eq!(room.changed.notify(3), 0);
    });
}

#[test]
fn a_notification_for_all_wakes_all_who_have_not_given_up() {
    let _watchdog = watchdog();
    let room = Room::new();
    let give_up = |room: Room| {
        let (_guard, is_notified) = room.changed.wait_timeout(room.lock.lock().unwrap(), MOMENT).unwrap();
        is_notified
    };
    let processes = [0; 3].map(|_| Process::spawn(give_up, (&room,)).unwrap());
    let threads = [0; 3].map(|_| {
        thread::spawn({
            let room = room.clone();
            move || give_up(room)
        })
    });
    assert!(threads.into_iter().all(|thread| !thread.join().unwrap()));
    assert!(processes.into_iter().all(|process| !process.join().unwrap()));
    with_waiters(&room, 3, || {
        let guard = room.lock.lock().unwrap();
        assert_eq!(room.changed.notify_all(), 6);
        assert!(!room.woken.has_reached(1), "the lock is still held");
        drop(guard);
        room.woken.wait_for(6);
    });
}

/// Threads of one process and others, in the order in which they came.
#[test]
fn who_has_waited_longest_is_woken_first() {
    let _watchdog = watchdog();
    let (room, order) = (Room::new(), Value::new([0_u32; 9]).unwrap());
    let record = |room: Room, order: Value<[u32; 9]>, me: u32| {
        let guard = room.lock.lock().unwrap();
        room.entering.advance();
        let guard = room.changed.wait(guard).unwrap();
        let place = order.get().iter().take_while(|&&number| number != 0).count();
        order.update(|mut numbers| {
            numbers[place] = me;
            numbers
        });
        room.woken.advance();
        drop(guard);
    };
    thread::scope(|scope| {
        let mut processes = Vec::new();
        for me in 1..=8 {
            if me % 3 == 0 {
                processes.push(Process::spawn(record, (&room, &order, me)).unwrap());
            } else {
                let (room, order) = (room.clone(), order.clone());
                scope.spawn(move || record(room, order, me));
            }
            room.wait_for(me);
        }
        for woken in 1..=8 {
            assert!(room.changed.notify_one());
            room.woken.wait_for(woken);
        }
        processes.into_iter().for_each(|process| process.join().unwrap());
    });
    assert_eq!(order.get(), [1, 2, 3, 4, 5, 6, 7, 8, 0]);
}

#[test]
fn a_timeout_is_never_early() {
    let _watchdog = watchdog();
    let room = Room::new();
    let mut guard = room.lock.lock().unwrap();
    for wait in [Duration::ZERO, Duration::from_micros(1), MOMENT, MOMENT * 4] {
        let start = Instant::now();
        let is_notified;
        (guard, is_notified) = room.changed.wait_timeout(guard, wait).unwrap();
        assert!(!is_notified && start.elapsed() >= wait);
        let is_over;
        (guard, is_over) = room.changed.wait_while_timeout(guard, |_| true, wait).unwrap();
        assert!(!is_over && start.elapsed() >= 2 * wait);
    }
    assert!(matches!(room.lock.lock(), Err(LockError::AlreadyHeld)), "the guard is one");
    assert!(!room.changed.notify_one(), "who has given up is not notified");
}

#[test]
fn a_wait_says_whether_it_was_notified() {
    let _watchdog = watchdog();
    let room = Room::new();
    let guard = room.lock.lock().unwrap();
    let notify = |room: Room| {
        let _guard = room.lock.lock().unwrap(); // can be had when the other one waits
        room.changed.notify_one()
    };
    let notifier = Process::spawn(notify, (&room,)).unwrap();
    let (guard, is_notified) = room.changed.wait_timeout(guard, LONG).unwrap();
    assert!(is_notified);
    drop(guard);
    assert!(notifier.join().unwrap());
}

#[test]
fn a_condition_is_waited_for() {
    let _watchdog = watchdog();
    let (state, changed) = (Value::new(-1).unwrap(), Condvar::new().unwrap());
    let follow = |state: Value<i32>, changed: Condvar| {
        let mut guard = state.lock().unwrap();
        *guard = 0;
        guard.commit();
        changed.notify_one();
        *changed.wait_while(guard, |state| **state != 4).unwrap()
    };
    let follower = Process::spawn(follow, (&state, &changed)).unwrap();
    drop(changed.wait_while(state.lock().unwrap(), |state| **state != 0).unwrap());
    for _ in 0..4 {
        state.update(|state| state + 1);
        changed.notify_one();
    }
    assert_eq!(follower.join().unwrap(), 4);
}

#[test]
fn a_condition_that_does_not_come_is_given_up() {
    let _watchdog = watchdog();
    let (state, changed) = (Value::new(0).unwrap(), Condvar::new().unwrap());
    let wait = |state: Value<i32>, changed: Condvar, stage: Stage| {
        let guard = state.lock().unwrap();
        stage.advance();
        let start = Instant::now();
        let (state, is_over) = changed.wait_while_timeout(guard, |state| **state != 4, MOMENT * 5).unwrap();
        !is_over && *state <= 3 && start.elapsed() >= MOMENT * 5
    };
    let stage = Stage::new();
    let waiter = Process::spawn(wait, (&state, &changed, &stage)).unwrap();
    stage.wait_for(1);
    for _ in 0..3 {
        state.update(|state| state + 1);
        changed.notify_one();
    }
    assert!(waiter.join().unwrap());
    let (_, is_over) = changed.wait_while_timeout(state.lock().unwrap(), |state| **state != 3, LONG).unwrap();
    assert!(is_over, "looks before it waits");
}

#[test]
fn a_values_guard_commits_and_comes_back_anew() {
    let _watchdog = watchdog();
    let (value, changed) = (Value::new([1, 2]).unwrap(), Condvar::new().unwrap());
    let mut guard = value.lock().unwrap();
    guard[0] = 10;
    let answer = |value: Value<[i32; 2]>, changed: Condvar| {
        let mut guard = value.lock().unwrap();
        let found = *guard;
        guard[1] = 20;
        drop(guard);
        changed.notify_one();
        found
    };
    let answering = Process::spawn(answer, (&value, &changed)).unwrap();
    let guard = changed.wait(guard).unwrap();
    assert_eq!(*guard, [10, 20]);
    assert_eq!(answering.join().unwrap(), [10, 2]);
}

#[test]
fn an_arrays_guard_waits_too() {
    let _watchdog = watchdog();
    let (array, changed) = (Array::from_iter([1, 2]).unwrap(), Condvar::new().unwrap());
    let guard = array.lock().unwrap();
    let answer = |array: Array<i32>, changed: Condvar| {
        array.lock().unwrap()[1] = 20;
        changed.notify_one();
    };
    let answering = Process::spawn(answer, (&array, &changed)).unwrap();
    let guard = changed.wait_while(guard, |array| array[1] == 2).unwrap();
    assert_eq!(*guard, [1, 20]);
    answering.join().unwrap();
}

#[test]
fn more_waiters_than_places_are_refused() {
    let _watchdog = watchdog();
    const PLACES: u32 = 1_024;
    let room = Room::new();
    thread::scope(|scope| {
        for _ in 0..PLACES {
            let waiter = thread::Builder::new().stack_size(64 << 10);
            waiter.spawn_scoped(scope, || wait_once(room.clone())).unwrap();
        }
        room.wait_for(PLACES);
        let refused = room.changed.wait_timeout(room.lock.lock().unwrap(), LONG);
        let Err(LockError::Failed(Error::TooManyWaiters { limit: PLACES })) = refused else { panic!("{refused:?}") };
        assert!(room.lock.try_lock().is_ok(), "given back");
        assert_eq!(room.changed.notify_all(), PLACES as usize);
    });
}

#[test]
fn a_handle_can_be_passed_on() {
    let _watchdog = watchdog();
    let arena = Arena::new(1 << 14).unwrap();
    let (value, changed) = (Value::new_in(&arena, 0).unwrap(), Condvar::new_in(&arena).unwrap());
    let pass_on = |value: Value<i32>, changed: Condvar| {
        let set = |value: Value<i32>, changed: Condvar| {
            value.set(1);
            changed.notify_one();
        };
        Process::spawn(set, (&value, &changed)).unwrap().join().unwrap();
    };
    let passing = Process::spawn(pass_on, (&value, &changed)).unwrap();
    assert_eq!(*changed.wait_while(value.lock().unwrap(), |value| **value == 0).unwrap(), 1);
    passing.join().unwrap();
}

#[test]
fn a_named_one_is_found_and_says_who_waits() {
    let _watchdog = watchdog();
    let name = format!("test/condvar-{}", std::process::id());
    let (changed, entering, woken) = (Condvar::create(name.as_str()).unwrap(), Stage::new(), Stage::new());
    let room = Room { lock: Lock::new().unwrap(), changed, entering, woken };
    let find_and_wait = |room: Room, name: String| wait_once(Room { changed: Condvar::open(name).unwrap(), ..room });
    let waiter = Process::spawn(find_and_wait, (&room, &name)).unwrap();
    room.wait_for(1);
    let state = |what: &str| {
        let found = crossproc::inspect(name.as_str()).unwrap().state;
        found.into_iter().find(|(name, _)| name == what).map_or(String::new(), |(_, said)| said)
    };
    assert!(state("waiting").starts_with("1 by"), "{}", state("waiting"));
    assert_eq!(state("notified"), "");
    let guard = room.lock.lock().unwrap();
    assert!(room.changed.notify_one());
    assert!(state("notified").starts_with("1 by"), "{}", state("notified"));
    drop(guard);
    waiter.join().unwrap();
}

#[test]
fn a_notification_that_nobody_waits_for_makes_no_system_call() {
    let _watchdog = watchdog();
    let room = Room::new();
    // One that has waited, one that has given up, and one that has died waiting.
    with_waiters(&room, 1, || assert_eq!(room.changed.notify_all(), 2));
    drop(room.changed.wait_timeout(room.lock.lock().unwrap(), Duration::ZERO).unwrap());
    let victim = room.start();
    room.wait_for(3);
    victim.kill().unwrap();
    assert!(victim.join().is_err());
    let calls = system_calls(|| (0..10_000).all(|_| !room.changed.notify_one() && room.changed.notify_all() == 0));
    assert!(calls < 100, "{calls} system calls for 20,000 notifications");
    // Nor if somebody has given up since the last one, and the dead one is forgotten.
    let give_up = || !room.changed.wait_timeout(room.lock.lock().unwrap(), Duration::ZERO).unwrap().1;
    let calls = system_calls(|| (0..10_000).all(|_| give_up() && !room.changed.notify_one()));
    assert!(calls < 100, "{calls} system calls for 10,000 waits without time, and notifications");
}
