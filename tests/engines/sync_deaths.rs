//! What processes wait for, when one of them is killed. A server needs the length of a lease to find that out.

use crossproc::managed::{Barrier, Condvar, Dict, Lock, RLock, Semaphore, Value};
use crossproc::{BarrierError, BrokenBy, Guard, LockError, Manager, Process};

use crate::common::locking::Stage;
use crate::on_each_engine;

on_each_engine!("?lease_ms=2000";
    next_owner_learns_of_a_death_and_repairs,
    next_owner_of_an_rlock_learns_of_a_death,
    permits_of_the_dead_come_back,
    a_death_breaks_a_barrier_until_it_is_reset,
    a_notification_passes_a_dead_waiter_by,
);

/// Kills a process when it says that it has what it wants.
fn kill_at<R>(stage: &Stage, process: crossproc::Result<Process<R>>) {
    let process = process.unwrap();
    stage.wait_for(1);
    process.kill().unwrap();
    process.wait();
}

/// Until it is killed.
fn stay(stage: &Stage) {
    stage.advance();
    loop {
        std::thread::park();
    }
}

fn next_owner_learns_of_a_death_and_repairs(manager: &Manager) {
    fn die(lock: Lock, counts: Dict<u8, u64>, stage: Stage) {
        let guard = lock.lock().unwrap();
        counts.insert(0, guard.token()).unwrap();
        stay(&stage);
    }
    let (lock, counts, stage) = (manager.lock().unwrap(), manager.dict().unwrap(), Stage::new());
    let first = lock.lock().unwrap().token();
    kill_at(&stage, Process::spawn(die, (&lock, &counts, &stage)));
    let Err(LockError::OwnerDied(guard)) = lock.lock() else { panic!("a death goes unnoticed") };
    let died = counts.get(0).unwrap().unwrap();
    assert!(first < died && died < guard.token(), "{first} {died} {}", guard.token());
    drop(guard);
    let Err(LockError::OwnerDied(mut guard)) = lock.lock() else { panic!("nobody has repaired it") };
    guard.repair();
    guard.unlock().unwrap();
    drop(lock.lock().unwrap());
}

fn next_owner_of_an_rlock_learns_of_a_death(manager: &Manager) {
    fn die(lock: RLock, stage: Stage) {
        let _both = (lock.lock().unwrap(), lock.lock().unwrap());
        stay(&stage);
    }
    let (lock, stage) = (manager.rlock().unwrap(), Stage::new());
    kill_at(&stage, Process::spawn(die, (&lock, &stage)));
    drop(lock.lock().or_else(LockError::repair).unwrap());
    drop(lock.lock().unwrap());
}

fn permits_of_the_dead_come_back(manager: &Manager) {
    fn die(semaphore: Semaphore, stage: Stage) {
        let _both = (semaphore.acquire().unwrap(), semaphore.acquire().unwrap());
        assert!(semaphore.try_acquire().is_err());
        stay(&stage);
    }
    let (semaphore, stage) = (manager.semaphore(2).unwrap(), Stage::new());
    kill_at(&stage, Process::spawn(die, (&semaphore, &stage)));
    let both = (semaphore.acquire().unwrap(), semaphore.acquire().unwrap());
    assert_eq!(semaphore.value(), Ok(0));
    drop(both);
    assert_eq!(semaphore.value(), Ok(2));
}

fn a_death_breaks_a_barrier_until_it_is_reset(manager: &Manager) {
    fn die(barrier: Barrier) {
        let _ = barrier.wait();
    }
    let barrier = manager.barrier(3).unwrap();
    let party = Process::spawn(die, (&barrier,)).unwrap();
    while barrier.n_waiting() != Ok(1) {
        std::thread::yield_now();
    }
    party.kill().unwrap();
    party.wait();
    assert_eq!(barrier.wait().unwrap_err(), BarrierError::Broken(BrokenBy::Death));
    assert_eq!(barrier.is_broken(), Ok(true));
    barrier.reset().unwrap();
    assert_eq!((barrier.is_broken(), barrier.n_waiting()), (Ok(false), Ok(0)));
}

fn a_notification_passes_a_dead_waiter_by(manager: &Manager) {
    fn wait(lock: Lock, changed: Condvar, word: Value<u32>, stage: Stage) -> u32 {
        let guard = lock.lock().unwrap();
        stage.advance();
        drop(changed.wait_while(guard, |_| word.get() == Ok(0)).unwrap());
        word.get().unwrap()
    }
    let (lock, changed, word) = (manager.lock().unwrap(), manager.condvar().unwrap(), manager.value(0).unwrap());
    let stage = Stage::new();
    let dead = Process::spawn(wait, (&lock, &changed, &word, &stage)).unwrap();
    stage.wait_for(1);
    // With the lock: it waits.
    drop(lock.lock().unwrap());
    let living = Process::spawn(wait, (&lock, &changed, &word, &stage)).unwrap();
    stage.wait_for(2);
    drop(lock.lock().unwrap());
    dead.kill().unwrap();
    dead.wait();
    let guard = lock.lock().unwrap();
    word.set(1).unwrap();
    assert_eq!(changed.notify_one(), Ok(true));
    drop(guard);
    assert_eq!(living.join().unwrap(), 1);
}
