//! `Condvar`: within a process, across processes, after a death.

mod common;

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use common::locking::{Stage, wait_for_state};
use common::system_calls::system_calls;
use common::watchdog;
use crossproc::{Arena, Array, Condvar, Error, Lock, LockError, Process, RawValue, Value};

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
    let signal = |pid: u32, signal| {
        // SAFETY: a child of this process that has not been joined.
        assert_eq!(unsafe { libc::kill(pid.cast_signed(), signal) }, 0);
    };
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

/// Runs `copy` in a forked copy of this process; its pid.
fn fork(copy: impl FnOnce() -> bool) -> libc::pid_t {
    // SAFETY: the copy does what other threads cannot have broken by disappearing, and ends with _exit.
    match unsafe { libc::fork() } {
        0 => {
            let answer = std::panic::catch_unwind(std::panic::AssertUnwindSafe(copy));
            // SAFETY: ends the copy at once, without destructors.
            unsafe { libc::_exit(i32::from(answer.ok() != Some(true))) }
        }
        copy => copy,
    }
}

fn assert_true(copy: libc::pid_t) {
    let mut status = -1;
    // SAFETY: our child; `status` outlives the call.
    assert_eq!(unsafe { libc::waitpid(copy, &mut status, 0) }, copy);
    assert_eq!(status, 0);
}

#[test]
fn a_forked_copy_waits_with_a_guard_of_its_own_only() {
    let _watchdog = watchdog();
    let room = Room::new();
    let guard = std::cell::Cell::new(Some(room.lock.lock().unwrap()));
    let copy = fork(|| {
        let waited = room.changed.wait(guard.take().unwrap());
        matches!(waited, Err(LockError::Failed(Error::Held { .. })))
    });
    assert_true(copy);
    assert!(!room.changed.notify_one(), "the copy has not come to wait");
    // With the lock that its parent gives up, it is a peer like any other.
    let copy = fork(|| {
        wait_once(room.clone());
        true
    });
    drop(guard.take());
    room.wait_for(1);
    assert!(room.changed.notify_one());
    assert_true(copy);
    let parent = room.lock.lock().unwrap();
    let copy = fork(|| {
        let _guard = room.lock.lock().unwrap();
        room.changed.notify_one()
    });
    drop(room.changed.wait(parent).unwrap());
    assert_true(copy);
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
}

/// What the kill loop counts: the low half things made, the high half things taken. One word, so that it is whole at any
/// instruction.
#[derive(Clone, serde::Serialize, serde::Deserialize)]
struct Stock {
    lock: Lock,
    numbers: RawValue<AtomicU64>,
    /// How many things to make before the next pause.
    target: RawValue<AtomicU64>,
    is_there: Condvar,
    goes_on: Condvar,
}

const ONE_MADE: u64 = 1;
const ONE_TAKEN: u64 = 1 << 32;

impl Stock {
    fn made(&self) -> u64 {
        self.numbers.load(SeqCst) & 0xffff_ffff
    }

    fn taken(&self) -> u64 {
        self.numbers.load(SeqCst) >> 32
    }

    /// A guard that says nothing of the dead: whoever is told of one looks after what it may not have done.
    fn mended<G: crossproc::Guard>(&self, locked: Result<G, LockError<G>>) -> G {
        locked.unwrap_or_else(|error| {
            self.is_there.notify_one();
            LockError::repair(error).unwrap()
        })
    }
}

fn make(stock: Stock) {
    loop {
        let mut guard = stock.mended(stock.lock.lock());
        while stock.made() >= stock.target.load(SeqCst) {
            guard = stock.mended(stock.goes_on.wait(guard));
        }
        stock.numbers.fetch_add(ONE_MADE, SeqCst);
        drop(guard);
        stock.is_there.notify_one();
    }
}

fn take(stock: Stock) {
    loop {
        let mut guard = stock.mended(stock.lock.lock());
        while stock.made() == stock.taken() {
            guard = stock.mended(stock.is_there.wait(guard));
        }
        stock.numbers.fetch_add(ONE_TAKEN, SeqCst);
        drop(guard);
    }
}

fn number_from(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}

/// Four make and four take; in each round one of the eight is killed and started again. Then all that was made is taken
/// without a further notification: nobody sleeps who should have been woken.
#[test]
fn everything_is_taken_though_makers_and_takers_are_killed() {
    let rounds = number_from("KILL_ROUNDS").unwrap_or(if cfg!(debug_assertions) { 30 } else { 150 });
    let seed = number_from("KILL_SEED")
        .unwrap_or_else(|| std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(1, |time| time.as_nanos() as u64));
    println!("KILL_SEED={seed} KILL_ROUNDS={rounds}");
    let mut random = seed | 1;
    let mut below = |limit: u64| {
        random ^= random >> 12;
        random ^= random << 25;
        random ^= random >> 27;
        (random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) % limit
    };
    let number = || RawValue::new(AtomicU64::new(0)).unwrap();
    let condvar = || Condvar::new().unwrap();
    let (numbers, target) = (number(), number());
    let stock = Stock { lock: Lock::new().unwrap(), numbers, target, is_there: condvar(), goes_on: condvar() };
    let start = |place: usize| {
        let builder = Process::builder().daemon(true);
        if place < 4 { builder.spawn(make, (&stock,)) } else { builder.spawn(take, (&stock,)) }.unwrap()
    };
    let mut processes: Vec<_> = (0..8).map(start).collect();
    for _ in 0..rounds {
        let _watchdog = watchdog();
        let target = stock.made() + 500;
        stock.target.store(target, SeqCst);
        drop(stock.mended(stock.lock.lock())); // whoever has looked at the old target waits now
        stock.goes_on.notify_all();
        let (place, moment) = (below(8) as usize, target - below(500));
        while stock.made() < moment {
            thread::yield_now();
        }
        let victim = &processes[place];
        victim.kill().unwrap();
        victim.wait();
        // A maker may not have got as far as its notification.
        drop(stock.mended(stock.lock.lock()));
        if place < 4 {
            stock.is_there.notify_one();
        }
        while stock.taken() < target {
            thread::yield_now();
        }
        assert_eq!((stock.made(), stock.taken()), (target, target));
        processes[place] = start(place);
    }
}
