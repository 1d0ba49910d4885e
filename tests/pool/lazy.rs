//! Lazy maps: they pull no more than they need, give what is there, and leave nothing behind.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};

use crossproc::{Pool, TaskError};

use crate::common::locking::Stage;
use crate::common::watchdog;

fn square(n: u64) -> u64 {
    n * n
}

/// A map whose every outcome is given in its place among the items.
#[test]
fn outcomes_come_one_by_one_in_order() {
    let _watchdog = watchdog();
    let pool = Pool::new(2).unwrap();
    for chunk in [1, 3, 100] {
        let mut outcomes = pool.chunk(chunk).imap(square, 0..1_000);
        assert!((0..1_000).all(|n| outcomes.next() == Some(Ok(n * n))));
        assert_eq!((outcomes.next(), outcomes.next()), (None, None));
    }
}

#[test]
fn outcomes_out_of_order_are_all_there() {
    let _watchdog = watchdog();
    let pool = Pool::new(2).unwrap();
    for chunk in [1, 3, 53] {
        let mut results: Vec<_> = pool.chunk(chunk).imap_unordered(square, 0..1_000).map(Result::unwrap).collect();
        results.sort_unstable();
        assert_eq!(results, (0..1_000).map(square).collect::<Vec<_>>());
    }
}

#[test]
fn out_of_order_nobody_waits_for_the_slowest() {
    let _watchdog = watchdog();
    let (pool, stage) = (Pool::new(2).unwrap(), Stage::new());
    let wait_for_last = |(n, stage): (u32, Stage)| {
        if n == 0 {
            stage.wait_for(1);
        }
        n
    };
    let mut outcomes = pool.chunk(1).imap_unordered(wait_for_last, (0..8).map(|n| (n, stage.clone())));
    let first: Vec<_> = outcomes.by_ref().take(7).map(Result::unwrap).collect();
    assert!(!first.contains(&0));
    stage.advance();
    assert_eq!(outcomes.next(), Some(Ok(0)));
    assert_eq!(outcomes.next(), None);
}

/// The first of a chunk is there before the last of it.
#[test]
fn outcomes_of_a_chunk_are_given_before_it_is_done() {
    let _watchdog = watchdog();
    let (pool, stage) = (Pool::new(1).unwrap(), Stage::new());
    let wait_for_turn = |(n, stage): (u32, Stage)| {
        stage.wait_for(n);
        n
    };
    let mut outcomes = pool.chunk(3).imap(wait_for_turn, (0..3).map(|n| (n, stage.clone())));
    for n in 0..3 {
        assert_eq!(outcomes.next(), Some(Ok(n)));
        stage.advance();
    }
}

#[test]
fn infinite_inputs_are_pulled_as_far_as_is_needed() {
    let _watchdog = watchdog();
    const WORKERS: u64 = 2;
    let pool = Pool::new(WORKERS as usize).unwrap();
    for chunk in [1, 10] {
        let pulled = Cell::new(0);
        let input = (0..).inspect(|_| pulled.set(pulled.get() + 1));
        let mut outcomes = pool.chunk(chunk as usize).imap(square, input);
        for n in 0..200 {
            assert_eq!(outcomes.next(), Some(Ok(n * n)));
            // Four chunks for each worker, and one that is being made.
            let most = n + 1 + (4 * WORKERS + 1) * chunk;
            assert!(pulled.get() <= most, "{} items pulled for {n} by {chunk}", pulled.get());
        }
    }
    let pulled = Cell::new(0);
    let outcomes = pool.imap_unordered(square, (0..).inspect(|_| pulled.set(pulled.get() + 1)));
    assert_eq!(outcomes.take(5_000).filter(Result::is_ok).count(), 5_000);
    assert!(pulled.get() <= 5_000 + (4 * WORKERS + 1) * 4_096, "{} items pulled", pulled.get());
}

/// A chunk is of no more items than go together, whatever was asked for.
#[test]
fn infinite_inputs_are_pulled_no_further_for_the_largest_chunks() {
    let _watchdog = watchdog();
    const MOST: u64 = 64 << 10;
    let pool = Pool::new(1).unwrap();
    for chunk in [10_000_000, usize::MAX] {
        let pulled = Cell::new(0);
        let input = (0..).inspect(|_| {
            pulled.set(pulled.get() + 1);
            assert!(pulled.get() <= 5 * MOST + 1, "too many items pulled");
        });
        let outcomes = pool.chunk(chunk).imap(square, input);
        assert_eq!(outcomes.take(3).collect::<Vec<_>>(), [Ok(0), Ok(1), Ok(4)]);
    }
}

/// However much of it is there.
#[test]
fn nothing_is_pulled_while_nothing_is_taken() {
    let _watchdog = watchdog();
    let pool = Pool::new(1).unwrap();
    let pulled = Cell::new(0);
    let mut outcomes = pool.chunk(1).imap(square, (0..).inspect(|_| pulled.set(pulled.get() + 1)));
    let at_first = pulled.get();
    assert_eq!(pool.apply(square, (3,)), Ok(9));
    assert_eq!(pulled.get(), at_first);
    assert_eq!(outcomes.next(), Some(Ok(0)));
}

#[test]
fn an_input_that_panics_stops_its_map_and_not_the_pool() {
    let _watchdog = watchdog();
    let pool = Pool::new(2).unwrap();
    for bad in [0, 1, 40] {
        let input = || {
            (0..100).inspect(move |n| {
                assert_ne!(*n, bad, "no such item");
            })
        };
        for ordered in [true, false] {
            let mut given = Vec::new();
            let caught = panic::catch_unwind(AssertUnwindSafe(|| {
                if ordered {
                    given.extend(pool.chunk(1).imap(square, input()));
                } else {
                    pool.chunk(1).imap_unordered(square, input()).for_each(|outcome| given.push(outcome));
                }
            }));
            assert!(caught.unwrap_err().downcast_ref::<String>().unwrap().contains("no such item"));
            assert!(given.len() as u64 <= bad && given.iter().all(Result::is_ok), "{given:?}");
            assert_eq!(pool.apply(square, (bad,)), Ok(bad * bad));
        }
    }
}

#[test]
fn one_that_is_dropped_leaves_the_workers_in_peace() {
    let _watchdog = watchdog();
    let (pool, stage) = (Pool::new(1).unwrap(), Stage::new());
    let pids = |pool: &Pool| pool.workers().iter().map(|worker| worker.pid()).collect::<Vec<_>>();
    let before = pids(&pool);
    let begin = |(n, stage): (u32, Stage)| {
        stage.advance();
        stage.wait_for(2);
        n
    };
    let outcomes = pool.chunk(1).imap(begin, (0..100).map(|n| (n, stage.clone())));
    stage.wait_for(1);
    drop(outcomes);
    assert!(!stage.has_reached(2));
    stage.advance(); // it was the second
    assert_eq!(pool.apply(square, (3,)), Ok(9));
    assert!(!stage.has_reached(3), "what nobody had begun is not run");
    assert_eq!(pids(&pool), before);
    assert_eq!((pool.progress().queued(), pool.progress().running()), (0, 0));
}

#[test]
fn one_ends_when_its_pool_has() {
    let _watchdog = watchdog();
    let pool = Pool::new(1).unwrap();
    let mut open = pool.chunk(1).imap(square, 0..);
    assert_eq!(open.next(), Some(Ok(0)));
    let mut unordered = pool.chunk(1).imap_unordered(|_: u64| std::thread::park(), 0..);
    drop(pool);
    // Those that were done, then those that were on their way, then that there are no more.
    let rest: Vec<_> = open.collect();
    let done = rest.iter().take_while(|outcome| outcome.is_ok()).count();
    assert!(rest[done..].iter().all(|outcome| *outcome == Err(TaskError::Cancelled)) && rest.len() > done);
    assert_eq!(unordered.next(), Some(Err(TaskError::Cancelled)));
    assert!(unordered.all(|outcome| outcome == Err(TaskError::Cancelled)));
}

#[test]
fn one_of_a_closed_pool_says_so_once() {
    let _watchdog = watchdog();
    let pool = Pool::new(1).unwrap();
    pool.close();
    let outcomes: Vec<_> = pool.imap(square, 0..).collect();
    assert_eq!(outcomes, [Err(TaskError::Closed)]);
}
