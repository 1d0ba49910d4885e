//! What a manager has for processes that wait for each other: across processes, and when one of them is killed with something in hand.

use std::time::Duration;

use crossproc::managed::{Barrier, Condvar, Event, Lock, Queue, RLock, Semaphore};
use crossproc::{BarrierError, BrokenBy, Error, Guard, LockError, Manager, Process};
use serde::{Deserialize, Serialize};

use crate::common::locking::{Stage, wait_for_state};
use crate::common::watchdog;

const LONG: Duration = Duration::from_secs(60);

fn manager() -> Manager {
    Manager::start().unwrap()
}

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

#[test]
fn next_owner_of_a_lock_learns_of_a_death_and_has_a_larger_token() {
    let _watchdog = watchdog();
    let (lock, stage) = (manager().lock().unwrap(), Stage::new());
    let first = lock.lock().unwrap().token();
    let hold = |lock: Lock, stage: Stage| {
        let guard = lock.lock().unwrap();
        assert_eq!(guard.token(), 2);
        stay(&stage);
    };
    kill_at(&stage, Process::spawn(hold, (&lock, &stage)));
    let Err(LockError::OwnerDied(mut guard)) = lock.lock() else { panic!("a death goes unnoticed") };
    assert!(guard.token() > first + 1, "{} after {first}", guard.token());
    let before = guard.token();
    guard.repair();
    drop(guard);
    let next = lock.lock().unwrap();
    assert!(next.token() > before);
    assert!(matches!(lock.lock(), Err(LockError::AlreadyHeld)));
    drop(next);
    assert!(lock.try_lock().is_ok() && lock.lock_timeout(LONG).is_ok());
}

/// Tokens of all who had it, in the order in which they had it.
#[test]
fn tokens_grow_across_processes() {
    let _watchdog = watchdog();
    let manager = manager();
    let (lock, tokens) = (manager.lock().unwrap(), manager.list::<u64>([]).unwrap());
    let work = |lock: Lock, tokens: crossproc::managed::List<u64>| {
        for _ in 0..200 {
            let guard = lock.lock().unwrap();
            tokens.push(guard.token()).unwrap();
        }
    };
    let workers: Vec<_> = (0..4).map(|_| Process::spawn(work, (&lock, &tokens)).unwrap()).collect();
    workers.into_iter().for_each(|worker| worker.join().unwrap());
    assert_eq!(tokens.to_vec().unwrap(), Vec::from_iter(1..=800));
}

#[test]
fn next_owner_of_an_rlock_learns_of_a_death() {
    let _watchdog = watchdog();
    let (lock, stage) = (manager().rlock().unwrap(), Stage::new());
    let hold = |lock: RLock, stage: Stage| {
        let _both = (lock.lock().unwrap(), lock.lock().unwrap());
        stay(&stage);
    };
    kill_at(&stage, Process::spawn(hold, (&lock, &stage)));
    let Err(LockError::OwnerDied(mut guard)) = lock.lock() else { panic!("a death goes unnoticed") };
    guard.repair();
    assert!(lock.try_lock().is_ok(), "it has it already");
    drop(guard);
    assert!(lock.lock().is_ok() && lock.lock_timeout(LONG).is_ok());
}

#[test]
fn permits_of_the_dead_come_back() {
    let _watchdog = watchdog();
    let (semaphore, stage) = (manager().semaphore(2).unwrap(), Stage::new());
    let hold = |semaphore: Semaphore, stage: Stage| {
        let _both = (semaphore.acquire().unwrap(), semaphore.acquire().unwrap());
        assert!(semaphore.try_acquire().is_err());
        stay(&stage);
    };
    kill_at(&stage, Process::spawn(hold, (&semaphore, &stage)));
    let both = (semaphore.acquire().unwrap(), semaphore.acquire_timeout(LONG).unwrap());
    assert_eq!(semaphore.value(), Ok(0));
    drop(both);
    assert_eq!(semaphore.value(), Ok(2));
}

fn wait_for_word(lock: Lock, changed: Condvar, word: crossproc::managed::Value<u32>, stage: Stage) -> u64 {
    let guard = lock.lock().unwrap();
    let token = guard.token();
    stage.advance();
    let guard = changed.wait_while(guard, |_| word.get() == Ok(0)).unwrap();
    guard.token() - token
}

#[test]
fn a_notification_passes_a_dead_waiter_by() {
    let _watchdog = watchdog();
    let manager = manager();
    let (lock, changed, word) = (manager.lock().unwrap(), manager.condvar().unwrap(), manager.value(0).unwrap());
    let (first, second) = (Stage::new(), Stage::new());
    let dead = Process::spawn(wait_for_word, (&lock, &changed, &word, &first)).unwrap();
    first.wait_for(1);
    // With the lock: it waits.
    drop(lock.lock().unwrap());
    let living = Process::spawn(wait_for_word, (&lock, &changed, &word, &second)).unwrap();
    second.wait_for(1);
    drop(lock.lock().unwrap());
    dead.kill().unwrap();
    dead.wait();
    let guard = lock.lock().unwrap();
    word.set(1).unwrap();
    changed.notify_one().unwrap();
    drop(guard);
    assert!(living.join().unwrap() >= 1, "it has acquired it anew");
}

#[test]
fn a_condvar_works_with_an_rlock_and_ends_in_time() {
    let manager = manager();
    let (lock, changed) = (manager.rlock().unwrap(), manager.condvar().unwrap());
    let short = Duration::from_millis(1);
    let (guard, is_notified) = changed.wait_timeout(lock.lock().unwrap(), short).unwrap();
    assert!(!is_notified);
    let (_guard, is_over) = changed.wait_while_timeout(guard, |_| true, short).unwrap();
    assert!(!is_over);
    assert_eq!((changed.notify_one(), changed.notify_all(), changed.notify(7)), (Ok(false), Ok(0), Ok(0)));
}

#[test]
fn an_event_wakes_all_who_live() {
    let _watchdog = watchdog();
    let (event, stage) = (manager().event().unwrap(), Stage::new());
    let wait = |event: Event, stage: Stage| {
        stage.advance();
        event.wait()
    };
    let waiters: Vec<_> = (0..3).map(|_| Process::spawn(wait, (&event, &stage)).unwrap()).collect();
    stage.wait_for(3);
    wait_for_state(waiters[0].pid(), 'S');
    waiters[0].kill().unwrap();
    event.set().unwrap();
    waiters[0].wait();
    for waiter in waiters.into_iter().skip(1) {
        assert_eq!(waiter.join(), Ok(Ok(())));
    }
    event.clear().unwrap();
    assert_eq!((event.is_set(), event.wait_timeout(Duration::from_millis(1))), (Ok(false), Ok(false)));
}

#[test]
fn a_death_breaks_a_barrier_until_it_is_reset() {
    let _watchdog = watchdog();
    let (barrier, stage) = (manager().barrier(3).unwrap(), Stage::new());
    let wait = |barrier: Barrier, stage: Stage| {
        stage.advance();
        let _ = barrier.wait();
    };
    let party = Process::spawn(wait, (&barrier, &stage)).unwrap();
    stage.wait_for(1);
    while barrier.n_waiting() != Ok(1) {
        std::thread::yield_now();
    }
    party.kill().unwrap();
    party.wait();
    assert_eq!(barrier.wait().unwrap_err(), BarrierError::Broken(BrokenBy::Death));
    assert_eq!(barrier.is_broken(), Ok(true));
    barrier.reset().unwrap();
    assert_eq!((barrier.is_broken(), barrier.n_waiting(), barrier.parties()), (Ok(false), Ok(0), 3));
    barrier.abort().unwrap();
    assert_eq!(barrier.wait_timeout(LONG).unwrap_err(), BarrierError::Broken(BrokenBy::Abort));
}

#[test]
fn parties_of_a_barrier_have_indices_of_their_own() {
    let _watchdog = watchdog();
    let barrier = manager().barrier(3).unwrap();
    let meet = |barrier: Barrier| {
        let turn = barrier.wait().unwrap();
        assert_eq!(turn.is_leader(), turn.index() == 0);
        turn.index()
    };
    let others: Vec<_> = (0..2).map(|_| Process::spawn(meet, (&barrier,)).unwrap()).collect();
    let mut indices = vec![meet(barrier)];
    indices.extend(others.into_iter().map(|other| other.join().unwrap()));
    indices.sort_unstable();
    assert_eq!(indices, [0, 1, 2]);
}

/// All of them in one argument, and through a queue.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct All {
    lock: Lock,
    rlock: RLock,
    semaphore: Semaphore,
    condvar: Condvar,
    event: Event,
    queue: Queue<u32>,
}

impl All {
    fn new(manager: &Manager) -> Self {
        All {
            lock: manager.lock().unwrap(),
            rlock: manager.rlock().unwrap(),
            semaphore: manager.semaphore(1).unwrap(),
            condvar: manager.condvar().unwrap(),
            event: manager.event().unwrap(),
            queue: manager.queue(1).unwrap(),
        }
    }

    fn use_all(&self) {
        drop(self.lock.lock().unwrap());
        drop(self.rlock.lock().unwrap());
        self.semaphore.acquire().unwrap().forget().unwrap();
        self.condvar.notify_one().unwrap();
        self.event.set().unwrap();
        self.queue.put(5).unwrap();
    }

    fn are_used(&self) -> bool {
        self.lock.lock().unwrap().token() == 2
            && self.semaphore.value() == Ok(0)
            && self.event.is_set() == Ok(true)
            && self.queue.get() == Ok(5)
    }
}

#[test]
fn handles_travel_in_arguments() {
    let _watchdog = watchdog();
    let all = All::new(&manager());
    Process::spawn(|all: All| all.use_all(), (&all,)).unwrap().join().unwrap();
    assert!(all.are_used());
    drop(all.clone());
}

#[test]
fn containers_refuse_to_keep_them() {
    let manager = manager();
    let all = All::new(&manager);
    let locks = manager.list::<Lock>([]).unwrap();
    assert_eq!(locks.push(&all.lock), Err(Error::HandleOutsideTransfer));
    let everything = manager.dict::<u32, All>().unwrap();
    assert_eq!(everything.insert(1, &all).unwrap_err(), Error::HandleOutsideTransfer);
    assert_eq!(everything.with(|dict| dict.insert(1, &all)), Err(Error::HandleOutsideTransfer));
    assert_eq!((locks.len(), everything.len()), (Ok(0), Ok(0)));
    let queues = manager.value::<Option<Queue<u32>>>(None).unwrap();
    assert_eq!(queues.set(Some(all.queue.clone())), Err(Error::HandleOutsideTransfer));
    let refused = manager.value(manager.barrier(1).unwrap());
    assert!(matches!(refused, Err(Error::HandleOutsideTransfer)));
}
