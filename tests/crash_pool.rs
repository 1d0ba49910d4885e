//! SIGKILL at each crash point of a pool's worker: what becomes of the task that it was at, and of those around it, is what the
//! table says.
//!
//! Only in builds with `--cfg crash_points`.

#![cfg(crash_points)]

mod common;

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use common::watchdog;
use crossproc::{Exit, Pool, RawArray, TaskError};

crossproc::test_support!();

const ITEMS: u32 = 12;

/// More than a channel takes, so that the result goes another way.
const LONG: usize = 100 << 10;

/// Two of them lie on a desk, and the third does not fit.
const MIDDLING: usize = 6 << 10;

/// The call that a worker has died of.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Lost {
    /// None: it has a result, of this worker or of the next; or nobody had begun its chunk.
    Nothing,
    /// The first one that it had not passed the point with.
    Next { has_run: bool },
    /// The one behind that, if it belongs to the same chunk.
    Following,
}

/// How often a point is passed.
#[derive(Clone, Copy, Debug)]
enum Passed {
    ForEachChunk,
    ForEach(u32),
}

struct Row {
    point: &'static str,
    padding: &'static [usize],
    chunks: &'static [u32],
    passed: Passed,
    lost: Lost,
}

const NOT_RUN: Lost = Lost::Next { has_run: false };
const RUN: Lost = Lost::Next { has_run: true };

#[rustfmt::skip]
const TABLE: &[Row] = &[
    Row { point: "pool.taken", padding: &[0, LONG], chunks: &[1, 4, 12], passed: Passed::ForEachChunk, lost: Lost::Nothing },
    Row { point: "pool.started", padding: &[0, LONG], chunks: &[1, 4, 12], passed: Passed::ForEachChunk, lost: NOT_RUN },
    Row { point: "pool.sent", padding: &[0, LONG], chunks: &[1, 4, 12], passed: Passed::ForEachChunk, lost: Lost::Nothing },
    Row { point: "pool.written", padding: &[0], chunks: &[4, 12], passed: Passed::ForEach(1), lost: RUN },
    Row { point: "pool.put", padding: &[0], chunks: &[4, 12], passed: Passed::ForEach(1), lost: Lost::Following },
    Row { point: "pool.flushed", padding: &[0], chunks: &[1, 4, 12], passed: Passed::ForEachChunk, lost: Lost::Nothing },
    Row { point: "pool.flushed", padding: &[MIDDLING], chunks: &[3, 12], passed: Passed::ForEach(3), lost: Lost::Following },
    Row { point: "pool.cleared", padding: &[0], chunks: &[1, 4, 12], passed: Passed::ForEachChunk, lost: Lost::Nothing },
    Row { point: "pool.cleared", padding: &[MIDDLING], chunks: &[3, 12], passed: Passed::ForEach(3), lost: Lost::Following },
    Row { point: "pool.cleared", padding: &[LONG], chunks: &[1, 4, 12], passed: Passed::ForEach(1), lost: Lost::Following },
    Row { point: "pool.apart", padding: &[LONG], chunks: &[1, 4, 12], passed: Passed::ForEach(1), lost: RUN },
];

fn work((n, padding, runs): (u32, usize, RawArray<AtomicU32>)) -> (u32, Vec<u8>) {
    runs[n as usize].fetch_add(1, SeqCst);
    (n, vec![n as u8; padding])
}

impl Row {
    fn step(&self, chunk: u32) -> u32 {
        match self.passed {
            Passed::ForEachChunk => chunk,
            Passed::ForEach(items) => items,
        }
    }

    /// The item that is lost with a worker that has passed the point so often, and how often it has run by then.
    fn lost(&self, passes: u32, chunk: u32) -> Option<(u32, u32)> {
        let step = self.step(chunk);
        match self.lost {
            Lost::Nothing => None,
            Lost::Next { has_run } => Some((passes * step, u32::from(has_run))),
            Lost::Following => Some(((passes + 1) * step, 0)).filter(|(item, _)| item % chunk != 0),
        }
    }

    /// In chunks of each size, at the first pass, one in the middle, and the last.
    fn check(&self, retries: u32) {
        for &chunk in self.chunks {
            let times = ITEMS / self.step(chunk);
            for passes in [0, times / 2, times - 1] {
                self.padding.iter().for_each(|padding| self.check_one(passes, chunk, *padding, retries));
            }
        }
    }

    /// One worker dies at its point with so many passes behind it; whatever it leaves, the next one does.
    fn check_one(&self, passes: u32, chunk: u32, padding: usize, retries: u32) {
        let what = format!("{} {passes}, chunks of {chunk}, {padding} bytes, {retries} retries", self.point);
        let runs = RawArray::<AtomicU32>::new(ITEMS as usize).unwrap();
        let pool = Pool::builder().workers(1).retries(retries).crash_at_nth(self.point, passes).start().unwrap();
        let first = pool.workers().remove(0);
        let items = (0..ITEMS).map(|n| (n, padding, runs.clone()));
        let outcomes: Vec<_> = pool.chunk(chunk as usize).imap(work, items).collect();
        assert_eq!(first.wait(), Exit::Signal(libc::SIGKILL), "{what}");
        assert_eq!(outcomes.len(), ITEMS as usize, "{what}");
        let lost = self.lost(passes, chunk);
        for (n, outcome) in (0..).zip(outcomes) {
            let ran = lost.filter(|(item, _)| *item == n).map(|(_, ran)| ran);
            let expected = match ran {
                Some(_) if retries == 0 => Err(TaskError::WorkerDied {
                    pid: first.pid(),
                    exit: Exit::Signal(libc::SIGKILL),
                    task: u64::from(n),
                }),
                _ => Ok((n, vec![n as u8; padding])),
            };
            assert!(outcome == expected, "{what}: item {n}");
            let times = ran.map_or(1, |ran| ran + retries);
            assert_eq!(runs[n as usize].load(SeqCst), times, "{what}: item {n}");
        }
        let failed = u64::from(lost.is_some() && retries == 0);
        assert_eq!((pool.progress().done(), pool.progress().failed()), (u64::from(ITEMS), failed), "{what}");
        assert_eq!(pool.apply(|| 7, ()), Ok(7), "{what}");
    }
}

#[test]
fn a_task_after_a_death_at_each_point_of_its_life() {
    for row in TABLE {
        let _watchdog = watchdog();
        row.check(0);
    }
}

#[test]
fn a_task_that_may_be_tried_again_is() {
    for row in TABLE {
        let _watchdog = watchdog();
        row.check(1);
    }
}

/// Of several workers one dies, whichever tasks it gets.
#[test]
fn the_others_go_on_after_a_death_at_each_point() {
    let _watchdog = watchdog();
    for row in TABLE {
        let runs = RawArray::<AtomicU32>::new(ITEMS as usize).unwrap();
        let pool = Pool::builder().workers(3).crash_at_nth(row.point, 1).start().unwrap();
        let items = (0..ITEMS).map(|n| (n, row.padding[0], runs.clone()));
        let outcomes: Vec<_> = pool.chunk(row.chunks[0] as usize).imap(work, items).collect();
        let mut lost = 0;
        for (n, outcome) in outcomes.iter().enumerate() {
            let times = runs[n].load(SeqCst);
            match outcome {
                Ok(_) => assert_eq!(times, 1, "{}: item {n}", row.point),
                Err(error) => {
                    assert!(matches!(error, TaskError::WorkerDied { .. }), "{}: {error:?}", row.point);
                    assert_eq!(times, u32::from(row.lost == RUN), "{}: item {n}", row.point);
                    lost += 1;
                }
            }
        }
        assert_eq!(outcomes.len(), ITEMS as usize, "{}", row.point);
        assert!(lost <= usize::from(row.lost != Lost::Nothing), "{}", row.point);
    }
}
