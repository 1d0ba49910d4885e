//! The end of a pool: closed, joined, terminated, dropped, or left behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::thread;

use crossproc::{Child, Exit, Pool, Process, Queue, Task, TaskError};

use crate::common::locking::{Stage, state_of};
use crate::common::watchdog;

const MANY: u64 = if cfg!(debug_assertions) { 2_000 } else { 10_000 };

fn square(n: u64) -> u64 {
    n * n
}

fn park() {
    loop {
        thread::park();
    }
}

fn are_gone(workers: &[Child]) -> bool {
    workers.iter().all(|worker| !worker.is_alive() && state_of(worker.pid()) == '?')
}

/// How many have a result; fails unless all others were cancelled.
fn results(tasks: Vec<Task<u64>>) -> u64 {
    (0..)
        .zip(tasks)
        .map(|(n, task)| match task.get() {
            Ok(result) => {
                assert_eq!(result, n * n);
                1
            }
            Err(error) => {
                assert_eq!(error, TaskError::Cancelled);
                0
            }
        })
        .sum()
}

#[test]
fn a_closed_pool_does_what_it_has_and_takes_nothing_new() {
    let _watchdog = watchdog();
    let (pool, stage) = (Pool::new(1).unwrap(), Stage::new());
    let workers = pool.workers();
    let busy = pool.apply_async(|stage: Stage| stage.wait_for(1), (&stage,));
    let tasks: Vec<_> = (0..1_000).map(|n| pool.apply_async(square, (n,))).collect();
    pool.close();
    pool.close();
    for refused in [pool.apply(square, (1,)), pool.map(square, 0..5).map(|_| 0), pool.apply_async(square, (1,)).get()] {
        assert_eq!(refused, Err(TaskError::Closed));
    }
    stage.advance();
    assert_eq!((busy.get(), results(tasks)), (Ok(()), 1_000));
    assert_eq!(workers[0].wait(), Exit::Code(0));
}

#[test]
fn an_idle_pool_that_is_closed_lets_its_workers_go() {
    let _watchdog = watchdog();
    let pool = Pool::new(3).unwrap();
    let workers = pool.workers();
    pool.close();
    assert!(workers.iter().all(|worker| worker.wait() == Exit::Code(0)));
    pool.join();
}

#[test]
fn join_waits_for_tasks_callbacks_and_workers() {
    let _watchdog = watchdog();
    let pool = Pool::new(2).unwrap();
    let (workers, called) = (pool.workers(), Arc::new(AtomicU32::new(0)));
    let tasks: Vec<_> = (0..500)
        .map(|n| {
            let called = Arc::clone(&called);
            pool.apply_async(square, (n,)).on_done(move |_| {
                thread::yield_now();
                called.fetch_add(1, SeqCst);
            })
        })
        .collect();
    let map = pool.map_async(square, 0..500);
    pool.join();
    assert!(are_gone(&workers) && called.load(SeqCst) == 500);
    assert!(workers.iter().all(|worker| worker.exit() == Some(Exit::Code(0))));
    // Results are there all the same.
    assert_eq!(results(tasks), 500);
    assert_eq!(map.get(), Ok((0..500).map(square).collect()));
}

#[test]
fn join_waits_for_what_dies_meanwhile() {
    let _watchdog = watchdog();
    let pool = Pool::builder().workers(2).max_tasks_per_worker(2).start().unwrap();
    let end = |n: u64| if n % 10 == 3 { std::process::exit(3) } else { n * n };
    let tasks: Vec<_> = (0..40).map(|n| pool.apply_async(end, (n,))).collect();
    pool.join();
    for (n, task) in (0..).zip(tasks) {
        let outcome = task.get();
        let is_right = if n % 10 == 3 {
            matches!(outcome, Err(TaskError::WorkerDied { task, .. }) if task == n)
        } else {
            outcome == Ok(n * n)
        };
        assert!(is_right, "{n}: {outcome:?}");
    }
}

/// Says so, and never ends.
fn hang(stage: Stage) {
    stage.advance();
    park();
}

#[test]
fn terminate_cancels_what_is_not_done_and_kills() {
    let _watchdog = watchdog();
    let (pool, stage) = (Pool::new(2).unwrap(), Stage::new());
    let workers = pool.workers();
    let submit = || (0..MANY).map(|n| pool.apply_async(square, (n,))).collect::<Vec<_>>();
    let done = submit();
    done.iter().for_each(Task::wait);
    let hanging = [0; 2].map(|_| pool.apply_async(hang, (&stage,)));
    stage.wait_for(2);
    let not_begun = submit();
    pool.terminate();
    assert!(are_gone(&workers) && pool.workers().is_empty());
    assert!(hanging.into_iter().all(|task| task.get() == Err(TaskError::Cancelled)));
    assert_eq!((results(done), results(not_begun)), (MANY, 0));
    pool.terminate();
    pool.close();
    assert_eq!(pool.apply(square, (3,)), Err(TaskError::Cancelled));
    assert_eq!(pool.imap(square, 0..).collect::<Vec<_>>(), [Err(TaskError::Cancelled)]);
    pool.join();
}

#[test]
fn a_pool_dropped_with_many_tasks_leaves_no_process_and_no_question() {
    let _watchdog = watchdog();
    let (pool, stage) = (Pool::new(2).unwrap(), Stage::new());
    let workers = pool.workers();
    let hanging = [0; 2].map(|_| pool.apply_async(hang, (&stage,)));
    stage.wait_for(2);
    let tasks: Vec<_> = (0..MANY).map(|n| pool.apply_async(square, (n,))).collect();
    drop(pool);
    assert!(are_gone(&workers));
    assert!(hanging.into_iter().all(|task| task.get() == Err(TaskError::Cancelled)));
    assert!(tasks.iter().all(Task::is_ready));
    assert_eq!(results(tasks), 0);
}

#[test]
fn whoever_waits_in_another_thread_is_told_of_the_end() {
    let _watchdog = watchdog();
    let (pool, stage) = (Pool::new(2).unwrap(), Stage::new());
    thread::scope(|scope| {
        let applied = scope.spawn(|| pool.apply(hang, (&stage,)));
        let mapped = scope.spawn(|| pool.map(hang, (0..3).map(|_| &stage)));
        stage.wait_for(2);
        let task = pool.apply_async(park, ());
        let waited = scope.spawn(|| task.get());
        pool.terminate();
        assert_eq!(applied.join().unwrap(), Err(TaskError::Cancelled));
        assert_eq!(mapped.join().unwrap(), Err(TaskError::Cancelled));
        assert_eq!(waited.join().unwrap(), Err(TaskError::Cancelled));
    });
}

/// Python's pools hang there, or complain.
#[test]
fn a_process_with_a_pool_that_nobody_has_ended_ends() {
    let _watchdog = watchdog();
    let leave = |pids: Queue<u32>| {
        let pool = Pool::new(2).unwrap();
        pool.workers().iter().for_each(|worker| pids.put(&worker.pid()).unwrap());
        drop(pool.apply_async(park, ()));
        std::mem::forget(pool);
    };
    let pids = Queue::new(2).unwrap();
    Process::spawn(leave, (&pids,)).unwrap().join().unwrap();
    for _ in 0..2 {
        assert!(matches!(state_of(pids.get().unwrap()), '?' | 'Z'));
    }
}
