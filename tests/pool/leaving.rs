//! What workers leave behind: children of their tasks, and what has one owner.

use std::process::abort;
use std::thread;

use crossproc::{Pool, Process, Sender, TaskError, channel};

use crate::common::locking::Stage;
use crate::common::watchdog;

#[test]
fn a_worker_waits_for_children_of_its_tasks_before_it_is_replaced() {
    let _watchdog = watchdog();
    let (pool, stage) = (Pool::builder().workers(1).max_tasks_per_worker(1).start().unwrap(), Stage::new());
    let child = |stage: Stage| {
        stage.wait_for(1);
        stage.advance();
    };
    let leave = move |stage: Stage| drop(Process::spawn(child, (&stage,)).unwrap());
    pool.apply(leave, (&stage,)).unwrap();
    let next = pool.apply_async(|stage: Stage| stage.has_reached(2), (&stage,));
    // Another worker would have been there by now.
    Pool::new(1).unwrap().apply(|| (), ()).unwrap();
    assert!(!next.is_ready());
    stage.advance();
    assert_eq!(next.get(), Ok(true));
}

#[test]
fn a_worker_ends_daemon_children_of_its_tasks() {
    let _watchdog = watchdog();
    let pool = Pool::builder().workers(1).max_tasks_per_worker(1).start().unwrap();
    let leave = || {
        let park = || loop {
            thread::park();
        };
        let park = move || -> () { park() };
        drop(Process::builder().daemon(true).spawn(park, ()).unwrap());
    };
    pool.apply(leave, ()).unwrap();
    assert_eq!(pool.apply(|| 7, ()), Ok(7));
}

#[test]
fn a_task_that_has_lost_an_end_of_a_channel_says_so_when_it_is_tried_again() {
    let _watchdog = watchdog();
    let pool = Pool::builder().workers(1).retries(3).start().unwrap();
    let (sender, receiver) = channel::<u64>().unwrap();
    let die = |sender: Sender<u64>| -> () {
        std::mem::forget(sender);
        abort()
    };
    let outcome = pool.apply(die, (sender,));
    assert!(matches!(&outcome, Err(TaskError::Decode { reason }) if reason.contains("tried again")), "{outcome:?}");
    drop(receiver);
}
