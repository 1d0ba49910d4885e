//! Workers killed at random instants: every task has one outcome, ran once at most, and with enough retries has its result.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;

use crossproc::{Exit, Pool, RawArray, TaskError};

use crate::common::kills::{Kills, Random};
use crate::common::watchdog;

const TASKS: u64 = if cfg!(debug_assertions) { 1_000 } else { 10_000 };

/// How many tasks are done between two kills, at most.
const TASKS_A_KILL: u64 = 100;

type Runs = RawArray<AtomicU64>;

/// Longer than what goes through the queue, and longer than what goes through a worker's channel.
const LONG: usize = 100 << 10;

/// Notes that it runs, works a little, and gives back so many bytes as it was given.
fn work(number: u64, padding: Vec<u8>, runs: Runs) -> (u64, Vec<u8>) {
    runs[number as usize].fetch_add(1, Relaxed);
    (0..number % 512 * 32).for_each(|_| std::hint::spin_loop());
    (number, padding)
}

/// Most are short; some take every other way there is, to the worker and back.
fn padding(number: u64) -> Vec<u8> {
    vec![number as u8; if number % 97 == 3 { LONG } else { 0 }]
}

/// Kills workers until it is told to stop; how many it has killed.
fn kill_some(pool: &Pool, random: &mut Random, is_over: &AtomicBool) -> u64 {
    let (progress, mut kills) = (pool.progress(), 0);
    while !is_over.load(Relaxed) {
        let due = progress.done() + 1 + random.below(TASKS_A_KILL);
        while progress.done() < due && !is_over.load(Relaxed) {
            thread::yield_now();
        }
        (0..random.below(5_000)).for_each(|_| std::hint::spin_loop());
        let workers = pool.workers();
        if !workers.is_empty() {
            workers[random.index(workers.len())].kill().unwrap();
            kills += 1;
        }
    }
    kills
}

/// Runs `ask` while workers are killed; how many were, and what it returned.
fn amid_kills<R>(pool: &Pool, random: &mut Random, ask: impl FnOnce() -> R) -> (u64, R) {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let killer = scope.spawn(|| kill_some(pool, random, &is_over));
        let result = ask();
        is_over.store(true, Relaxed);
        (killer.join().unwrap(), result)
    })
}

fn start(retries: u32) -> (Pool, Runs) {
    let pool = Pool::builder().workers(4).retries(retries).start().unwrap();
    (pool, RawArray::new(TASKS as usize).unwrap())
}

type Outcome = Result<(u64, Vec<u8>), TaskError>;

/// Without retries: whether a task was lost, or its result is right.
fn is_lost(number: u64, outcome: &Outcome, runs: &Runs) -> bool {
    let times = runs[number as usize].load(Relaxed);
    match outcome {
        Ok(result) => {
            assert!(*result == (number, padding(number)) && times == 1, "task {number} ran {times} times");
            false
        }
        Err(TaskError::WorkerDied { exit: Exit::Signal(libc::SIGKILL), .. }) => {
            assert!(times <= 1, "task {number} ran {times} times");
            true
        }
        Err(other) => panic!("task {number}: {other}"),
    }
}

#[test]
fn each_task_has_one_outcome_and_runs_once_at_most() {
    Kills::asked_for(1).each_round(|_, random| {
        let (pool, runs) = start(0);
        let (kills, lost) = amid_kills(&pool, random, || {
            let ask = |number| pool.apply_async(work, (number, padding(number), &runs));
            let tasks: Vec<_> = (0..TASKS).map(ask).collect();
            (0..).zip(tasks).map(|(number, task)| u64::from(is_lost(number, &task.get(), &runs))).sum::<u64>()
        });
        println!("{kills} kills, {lost} tasks lost");
        assert!(lost <= kills && kills > 0);
        assert_eq!((pool.progress().done(), pool.progress().failed()), (TASKS, lost));
        assert_eq!(pool.apply(|| 7, ()), Ok(7));
    });
}

#[test]
fn each_item_of_a_lazy_map_has_one_outcome_and_runs_once_at_most() {
    Kills::asked_for(1).each_round(|_, random| {
        let (pool, runs) = start(0);
        let chunk = 1 + random.index(20);
        let input = (0..TASKS).map(|number| (number, padding(number), runs.clone()));
        let one = |(number, padding, runs): (u64, Vec<u8>, Runs)| work(number, padding, runs);
        let (kills, outcomes) =
            amid_kills(&pool, random, || pool.chunk(chunk).imap(one, input).collect::<Vec<Outcome>>());
        assert_eq!(outcomes.len() as u64, TASKS);
        let lost = (0..).zip(&outcomes).filter(|(number, outcome)| is_lost(*number, outcome, &runs)).count() as u64;
        println!("chunks of {chunk}, {kills} kills, {lost} tasks lost");
        assert!(lost <= kills && kills > 0);
    });
}

#[test]
fn with_retries_each_result_is_there() {
    Kills::asked_for(1).each_round(|_, random| {
        let (pool, runs) = start(u32::MAX);
        let chunk = 1 + random.index(20);
        let input = (0..TASKS).map(|number| (number, padding(number), &runs));
        let (kills, results) = amid_kills(&pool, random, || pool.chunk(chunk).starmap(work, input));
        for (number, result) in (0..).zip(results.unwrap()) {
            assert!(result == (number, padding(number)), "task {number}");
        }
        let times: u64 = runs.iter().map(|times| times.load(Relaxed)).sum();
        println!("chunks of {chunk}, {kills} kills, {} runs more than tasks", times - TASKS);
        assert!(times - TASKS <= kills && kills > 0);
        assert!(runs.iter().all(|times| times.load(Relaxed) >= 1));
        assert_eq!((pool.progress().done(), pool.progress().failed()), (TASKS, 0));
    });
}

#[test]
fn idle_workers_are_replaced_and_nobody_notices() {
    let _watchdog = watchdog();
    let pool = Pool::new(2).unwrap();
    for round in 0..20 {
        for worker in pool.workers() {
            worker.kill().unwrap();
            worker.wait();
        }
        assert_eq!(pool.apply(|n: u32| n + 1, (round,)), Ok(round + 1));
    }
    assert_eq!(pool.progress().failed(), 0);
}
