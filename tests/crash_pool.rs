//! SIGKILL at each crash point of a pool's worker: what becomes of the task that it was at, and of those around it, is what the
//! table says.
//!
//! Only in builds with `--cfg crash_points`.

#![cfg(crash_points)]

mod common;

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use common::watchdog;
use crossproc::{Exit, Pool, PoolBuilder, RawArray, TaskError};

crossproc::test_support!();

const ITEMS: u32 = 12;

/// What becomes of the first call of the chunk that the worker died with.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    /// It has a result, of this worker or of the next.
    Done,
    Lost,
}

/// More than a channel takes, so that the result goes another way.
const LONG: usize = 100 << 10;

fn work((n, padding, runs): (u32, usize, RawArray<AtomicU32>)) -> (u32, Vec<u8>) {
    runs[n as usize].fetch_add(1, SeqCst);
    (n, vec![n as u8; padding])
}

/// One worker dies at `point` with the chunk behind `passes` others; whatever it leaves, the next one does.
fn check(builder: PoolBuilder, point: &str, passes: u32, chunk: u32, padding: usize, fate: Fate) {
    let what = format!("{point} {passes}, chunks of {chunk}, {padding} bytes");
    let runs = RawArray::<AtomicU32>::new(ITEMS as usize).unwrap();
    let pool = builder.workers(1).crash_at_nth(point, passes).start().unwrap();
    let first = pool.workers().remove(0);
    let items = (0..ITEMS).map(|n| (n, padding, runs.clone()));
    let outcomes: Vec<_> = pool.chunk(chunk as usize).imap(work, items).collect();
    assert_eq!(first.wait(), Exit::Signal(libc::SIGKILL), "{what}");
    assert_eq!(outcomes.len(), ITEMS as usize, "{what}");
    for (n, outcome) in (0..).zip(outcomes) {
        let is_lost = fate == Fate::Lost && n == passes * chunk;
        let expected = if is_lost {
            Err(TaskError::WorkerDied { pid: first.pid(), exit: Exit::Signal(libc::SIGKILL), task: u64::from(n) })
        } else {
            Ok((n, vec![n as u8; padding]))
        };
        assert!(outcome == expected, "{what}: item {n}");
        assert_eq!(runs[n as usize].load(SeqCst), u32::from(!is_lost), "{what}: item {n}");
    }
    let failed = u64::from(fate == Fate::Lost);
    assert_eq!((pool.progress().done(), pool.progress().failed()), (u64::from(ITEMS), failed), "{what}");
    assert_eq!(pool.apply(|| 7, ()), Ok(7), "{what}");
}

#[test]
fn a_task_after_a_death_at_each_point_of_its_life() {
    let _watchdog = watchdog();
    for (point, fate) in [("pool.taken", Fate::Done), ("pool.started", Fate::Lost), ("pool.sent", Fate::Done)] {
        for (chunk, chunks) in [(1, ITEMS), (4, 3), (ITEMS, 1)] {
            for passes in [0, chunks / 2, chunks - 1] {
                for padding in [0, LONG] {
                    check(Pool::builder(), point, passes, chunk, padding, fate);
                }
            }
        }
    }
}

#[test]
fn a_task_that_may_be_tried_again_is() {
    let _watchdog = watchdog();
    for chunk in [1, 4] {
        check(Pool::builder().retries(1), "pool.started", 1, chunk, 0, Fate::Done);
    }
}

/// Of several workers one dies, whichever tasks it gets.
#[test]
fn the_others_go_on_after_a_death_at_each_point() {
    let _watchdog = watchdog();
    for point in ["pool.taken", "pool.started", "pool.sent"] {
        let runs = RawArray::<AtomicU32>::new(ITEMS as usize).unwrap();
        let pool = Pool::builder().workers(3).crash_at_nth(point, 1).start().unwrap();
        let items = (0..ITEMS).map(|n| (n, 0, runs.clone()));
        let outcomes: Vec<_> = pool.chunk(1).imap(work, items).collect();
        let lost = outcomes.iter().filter(|outcome| matches!(outcome, Err(TaskError::WorkerDied { .. }))).count();
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count() + lost, ITEMS as usize, "{point}");
        assert!(lost <= usize::from(point == "pool.started"), "{point}");
        let times: u32 = runs.iter().map(|times| times.load(SeqCst)).sum();
        assert_eq!(times as usize, ITEMS as usize - lost, "{point}");
        assert!(runs.iter().all(|times| times.load(SeqCst) <= 1), "{point}");
    }
}
