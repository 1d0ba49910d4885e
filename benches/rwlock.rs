//! `RwLock` and `RLock` against the C library's process-shared readers-writer lock and recursive mutex.
//!
//! | row | where | waits |
//! |---|---|---|
//! | uncontended, relock | one process on one core | never |
//! | readers | two processes that read, worker i on core i mod 2, without a pause | never: nobody writes |

#![allow(clippy::needless_pass_by_value, reason = "what a process is given is its own")]

mod common;

use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::thread;
use std::time::{Duration, Instant};

use common::mapping::Mapping;
use common::pthread::{Kind, Mutex, RwLock as Rival};
use common::{Plan, Table, Target, alternate, nanoseconds, pin};
use crossproc::{Process, RLock, RwLock};

/// The parts of a field.
const LOCK: usize = 0;
const READY: usize = 1;
const STOP: usize = 2;
const FIELD: usize = 4096;

fn main() {
    crossproc::init();
    let plan = Plan::from_args();
    let table = Table::new(plan, "rwlock");
    uncontended(plan, &table);
    readers(plan, &table);
}

fn uncontended(plan: Plan, table: &Table) {
    let _pinned = pin(0);
    let calls = plan.of(200_000, 1_000);
    let (lock, field) = (RwLock::new(0_u64).unwrap(), Mapping::new(FIELD));
    let rival = Rival::new(&field, LOCK);
    let name = "pthread_rwlock shared";

    let mut read = || nanoseconds(calls, || lock.read().is_ok());
    let [ours, theirs] = alternate(plan.turns(), [&mut read, &mut || nanoseconds(calls, || drop(rival.read()))]);
    table.row("read + unlock, uncontended", "ns", &ours, (name, &theirs), &[Target::AtMost(25.0)]);

    let mut write = || nanoseconds(calls, || lock.write().is_ok());
    let [ours, theirs] = alternate(plan.turns(), [&mut write, &mut || nanoseconds(calls, || drop(rival.write()))]);
    table.row("write + unlock, uncontended", "ns", &ours, (name, &theirs), &[]);

    let (lock, field) = (RLock::new().unwrap(), Mapping::new(FIELD));
    let rival = Mutex::new(&field, LOCK, Kind::Recursive);
    let name = "pthread shared recursive";
    let mut once = || nanoseconds(calls, || lock.lock().is_ok());
    let [ours, theirs] = alternate(plan.turns(), [&mut once, &mut || nanoseconds(calls, || drop(rival.lock()))]);
    table.row("recursive: lock + unlock, uncontended", "ns", &ours, (name, &theirs), &[]);

    let _outer = (lock.lock().unwrap(), rival.lock());
    let mut again = || nanoseconds(calls, || lock.lock().is_ok());
    let [ours, theirs] = alternate(plan.turns(), [&mut again, &mut || nanoseconds(calls, || drop(rival.lock()))]);
    table.row("recursive: relock + unlock", "ns", &ours, (name, &theirs), &[]);
}

fn readers(plan: Plan, table: &Table) {
    let time = plan.of(Duration::from_millis(100), Duration::from_millis(5));
    let [ours, theirs] = alternate(
        plan.turns(),
        [
            &mut || {
                let (lock, field) = (RwLock::new(7_u64).unwrap(), Mapping::new(FIELD));
                throughput(&field, time, |worker| Process::spawn(read_ours, (&lock, field.path(), worker)))
            },
            &mut || {
                let field = Mapping::new(FIELD);
                let _rival = Rival::new(&field, LOCK);
                throughput(&field, time, |worker| Process::spawn(read_theirs, (field.path(), worker)))
            },
        ],
    );
    table.row("2 processes, read + unlock", "M/s", &ours, ("pthread_rwlock shared", &theirs), &[]);
}

/// Million reads a second of two workers.
fn throughput(field: &Mapping, time: Duration, start: impl Fn(usize) -> crossproc::Result<Process<(u64, f64)>>) -> f64 {
    let workers = [0, 1].map(|worker| start(worker).unwrap());
    while field.word(READY).load(Acquire) < 2 {
        thread::yield_now();
    }
    thread::sleep(time);
    field.word(STOP).store(1, Release);
    workers.into_iter().map(|worker| worker.join().unwrap()).map(|(reads, seconds)| reads as f64 / seconds / 1e6).sum()
}

fn read_ours(lock: RwLock<u64>, path: String, worker: usize) -> (u64, f64) {
    read_on(&Mapping::open(&path), worker, || assert_eq!(*lock.read().unwrap(), 7))
}

fn read_theirs(path: String, worker: usize) -> (u64, f64) {
    let field = Mapping::open(&path);
    let rival = Rival::at(&field, LOCK);
    read_on(&field, worker, || drop(rival.read()))
}

/// Reads until told to stop; how often, and in how many seconds.
fn read_on(field: &Mapping, worker: usize, read: impl Fn()) -> (u64, f64) {
    let _pinned = pin(worker);
    field.word(READY).fetch_add(1, AcqRel);
    while field.word(READY).load(Acquire) < 2 {
        thread::yield_now();
    }
    let (start, mut reads) = (Instant::now(), 0);
    while field.word(STOP).load(Relaxed) == 0 {
        read();
        reads += 1;
    }
    (reads, start.elapsed().as_secs_f64())
}
