//! What pools and workers leave behind in the process: nothing.

use std::cell::Cell;
use std::fs;
use std::sync::mpsc;
use std::thread;

use crossproc::{Pool, Process, TaskError, active_children};

use crate::common::locking::{Stage, wait_for_state};
use crate::common::watchdog;

/// Open files and threads of this process.
fn counts() -> (usize, usize) {
    let entries = |folder| fs::read_dir(folder).unwrap().count();
    (entries("/proc/self/fd"), entries("/proc/self/task"))
}

/// The names of this process's threads.
fn threads() -> Vec<String> {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok()).collect()
}

/// Does `work` until nothing is new to it, then again and again: there is no more than there was in between.
fn leaves_nothing(times: u32, work: fn()) {
    // Threads of pools end when they see to it. What stays, as it belongs to no pool, is the one that starts daemons.
    let settled = || {
        let is_pools = |name: &String| name.starts_with("crossproc-") && !name.starts_with("crossproc-spawn");
        while threads().iter().any(is_pools) || !active_children().is_empty() {
            thread::yield_now();
        }
        counts()
    };
    (0..3).for_each(|_| work());
    let before = settled();
    (0..times).for_each(|_| work());
    assert_eq!(settled(), before);
}

fn use_a_pool() {
    let pool = Pool::new(2).unwrap();
    assert_eq!(pool.map(|n: u32| n, 0..3), Ok(vec![0, 1, 2]));
    let task = pool.apply_async(|| 7, ()).on_done(|_| ());
    assert_eq!(task.get(), Ok(7));
    let long = pool.apply(|| vec![7_u8; 300 << 10], ()).unwrap();
    assert_eq!(long.len(), 300 << 10);
    // So long that a thread of its own sends it.
    assert_eq!(pool.apply(|bytes: Vec<u8>| bytes.len(), (vec![7; 2 << 20],)), Ok(2 << 20));
}

#[test]
fn pools_leave_neither_files_nor_threads() {
    let _watchdog = watchdog();
    let times = if cfg!(debug_assertions) { 30 } else { 200 };
    Process::spawn(|times: u32| leaves_nothing(times, use_a_pool), (times,)).unwrap().join().unwrap();
}

/// Ends a pool while a thread collects results itself, as it waits for one that never comes.
fn end_a_pool_that_is_waited_for() {
    let pool = Pool::new(1).unwrap();
    let wait = |n: u32| {
        if n > 0 {
            loop {
                thread::park();
            }
        }
    };
    // Before it has its name, nobody can tell a pool's thread from others.
    while !threads().iter().any(|name| name.starts_with("crossproc-resu")) {
        thread::yield_now();
    }
    let mut map = pool.imap(wait, 0..2);
    assert_eq!(map.next(), Some(Ok(())));
    let (tell, told) = mpsc::channel();
    let waiter = thread::spawn(move || {
        // SAFETY: has no preconditions.
        tell.send(unsafe { libc::gettid() }.cast_unsigned()).unwrap();
        assert_eq!(map.next(), Some(Err(TaskError::Cancelled)));
    });
    wait_for_state(told.recv().unwrap(), 'S');
    drop(pool);
    waiter.join().unwrap();
}

#[test]
fn pools_that_end_while_somebody_waits_leave_neither_files_nor_threads() {
    let _watchdog = watchdog();
    Process::spawn(|| leaves_nothing(20, end_a_pool_that_is_waited_for), ()).unwrap().join().unwrap();
}

/// Within one pool, by every way in which a worker is replaced.
fn replace_workers(times: u64) {
    let pool = Pool::builder().workers(2).max_tasks_per_worker(1).start().unwrap();
    let round = |count: u64| {
        let end = |n: u64| if n % 5 == 4 { std::process::exit(3) } else { n };
        for (n, outcome) in (0..count).zip(pool.chunk(1).imap(end, 0..count)) {
            let is_right = match outcome {
                Err(TaskError::WorkerDied { .. }) => n % 5 == 4,
                other => other == Ok(n),
            };
            assert!(is_right, "{n}");
        }
    };
    // While each of two workers is at a task, none of them is missing; one before them may not be buried yet.
    let while_both_work = |is_seen: &dyn Fn() -> bool| {
        let stage = Stage::new();
        let tasks = [0; 2].map(|_| pool.apply_async(hold, (&stage,)));
        stage.wait_for(2);
        while !is_seen() {
            thread::yield_now();
        }
        stage.advance();
        assert!(tasks.into_iter().all(|task| task.get() == Ok(())));
    };
    round(20);
    let before = Cell::new((0, 0));
    while_both_work(&|| {
        before.set(counts());
        true
    });
    round(times);
    while_both_work(&|| {
        let ((files, threads), (files_now, threads_now)) = (before.get(), counts());
        files_now <= files && threads_now <= threads
    });
}

fn hold(stage: Stage) {
    stage.advance();
    stage.wait_for(3);
}

/// What a long result took of a worker's memory it does not keep.
#[test]
fn workers_keep_no_room_for_long_results() {
    let _watchdog = watchdog();
    const LONG: u64 = 64 << 20;
    let used = || {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmData:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
    };
    let pool = Pool::new(1).unwrap();
    let before = pool.apply(used, ()).unwrap();
    assert_eq!(pool.apply(|| vec![7_u8; LONG as usize], ()).unwrap().len() as u64, LONG);
    let grown = pool.apply(used, ()).unwrap().saturating_sub(before);
    assert!(grown < LONG / 4, "{grown} bytes more than before");
}

#[test]
fn workers_leave_neither_files_nor_threads() {
    let _watchdog = watchdog();
    let times = if cfg!(debug_assertions) { 200 } else { 2_000 };
    Process::spawn(replace_workers, (times,)).unwrap().join().unwrap();
}
