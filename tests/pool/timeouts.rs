//! What does not count as a task's time: waiting for its pool.

use std::process;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use crossproc::{Pool, Process, RawValue};

use crate::common::locking::{Stage, wait_for_state};
use crate::common::processes::signal;
use crate::common::watchdog;

/// Longer than a short task takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(1);

/// Lets the time of a task run out: nothing tells that, but that it has passed.
fn let_it_pass() {
    thread::sleep(LIMIT * 2);
}

/// So long that a worker's channel takes four of them.
const LONG: usize = 60_000;

#[test]
fn a_result_that_waits_for_room_is_not_out_of_time() {
    let _watchdog = watchdog();
    let pool = Pool::builder().workers(1).task_timeout(LIMIT).start().unwrap();
    let one = |n: u8| vec![n; LONG];
    // Each of two is four ahead, and nobody collects.
    let maps = [0; 2].map(|_| pool.imap(one, 0..8));
    let_it_pass();
    for map in maps {
        for (n, outcome) in (0..8).zip(map) {
            assert_eq!(outcome.map(|result| (result.len(), result[0])), Ok((LONG, n)));
        }
    }
    assert_eq!(pool.progress().failed(), 0);
}

fn length(bytes: Vec<u8>) -> usize {
    bytes.len()
}

/// Stops its process while its worker is at a task; the next one has to ask for its arguments.
fn be_stopped(stage: Stage, worker: RawValue<AtomicU32>) -> usize {
    let pool = Pool::builder().workers(1).task_timeout(LIMIT).start().unwrap();
    worker.store(pool.workers()[0].pid(), SeqCst);
    let busy = pool.apply_async(|stage: Stage| stage.wait_for(1), (&stage,));
    let next = pool.apply_async(length, (vec![0; 2 * LONG],));
    signal(process::id(), libc::SIGSTOP);
    assert_eq!(busy.get(), Ok(()));
    next.get().unwrap()
}

#[test]
fn a_task_that_waits_for_its_arguments_is_not_out_of_time() {
    let _watchdog = watchdog();
    let (stage, worker) = (Stage::new(), RawValue::new(AtomicU32::new(0)).unwrap());
    let process = Process::spawn(be_stopped, (&stage, &worker)).unwrap();
    wait_for_state(process.pid(), 'T');
    stage.advance();
    // When it sleeps, it has asked: nothing else is to be waited for, as the order lay in the queue.
    wait_for_state(worker.load(SeqCst), 'S');
    let_it_pass();
    signal(process.pid(), libc::SIGCONT);
    assert_eq!(process.join(), Ok(2 * LONG));
}
