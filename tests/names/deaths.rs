use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use std::os::unix::fs::FileExt;

use crossproc::{
    Error, Exit, LockError, Name, Process, ProcessError, Queue, RawValue, Value, unlink, unlink_abandoned,
};

use super::common::locking::Stage;
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

/// A process that makes a queue, puts into it, and is killed.
fn killed_after_making(name: Name) {
    let make_and_die = |name: String, persists: bool| {
        let name = if persists { Name::new(name).persist() } else { Name::new(name) };
        let queue = Queue::create(name, 4).unwrap();
        queue.put(7_u32).unwrap();
        die();
    };
    let persists = name == name.clone().persist();
    assert!(Process::spawn(make_and_die, (name.as_str(), persists)).unwrap().join().is_err());
}

fn is_taken<T>(outcome: Result<T, Error>) -> bool {
    matches!(outcome, Err(Error::NameTaken { .. }))
}

#[test]
fn a_name_that_a_killed_maker_has_left_is_free_once_nobody_is_attached() {
    let _watchdog = watchdog();
    let name = TestName::new();
    let create = || Queue::<u32>::create(name.as_str(), 4);
    let open_or_create = || Queue::<u32>::open_or_create(name.as_str(), 4).unwrap();
    for make in [&|| create().unwrap(), &open_or_create] as [&dyn Fn() -> Queue<u32>; 2] {
        killed_after_making(name.as_str().into());
        let opened = Queue::<u32>::open(name.as_str()).unwrap();
        assert!(is_taken(create()));
        assert_eq!((open_or_create().len(), opened.len()), (1, 1));
        drop(opened);
        let made = make();
        assert_eq!(made.len(), 0, "the old one's message is not in the new one");
        assert!(is_taken(create()));
        drop(made);
        assert!(!name.exists(), "whoever has taken the name over has made the object");
    }
}

/// What has the name need not be of the kind that is made.
#[test]
fn a_name_that_was_left_is_free_for_another_kind() {
    let _watchdog = watchdog();
    let name = TestName::new();
    killed_after_making(name.as_str().into());
    assert_eq!(Value::create(name.as_str(), 1_u64).unwrap().get(), 1);
    killed_after_making(name.as_str().into());
    assert_eq!(Value::open_or_create(name.as_str(), 2_u64).unwrap().get(), 2);
}

#[test]
fn what_was_to_persist_is_not_taken_over() {
    let _watchdog = watchdog();
    let name = TestName::new();
    killed_after_making(Name::new(name.as_str()).persist());
    assert!(is_taken(Queue::<u32>::create(name.as_str(), 4)));
    assert_eq!(Queue::<u32>::open_or_create(name.as_str(), 4).unwrap().get(), Ok(7));
    unlink(name.as_str()).unwrap();
}

/// As a build has made it that did not say which of the two it is.
#[test]
fn what_does_not_say_that_its_name_was_to_go_is_not_taken_over() {
    let _watchdog = watchdog();
    const PASSING: u64 = 68;
    let name = TestName::new();
    killed_after_making(name.as_str().into());
    let file = std::fs::File::options().write(true).open(name.path()).unwrap();
    file.write_all_at(&0_u32.to_ne_bytes(), PASSING).unwrap();
    assert!(is_taken(Queue::<u32>::create(name.as_str(), 4)));
    assert_eq!(Queue::<u32>::open_or_create(name.as_str(), 4).unwrap().get(), Ok(7));
    assert_eq!(unlink_abandoned(name.as_str()), Ok(true));
}

/// Whoever comes first after a death makes the object, and the others find it.
#[test]
fn a_name_that_was_left_is_taken_over_once() {
    const PROCESSES: u32 = 4;
    let _watchdog = watchdog();
    let name = TestName::new();
    let come = |name: String, stage: Stage, go: RawValue<AtomicU32>| {
        wait_for(&go);
        let queue = Queue::<u32>::open_or_create(name, 4).unwrap();
        queue.put(1).unwrap();
        stage.advance();
        stage.wait_for(PROCESSES);
        queue.len()
    };
    for round in 0..5 {
        killed_after_making(name.as_str().into());
        let (stage, go) = (Stage::new(), RawValue::new(AtomicU32::new(0)).unwrap());
        let those: Vec<_> =
            (0..PROCESSES).map(|_| Process::spawn(come, (name.as_str(), &stage, &go)).unwrap()).collect();
        go.store(1, SeqCst);
        for process in those {
            assert_eq!(process.join(), Ok(PROCESSES as usize), "in round {round}");
        }
        assert!(!name.exists());
    }
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
