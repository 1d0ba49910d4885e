use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use crossproc::{Exit, LockError, Name, Process, ProcessError, RawValue, Value, unlink_abandoned};

use super::common::watchdog;
use super::{TestName, is_missing};

fn die() {
    // SAFETY: has no preconditions.
    unsafe { libc::raise(libc::SIGKILL) };
}

#[test]
fn a_killed_makers_object_is_collected() {
    let _watchdog = watchdog();
    let name = TestName::new();
    let make_and_die = |name: String| {
        let _value = Value::create(name, 5_u64).unwrap();
        die();
    };
    let ended = Process::spawn(make_and_die, (name.as_str(),)).unwrap().join();
    assert!(matches!(ended, Err(ProcessError::Ended { exit: Exit::Signal(libc::SIGKILL), .. })), "{ended:?}");
    let opened = Value::<u64>::open(name.as_str()).unwrap();
    assert_eq!(opened.get(), 5);
    let collect = |name: String| unlink_abandoned(name);
    let collected = Process::spawn(collect, (name.as_str(),)).unwrap().join().unwrap();
    assert_eq!(collected, Ok(false), "this process uses it");
    drop(opened);
    assert_eq!(unlink_abandoned(name.as_str()), Ok(true));
    assert!(is_missing(&Value::<u64>::open(name.as_str())));
}

/// Whoever has opened a name is a peer like any other.
#[test]
fn a_killed_owner_of_a_named_lock_is_noticed() {
    let _watchdog = watchdog();
    let name = TestName::new();
    let value = Value::create(name.as_str(), 5_u64).unwrap();
    let lock_and_die = |name: String| {
        let value = Value::<u64>::open(name).unwrap();
        let _guard = value.lock().unwrap();
        die();
    };
    assert!(Process::spawn(lock_and_die, (name.as_str(),)).unwrap().join().is_err());
    assert!(matches!(value.lock(), Err(LockError::OwnerDied(_))));
}

fn wait_for(ready: &AtomicU32) {
    while ready.load(SeqCst) == 0 {
        std::thread::yield_now();
    }
}

/// Two pid namespaces, in which both processes have the same number, share one segment.
#[test]
fn locks_and_deaths_work_across_pid_namespaces() {
    let _watchdog = watchdog();
    let name = TestName::new();
    let value = Value::create(Name::new(name.as_str()), 0_u64).unwrap();
    let ready = RawValue::new(AtomicU32::new(0)).unwrap();
    let in_a_namespace = |name: String, ready: RawValue<AtomicU32>, waits: bool| {
        // SAFETY: has no memory arguments.
        if unsafe { libc::unshare(libc::CLONE_NEWPID) } != 0 {
            return None;
        }
        // The child of one who has unshared is the first process of its namespace, and deaf to signals from inside.
        // SAFETY: this process has one thread, and the copy ends with _exit.
        match unsafe { libc::fork() } {
            0 => {
                let value = Value::<u64>::open(name).unwrap();
                if !waits {
                    let _guard = value.lock().unwrap();
                    ready.store(std::process::id(), SeqCst);
                    loop {
                        std::thread::park();
                    }
                }
                wait_for(&ready);
                let died = matches!(value.lock(), Err(LockError::OwnerDied(_)));
                // SAFETY: ends the copy at once.
                unsafe { libc::_exit(i32::from(died)) }
            }
            copy => {
                if !waits {
                    wait_for(&ready);
                    // SAFETY: our child, which nobody has waited for.
                    unsafe { libc::kill(copy, libc::SIGKILL) };
                }
                let mut status = -1;
                // SAFETY: our child; `status` outlives the call.
                assert_eq!(unsafe { libc::waitpid(copy, &mut status, 0) }, copy);
                Some(status)
            }
        }
    };
    let waiter = Process::spawn(in_a_namespace, (name.as_str(), &ready, true)).unwrap();
    let owner = Process::spawn(in_a_namespace, (name.as_str(), &ready, false)).unwrap();
    match (owner.join().unwrap(), waiter.join().unwrap()) {
        (Some(owner), Some(waiter)) => {
            assert!(libc::WIFSIGNALED(owner) && libc::WEXITSTATUS(waiter) == 1, "{owner:#x} {waiter:#x}");
            assert_eq!(ready.load(SeqCst), 1, "the first process of its namespace");
            assert!(matches!(value.lock(), Err(LockError::OwnerDied(_))));
        }
        _ => eprintln!("not checked: this user cannot make a pid namespace"),
    }
}
