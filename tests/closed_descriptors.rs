//! Programs that close descriptors which they do not own, as `closefrom` does, and then open files of their own.

mod common;

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd};

use common::watchdog;
use crossproc::{Error, Process, PutError, Queue};

crossproc::test_support!();

/// Closes a descriptor of somebody else, and has a file of six bytes at its number.
fn replace(descriptor: BorrowedFd<'_>) -> File {
    let number = descriptor.as_raw_fd();
    // SAFETY: not ours to close, which is the point; this process has no other thread.
    drop(unsafe { File::from_raw_fd(number) });
    let path = std::env::temp_dir().join(format!("crossproc-replaced-{}", std::process::id()));
    let mut file = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
    std::fs::remove_file(path).unwrap();
    assert_eq!(file.as_raw_fd(), number);
    file.write_all(b"my log").unwrap();
    file
}

/// A long message wants memory.
fn put_long() -> (String, u64) {
    let queue = Queue::<Vec<u8>>::new(4).unwrap();
    let file = replace(queue.memory_fd());
    let error = Error::from(queue.put(vec![1; 500_000]).unwrap_err());
    std::mem::forget(queue); // it would close our file
    (error.to_string(), file.metadata().unwrap().len())
}

/// A copy that is forked needs an identity of its own, which is a lock on a byte of the file.
fn identify_copy() -> bool {
    let queue = Queue::<u8>::new(4).unwrap();
    let file = replace(queue.memory_fd());
    // SAFETY: this process has no other thread; the copy ends with _exit.
    let copy = match unsafe { libc::fork() } {
        0 => {
            let refused = matches!(queue.put(1), Err(PutError::Failed { error: Error::Os { .. }, .. }));
            // SAFETY: ends the copy at once.
            unsafe { libc::_exit(i32::from(!refused)) }
        }
        copy => copy,
    };
    let mut status = -1;
    // SAFETY: our child; `status` outlives the call.
    assert_eq!(unsafe { libc::waitpid(copy, &mut status, 0) }, copy);
    std::mem::forget(queue);
    status == 0 && file.metadata().unwrap().len() == 6
}

#[test]
fn a_file_at_the_number_of_a_closed_descriptor_is_left_alone() {
    let _watchdog = watchdog();
    let refused = "cannot use a memory file whose descriptor was closed".to_string();
    assert_eq!(Process::spawn(put_long, ()).unwrap().join().unwrap(), (refused, 6));
    assert!(Process::spawn(identify_copy, ()).unwrap().join().unwrap());
}
