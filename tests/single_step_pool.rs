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

/// Two chunks.
const ITEMS: u32 = 6;
const CHUNK: u32 = 3;

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

/// How often each call has run, and behind them which worker stops.
type Runs = RawArray<AtomicU32>;

fn run((n, runs, stops): (u32, Runs, u32)) -> u32 {
    runs[n as usize].fetch_add(1, SeqCst);
    if n >= stops && runs[ITEMS as usize].load(SeqCst) == process::id() {
        stop_here();
    }
    n
}

/// A worker is killed after so many effects of what it does between the end of call `from` and that of the next, in the same chunk
/// or in the other; false if it does all that with fewer.
fn dies_after(from: u32, effects: usize) -> bool {
    let what = format!("{effects} effects behind {from}");
    let (pool, runs) = (Pool::new(1).unwrap(), Runs::new(ITEMS as usize + 1).unwrap());
    let worker = pool.workers().remove(0);
    runs[ITEMS as usize].store(worker.pid(), SeqCst);
    // While nothing is taken, nobody looks at the desk before the worker is dead.
    let mut outcomes = None;
    let stepped = Stepped::seize(worker.pid(), || {
        let items = (0..ITEMS).map(|n| (n, runs.clone(), from));
        outcomes = Some(pool.chunk(CHUNK as usize).imap(run, items));
    });
    let is_over = !stepped.has_effects(effects, &memory());
    stepped.leave_dead();
    assert_eq!(worker.wait(), Exit::Signal(libc::SIGKILL));
    let death = |task| TaskError::WorkerDied { pid: worker.pid(), exit: Exit::Signal(libc::SIGKILL), task };
    let outcomes: Vec<_> = outcomes.into_iter().flatten().collect();
    assert_eq!(outcomes.len(), ITEMS as usize, "{what}");
    let lost: Vec<_> = (0..ITEMS).filter(|&n| outcomes[n as usize] != Ok(n)).collect();
    // At the call itself, or at the next one, which it may have begun.
    assert!(lost.is_empty() || lost == [from] || lost == [from + 1], "{what}: {outcomes:?}");
    assert!(lost.iter().all(|&n| outcomes[n as usize] == Err(death(n.into()))), "{what}: {outcomes:?}");
    for n in 0..ITEMS {
        let times = runs[n as usize].load(SeqCst);
        assert!(times == 1 || times == 0 && lost == [n], "{what}: {n} ran {times} times, {outcomes:?}");
    }
    assert_eq!((pool.progress().done(), pool.progress().failed()), (ITEMS.into(), lost.len() as u64), "{what}");
    assert_eq!(pool.apply(|| 7, ()), Ok(7), "{what}");
    !is_over
}

/// From the first call on: its result is put on the desk. From the last of a chunk on: all are sent, the desk is cleared, and the
/// next chunk begun.
#[test]
fn each_call_has_one_outcome_whenever_its_worker_is_killed() {
    for from in 0..CHUNK {
        let _watchdog = watchdog();
        let effects = (0..).take_while(|&effects| dies_after(from, effects)).count();
        println!("{effects} effects from call {from} to the next");
        assert!(effects > 3, "giving a result away has effects");
    }
}
