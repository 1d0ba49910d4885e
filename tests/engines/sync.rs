//! What processes wait for, while nobody dies.

use std::time::Duration;

use crossproc::managed::{Barrier, Condvar, Dict, Event, List, Lock, RLock, Semaphore};
use crossproc::{Error, LockError, Manager, Pool, Process, TryAcquireError, TryLockError};
use serde::{Deserialize, Serialize};

use crate::common::locking::Stage;
use crate::on_each_engine;

on_each_engine!(
    processes_count_under_a_lock,
    a_lock_is_locked_once_at_a_time,
    an_rlock_has_levels,
    permits_go_back,
    an_event_wakes_other_processes,
    a_condvar_notifies_so_many,
    a_condvar_waits_with_all_levels_of_an_rlock,
    a_condvar_waits_in_vain,
    handles_go_to_a_child_and_back,
    handles_go_to_pools_and_back,
    another_kind_is_refused_and_names_are_at_a_server,
);

const SHORT: Duration = Duration::from_millis(1);
const LONG: Duration = Duration::from_secs(60);

fn processes_count_under_a_lock(manager: &Manager) {
    fn count(counts: Dict<String, u32>, tokens: List<u64>, lock: Lock) {
        for _ in 0..30 {
            let guard = lock.lock().unwrap();
            let count = counts.get("n").unwrap().unwrap_or(0);
            tokens.push(guard.token()).unwrap();
            counts.insert("n", count + 1).unwrap();
        }
    }
    let (counts, tokens) = (manager.dict().unwrap(), manager.list([]).unwrap());
    let lock = manager.lock().unwrap();
    let workers = [(); 3].map(|()| Process::spawn(count, (&counts, &tokens, &lock)).unwrap());
    workers.into_iter().for_each(|worker| worker.join().unwrap());
    assert_eq!(counts.get("n").unwrap(), Some(90));
    let tokens = tokens.to_vec().unwrap();
    assert!(tokens.len() == 90 && tokens.is_sorted_by(|one, next| one < next), "{tokens:?}");
}

fn a_lock_is_locked_once_at_a_time(manager: &Manager) {
    fn is_held(lock: Lock) -> bool {
        matches!(lock.try_lock(), Err(TryLockError::Held))
            && matches!(lock.lock_timeout(SHORT), Err(TryLockError::Held))
    }
    let lock = manager.lock().unwrap();
    let guard = lock.lock().unwrap();
    assert!(matches!(lock.lock(), Err(LockError::AlreadyHeld)));
    assert!(matches!(lock.clone().try_lock(), Err(TryLockError::AlreadyHeld)));
    assert!(Process::spawn(is_held, (&lock,)).unwrap().join().unwrap());
    guard.unlock().unwrap();
    assert!(!Process::spawn(is_held, (&lock,)).unwrap().join().unwrap());
    drop(lock.try_lock().unwrap());
    drop(lock.lock_timeout(LONG).unwrap());
}

fn an_rlock_has_levels(manager: &Manager) {
    fn is_held(lock: RLock) -> bool {
        matches!(lock.try_lock(), Err(TryLockError::Held))
    }
    let lock = manager.rlock().unwrap();
    let ask = || Process::spawn(is_held, (&lock,)).unwrap().join().unwrap();
    let (outer, inner) = (lock.lock().unwrap(), lock.lock_timeout(LONG).unwrap());
    let innermost = lock.try_lock().unwrap();
    drop(outer);
    assert!(ask());
    inner.unlock().unwrap();
    assert!(ask());
    drop(innermost);
    assert!(!ask());
}

fn permits_go_back(manager: &Manager) {
    fn has_none(semaphore: Semaphore) -> bool {
        matches!(semaphore.try_acquire(), Err(TryAcquireError::NoPermit))
            && matches!(semaphore.acquire_timeout(SHORT), Err(TryAcquireError::NoPermit))
            && semaphore.value() == Ok(0)
    }
    let semaphore = manager.semaphore(2).unwrap();
    let (one, other) = (semaphore.acquire().unwrap(), semaphore.try_acquire().unwrap());
    assert!(Process::spawn(has_none, (&semaphore,)).unwrap().join().unwrap());
    drop(one);
    assert_eq!(semaphore.value(), Ok(1));
    other.release().unwrap();
    assert_eq!(semaphore.value(), Ok(2));
    semaphore.acquire_timeout(LONG).unwrap().forget().unwrap();
    assert_eq!(semaphore.value(), Ok(1));
    semaphore.release(1).unwrap();
    assert_eq!(semaphore.value(), Ok(2));
    assert!(matches!(semaphore.release(usize::MAX), Err(Error::TooManyPermits { .. })));
    assert!(matches!(manager.semaphore(usize::MAX), Err(Error::Capacity { .. } | Error::TooManyPermits { .. })));
}

fn an_event_wakes_other_processes(manager: &Manager) {
    fn wait(event: Event, stage: Stage) {
        stage.advance();
        event.wait().unwrap();
        assert!(event.wait_timeout(LONG).unwrap());
    }
    let (event, stage) = (manager.event().unwrap(), Stage::new());
    assert_eq!((event.is_set(), event.wait_timeout(SHORT)), (Ok(false), Ok(false)));
    let waiters = [(); 3].map(|()| Process::spawn(wait, (&event, &stage)).unwrap());
    stage.wait_for(3);
    event.set().unwrap();
    waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
    assert_eq!(event.is_set(), Ok(true));
    event.clear().unwrap();
    assert_eq!(event.is_set(), Ok(false));
}

fn a_condvar_notifies_so_many(manager: &Manager) {
    fn wait(lock: Lock, changed: Condvar, stage: Stage, woken: Stage) -> bool {
        let guard = lock.lock().unwrap();
        let token = guard.token();
        stage.advance();
        let guard = changed.wait(guard).unwrap();
        woken.advance();
        guard.token() > token
    }
    let (lock, changed) = (manager.lock().unwrap(), manager.condvar().unwrap());
    let (stage, woken) = (Stage::new(), Stage::new());
    let waiters = [(); 3].map(|()| Process::spawn(wait, (&lock, &changed, &stage, &woken)).unwrap());
    stage.wait_for(3);
    // With the lock: all have given it up, and wait.
    let guard = lock.lock().unwrap();
    assert_eq!(changed.notify(2), Ok(2));
    drop(guard);
    woken.wait_for(2);
    assert!(!woken.has_reached(3));
    assert_eq!((changed.notify(5), changed.notify_one(), changed.notify_all()), (Ok(1), Ok(false), Ok(0)));
    waiters.into_iter().for_each(|waiter| assert!(waiter.join().unwrap()));
}

fn a_condvar_waits_with_all_levels_of_an_rlock(manager: &Manager) {
    fn wait(lock: RLock, changed: Condvar, stage: Stage) -> bool {
        let outer = lock.lock().unwrap();
        let inner = lock.lock().unwrap();
        stage.advance();
        let inner = changed.wait(inner).unwrap();
        inner.unlock().is_ok() && outer.unlock().is_ok()
    }
    let (lock, changed, stage) = (manager.rlock().unwrap(), manager.condvar().unwrap(), Stage::new());
    let waiter = Process::spawn(wait, (&lock, &changed, &stage)).unwrap();
    stage.wait_for(1);
    drop(lock.lock().unwrap());
    assert_eq!(changed.notify_all(), Ok(1));
    assert!(waiter.join().unwrap());
    assert!(lock.try_lock().is_ok());
}

fn a_condvar_waits_in_vain(manager: &Manager) {
    let (lock, changed) = (manager.lock().unwrap(), manager.condvar().unwrap());
    let (guard, is_notified) = changed.wait_timeout(lock.lock().unwrap(), SHORT).unwrap();
    assert!(!is_notified && matches!(lock.try_lock(), Err(TryLockError::AlreadyHeld)));
    let (guard, is_over) = changed.wait_while_timeout(guard, |_| true, SHORT).unwrap();
    assert!(!is_over);
    drop(changed.wait_while(guard, |_| false).unwrap());
    assert!(lock.try_lock().is_ok());
}

/// One of each.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct All {
    lock: Lock,
    rlock: RLock,
    semaphore: Semaphore,
    condvar: Condvar,
    event: Event,
    barrier: Barrier,
}

impl All {
    fn new(manager: &Manager) -> Self {
        All {
            lock: manager.lock().unwrap(),
            rlock: manager.rlock().unwrap(),
            semaphore: manager.semaphore(1).unwrap(),
            condvar: manager.condvar().unwrap(),
            event: manager.event().unwrap(),
            barrier: manager.barrier(1).unwrap(),
        }
    }

    fn use_all(self) -> Self {
        drop(self.lock.lock().unwrap());
        drop(self.rlock.lock().unwrap());
        self.semaphore.acquire().unwrap().forget().unwrap();
        self.condvar.notify_one().unwrap();
        self.event.set().unwrap();
        assert!(self.barrier.wait().unwrap().is_leader());
        self
    }

    fn assert_used(&self) {
        assert_eq!((self.semaphore.value(), self.event.is_set()), (Ok(0), Ok(true)));
        assert_eq!(self.barrier.parties(), 1);
        drop((self.lock.lock().unwrap(), self.rlock.try_lock().unwrap()));
    }
}

fn handles_go_to_a_child_and_back(manager: &Manager) {
    let all = All::new(manager);
    let process = Process::spawn(All::use_all, (&all,)).unwrap();
    drop(all);
    process.join().unwrap().assert_used();
}

fn handles_go_to_pools_and_back(manager: &Manager) {
    type Handles = (Lock, Event, Semaphore, RLock);
    fn work(handles: Handles, counts: Dict<u8, u32>) -> Handles {
        let guard = handles.0.lock().unwrap();
        counts.insert(0, counts.get(0).unwrap().unwrap_or(0) + 1).unwrap();
        drop(guard);
        handles
    }
    let pool = Pool::new(2).unwrap();
    let (all, counts) = (All::new(manager), manager.dict().unwrap());
    let handles = (all.lock, all.event, all.semaphore, all.rlock);
    let back = pool.starmap(work, (0..20).map(|_| (handles.clone(), counts.clone()))).unwrap();
    assert_eq!(counts.get(0).unwrap(), Some(20));
    back[0].1.set().unwrap();
    assert!(back[19].1.is_set().unwrap() && handles.1.is_set().unwrap());
    back[1].2.acquire().unwrap().forget().unwrap();
    assert_eq!(handles.2.value(), Ok(0));
}

fn another_kind_is_refused_and_names_are_at_a_server(manager: &Manager) {
    let names = manager.namespace().unwrap();
    let lock = manager.lock().unwrap();
    match names.set("lock", &lock) {
        // On this machine: it lies elsewhere.
        Err(refused) => {
            assert_eq!(refused, Error::HandleOutsideTransfer);
            #[cfg(feature = "redis")]
            for refused in [manager.at("x").lock().map(drop), manager.at("x").barrier(2).map(drop)] {
                let refused = refused.unwrap_err();
                assert!(
                    matches!(refused, Error::Unsupported { .. }) && refused.to_string().contains("a name of its own"),
                    "{refused}"
                );
            }
        }
        Ok(_) => {
            let guard = lock.lock().unwrap();
            let found = names.get::<Lock>("lock").unwrap().unwrap();
            assert!(matches!(found.lock(), Err(LockError::AlreadyHeld)));
            drop(guard);
            for refused in [names.get::<RLock>("lock").map(drop), names.get::<Event>("lock").map(drop)] {
                assert!(refused.unwrap_err().to_string().contains("lock"));
            }
            assert!(names.get::<Dict<u8, u8>>("lock").is_err());
        }
    }
}
