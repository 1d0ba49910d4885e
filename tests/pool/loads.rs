//! Long arguments: while they are on their way to a worker, the pool does all else.
//!
//! Each test has a process of its own: the files that are looked at are its own then, and not those of other tests.

use std::fs;
use std::path::Path;
use std::process;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;

use crossproc::{Event, Pool, Process, TaskError};

use crate::common::locking::Stage;
use crate::common::watchdog;

/// Bytes that take some tenths of a second to be handed over.
const LONG: usize = 300 << 20;

/// A machine that has much else to do may not get to anything while they are.
const ATTEMPTS: u32 = 10;

/// Whether this process is writing them into a file, and has not come to their end.
fn are_being_written() -> bool {
    let is_begun = |file: &Path| {
        let is_message = fs::read_link(file).is_ok_and(|name| name.to_string_lossy().contains("crossproc message"));
        is_message && fs::metadata(file).is_ok_and(|file| (1 << 20..LONG as u64).contains(&file.len()))
    };
    fs::read_dir("/proc/self/fd").unwrap().flatten().any(|file| is_begun(&file.path()))
}

fn length(text: String) -> usize {
    text.len()
}

fn die_when(stage: Stage, go: Event) {
    stage.advance();
    go.wait();
    process::abort();
}

/// Whether another task's death is heard of while a worker is being sent what it needs.
fn is_heard_meanwhile(pool: &Pool) -> bool {
    let (stage, go, has_come) = (Stage::new(), Event::new().unwrap(), AtomicBool::new(false));
    let dying = pool.apply_async(die_when, (&stage, &go));
    stage.wait_for(1);
    thread::scope(|scope| {
        scope.spawn(|| {
            assert_eq!(pool.apply(length, ("x".repeat(LONG),)), Ok(LONG));
            has_come.store(true, SeqCst);
        });
        while !are_being_written() && !has_come.load(SeqCst) {
            thread::yield_now();
        }
        go.set();
        assert!(matches!(dying.get(), Err(TaskError::WorkerDied { .. })));
        are_being_written()
    })
}

fn hear_of_a_death() {
    let pool = Pool::new(2).unwrap();
    assert!((0..ATTEMPTS).any(|_| is_heard_meanwhile(&pool)));
}

#[test]
fn a_death_is_heard_of_while_long_arguments_are_being_sent() {
    let _watchdog = watchdog();
    Process::spawn(hear_of_a_death, ()).unwrap().join().unwrap();
}

/// Kills the only worker while it is being sent what it needs, which its successor gets; whether that was so, and it was not done before.
fn dies_meanwhile() -> bool {
    let pool = Pool::builder().workers(1).retries(1).start().unwrap();
    let worker = pool.workers().remove(0);
    let task = pool.apply_async(length, ("x".repeat(LONG),));
    while !are_being_written() && !task.is_ready() {
        thread::yield_now();
    }
    worker.kill().unwrap();
    let was_sent_something = are_being_written();
    assert_eq!(task.get(), Ok(LONG));
    assert_eq!(pool.apply(process::id, ()), Ok(pool.workers()[0].pid()));
    was_sent_something
}

fn replace_one_that_dies() {
    assert!((0..ATTEMPTS).any(|_| dies_meanwhile()));
}

/// Who waits for them dies meanwhile: that is heard of at once, too, and what was being sent harms nobody.
#[test]
fn a_worker_that_dies_while_it_is_sent_long_arguments_is_replaced() {
    let _watchdog = watchdog();
    Process::spawn(replace_one_that_dies, ()).unwrap().join().unwrap();
}
