//! Waiting with the guard of each exclusive lock.

use std::process;
use std::thread;
use std::time::Duration;

use crossproc::{Array, Condvar, Guard, Lock, LockError, Process, RLock, RwLock, SharedMemory, TryLockError, Value};

use crate::common::processes::signal;
use crate::common::watchdog;

/// Another process can have the lock while this one waits, and notifies it; the next one dies with the lock in hand.
macro_rules! waits_with {
    ($($test:ident: $type:ty = $new:expr, $lock:ident;)*) => {$(
        #[test]
        fn $test() {
            let _watchdog = watchdog();
            let (guarded, changed) = ($new.unwrap(), Condvar::new().unwrap());
            let guard = guarded.$lock().unwrap();
            let notify = |guarded: $type, changed: Condvar| {
                let _guard = guarded.$lock().unwrap();
                changed.notify_one()
            };
            let notifier = Process::spawn(notify, (&guarded, &changed)).unwrap();
            let guard = changed.wait(guard).unwrap();
            assert!(notifier.join().unwrap());

            let die = |guarded: $type, changed: Condvar| {
                let _guard = guarded.$lock();
                changed.notify_one();
                signal(process::id(), libc::SIGKILL);
            };
            let victim = Process::spawn(die, (&guarded, &changed)).unwrap();
            let Err(LockError::OwnerDied(guard)) = changed.wait(guard) else { panic!("nobody says so") };
            assert!(victim.join().is_err());
            let waited = changed.wait_timeout(guard, Duration::ZERO);
            let Err(LockError::OwnerDied((mut guard, _))) = waited else { panic!("not repaired: told once more") };
            guard.repair();
            drop(guard);
            assert!(guarded.$lock().is_ok());
        }
    )*};
}

waits_with! {
    a_lock_is_lent: Lock = Lock::new(), lock;
    an_rlock_is_lent: RLock = RLock::new(), lock;
    an_rwlock_is_lent_by_its_writer: RwLock<u32> = RwLock::new(1), write;
    a_value_is_lent: Value<u32> = Value::new(1), lock;
    an_array_is_lent: Array<u32> = Array::from_iter([1, 2]), lock;
    shared_memory_is_lent: SharedMemory = SharedMemory::create(3), lock;
}

#[test]
fn an_rlock_is_lent_with_all_its_levels() {
    let _watchdog = watchdog();
    let (lock, changed) = (RLock::new().unwrap(), Condvar::new().unwrap());
    let is_held = || {
        thread::scope(|scope| {
            let locked = scope.spawn(|| matches!(lock.try_lock(), Err(TryLockError::Held)));
            locked.join().unwrap()
        })
    };
    let (outer, middle, inner) = (lock.lock().unwrap(), lock.lock().unwrap(), lock.lock().unwrap());
    let notify = |lock: RLock, changed: Condvar| {
        let _guards = [lock.lock().unwrap(), lock.lock().unwrap()];
        changed.notify_one()
    };
    let notifier = Process::spawn(notify, (&lock, &changed)).unwrap();
    let middle = changed.wait(middle).unwrap();
    assert!(notifier.join().unwrap());
    for guard in [outer, inner, middle] {
        assert!(is_held());
        drop(guard);
    }
    assert!(!is_held());
}

/// Each of the levels that come back is told, until one of them repairs.
#[test]
fn a_death_concerns_all_levels_that_come_back() {
    let _watchdog = watchdog();
    let (lock, changed) = (RLock::new().unwrap(), Condvar::new().unwrap());
    let guards = (lock.lock().unwrap(), lock.lock().unwrap());
    let die = |lock: RLock, changed: Condvar| {
        let _guards = [lock.lock(), lock.lock(), lock.lock()];
        changed.notify_one();
        signal(process::id(), libc::SIGKILL);
    };
    let victim = Process::spawn(die, (&lock, &changed)).unwrap();
    let Err(LockError::OwnerDied(inner)) = changed.wait(guards.1) else { panic!("nobody says so") };
    assert!(victim.join().is_err());
    drop(inner);
    assert!(matches!(lock.lock(), Err(LockError::OwnerDied(_))), "a new level is told as well");
    let mut outer = guards.0;
    outer.repair();
    drop(outer);
    let taken = thread::scope(|scope| scope.spawn(|| lock.try_lock().is_ok()).join().unwrap());
    assert!(taken, "free, and clean");
}

#[test]
fn what_others_have_written_meanwhile_is_seen() {
    let _watchdog = watchdog();
    let changed = Condvar::new().unwrap();
    let (table, bytes) = (RwLock::new([1, 2]).unwrap(), SharedMemory::create(2).unwrap());
    let write = |table: RwLock<[i32; 2]>, bytes: SharedMemory, changed: Condvar| {
        table.write().unwrap()[0] += 10;
        changed.notify_one();
        bytes.lock().unwrap()[1] += 5;
        changed.notify_one();
    };
    let mut guard = table.write().unwrap();
    guard[0] = 5;
    let writer = Process::spawn(write, (&table, &bytes, &changed)).unwrap();
    let guard = changed.wait_while(guard, |table| table[0] < 10).unwrap();
    assert_eq!(*guard, [15, 2]);
    let guard = changed.wait_while(bytes.lock().unwrap(), |bytes| bytes[1] == 0).unwrap();
    assert_eq!(*guard, [0, 5]);
    writer.join().unwrap();
}
