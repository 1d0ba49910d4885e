//! `Lock` against the C library's process-shared mutexes: alone, contended by processes, and after a death.
//!
//! | row | where | waits |
//! |---|---|---|
//! | uncontended | one process on one core | never |
//! | contended | n processes, worker i on core i mod 2, each without a pause between its turns | as each lock does by itself: a spin, then asleep |
//! | after a SIGKILL | owner in another process, one waiter asleep in this one, any core | asleep |

#![allow(clippy::needless_pass_by_value, reason = "what a process is given is its own")]

mod common;

use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::thread;
use std::time::{Duration, Instant};

use common::mapping::Mapping;
use common::pthread::{Kind, Mutex};
use common::{Plan, Samples, Table, Target, alternate, nanoseconds, pin};
use crossproc::{Guard, Lock, LockError, LockGuard, Process};

/// The parts of a field that processes contend on.
const MUTEX: usize = 0;
const COUNTER: usize = 1;
const READY: usize = 2;
const STOP: usize = 3;
const FIELD: usize = 4096;

fn main() {
    crossproc::init();
    let plan = Plan::from_args();
    let table = Table::new(plan, "lock");
    uncontended(plan, &table);
    contended(plan, &table, 2, &[Target::RatioAtLeast(1.0), Target::AtLeast(10.0)]);
    contended(plan, &table, 8, &[Target::RatioAtLeast(1.0)]);
    after_a_death(plan, &table);
}

fn uncontended(plan: Plan, table: &Table) {
    let _pinned = pin(0);
    let field = Mapping::new(FIELD);
    let (plain, robust) = (Mutex::new(&field, 0, Kind::Plain), Mutex::new(&field, 1, Kind::Robust));
    let lock = Lock::new().unwrap();
    assert!(matches!((lock.lock().unwrap(), lock.lock()), (_, Err(LockError::AlreadyHeld))));

    let calls = plan.of(200_000, 1_000);
    let [ours, plain, robust] = alternate(
        plan.turns(),
        [
            &mut || nanoseconds(calls, || lock.lock().is_ok()),
            &mut || nanoseconds(calls, || drop(plain.lock())),
            &mut || nanoseconds(calls, || drop(robust.lock())),
        ],
    );
    let name = "lock + unlock, uncontended";
    table.row(name, "ns", &ours, ("pthread shared", &plain), &[Target::AtMost(20.0), Target::RatioAtMost(1.0)]);
    table.row(name, "ns", &ours, ("pthread shared robust", &robust), &[Target::RatioAtMost(1.0)]);
}

/// What one contention gave: million acquisitions a second, and the part of them that the least lucky process had, in
/// per cent of its even share.
struct Contention {
    throughput: f64,
    fairness: f64,
}

fn contended(plan: Plan, table: &Table, processes: usize, targets: &[Target]) {
    let time = plan.of(Duration::from_millis(100), Duration::from_millis(5));
    let (mut our_fairness, mut their_fairness) = (Vec::new(), Vec::new());
    let [ours, theirs] = alternate(
        plan.turns(),
        [
            &mut || {
                let (lock, field) = (Lock::new().unwrap(), Mapping::new(FIELD));
                let start = |worker| Process::spawn(take_turns_by_lock, (&lock, field.path(), worker, processes));
                let contention = contend(&field, processes, time, start);
                our_fairness.push(contention.fairness);
                contention.throughput
            },
            &mut || {
                let field = Mapping::new(FIELD);
                let _robust = Mutex::new(&field, MUTEX, Kind::Robust);
                let start = |worker| Process::spawn(take_turns_by_mutex, (field.path(), worker, processes));
                let contention = contend(&field, processes, time, start);
                their_fairness.push(contention.fairness);
                contention.throughput
            },
        ],
    );
    let rival = "pthread shared robust";
    table.row(&format!("{processes} processes, increment, 2 cores"), "M/s", &ours, (rival, &theirs), targets);
    let (ours, theirs) = (Samples::from(our_fairness), Samples::from(their_fairness));
    let name = format!("{processes} processes: least of them, in % of an even share");
    table.row(&name, "%", &ours, (rival, &theirs), &[]);
}

/// Lets workers contend for a time, and checks that no two of them were in there at once.
fn contend(
    field: &Mapping,
    processes: usize,
    time: Duration,
    start: impl Fn(usize) -> crossproc::Result<Process<(u64, f64)>>,
) -> Contention {
    let workers: Vec<_> = (0..processes).map(|worker| start(worker).unwrap()).collect();
    while field.word(READY).load(Acquire) < processes as u64 {
        thread::sleep(Duration::from_micros(100));
    }
    thread::sleep(time);
    field.word(STOP).store(1, Release);
    let turns: Vec<_> = workers.into_iter().map(|worker| worker.join().unwrap()).collect();

    let sum: u64 = turns.iter().map(|&(count, _)| count).sum();
    assert_eq!(field.word(COUNTER).load(Acquire), sum, "two processes were in the critical section at once");
    let longest = turns.iter().map(|&(_, seconds)| seconds).fold(0.0, f64::max);
    let least = turns.iter().map(|&(count, _)| count).min().unwrap_or(0);
    Contention {
        throughput: sum as f64 / longest / 1e6,
        fairness: 100.0 * least as f64 * processes as f64 / sum as f64,
    }
}

fn take_turns_by_lock(lock: Lock, path: String, worker: usize, workers: usize) -> (u64, f64) {
    let field = Mapping::open(&path);
    take_turns(&field, worker, workers, || lock.lock().unwrap())
}

fn take_turns_by_mutex(path: String, worker: usize, workers: usize) -> (u64, f64) {
    let field = Mapping::open(&path);
    let mutex = Mutex::at(&field, MUTEX);
    take_turns(&field, worker, workers, || mutex.lock())
}

/// Increments the counter under the lock until told to stop; how often, and in how many seconds.
fn take_turns<G>(field: &Mapping, worker: usize, workers: usize, lock: impl Fn() -> G) -> (u64, f64) {
    let _pinned = pin(worker);
    let (counter, stop) = (field.word(COUNTER), field.word(STOP));
    field.word(READY).fetch_add(1, AcqRel);
    while field.word(READY).load(Acquire) < workers as u64 {
        thread::yield_now();
    }
    let start = Instant::now();
    let mut count = 0;
    while stop.load(Relaxed) == 0 {
        let guard = lock();
        // Two steps, between which an intruder's increment would be lost.
        counter.store(counter.load(Relaxed) + 1, Relaxed);
        drop(guard);
        count += 1;
    }
    (count, start.elapsed().as_secs_f64())
}

fn after_a_death(plan: Plan, table: &Table) {
    let lock = Lock::new().unwrap();
    let field = Mapping::new(FIELD);
    let mutex = Mutex::new(&field, MUTEX, Kind::Robust);
    let mut round = 0;
    let mut next_round = || {
        round += 1;
        field.word(READY).store(0, Release);
        round
    };
    // Both kill at different moments of the waiter's sleep.
    let ours = |round| {
        let owner = Process::spawn(hold_lock, (&lock, field.path())).unwrap();
        milliseconds_from_kill(&field, &owner, round, || match lock.lock() {
            Err(LockError::OwnerDied(mut guard)) => LockGuard::repair(&mut guard),
            other => panic!("the owner was killed, yet: {other:?}"),
        })
    };
    let theirs = |round| {
        let owner = Process::spawn(hold_mutex, (field.path(),)).unwrap();
        milliseconds_from_kill(&field, &owner, round, || drop(mutex.lock()))
    };
    let (mut our_samples, mut their_samples) = (Vec::new(), Vec::new());
    for _ in 0..plan.of(50, 2) {
        our_samples.push(ours(next_round()));
        their_samples.push(theirs(next_round()));
    }
    let (ours, theirs) = (Samples::from(our_samples), Samples::from(their_samples));
    let rival = ("pthread shared robust", &theirs);
    table.percentile_row("owner killed until next one has it, p50", "ms", 50.0, &ours, rival, &[Target::AtMost(30.0)]);
    table.percentile_row(
        "owner killed until next one has it, max",
        "ms",
        100.0,
        &ours,
        rival,
        &[Target::AtMost(100.0)],
    );
}

/// From before the kill to when `lock` returns in a thread that has slept there for a while.
fn milliseconds_from_kill(field: &Mapping, owner: &Process<()>, round: u64, lock: impl FnOnce() + Send) -> f64 {
    while field.word(READY).load(Acquire) == 0 {
        thread::sleep(Duration::from_micros(100));
    }
    let acquired = thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            lock();
            Instant::now()
        });
        // 17 has no factor in common with the 50 ms that a waiter sleeps at most.
        thread::sleep(Duration::from_millis(5 + round / 2 * 17 % 50));
        let start = Instant::now();
        owner.kill().unwrap();
        waiter.join().unwrap().duration_since(start)
    });
    owner.wait();
    acquired.as_secs_f64() * 1e3
}

fn hold_lock(lock: Lock, path: String) {
    let _guard = lock.lock().unwrap();
    wait_to_be_killed(&path);
}

fn hold_mutex(path: String) {
    let field = Mapping::open(&path);
    let _guard = Mutex::at(&field, MUTEX).lock();
    wait_to_be_killed(&path);
}

fn wait_to_be_killed(path: &str) {
    Mapping::open(path).word(READY).store(1, Release);
    loop {
        thread::park();
    }
}
