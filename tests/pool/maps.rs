//! Maps: all results in order, in chunks of any size, of inputs of any kind.

use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crossproc::{Pool, RawArray, RawValue, TaskError};

use crate::common::locking::Stage;
use crate::common::watchdog;

fn square(n: u64) -> u64 {
    n * n
}

/// An iterator that does not say how long it is.
fn of_unknown_length(length: u64) -> impl Iterator<Item = u64> {
    (0..).take_while(move |n| *n < length)
}

#[test]
fn results_are_in_the_order_of_the_items() {
    let _watchdog = watchdog();
    let pool = Pool::new(3).unwrap();
    for length in [0, 1, 2, 5, 100, 1_000] {
        let expected: Vec<_> = (0..length).map(square).collect();
        assert_eq!(pool.map(square, 0..length).as_ref(), Ok(&expected), "{length} items");
        assert_eq!(pool.map(square, of_unknown_length(length)).as_ref(), Ok(&expected), "{length} items");
        assert_eq!(pool.map_async(square, 0..length).get().as_ref(), Ok(&expected), "{length} items");
        for chunk in [0, 1, 2, 3, 7, 99, 100, 5_000, usize::MAX] {
            let mapping = pool.chunk(chunk);
            assert_eq!(mapping.map(square, 0..length).as_ref(), Ok(&expected), "{length} items by {chunk}");
            let lazy: Vec<_> = mapping.imap(square, of_unknown_length(length)).map(Result::unwrap).collect();
            assert_eq!(lazy, expected, "{length} items by {chunk}");
        }
    }
}

#[test]
fn starmaps_call_functions_of_several_parameters() {
    let _watchdog = watchdog();
    let pool = Pool::new(2).unwrap();
    let multiply = |a: u32, b: u32, name: String| format!("{name}{}", a * b);
    let items = (0..100).map(|n| (n, n + 1, "x"));
    let expected: Vec<_> = (0..100).map(|n| format!("x{}", n * (n + 1))).collect();
    assert_eq!(pool.starmap(multiply, items.clone()).as_ref(), Ok(&expected));
    assert_eq!(pool.starmap_async(multiply, items.clone()).get().as_ref(), Ok(&expected));
    assert_eq!(pool.chunk(17).starmap(multiply, items).as_ref(), Ok(&expected));
}

/// Nothing to do is done at once, though no worker is free.
#[test]
fn empty_inputs_wait_for_nobody() {
    let _watchdog = watchdog();
    let (pool, stage) = (Pool::new(1).unwrap(), Stage::new());
    let busy = pool.apply_async(|stage: Stage| stage.wait_for(1), (&stage,));
    let (none, no_pairs): ([u64; 0], [(u64, u32); 0]) = ([], []);
    assert_eq!(pool.map(square, none), Ok(vec![]));
    assert_eq!(pool.starmap(u64::pow, no_pairs), Ok(vec![]));
    let task = pool.map_async(square, none);
    assert!(task.is_ready() && task.is_successful() == Some(true));
    assert_eq!(task.get(), Ok(vec![]));
    assert!(pool.imap(square, none).next().is_none());
    assert!(pool.imap_unordered(square, none).next().is_none());
    stage.advance();
    assert_eq!(busy.get(), Ok(()));
}

#[test]
fn the_first_error_in_order_is_the_maps_and_all_items_run() {
    let _watchdog = watchdog();
    let pool = Pool::new(2).unwrap();
    for chunk in [1, 4, 50] {
        let runs = RawArray::<AtomicU64>::new(40).unwrap();
        let pick = |n: u64, runs: RawArray<AtomicU64>| {
            runs[n as usize].fetch_add(1, Relaxed);
            assert!(n != 9 && n != 30, "not {n}");
        };
        let error = pool.chunk(chunk).starmap(pick, (0..40).map(|n| (n, &runs))).unwrap_err();
        assert!(
            matches!(&error, TaskError::Panicked { message, task: 9, .. } if message == "not 9"),
            "{error:?} by {chunk}"
        );
        assert!(runs.iter().all(|times| times.load(Relaxed) == 1), "by {chunk}");
    }
}

#[test]
fn an_input_that_panics_stops_its_map_and_not_the_pool() {
    let _watchdog = watchdog();
    let (pool, runs) = (Pool::new(2).unwrap(), RawValue::new(AtomicU64::new(0)).unwrap());
    let count = |_: u64, runs: RawValue<AtomicU64>| runs.fetch_add(1, Relaxed);
    for bad in [0, 1, 50] {
        runs.store(0, Relaxed);
        let input = (0..100).map(|n| {
            assert_ne!(n, bad, "no such item");
            (n, &runs)
        });
        let caught = panic::catch_unwind(AssertUnwindSafe(|| pool.chunk(1).starmap(count, input))).unwrap_err();
        assert!(caught.downcast_ref::<String>().unwrap().contains("no such item"));
        assert_eq!(pool.apply(square, (bad,)), Ok(bad * bad));
        // Tasks begin in their order, and one of two workers may be behind.
        while runs.load(Relaxed) < bad {
            std::thread::yield_now();
        }
        assert_eq!(runs.load(Relaxed), bad, "what was pulled runs, and nothing else");
        let progress = pool.progress();
        while progress.queued() + progress.running() > 0 {
            std::thread::yield_now();
        }
    }
}

#[test]
fn a_map_without_waiting_calls_back_with_all_results() {
    let _watchdog = watchdog();
    let pool = Pool::new(2).unwrap();
    let (sender, outcomes) = std::sync::mpsc::channel();
    let task = pool.map_async(square, 0..50).on_done(move |outcome| sender.send(outcome.clone()).unwrap());
    assert_eq!(task.get(), outcomes.recv().unwrap());
    let (sender, errors) = std::sync::mpsc::channel();
    let divide = |n: u64| 10 / n;
    let task = pool.map_async(divide, [1, 0, 2]).on_error(move |error| sender.send(error.clone()).unwrap());
    task.wait();
    assert_eq!(task.is_successful(), Some(false));
    assert_eq!(task.get().unwrap_err(), errors.recv().unwrap());
    assert!(errors.recv().is_err(), "it is called once");
}

#[test]
fn work_is_shared_out() {
    let _watchdog = watchdog();
    let (pool, stage) = (Pool::new(3).unwrap(), Stage::new());
    // Each waits for the others: it ends only if three are at it at the same time.
    let meet = |stage: Stage| {
        stage.advance();
        stage.wait_for(3);
        std::process::id()
    };
    let mut pids = pool.chunk(1).map(meet, (0..3).map(|_| &stage)).unwrap();
    pids.sort_unstable();
    let mut workers: Vec<_> = pool.workers().iter().map(|worker| worker.pid()).collect();
    workers.sort_unstable();
    assert_eq!(pids, workers);
}
