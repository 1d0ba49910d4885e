//! Plain forks: a copy of a process does nothing for the one it was copied from.
//!
//! `tests/common/locking.rs` has what holds for all that can be locked.

mod common;

use common::processes::forked;
use common::watchdog;
use crossproc::{Array, Error, RwLock, SharedMemory, Value};

/// What runs in `update` may fork: only the original commits.
#[test]
fn a_copy_made_within_an_update_commits_nothing() {
    let _watchdog = watchdog();
    let value = Value::new(1).unwrap();
    let parent = std::process::id();
    let updated = value.try_update(|n| {
        // SAFETY: as in `forked`: the copy returns from the closure, is refused, and exits below.
        match unsafe { libc::fork() } {
            0 => 777,
            copy => {
                // SAFETY: our child, which ends by itself.
                unsafe { libc::waitpid(copy, std::ptr::null_mut(), 0) };
                n + 1
            }
        }
    });
    if std::process::id() != parent {
        // SAFETY: ends the copy at once.
        unsafe { libc::_exit(i32::from(!matches!(updated, Err(Error::ForkedCopy { .. })))) };
    }
    assert_eq!(updated, Ok(2));
    assert_eq!(value.get(), 2);
}

#[test]
fn a_copy_of_an_arrays_guard_cannot_be_used() {
    let _watchdog = watchdog();
    let array = Array::from_iter([1, 2]).unwrap();
    let mut guard = array.lock().unwrap();
    let panicked = |guard: &mut crossproc::ArrayGuard<'_, i32>| {
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| guard[0] = 99)).is_err()
    };
    assert!(forked(|| panicked(&mut guard)));
    guard[1] = 20;
    drop(guard);
    assert_eq!(array.to_vec(), [1, 20]);
}

#[test]
fn a_copy_of_a_guard_prints_nothing_of_what_it_does_not_hold() {
    let _watchdog = watchdog();
    let (array, memory) = (Array::from_iter([1, 2]).unwrap(), SharedMemory::create(2).unwrap());
    let (read, written) = (RwLock::new(3).unwrap(), RwLock::new(4).unwrap());
    let guards = (array.lock().unwrap(), memory.lock().unwrap(), read.read().unwrap(), written.write().unwrap());
    assert_eq!(format!("{guards:?}"), "([1, 2], [0, 0], ReadGuard(3), WriteGuard(4))");
    assert!(forked(|| format!("{guards:?}") == "([..], [..], ReadGuard(..), WriteGuard(..))"));
}

#[test]
fn a_copy_of_a_values_guard_commits_nothing() {
    let _watchdog = watchdog();
    let value = Value::new(1).unwrap();
    let mut guard = value.lock().unwrap();
    let change_and_drop = |mut guard: crossproc::ValueGuard<'_, i32>| {
        *guard = 99;
        drop(guard);
        value.get() == 1
    };
    *guard = 2;
    // The copy gets the guard by value; here it stays where it is.
    // SAFETY: as in `forked`.
    match unsafe { libc::fork() } {
        0 => {
            let unchanged = change_and_drop(guard);
            // SAFETY: ends the copy at once.
            unsafe { libc::_exit(i32::from(!unchanged)) }
        }
        copy => {
            let mut status = -1;
            // SAFETY: our child; `status` outlives the call.
            unsafe { libc::waitpid(copy, &mut status, 0) };
            assert_eq!(status, 0);
        }
    }
    drop(guard);
    assert_eq!(value.get(), 2);
}

/// Forks while other threads attach and detach: no copy finds a lock held by a thread it does not have.
#[test]
fn a_copy_can_attach_whatever_other_threads_did() {
    let _watchdog = watchdog();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    drop(Value::new(1_u64).unwrap());
                }
            });
        }
        let value = Value::new(0_u32).unwrap();
        for round in 1..=100 {
            assert!(forked(|| value.update(|n| n + 1) == round));
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}
