//! Long arguments: while they are on their way to a worker, the pool does all else.

use std::fs;
use std::path::Path;
use std::process;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;

use crossproc::{Event, Pool, TaskError};

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

fn length(bytes: Vec<u8>) -> usize {
    bytes.len()
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
            assert_eq!(pool.apply(length, (vec![1; LONG],)), Ok(LONG));
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

#[test]
fn a_death_is_heard_of_while_long_arguments_are_being_sent() {
    let _watchdog = watchdog();
    let pool = Pool::new(2).unwrap();
    assert!((0..ATTEMPTS).any(|_| is_heard_meanwhile(&pool)));
}

/// Who waits for them dies meanwhile: that is heard of at once, too, and what was being sent harms nobody.
#[test]
fn a_worker_that_dies_while_it_is_sent_long_arguments_is_replaced() {
    let _watchdog = watchdog();
    let pool = Pool::builder().workers(1).retries(1).start().unwrap();
    let worker = pool.workers().remove(0);
    let task = pool.apply_async(length, (vec![1; LONG],));
    while !are_being_written() && !task.is_ready() {
        thread::yield_now();
    }
    worker.kill().unwrap();
    assert_eq!(task.get(), Ok(LONG));
    assert_eq!(pool.apply(process::id, ()), Ok(pool.workers()[0].pid()));
}
