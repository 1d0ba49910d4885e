//! All outcomes of a map at once (`try_map`), and those of lazy maps within a time (`next_timeout`).

mod common;

use std::panic::{self, AssertUnwindSafe};
use std::process;
use std::thread;
use std::time::{Duration, Instant};

use common::locking::Stage;
use common::processes::forked;
use common::watchdog;
use crossproc::{Exit, Pool, TaskError, TryNextError};

crossproc::test_support!();

const MOMENT: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(50);

fn square(n: u64) -> u64 {
    n * n
}

/// Each third item fails, each in its way.
fn fail(n: u64) -> u64 {
    match n % 9 {
        2 => panic!("not {n}"),
        5 => process::abort(),
        8 => process::exit(3),
        _ => n,
    }
}

fn is_right(n: u64, outcome: &Result<u64, TaskError>) -> bool {
    let died = |of| matches!(outcome, Err(TaskError::WorkerDied { exit, .. }) if *exit == of);
    match n % 9 {
        2 => {
            matches!(outcome, Err(TaskError::Panicked { message, task, .. }) if *message == format!("not {n}") && *task == n)
        }
        5 => died(Exit::Signal(libc::SIGABRT)),
        8 => died(Exit::Code(3)),
        _ => *outcome == Ok(n),
    }
}

#[test]
fn a_failed_item_hides_no_other() {
    let _watchdog = watchdog();
    let pool = Pool::new(2).unwrap();
    for chunk in [1, 4, 50] {
        let pairs = pool.chunk(chunk).try_starmap(|n: u64, _: u8| fail(n), (0..30).map(|n| (n, 0)));
        for outcomes in [pool.chunk(chunk).try_map(fail, 0..30), pairs] {
            assert_eq!(outcomes.len(), 30);
            for (n, outcome) in (0..).zip(&outcomes) {
                assert!(is_right(n, outcome), "{n} by {chunk}: {outcome:?}");
            }
        }
    }
    assert_eq!(pool.try_map(square, (0..).take_while(|n| *n < 3)), [Ok(0), Ok(1), Ok(4)]);
    assert_eq!(pool.try_map(square, [0; 0]), []);
    assert_eq!(pool.try_starmap(u64::pow, [(2, 3), (3, 2)]), [Ok(8), Ok(9)]);
}

#[test]
fn each_item_that_a_pool_refuses_has_an_outcome() {
    let _watchdog = watchdog();
    for chunk in [1, 3, 100] {
        let pool = Pool::new(2).unwrap();
        let close_at = |n: &u64| {
            if *n == 5 {
                pool.close();
            }
        };
        let outcomes = pool.chunk(chunk).try_map(square, (0..20).inspect(close_at));
        let done = outcomes.iter().take_while(|outcome| outcome.is_ok()).count();
        assert!(done <= 6 && outcomes.len() == 20, "{outcomes:?}");
        assert!((0..).zip(&outcomes[..done]).all(|(n, outcome)| *outcome == Ok(n * n)));
        assert!(outcomes[done..].iter().all(|outcome| matches!(outcome, Err(TaskError::Closed))));
        assert_eq!(pool.chunk(chunk).try_map(square, (0..).take_while(|n| *n < 10)).len(), 10);
        pool.terminate();
        assert_eq!(pool.chunk(chunk).try_map(square, 0..10), vec![Err(TaskError::Cancelled); 10]);
    }
}

#[test]
fn each_item_has_an_outcome_when_the_pool_ends_meanwhile() {
    let _watchdog = watchdog();
    let (pool, stage) = (Pool::new(2).unwrap(), Stage::new());
    let wait = |n: u64, stage: Stage| {
        if n >= 5 {
            stage.advance();
            stage.wait_for(u32::MAX);
        }
        n
    };
    thread::scope(|scope| {
        let mapping = scope.spawn(|| pool.chunk(2).try_starmap(wait, (0..1_000).map(|n| (n, &stage))));
        stage.wait_for(1);
        pool.terminate();
        let outcomes = mapping.join().unwrap();
        assert_eq!(outcomes.len(), 1_000);
        for (n, outcome) in (0..).zip(&outcomes) {
            assert!(*outcome == Err(TaskError::Cancelled) || n < 5 && *outcome == Ok(n), "{n}: {outcome:?}");
        }
    });
}

#[test]
fn a_panic_of_the_input_comes_through() {
    let _watchdog = watchdog();
    let pool = Pool::new(2).unwrap();
    for closed in [false, true] {
        let input = (0..10).map(|n| if n < 7 { n } else { panic::resume_unwind(Box::new("no more")) });
        let map = || pool.chunk(1).try_map(square, input);
        let caught = panic::catch_unwind(AssertUnwindSafe(map)).unwrap_err();
        assert_eq!(caught.downcast_ref(), Some(&"no more"), "closed: {closed}");
        pool.close();
    }
}

fn wait_for_turn((n, stage): (u32, Stage)) -> u32 {
    stage.wait_for(n);
    n
}

/// The tests of both lazy maps, `$map`.
macro_rules! within_a_time {
    ($map:ident) => {
        mod $map {
            use super::*;

            #[test]
            fn not_yet_is_not_the_end() {
                let _watchdog = watchdog();
                let (pool, stage) = (Pool::new(1).unwrap(), Stage::new());
                let mut results = pool.chunk(1).$map(wait_for_turn, (1..4).map(|n| (n, stage.clone())));
                for n in 1..4 {
                    assert_eq!(results.try_next(), Err(TryNextError::NotYet));
                    for wait in [Duration::ZERO, MOMENT, MOMENT * 4] {
                        let start = Instant::now();
                        assert_eq!(results.next_timeout(wait), Err(TryNextError::NotYet));
                        assert!(start.elapsed() >= wait);
                    }
                    stage.advance();
                    assert_eq!(results.next_timeout(if n == 2 { Duration::MAX } else { LONG }), Ok(Some(n)));
                }
                assert_eq!(
                    (results.next_timeout(LONG), results.try_next(), results.next()),
                    (Ok(None), Ok(None), None)
                );
            }

            /// Nobody else collects what comes in between.
            #[test]
            fn whoever_never_waits_gets_all() {
                let _watchdog = watchdog();
                let (pool, stage) = (Pool::new(2).unwrap(), Stage::new());
                let mut results = pool.chunk(10).$map(wait_for_turn, (0..30).map(|n| (n / 10, stage.clone())));
                let mut given = Vec::new();
                loop {
                    match results.try_next() {
                        Ok(Some(n)) => given.push(n),
                        Ok(None) => break,
                        Err(TryNextError::NotYet) => thread::yield_now(),
                        Err(TryNextError::Failed(error)) => panic!("{error}"),
                    }
                    if given.len() == 10 * (1 + given.last().map_or(0, |n| *n as usize)) {
                        stage.advance();
                    }
                }
                given.sort_unstable();
                assert_eq!(given, (0..30).map(|n| n / 10).collect::<Vec<_>>());
            }

            /// However short the looks are.
            #[test]
            fn outcomes_of_a_chunk_that_takes_long_are_seen() {
                let _watchdog = watchdog();
                let (pool, stage) = (Pool::new(1).unwrap(), Stage::new());
                let mut results = pool.chunk(3).$map(wait_for_turn, (0..3).map(|n| (n, stage.clone())));
                for (n, wait) in [(0, Duration::ZERO), (1, Duration::from_millis(1)), (2, LONG)] {
                    let next = loop {
                        match results.next_timeout(wait) {
                            Err(TryNextError::NotYet) => {}
                            other => break other,
                        }
                    };
                    assert_eq!(next, Ok(Some(n)));
                    stage.advance();
                }
            }

            #[test]
            fn a_failure_is_told_and_the_others_go_on() {
                let _watchdog = watchdog();
                let pool = Pool::new(1).unwrap();
                for chunk in [1, 3, 100] {
                    let mut results = pool.chunk(chunk).$map(fail, 0..20);
                    let mut outcomes = Vec::new();
                    loop {
                        match results.next_timeout(LONG) {
                            Ok(Some(result)) => outcomes.push(Ok(result)),
                            Ok(None) => break,
                            Err(TryNextError::Failed(error)) => outcomes.push(Err(error)),
                            Err(TryNextError::NotYet) => panic!("nothing in {LONG:?}"),
                        }
                    }
                    // One worker does one after the other, and what is left of a chunk comes before all others.
                    let right = (0..).zip(&outcomes).filter(|(n, outcome)| is_right(*n, outcome)).count();
                    assert!(right == 20 && outcomes.len() == 20, "by {chunk}: {outcomes:?}");
                }
            }

            #[test]
            fn the_end_of_the_pool_is_no_timeout() {
                let _watchdog = watchdog();
                let (pool, stage) = (Pool::new(1).unwrap(), Stage::new());
                let mut results = pool.chunk(1).$map(wait_for_turn, (1..).map(|n| (n, stage.clone())));
                assert_eq!(results.next_timeout(MOMENT), Err(TryNextError::NotYet));
                thread::scope(|scope| {
                    let ended = scope.spawn(|| results.next_timeout(Duration::MAX));
                    pool.terminate();
                    assert_eq!(ended.join().unwrap(), Err(TryNextError::Failed(TaskError::Cancelled)));
                });
            }

            #[test]
            fn a_forked_copy_is_told_so_and_at_the_end() {
                let _watchdog = watchdog();
                let (pool, stage) = (Pool::new(1).unwrap(), Stage::new());
                let mut results = pool.chunk(1).$map(wait_for_turn, (1..3).map(|n| (n, stage.clone())));
                let is_told = Err(TryNextError::Failed(TaskError::ForkedCopy));
                assert!(forked(|| results.try_next() == is_told && results.next_timeout(LONG) == Ok(None)));
                stage.advance();
                assert_eq!(results.next_timeout(LONG), Ok(Some(1)));
            }
        }
    };
}

within_a_time!(imap);
within_a_time!(imap_unordered);

#[test]
fn out_of_order_the_slowest_keeps_nobody_waiting() {
    let _watchdog = watchdog();
    let (pool, stage) = (Pool::new(2).unwrap(), Stage::new());
    let mut results = pool.chunk(1).imap_unordered(wait_for_turn, [1, 0, 0].map(|n| (n, stage.clone())));
    for _ in 0..2 {
        assert_eq!(results.next_timeout(LONG), Ok(Some(0)));
    }
    assert_eq!(results.next_timeout(MOMENT), Err(TryNextError::NotYet));
    stage.advance();
    assert_eq!(results.next_timeout(LONG), Ok(Some(1)));
}
