//! What a child does at its end, and what is left of it then.

mod common;

use std::fs;
use std::io::pipe;
use std::thread;

use common::watchdog;
use crossproc::{Exit, Function, Process, TryJoinError, Value, active_children};

crossproc::test_support!();

/// What `f` in a child, and whatever that leaves to its exit, writes to a pipe; and how it ends.
fn output_of(f: impl Function<(), (), Output = ()>) -> (String, Exit) {
    let _watchdog = watchdog();
    let (output, writer) = pipe().unwrap();
    let process = Process::builder().stdout(writer).spawn(f, ()).unwrap();
    (std::io::read_to_string(output).unwrap(), process.wait())
}

/// Has a line without an end written when this process exits.
fn write_at_exit() {
    extern "C" fn last() {
        print!(" at exit");
    }
    // SAFETY: the handler is code of this program, and does not unwind.
    assert_eq!(unsafe { libc::atexit(last) }, 0);
}

#[test]
fn what_was_printed_without_a_newline_arrives() {
    assert_eq!(output_of(|| print!("returned")), ("returned".to_string(), Exit::Code(0)));
    let exit = || {
        print!("left");
        std::process::exit(3)
    };
    assert_eq!(output_of(exit), ("left".to_string(), Exit::Code(3)));
    let panic = || {
        print!("panicked");
        std::panic::set_hook(Box::new(|_| ()));
        panic!("no luck")
    };
    assert_eq!(output_of(panic), ("panicked".to_string(), Exit::Code(101)));
    let fork = || {
        // SAFETY: this process has one thread.
        unsafe { Process::fork(|| print!("copy")) }.unwrap().join().unwrap();
    };
    assert_eq!(output_of(fork), ("copy".to_string(), Exit::Code(0)));
}

#[test]
fn exit_handlers_of_a_child_run() {
    let return_ = || {
        write_at_exit();
        print!("returned,");
    };
    assert_eq!(output_of(return_).0, "returned, at exit");
    let panic = || {
        write_at_exit();
        std::panic::set_hook(Box::new(|_| ()));
        panic!("no luck")
    };
    assert_eq!(output_of(panic), (" at exit".to_string(), Exit::Code(101)));
    let fork = || {
        // SAFETY: this process has one thread.
        unsafe { Process::fork(write_at_exit) }.unwrap().join().unwrap();
        print!(", in the copy only");
    };
    assert_eq!(output_of(fork).0, " at exit, in the copy only");
}

#[test]
fn the_return_of_its_function_ends_a_child_whose_threads_go_on() {
    let linger = || {
        for _ in 0..4 {
            thread::spawn(|| {
                loop {
                    thread::park();
                }
            });
        }
        thread::spawn(|| {
            let held = std::sync::Mutex::new(());
            let _held = held.lock();
            loop {
                std::hint::spin_loop();
            }
        });
        print!("returned");
    };
    assert_eq!(output_of(linger), ("returned".to_string(), Exit::Code(0)));
}

#[test]
fn close_is_for_processes_that_have_ended() {
    let _watchdog = watchdog();
    let closing = || {
        let descriptors = || fs::read_dir("/proc/self/fd").unwrap().count();
        let before = descriptors();
        let process = Process::spawn(thread::park, ()).unwrap();
        let Err(TryJoinError::Running(process)) = process.close() else { panic!("it parks") };
        process.kill().unwrap();
        process.wait();
        assert_eq!(process.close().unwrap(), Exit::Signal(libc::SIGKILL));
        let value = Value::new(1).unwrap();
        let with_a_handle = Process::spawn(|value: Value<i32>| value, (&value,)).unwrap();
        let child = with_a_handle.child().clone();
        child.wait();
        assert_eq!(with_a_handle.close().unwrap(), Exit::Code(0));
        assert_eq!(child.exit(), Some(Exit::Code(0)));
        drop((child, value));
        assert!(active_children().is_empty());
        assert_eq!(descriptors(), before);
    };
    Process::spawn(closing, ()).unwrap().join().unwrap();
}
