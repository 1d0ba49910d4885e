//! `Condvar` against the C library's process-shared one.
//!
//! | row | where | waits |
//! |---|---|---|
//! | nobody waits | one process on one core | never |
//! | ping-pong | two processes, each on a core of its own | as each does by itself: ours a spin, then asleep; theirs asleep |

#![allow(clippy::needless_pass_by_value, reason = "what a process is given is its own")]

mod common;

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use common::mapping::Mapping;
use common::pthread::{Cond, Kind, Mutex};
use common::{Plan, Table, Target, alternate, nanoseconds, pin};
use crossproc::{Condvar, Lock, Process};

/// The parts of a field.
const MUTEX: usize = 0;
const COND: usize = 1;
const TURN: usize = 2;
const FIELD: usize = 4096;

fn main() {
    crossproc::init();
    let plan = Plan::from_args();
    let table = Table::new(plan, "sync");
    nobody_waits(plan, &table);
    ping_pong(plan, &table);
}

fn nobody_waits(plan: Plan, table: &Table) {
    let _pinned = pin(0);
    let field = Mapping::new(FIELD);
    let (cond, changed, lock) = (Cond::new(&field, COND), Condvar::new().unwrap(), Lock::new().unwrap());
    // Somebody has waited before.
    let waited = changed.wait_timeout(lock.lock().unwrap(), Duration::ZERO).unwrap();
    assert!(!waited.1);
    drop(waited);
    let calls = plan.of(1_000_000, 1_000);
    let [ours, theirs] = alternate(
        plan.turns(),
        [&mut || nanoseconds(calls, || changed.notify_one()), &mut || nanoseconds(calls, || cond.signal())],
    );
    let targets = [Target::AtMost(5.0), Target::RatioAtMost(1.0)];
    table.row("condvar: notify, nobody waits", "ns", &ours, ("pthread_cond shared", &theirs), &targets);
}

/// Two processes that take turns; each waits until the other has had its own.
fn ping_pong(plan: Plan, table: &Table) {
    let turns = plan.of(5_000, 50);
    let [ours, theirs] = alternate(
        plan.turns(),
        [
            &mut || {
                let (field, lock, changed) = (Mapping::new(FIELD), Lock::new().unwrap(), Condvar::new().unwrap());
                let other = Process::spawn(alternate_by_ours, (&lock, &changed, field.path(), 1, turns)).unwrap();
                let microseconds = alternate_by_ours(lock, changed, field.path(), 0, turns);
                other.join().unwrap();
                microseconds
            },
            &mut || {
                let field = Mapping::new(FIELD);
                let _mutex = Mutex::new(&field, MUTEX, Kind::Plain);
                let _cond = Cond::new(&field, COND);
                let other = Process::spawn(alternate_by_theirs, (field.path(), 1, turns)).unwrap();
                let microseconds = alternate_by_theirs(field.path(), 0, turns);
                other.join().unwrap();
                microseconds
            },
        ],
    );
    let rival = ("pthread_cond shared", &theirs);
    table.row("condvar: ping-pong, a round", "us", &ours, rival, &[Target::RatioAtMost(1.0)]);
}

/// Has all of its turns; microseconds for each, from the second on.
fn alternate_by_ours(lock: Lock, changed: Condvar, path: String, me: u64, turns: u64) -> f64 {
    let field = Mapping::open(&path);
    let turn = field.word(TURN);
    each_turn(me, turns, || {
        let guard = changed.wait_while(lock.lock().unwrap(), |_| turn.load(Relaxed) % 2 != me).unwrap();
        turn.fetch_add(1, Relaxed);
        changed.notify_one();
        drop(guard);
    })
}

fn alternate_by_theirs(path: String, me: u64, turns: u64) -> f64 {
    let field = Mapping::open(&path);
    let (mutex, cond, turn) = (Mutex::at(&field, MUTEX), Cond::at(&field, COND), field.word(TURN));
    each_turn(me, turns, || {
        let mut held = mutex.lock();
        while turn.load(Relaxed) % 2 != me {
            cond.wait(&mut held);
        }
        turn.fetch_add(1, Relaxed);
        cond.signal();
        drop(held);
    })
}

fn each_turn(me: u64, turns: u64, mut take: impl FnMut()) -> f64 {
    let _pinned = pin(me as usize);
    take();
    // The first of the other came after it has started.
    take();
    let start = Instant::now();
    (2..turns).for_each(|_| take());
    start.elapsed().as_secs_f64() * 1e6 / (turns - 2) as f64
}
