//! A program whose first thread ends while others go on, as after `pthread_exit` in a `main` in C: the kernel shows it as a
//! zombie, and its `/proc/self` is empty.

mod common;

use std::thread;

use common::locking::wait_for_state;
use common::watchdog;
use crossproc::{Exit, Lock, Process, Value};

crossproc::test_support!();

/// Does what wants a file opened again, in a thread that outlives the first one; ends with 0 if all went well.
fn go_on_alone(name: String) {
    let work = move || -> crossproc::Result<bool> {
        let (lock, value) = (Lock::new()?, Value::create(name.as_str(), 1)?);
        Process::spawn(|lock: Lock, value: Value<i32>| drop((lock.lock(), value.set(2))), (&lock, &value))?.join()?;
        Ok(lock.try_lock().is_ok() && value.get() == 2 && Value::<i32>::open(name.as_str())?.get() == 2)
    };
    thread::spawn(move || {
        wait_for_state(std::process::id(), 'Z');
        let code = match work() {
            Ok(true) => 0,
            other => {
                eprintln!("{other:?}");
                1
            }
        };
        // SAFETY: ends the process at once, without destructors.
        unsafe { libc::_exit(code) }
    });
    // SAFETY: exit(2) ends this thread alone, whose stack nobody refers to.
    unsafe { libc::syscall(libc::SYS_exit, 0) };
}

#[test]
fn objects_are_made_and_attached_when_the_first_thread_is_gone() {
    let _watchdog = watchdog();
    let name = format!("test/first-thread-{}", std::process::id());
    let process = Process::spawn(go_on_alone, (&name,)).unwrap();
    process.wait();
    assert_eq!(process.exit(), Some(Exit::Code(0)));
}
