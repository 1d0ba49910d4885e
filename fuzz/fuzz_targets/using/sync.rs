//! What makes others wait. A forged owner may be this process itself, which lives.

use std::time::Duration;

use crossproc::{
    Barrier, BarrierError, BoundedSemaphore, Condvar, Event, Lock, Permit, RLock, RwLock, Semaphore, TryLockError,
};

use super::{MOMENT, is_got};

pub fn use_lock(lock: &Lock) {
    if is_got(lock.try_lock()) {
        let guard = lock.lock_timeout(MOMENT).expect("repaired and free");
        assert!(matches!(lock.try_lock(), Err(TryLockError::AlreadyHeld)));
        drop(guard);
        drop(lock.lock().expect("clean and free"));
    }
    is_got(lock.lock_timeout(MOMENT));
}

pub fn use_rlock(lock: &RLock) {
    let outer = lock.lock_timeout(MOMENT).or_else(TryLockError::repair);
    let inner = lock.try_lock().or_else(TryLockError::repair);
    drop((outer, inner));
    let _ = lock.lock_timeout(MOMENT);
}

pub fn use_rwlock(lock: &RwLock<u64>) {
    let _ = lock.read_timeout(MOMENT).map(|guard| *guard);
    let _ = (lock.try_read().is_ok(), lock.try_write().is_ok());
    if let Ok(mut guard) = lock.write_timeout(MOMENT).or_else(TryLockError::repair) {
        *guard = 5;
        drop(guard);
        assert_eq!(*lock.try_read().expect("repaired and free"), 5);
    }
}

macro_rules! semaphores {
    ($($name:ident: $type:ty;)*) => {
        $(pub fn $name(semaphore: &$type) {
            assert!(semaphore.value() <= semaphore.capacity());
            let permits = [semaphore.try_acquire(), semaphore.acquire_timeout(MOMENT), semaphore.try_acquire()];
            let _ = (semaphore.release(1), semaphore.release(2), semaphore.release(usize::MAX));
            for permit in permits {
                let _ = permit.map(Permit::forget);
            }
            assert!(semaphore.release(semaphore.capacity() + 1).is_err());
            assert!(semaphore.value() <= semaphore.capacity());
        })*
    };
}

semaphores! {
    use_semaphore: Semaphore;
    use_bounded_semaphore: BoundedSemaphore;
}

/// A waiter may be taken for notified, and all places for taken.
pub fn use_condvar(changed: &Condvar) {
    let lock = Lock::new().expect("a valid object can be made");
    changed.notify(2);
    if let Ok((guard, _)) = changed.wait_timeout(lock.lock().expect("clean and free"), Duration::ZERO) {
        let _ = changed.wait_while_timeout(guard, |_| true, MOMENT);
    }
    changed.notify_all();
    assert!(lock.try_lock().is_ok(), "given back, whatever became of the wait");
}

pub fn use_event(event: &Event) {
    let _ = event.wait_timeout(MOMENT);
    event.set();
    assert!(event.is_set() && event.wait_timeout(MOMENT));
    event.clear();
    assert!(!event.is_set() && !event.wait_timeout(MOMENT));
}

/// How many it takes may be anything.
pub fn use_barrier(barrier: &Barrier) {
    let _ = (barrier.try_wait(), barrier.n_waiting(), barrier.wait_timeout(MOMENT));
    barrier.reset();
    let _ = (barrier.clone().wait_with_timeout(MOMENT, || ()), barrier.try_wait_with(|| ()));
    barrier.reset();
    barrier.abort();
    assert!(barrier.is_broken() && matches!(barrier.wait(), Err(BarrierError::Broken(_))));
}
