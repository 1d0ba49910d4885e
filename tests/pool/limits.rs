//! Limits: of time, of tries, of what waits; and the counts of it all.

use std::process;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crossproc::{Exit, Pool, Process, Progress, RawArray, RawValue, TaskError};

use crate::common::locking::{Stage, state_of};
use crate::common::watchdog;

fn square(n: u64) -> u64 {
    n * n
}

fn park() {
    loop {
        thread::park();
    }
}

#[test]
fn a_task_is_never_out_of_time_early_and_is_not_tried_again() {
    let _watchdog = watchdog();
    let limit = Duration::from_millis(300);
    let runs = RawValue::new(AtomicU32::new(0)).unwrap();
    let pool = Pool::builder().workers(1).task_timeout(limit).retries(5).start().unwrap();
    let hang = |runs: RawValue<AtomicU32>| {
        runs.fetch_add(1, SeqCst);
        park();
    };
    let start = Instant::now();
    assert_eq!(pool.apply(hang, (&runs,)), Err(TaskError::TimedOut { task: 0 }));
    assert!(start.elapsed() >= limit);
    assert_eq!(runs.load(SeqCst), 1);
    assert_eq!((pool.progress().done(), pool.progress().failed()), (1, 1));
}

/// Time runs from a task's start on, not while it waits.
#[test]
fn who_waits_does_not_run_out_of_time() {
    let _watchdog = watchdog();
    let limit = Duration::from_secs(1);
    let pool = Pool::builder().workers(1).task_timeout(limit).start().unwrap();
    let hanging = [0; 2].map(|_| pool.apply_async(park, ()));
    let patient = pool.apply_async(square, (3,));
    assert_eq!(hanging.map(|task| task.get()), [0, 1].map(|task| Err(TaskError::TimedOut { task })));
    assert_eq!(patient.get(), Ok(9));
}

fn die_until(n: usize, tries: RawArray<AtomicU32>, enough: u32) -> usize {
    if tries[n].fetch_add(1, SeqCst) + 1 < enough {
        process::abort();
    }
    n
}

#[test]
fn each_task_has_as_many_tries_as_it_may() {
    let _watchdog = watchdog();
    let pool = Pool::builder().workers(2).retries(2).start().unwrap();
    for chunk in [1, 3, 6] {
        let tries = RawArray::<AtomicU32>::new(6).unwrap();
        // The second, third and fourth die, one of them once too often.
        let enough = [1, 3, 4, 2, 1, 1];
        let items = (0..6).map(|n| (n, tries.clone(), enough[n]));
        let one = |(n, tries, enough): (usize, RawArray<AtomicU32>, u32)| die_until(n, tries, enough);
        let outcomes: Vec<_> = pool.chunk(chunk).imap(one, items).collect();
        for (n, outcome) in outcomes.iter().enumerate() {
            let is_right = match n {
                2 => matches!(outcome, Err(TaskError::WorkerDied { exit: Exit::Signal(libc::SIGABRT), task: 2, .. })),
                _ => *outcome == Ok(n),
            };
            assert!(is_right, "{n} by {chunk}: {outcome:?}");
        }
        assert_eq!(tries.iter().map(|tries| tries.load(SeqCst)).collect::<Vec<_>>(), [1, 3, 3, 2, 1, 1], "by {chunk}");
    }
}

#[test]
fn a_panic_is_not_tried_again() {
    let _watchdog = watchdog();
    extern "C" fn foreign() {
        panic!("no way out")
    }
    let fail = |runs: RawValue<AtomicU32>, is_stuck: bool| {
        runs.fetch_add(1, SeqCst);
        if is_stuck {
            foreign();
        }
        panic!("on purpose");
    };
    let fail = move |runs: RawValue<AtomicU32>, is_stuck: bool| -> () { fail(runs, is_stuck) };
    let pool = Pool::builder().workers(1).retries(3).start().unwrap();
    for is_stuck in [false, true] {
        let runs = RawValue::new(AtomicU32::new(0)).unwrap();
        assert!(matches!(pool.apply(fail, (&runs, is_stuck)), Err(TaskError::Panicked { .. })));
        assert_eq!(runs.load(SeqCst), 1);
    }
}

/// As many as fit between pool and workers, in front of the bound.
const CELLS: u64 = 256;

#[test]
fn whoever_submits_more_than_may_wait_waits() {
    let _watchdog = watchdog();
    const BOUND: u64 = 10;
    let (pool, stage) = (Pool::builder().workers(1).queue_bound(BOUND as usize).start().unwrap(), Stage::new());
    let busy = pool.apply_async(|stage: Stage| stage.wait_for(1), (&stage,));
    let submitted = AtomicU64::new(1);
    let (tell, told) = mpsc::channel();
    thread::scope(|scope| {
        let submitter = scope.spawn(|| {
            // SAFETY: has no preconditions.
            tell.send(unsafe { libc::gettid() }.cast_unsigned()).unwrap();
            let ask = |n| {
                let task = pool.apply_async(square, (n,));
                submitted.fetch_add(1, SeqCst);
                task
            };
            (0..1_000).map(ask).collect::<Vec<_>>()
        });
        // Where a bound does not hold, nothing makes it sleep until it is through, and gone.
        let submitter_number = told.recv().unwrap();
        while submitted.load(SeqCst) < CELLS + BOUND || !matches!(state_of(submitter_number), 'S' | '?') {
            thread::yield_now();
        }
        assert_eq!(submitted.load(SeqCst), CELLS + BOUND);
        stage.advance();
        assert!((0..).zip(submitter.join().unwrap()).all(|(n, task)| task.get() == Ok(n * n)));
    });
    assert_eq!(busy.get(), Ok(()));
    assert_eq!(pool.chunk(1).map(square, 0..1_000), Ok((0..1_000).map(square).collect()));
}

/// The end of the pool is the end of their waiting, too.
#[test]
fn whoever_waits_to_submit_is_told_of_the_end() {
    let _watchdog = watchdog();
    let (pool, stage) = (Pool::builder().workers(1).queue_bound(1).start().unwrap(), Stage::new());
    thread::scope(|scope| {
        let submitter = scope.spawn(|| {
            let tasks: Vec<_> = (0..1_000).map(|_| pool.apply_async(park_after, (&stage,))).collect();
            tasks.into_iter().all(|task| task.get() == Err(TaskError::Cancelled))
        });
        stage.wait_for(1);
        while pool.progress().queued() < CELLS {
            thread::yield_now();
        }
        pool.terminate();
        assert!(submitter.join().unwrap());
    });
}

fn park_after(stage: Stage) {
    stage.advance();
    park();
}

#[test]
fn counts_tell_how_far_a_pool_has_come() {
    let _watchdog = watchdog();
    let (pool, stage) = (Pool::new(2).unwrap(), Stage::new());
    let progress = pool.progress();
    let counts = |it: &Progress| [it.queued(), it.running(), it.done(), it.failed()];
    assert_eq!(counts(&progress), [0; 4]);
    let work = |n: u32, stage: Stage| {
        stage.advance();
        stage.wait_for(3);
        assert_ne!(n, 4);
    };
    let map = pool.chunk(1).starmap_async(work, (0..10).map(|n| (n, &stage)));
    stage.wait_for(2);
    assert_eq!(counts(&progress), [8, 2, 0, 0]);
    // As another process sees it.
    let look = |it: Progress| [it.queued(), it.running(), it.done(), it.failed()];
    assert_eq!(Process::spawn(look, (&progress,)).unwrap().join(), Ok([8, 2, 0, 0]));
    stage.advance();
    assert!(map.get().is_err());
    assert_eq!(counts(&progress), [0, 0, 10, 1]);
    assert_eq!(format!("{progress:?}"), "Progress { queued: 0, running: 0, done: 10, failed: 1 }");
    drop(pool);
    assert_eq!(counts(&progress), [0, 0, 10, 1], "it outlives the pool");
}
