//! What only processes that wait at a server have to do with: leases, restarts, names, locks of elsewhere.

use std::time::Duration;

use crossproc::managed::{Dict, Lock, Semaphore};
use crossproc::{BarrierError, Condvar, Error, LockError, Manager, Process, Queue};

use crate::common::locking::{Stage, wait_for_state};
use crate::common::processes::signal;
use crate::common::watchdog;
use crate::redis::Server;

const SHORT: Duration = Duration::from_millis(1);

/// A process that is stopped for longer than its lease has lost what it had, and is told so.
#[test]
fn who_was_not_heard_for_a_lease_is_told_what_it_has_lost() {
    fn hold(lock: Lock, semaphore: Semaphore, stage: Stage, tokens: Queue<u64>) -> [crossproc::Result<()>; 2] {
        let (guard, permit) = (lock.lock().unwrap(), semaphore.acquire().unwrap());
        tokens.put(guard.token()).unwrap();
        stage.wait_for(1);
        [guard.unlock(), permit.release()]
    }
    let _watchdog = watchdog();
    let server = Server::start();
    let manager = Manager::connect(&format!("{}?lease_ms=2000", server.url())).unwrap();
    let (lock, semaphore, stage) = (manager.lock().unwrap(), manager.semaphore(1).unwrap(), Stage::new());
    let tokens = Queue::new(1).unwrap();
    let process = Process::spawn(hold, (&lock, &semaphore, &stage, &tokens)).unwrap();
    let lost = tokens.get().unwrap();
    signal(process.pid(), libc::SIGSTOP);
    wait_for_state(process.pid(), 'T');
    let Err(LockError::OwnerDied(guard)) = lock.lock() else { panic!("a lease does not end") };
    assert!(guard.token() > lost);
    let permit = semaphore.acquire().unwrap();
    stage.advance();
    signal(process.pid(), libc::SIGCONT);
    let [unlocked, released] = process.join().unwrap();
    assert!(matches!(unlocked, Err(Error::OwnerDied { .. })), "{unlocked:?}");
    assert!(matches!(released, Err(Error::OwnerDied { .. })), "{released:?}");
    // Nobody has given back what is ours.
    assert_eq!(semaphore.value(), Ok(0));
    permit.release().unwrap();
    guard.unlock().unwrap();
}

#[test]
fn a_restart_without_data_is_told() {
    let _watchdog = watchdog();
    let mut server = Server::start();
    let manager = Manager::connect(&server.url()).unwrap();
    let (lock, event) = (manager.lock().unwrap(), manager.event().unwrap());
    let guard = lock.lock().unwrap();
    server.kill();
    server.start_again();
    let unlocked = guard.unlock();
    assert!(matches!(unlocked, Err(Error::OwnerDied { .. } | Error::Gone { .. })), "{unlocked:?}");
    assert!(matches!(lock.lock(), Err(LockError::Failed(Error::Gone { .. }))));
    assert!(matches!(event.wait(), Err(Error::Gone { .. })));
    drop(manager.lock().unwrap().lock().unwrap());
}

#[test]
fn a_server_that_is_away_is_an_error_of_each_result() {
    let _watchdog = watchdog();
    let mut server = Server::start();
    let manager = Manager::connect(&format!("{}?timeout_ms=300", server.url())).unwrap();
    let (lock, semaphore, barrier) =
        (manager.lock().unwrap(), manager.semaphore(1).unwrap(), manager.barrier(2).unwrap());
    server.kill();
    for refused in [
        lock.lock().map(drop).unwrap_err().into(),
        lock.try_lock().map(drop).unwrap_err().into(),
        semaphore.acquire().map(drop).unwrap_err(),
        semaphore.try_acquire().map(drop).unwrap_err().into(),
        barrier.wait().map(drop).unwrap_err().into(),
        manager.condvar().map(drop).unwrap_err(),
    ] {
        // What was on its way then is in doubt until the server is there again.
        assert!(matches!(refused, Error::Unreachable { .. } | Error::Unanswered { .. }), "{refused}");
    }
}

#[test]
fn names_are_found_again() {
    let _watchdog = watchdog();
    let server = Server::start();
    let manager = Manager::connect(&server.url()).unwrap();
    let lock = manager.at("lock").lock().unwrap();
    let guard = lock.lock().unwrap();
    assert!(matches!(manager.at("lock").lock().unwrap().lock(), Err(LockError::AlreadyHeld)));
    drop(guard);
    let rlock = manager.at("rlock").rlock().unwrap();
    let _levels = (rlock.lock().unwrap(), manager.at("rlock").rlock().unwrap().lock().map(drop).unwrap());
    let permit = manager.at("seats").semaphore(3).unwrap();
    let _permit = permit.acquire().unwrap();
    assert_eq!(manager.at("seats").semaphore(7).unwrap().value(), Ok(2));
    manager.at("go").event().unwrap().set().unwrap();
    assert_eq!(manager.at("go").event().unwrap().is_set(), Ok(true));
    assert_eq!(manager.at("changed").condvar().unwrap().notify(1), Ok(0));
    assert_eq!(manager.at("start").barrier(2).unwrap().parties(), 2);
    assert_eq!(manager.at("start").barrier(5).unwrap().parties(), 2);
    let refused = manager.at("lock").rlock().map(drop).unwrap_err();
    assert!(matches!(refused, Error::Attach(_)) && refused.to_string().contains("lock"), "{refused}");
    assert!(matches!(manager.at("lock").dict::<u8, u8>().map(drop), Err(Error::Attach(_))));
    assert!(manager.remove("lock").unwrap());
    drop(lock.lock().unwrap());
}

/// A lock that only a container refers to.
#[test]
fn locks_are_values_of_containers() {
    fn add(locks: Dict<String, Lock>, counts: Dict<String, u32>) {
        for _ in 0..20 {
            let lock = locks.get("counts").unwrap().unwrap();
            let _guard = lock.lock().unwrap();
            let count = counts.get("n").unwrap().unwrap_or(0);
            counts.insert("n", count + 1).unwrap();
        }
    }
    let _watchdog = watchdog();
    let server = Server::start();
    let manager = Manager::connect(&server.url()).unwrap();
    let (locks, counts) = (manager.dict().unwrap(), manager.dict().unwrap());
    locks.insert("counts", manager.lock().unwrap()).unwrap();
    let workers = [(); 2].map(|()| Process::spawn(add, (&locks, &counts)).unwrap());
    workers.into_iter().for_each(|worker| worker.join().unwrap());
    assert_eq!(counts.get("n").unwrap(), Some(40));
    let lock = locks.remove("counts").unwrap().unwrap();
    drop(lock.lock().unwrap());
}

/// The condition variable and the lock need not be at the same place.
#[test]
fn a_condvar_waits_with_locks_of_elsewhere() {
    let _watchdog = watchdog();
    let server = Server::start();
    let (there, here) = (Manager::connect(&server.url()).unwrap(), Manager::start().unwrap());
    let (lock_there, lock_here) = (there.lock().unwrap(), here.lock().unwrap());
    let (changed_there, changed_here) = (there.condvar().unwrap(), Condvar::new().unwrap());
    std::thread::scope(|scope| {
        let guard = lock_here.lock().unwrap();
        let other = scope.spawn(|| {
            let _guard = lock_here.lock().unwrap(); // can be had once the other one waits
            changed_there.notify_one()
        });
        drop(changed_there.wait(guard).unwrap());
        assert_eq!(other.join().unwrap(), Ok(true));
    });
    std::thread::scope(|scope| {
        let guard = lock_there.lock().unwrap();
        let token = guard.token();
        let other = scope.spawn(|| {
            let _guard = lock_there.lock().unwrap();
            changed_here.notify_one()
        });
        let guard = changed_here.wait(guard).unwrap();
        assert!(guard.token() > token);
        assert!(other.join().unwrap());
        let (_guard, is_notified) = changed_here.wait_timeout(guard, SHORT).unwrap();
        assert!(!is_notified);
    });
    assert!(lock_there.try_lock().is_ok() && lock_here.try_lock().is_ok());
}

/// Handles that came with the fork, and new ones, are parties of their own, so that none is forgotten when another one is dropped.
#[test]
fn a_forked_copy_is_a_party_by_each_of_its_handles() {
    const HANDLES: usize = 60;
    let _watchdog = watchdog();
    let server = Server::start();
    let manager = Manager::connect(&server.url()).unwrap();
    let handle = || manager.at("barrier").barrier(2);
    let mut handles: Vec<_> = (0..HANDLES).map(|_| handle().unwrap()).collect();
    // SAFETY: the copy does what other threads cannot have broken by disappearing, and ends with _exit.
    let copy = unsafe { libc::fork() };
    if copy == 0 {
        let mut is_well = true;
        for turn in 0..HANDLES {
            // Whatever numbers they have in the process, some of these have the same.
            is_well &= turn != HANDLES / 2 || manager.at("event").event().is_ok();
            match handle() {
                Ok(handle) => handles.push(handle),
                Err(_) => is_well = false,
            }
        }
        for handle in &handles {
            is_well &= matches!(handle.wait_timeout(Duration::ZERO), Err(BarrierError::Broken(_)));
        }
        // SAFETY: ends the copy at once, without destructors: it is a party until its lease ends.
        unsafe { libc::_exit(i32::from(!is_well)) };
    }
    let mut status = -1;
    // SAFETY: our child; `status` outlives the call.
    assert_eq!(unsafe { libc::waitpid(copy, &mut status, 0) }, copy);
    assert_eq!(status, 0);
    let parts = server.ask("EVAL \"return redis.call('HVALS', redis.call('KEYS', 'crossproc:o:*:h')[1])[1]\" 0");
    assert_eq!(parts.lines().nth(1).unwrap().parse(), Ok(2 * HANDLES), "{parts:?}");
}
