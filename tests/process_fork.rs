//! Plain forks, with a result.

mod common;

use std::cell::Cell;
use std::io::pipe;
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use common::watchdog;
use crossproc::{
    Error, Exit, Function, Process, ProcessError, SendError, Value, active_children, channel, current, parent,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

crossproc::test_support!();

/// Runs a test in a process with one thread, where a copy may do anything.
fn alone(test: impl Function<(), (), Output = ()>) {
    let _watchdog = watchdog();
    Process::builder().name("alone").spawn(test, ()).unwrap().join().unwrap();
}

fn fork<R: Serialize + DeserializeOwned>(f: impl FnOnce() -> R) -> Process<R> {
    // SAFETY: each test runs this `alone`.
    unsafe { Process::fork(f) }.unwrap()
}

#[test]
fn a_copy_has_what_it_captures_and_its_result_comes_back() {
    alone(|| {
        let (number, bytes) = (Rc::new(Cell::new(7)), vec![1_u8; 1 << 20]);
        let seen = Rc::clone(&number);
        let process = fork(move || {
            seen.set(8);
            (seen.get(), Rc::strong_count(&seen), bytes)
        });
        assert_eq!((number.get(), Rc::strong_count(&number)), (7, 1));
        assert_eq!(process.wait(), Exit::Code(0));
        assert_eq!(process.join().unwrap(), (8, 2, vec![1; 1 << 20]));
    });
}

#[test]
fn a_copy_fails_as_others_do() {
    alone(|| {
        let silent = || {
            let null = std::fs::File::options().write(true).open("/dev/null").unwrap();
            // SAFETY: replaces the standard error of the copy, which is about to panic.
            unsafe { libc::dup2(std::os::fd::AsRawFd::as_raw_fd(&null), 2) };
        };
        let error = fork(|| -> () {
            silent();
            panic!("no {}", "luck")
        });
        let error = error.join().unwrap_err();
        assert!(
            matches!(&error, ProcessError::Panicked { message, location, .. }
                if message == "no luck" && location.starts_with("tests/process_fork.rs:")),
            "{error:?}"
        );
        let ended = fork(|| -> () { std::process::exit(9) }).join().unwrap_err();
        assert!(matches!(ended, ProcessError::Ended { exit: Exit::Code(9), .. }), "{ended:?}");
        let failed = fork(|| Err::<(), _>("odd".to_string()));
        assert_eq!((failed.wait(), failed.join().unwrap()), (Exit::Code(1), Err("odd".to_string())));
        let parked = fork(|| {
            thread::sleep(Duration::MAX);
        });
        assert_eq!(active_children().len(), 1);
        parked.kill().unwrap();
        assert_eq!(parked.wait(), Exit::Signal(libc::SIGKILL));
        assert!(active_children().is_empty());
    });
}

#[test]
fn a_panic_in_a_copy_of_a_child_is_told_of_once() {
    let _watchdog = watchdog();
    let (errors, writer) = pipe().unwrap();
    let process = Process::builder().stderr(writer).spawn(|| drop(fork(|| -> () { panic!("no luck") }).join()), ());
    let words = std::io::read_to_string(errors).unwrap();
    process.unwrap().join().unwrap();
    assert_eq!(words.matches("crossproc: in process").count(), 1, "{words}");
    assert_eq!(words.matches("no luck").count(), 1, "{words}");
}

#[test]
fn a_copy_knows_itself_and_its_parent_and_starts_children() {
    alone(|| {
        let look = || {
            let parent = parent().unwrap();
            let current = current();
            (current.name().to_string(), current.pid(), parent.name().to_string(), parent.pid(), parent.is_alive())
        };
        let process =
            fork(move || (look(), fork(look).join().unwrap(), Process::spawn(look, ()).unwrap().join().unwrap()));
        let pid = process.pid();
        let (own, copys, executed) = process.join().unwrap();
        assert_eq!(own, ("Process-".to_string() + &own.0[8..], pid, "alone".to_string(), std::process::id(), true));
        assert!(own.0.ends_with(":1"), "{}", own.0);
        assert_eq!((copys.0, copys.2, copys.3), (format!("{}:1", own.0), own.0.clone(), pid));
        assert_eq!((executed.0, executed.2, executed.3), (format!("{}:2", own.0), own.0.clone(), pid));
        assert_eq!(current().name(), "alone");
    });
}

#[test]
fn what_waited_to_be_printed_is_printed_once() {
    let _watchdog = watchdog();
    let (output, writer) = pipe().unwrap();
    let process = Process::builder().stdout(writer).spawn(
        || {
            print!("before ");
            fork(|| print!("copy ")).join().unwrap();
            print!("after");
        },
        (),
    );
    assert_eq!(std::io::read_to_string(output).unwrap(), "before copy after");
    process.unwrap().join().unwrap();
}

#[test]
fn what_its_original_has_in_hand_is_not_the_copys() {
    alone(|| {
        let value = Value::new(1).unwrap();
        let (mut sender, mut receiver) = channel::<u8>().unwrap();
        let guard = value.lock().unwrap();
        let process = fork(|| {
            let given_away = matches!(sender.send(1), Err(SendError::Failed { error: Error::GivenAway { .. }, .. }));
            (value.get(), value.try_lock().is_err(), given_away)
        });
        assert_eq!(process.join().unwrap(), (1, true, true));
        drop(guard);
        assert_eq!(fork(|| value.update(|n| n + 1)).join(), Ok(2));
        assert_eq!(value.get(), 2);
        sender.send(2).unwrap();
        assert_eq!(receiver.recv(), Ok(2));
    });
}

#[test]
fn a_copy_waits_for_its_own_children_only() {
    alone(|| {
        let start = || {
            let (input, to_child) = pipe().unwrap();
            (Process::builder().stdin(input).spawn(|| std::io::stdin().lines().next().is_some(), ()).unwrap(), to_child)
        };
        let (of_the_original, _open) = start();
        let value = Value::new(0).unwrap();
        let process = fork(|| drop(fork(|| value.set(1))));
        process.join().unwrap();
        assert_eq!(value.get(), 1);
        assert!(of_the_original.is_alive());
        of_the_original.kill().unwrap();
    });
}
