//! Locks, semaphores, condition variables and events, between threads and processes at once.

use std::thread::{self, Scope};
use std::time::{Duration, Instant};

use crossproc::managed::{Condvar, Event, Lock, Semaphore, Value};
use crossproc::{Manager, Process, TryAcquireError, TryLockError};

use super::MOMENT;
use crate::on_each_engine;

on_each_engine!(
    a_lock_is_locked_once_and_an_rlock_three_times,
    a_semaphore_counts_and_grows,
    an_event_is_waited_for_until_it_is_set,
    one_waiter_is_woken_at_a_time,
    all_waiters_are_woken_after_others_have_waited_in_vain,
    so_many_waiters_are_woken,
    a_wait_ends_when_its_time_is_up,
    a_wait_ends_when_its_condition_holds,
    a_wait_for_a_condition_ends_when_its_time_is_up,
);

fn a_lock_is_locked_once_and_an_rlock_three_times(manager: &Manager) {
    let (lock, rlock) = (manager.lock().unwrap(), manager.rlock().unwrap());
    let guard = lock.lock().unwrap();
    assert!(matches!(lock.try_lock(), Err(TryLockError::AlreadyHeld)));
    thread::scope(|scope| scope.spawn(|| assert!(matches!(lock.try_lock(), Err(TryLockError::Held)))).join().unwrap());
    guard.unlock().unwrap();
    let levels = [rlock.lock().unwrap(), rlock.lock().unwrap(), rlock.lock().unwrap()];
    for level in levels {
        thread::scope(|scope| {
            scope.spawn(|| assert!(matches!(rlock.try_lock(), Err(TryLockError::Held)))).join().unwrap();
        });
        level.unlock().unwrap();
    }
    thread::scope(|scope| scope.spawn(|| drop(rlock.try_lock().unwrap())).join().unwrap());
}

fn a_semaphore_counts_and_grows(manager: &Manager) {
    let semaphore = manager.semaphore(2).unwrap();
    assert_eq!(semaphore.value(), Ok(2));
    let one = semaphore.acquire().unwrap();
    assert_eq!(semaphore.value(), Ok(1));
    let other = semaphore.acquire().unwrap();
    assert_eq!(semaphore.value(), Ok(0));
    assert!(matches!(semaphore.try_acquire(), Err(TryAcquireError::NoPermit)));
    assert_eq!(semaphore.value(), Ok(0));
    one.release().unwrap();
    assert_eq!(semaphore.value(), Ok(1));
    other.release().unwrap();
    for value in 2..4 {
        assert_eq!(semaphore.value(), Ok(value));
        semaphore.release(1).unwrap();
    }
    assert_eq!(semaphore.value(), Ok(4));
}

fn an_event_is_waited_for_until_it_is_set(manager: &Manager) {
    let event = manager.event().unwrap();
    assert_eq!((event.is_set(), event.wait_timeout(Duration::ZERO)), (Ok(false), Ok(false)));
    let start = Instant::now();
    assert_eq!(event.wait_timeout(MOMENT), Ok(false));
    assert!(start.elapsed() >= MOMENT);
    event.set().unwrap();
    event.wait().unwrap();
    assert_eq!((event.is_set(), event.wait_timeout(MOMENT)), (Ok(true), Ok(true)));
    event.clear().unwrap();
    let child = Process::spawn(|event: Event| event.set().unwrap(), (&event,)).unwrap();
    event.wait().unwrap();
    assert_eq!(event.is_set(), Ok(true));
    child.join().unwrap();
}

/// Some threads and processes that wait to be notified.
#[derive(Clone, serde::Serialize, serde::Deserialize)]
struct Sleepers {
    lock: Lock,
    changed: Condvar,
    sleeping: Semaphore,
    /// A permit for each that was notified.
    woken: Semaphore,
    /// One for each that was not.
    late: Semaphore,
}

impl Sleepers {
    fn new(manager: &Manager) -> Self {
        let semaphore = || manager.semaphore(0).unwrap();
        let (lock, changed) = (manager.lock().unwrap(), manager.condvar().unwrap());
        Sleepers { lock, changed, sleeping: semaphore(), woken: semaphore(), late: semaphore() }
    }

    fn sleep(self, limit: Option<Duration>) {
        let guard = self.lock.lock().unwrap();
        self.sleeping.release(1).unwrap();
        let is_notified = match limit {
            Some(limit) => self.changed.wait_timeout(guard, limit).unwrap().1,
            None => self.changed.wait(guard).map(|_guard| true).unwrap(),
        };
        let counter = if is_notified { self.woken } else { self.late };
        counter.release(1).unwrap();
    }

    /// That many threads and as many processes, each asleep when this returns, and at its end when the scope ends.
    fn start<'s>(&'s self, scope: &'s Scope<'s, '_>, each: usize, limit: Option<Duration>) {
        for _ in 0..each {
            let child = Process::spawn(Sleepers::sleep, (self, limit)).unwrap();
            scope.spawn(|| child.join().unwrap());
            scope.spawn(move || self.clone().sleep(limit));
        }
        take(&self.sleeping, 2 * each);
    }

    /// How many of those that sleep it has woken.
    fn notify(&self, n: usize) -> usize {
        let _guard = self.lock.lock().unwrap();
        self.changed.notify(n).unwrap()
    }

    fn assert_woken(&self, n: usize) {
        take(&self.woken, n);
        assert_eq!(self.woken.value(), Ok(0));
    }
}

/// Waits for so many permits, which are gone.
fn take(semaphore: &Semaphore, n: usize) {
    (0..n).for_each(|_| semaphore.acquire().unwrap().forget().unwrap());
}

fn one_waiter_is_woken_at_a_time(manager: &Manager) {
    let all = Sleepers::new(manager);
    thread::scope(|scope| {
        all.start(scope, 1, None);
        for _ in 0..2 {
            assert_eq!(all.woken.value(), Ok(0));
            assert_eq!(all.notify(1), 1);
            all.assert_woken(1);
        }
    });
    assert_eq!(all.notify(1), 0);
}

fn all_waiters_are_woken_after_others_have_waited_in_vain(manager: &Manager) {
    let all = Sleepers::new(manager);
    thread::scope(|scope| {
        all.start(scope, 3, Some(MOMENT));
        take(&all.late, 6);
        assert_eq!(all.notify(1), 0);
        all.start(scope, 3, None);
        assert_eq!(all.woken.value(), Ok(0));
        let guard = all.lock.lock().unwrap();
        assert_eq!(all.changed.notify_all(), Ok(6));
        drop(guard);
        all.assert_woken(6);
    });
}

fn so_many_waiters_are_woken(manager: &Manager) {
    let all = Sleepers::new(manager);
    thread::scope(|scope| {
        all.start(scope, 3, None);
        assert_eq!(all.notify(2), 2);
        all.assert_woken(2);
        assert_eq!(all.notify(4), 4);
        all.assert_woken(4);
    });
    assert_eq!(all.notify(3), 0);
    assert_eq!((all.woken.value(), all.late.value()), (Ok(0), Ok(0)));
}

/// Then one that is notified, which Python is told in the same way.
fn a_wait_ends_when_its_time_is_up(manager: &Manager) {
    let (lock, changed) = (manager.lock().unwrap(), manager.condvar().unwrap());
    let mut guard = lock.lock().unwrap();
    for limit in [Duration::ZERO, MOMENT] {
        let (start, is_notified);
        start = Instant::now();
        (guard, is_notified) = changed.wait_timeout(guard, limit).unwrap();
        assert!(!is_notified && start.elapsed() >= limit);
    }
    let notify = |lock: Lock, changed: Condvar| {
        let _guard = lock.lock().unwrap();
        assert_eq!(changed.notify_one(), Ok(true));
    };
    let child = Process::spawn(notify, (&lock, &changed)).unwrap();
    assert!(changed.wait_timeout(guard, Duration::from_secs(60)).unwrap().1);
    child.join().unwrap();
}

fn a_wait_ends_when_its_condition_holds(manager: &Manager) {
    fn wait(lock: Lock, changed: Condvar, state: Value<i32>) -> i32 {
        let guard = lock.lock().unwrap();
        state.set(0).unwrap();
        changed.notify_one().unwrap();
        drop(changed.wait_while(guard, |_| state.get() != Ok(4)).unwrap());
        state.get().unwrap()
    }
    let (lock, changed, state) = (manager.lock().unwrap(), manager.condvar().unwrap(), manager.value(-1).unwrap());
    let guard = lock.lock().unwrap();
    let child = Process::spawn(wait, (&lock, &changed, &state)).unwrap();
    drop(changed.wait_while(guard, |_| state.get() != Ok(0)).unwrap());
    for _ in 0..4 {
        let _guard = lock.lock().unwrap();
        state.fetch_add(1).unwrap();
        changed.notify_one().unwrap();
    }
    assert_eq!(child.join(), Ok(4));
}

fn a_wait_for_a_condition_ends_when_its_time_is_up(manager: &Manager) {
    fn wait(lock: Lock, changed: Condvar, state: Value<i32>, begun: Semaphore) -> bool {
        let guard = lock.lock().unwrap();
        begun.release(1).unwrap();
        let start = Instant::now();
        let (_guard, holds) = changed.wait_while_timeout(guard, |_| state.get() != Ok(4), MOMENT * 20).unwrap();
        !holds && start.elapsed() >= MOMENT * 20
    }
    let (lock, changed, state) = (manager.lock().unwrap(), manager.condvar().unwrap(), manager.value(0).unwrap());
    let begun = manager.semaphore(0).unwrap();
    let child = Process::spawn(wait, (&lock, &changed, &state, &begun)).unwrap();
    take(&begun, 1);
    for _ in 0..3 {
        let _guard = lock.lock().unwrap();
        state.fetch_add(1).unwrap();
        changed.notify_one().unwrap();
    }
    assert_eq!((child.join(), state.get()), (Ok(true), Ok(3)));
}
