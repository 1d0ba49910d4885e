//! SIGKILL after any instruction with which a pool's worker gives its results away: whatever it was at, each call has one outcome,
//! and is run no more than once.
//!
//! As `single_step.rs`, but a worker is a program of its own, and its memory has no handle to be found by.

#![cfg(target_arch = "x86_64")]

mod common;

use std::fs;
use std::os::unix::fs::FileExt;
use std::process;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use common::stepped::{Stepped, stop_here};
use common::watchdog;
use crossproc::{Exit, Pool, RawArray, TaskError};

crossproc::test_support!();

const ITEMS: u32 = 3;

/// The longest file that is looked at after each instruction: desks and channels, not the queue of tasks.
const LONGEST: u64 = 1 << 20;

/// The memory of a pool of this process, with the desk and the channel of its only worker.
fn memory() -> impl Fn() -> Vec<u8> {
    let shared = fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| {
        let path = entry.unwrap().path();
        let is_shared = fs::read_link(&path).is_ok_and(|target| target.to_string_lossy().starts_with("/memfd:"));
        let file = is_shared.then(|| fs::File::open(path).unwrap())?;
        let length = file.metadata().unwrap().len();
        (length < LONGEST).then_some((file, length as usize))
    });
    let files: Vec<_> = shared.collect();
    assert!(files.len() > 3, "{} files", files.len());
    move || {
        let mut bytes = vec![0; files.iter().map(|(_, length)| length).sum()];
        let mut rest = &mut bytes[..];
        for (file, length) in &files {
            let (part, behind) = rest.split_at_mut(*length);
            file.read_exact_at(part, 0).unwrap();
            rest = behind;
        }
        bytes
    }
}

/// What the calls of a chunk, and the one behind it, share: how often each has run, and in which the first worker stops.
type Runs = RawArray<AtomicU32>;

fn run(n: u32, runs: Runs, stops: u32) -> (u32, u32) {
    runs[n as usize].fetch_add(1, SeqCst);
    let worker = process::id();
    // The first worker has written its number down.
    if n >= stops && runs[ITEMS as usize + 1].load(SeqCst) == worker {
        stop_here();
    }
    (n, worker)
}

/// A worker is killed after so many effects of what it does between the end of call `from` and its next call, in the same chunk or
/// in the next; false if it does all that without so many.
fn survives(from: u32, effects: usize) -> bool {
    let runs = Runs::new(ITEMS as usize + 2).unwrap();
    let pool = Pool::new(1).unwrap();
    let worker = pool.workers().remove(0);
    runs[ITEMS as usize + 1].store(worker.pid(), SeqCst);
    let mut tasks = None;
    let stepped = Stepped::seize(worker.pid(), || {
        let chunk = pool.chunk(ITEMS as usize).starmap_async(run, (0..ITEMS).map(|n| (n, &runs, from)));
        tasks = Some((chunk, pool.apply_async(run, (ITEMS, &runs, from))));
    });
    let is_over = !stepped.has_effects(effects, &memory());
    stepped.leave_dead();
    assert_eq!(worker.wait(), Exit::Signal(libc::SIGKILL));
    let (chunk, last) = tasks.unwrap();
    // A chunk has its first error for a result; its other calls have run all the same.
    let chunk_died = check(chunk.get().map(|results| assert!((0..).zip(results).all(|(n, result)| result.0 == n))));
    let last_died = check(last.get().map(|(n, _)| assert_eq!(n, ITEMS)));
    let times: Vec<_> = (0..=ITEMS).map(|n| runs[n as usize].load(SeqCst)).collect();
    let lost = times.iter().filter(|times| **times == 0).count();
    assert!(times.iter().all(|times| *times <= 1), "{effects} effects behind {from}: {times:?}");
    assert!(!(chunk_died && last_died), "{effects} effects behind {from}: two tasks died with one worker");
    assert!(lost <= usize::from(chunk_died || last_died), "{effects} effects behind {from}: {times:?}");
    assert_eq!((pool.progress().done(), pool.progress().failed()), (4, u64::from(chunk_died || last_died)));
    assert_eq!(pool.apply(|| 7, ()), Ok(7));
    !is_over
}

/// Whether a task has died with its worker; fails with any other error.
fn check(outcome: Result<(), TaskError>) -> bool {
    match outcome {
        Ok(()) => false,
        Err(TaskError::WorkerDied { exit: Exit::Signal(libc::SIGKILL), .. }) => true,
        Err(other) => panic!("{other:?}"),
    }
}

/// From the first call on: its result is put on the desk. From the last on: all are sent, the desk is cleared, and the next task
/// begun.
#[test]
fn calls_have_one_outcome_whenever_their_worker_is_killed() {
    for from in 0..ITEMS {
        let _watchdog = watchdog();
        let effects = (0..).take_while(|&effects| survives(from, effects)).count();
        assert!(effects > 3, "giving a result away has effects: {effects}");
    }
}
