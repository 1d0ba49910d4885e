//! `Queue`: within a process, across processes, after a death.

#[path = "../common/mod.rs"]
mod common;

mod codec;
mod costs;
mod memory;
mod messages;
mod tasks;

use std::cell::Cell;
use std::time::Duration;

use common::processes::Midway;
use common::queueing::queueing_tests;
use crossproc::{Error, Queue, TryPutError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

crossproc::test_support!();

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Message {
    number: u64,
    padding: Vec<u8>,
}

thread_local! {
    /// What this thread does when it next takes memory for a message: between the claim of a slot and its publication.
    static MIDWAY: Cell<Midway> = const { Cell::new(Midway::Nothing) };
    /// Whether it then finds none.
    static IS_FULL: Cell<bool> = const { Cell::new(false) };
}

/// fallocate(2), which this program has in front of the one in its C library.
#[unsafe(no_mangle)]
extern "C" fn fallocate(file: libc::c_int, mode: libc::c_int, offset: libc::off_t, length: libc::off_t) -> libc::c_int {
    MIDWAY.take().act();
    if IS_FULL.get() {
        // SAFETY: no preconditions.
        let errno = unsafe { libc::__errno_location() };
        // SAFETY: this thread's own.
        unsafe { *errno = libc::ENOSPC };
        return -1;
    }
    // SAFETY: the call has no memory arguments.
    unsafe { libc::syscall(libc::SYS_fallocate, file, mode, offset, length) as libc::c_int }
}

type Handle = Queue<Message>;

fn handle(capacity: usize) -> Handle {
    Queue::new(capacity).unwrap()
}

/// Every third is longer than what fits into a slot.
fn message(number: u64) -> Message {
    let padding = if number.is_multiple_of(3) { vec![number as u8; 300] } else { vec![] };
    Message { number, padding }
}

fn number(message: &Message) -> u64 {
    assert!(message.padding.iter().all(|&byte| byte == message.number as u8), "a torn message");
    message.number
}

/// In a process that has not put a long message before.
fn put_midway(queue: Handle, number: u64, midway: Midway) {
    MIDWAY.set(midway);
    queue.put(Message { number, padding: vec![number as u8; 200] }).unwrap();
}

/// A handle that does not know which extents have their memory.
fn fresh<T: Serialize + DeserializeOwned>(queue: &Queue<T>) -> Queue<T> {
    Queue::from_fd(queue.memory_fd().try_clone_to_owned().unwrap()).unwrap()
}

fn give_up(queue: &Handle) {
    IS_FULL.set(true);
    let refused = fresh(queue).try_put(Message { number: 0, padding: vec![0; 200] });
    IS_FULL.set(false);
    assert!(matches!(refused, Err(TryPutError::Failed { error: Error::NoSpace { .. }, .. })));
}

queueing_tests!(get_task, try_get_task, get_task_timeout);

const MOMENT: Duration = Duration::from_millis(20);
