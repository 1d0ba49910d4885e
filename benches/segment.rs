//! What making shared objects costs, against the system calls and initialisations that nobody can do without.
//!
//! One process on one core.

mod common;

use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use common::mapping::{APART, Mapping};
use common::pthread::{Kind, Mutex};
use common::{Plan, Table, alternate, nanoseconds, pin};
use crossproc::{Arena, Lock, Value};

/// The smallest object of an arena: a header of 128 bytes, and 128 for what it holds.
const OBJECT: usize = 256;

fn main() {
    crossproc::init();
    let plan = Plan::from_args();
    let table = Table::new(plan, "segment");
    let _pinned = pin(0);
    own_segment(plan, &table);
    in_an_arena(plan, &table);
    from_a_descriptor(plan, &table);
}

fn own_segment(plan: Plan, table: &Table) {
    assert_eq!(Value::new(5_u64).unwrap().get(), 5);
    let calls = plan.of(500, 5);
    let [value, arena, small, large] = alternate(
        plan.turns(),
        [
            &mut || nanoseconds(calls, || drop(Value::new(5_u64).unwrap())) / 1e3,
            &mut || nanoseconds(calls, || drop(Arena::new(1 << 20).unwrap())) / 1e3,
            // One word written, as a page that nobody touches costs nothing.
            &mut || nanoseconds(calls, || Mapping::allocated(4096).word(0).store(5, Relaxed)) / 1e3,
            &mut || nanoseconds(calls, || Mapping::allocated(1 << 20).word(0).store(5, Relaxed)) / 1e3,
        ],
    );
    let rival = "memfd, allocate, mmap, drop";
    table.row("Value::new + drop", "us", &value, (rival, &small), &[]);
    table.row("Arena::new of 1 MiB + drop", "us", &arena, (rival, &large), &[]);
}

fn in_an_arena(plan: Plan, table: &Table) {
    let count = plan.of(4_000_usize, 50);
    let per_object = |start: Instant| start.elapsed().as_secs_f64() * 1e9 / count as f64;
    let [ours, rival] = alternate(
        plan.turns(),
        [
            &mut || {
                let arena = Arena::new(count * OBJECT).unwrap();
                let start = Instant::now();
                let locks: Vec<Lock> = (0..count).map(|_| Lock::new_in(&arena).unwrap()).collect();
                let time = per_object(start);
                assert!(locks[0].lock().is_ok() && locks[count - 1].lock().is_ok());
                time
            },
            &mut || {
                let mapping = Mapping::allocated(count * OBJECT);
                let start = Instant::now();
                let mutexes: Vec<Mutex> =
                    (0..count).map(|nth| Mutex::new(&mapping, nth * OBJECT / APART, Kind::Robust)).collect();
                let time = per_object(start);
                drop(mutexes[count - 1].lock());
                time
            },
        ],
    );
    table.row("Lock::new_in an arena, fresh pages", "ns", &ours, ("pthread_mutex_init", &rival), &[]);
}

fn from_a_descriptor(plan: Plan, table: &Table) {
    let value = Value::new(5_u64).unwrap();
    let copy = || -> OwnedFd { value.memory_fd().try_clone_to_owned().unwrap() };
    assert_eq!(Value::<u64>::from_fd(copy()).unwrap().get(), 5);
    let calls = plan.of(2_000, 10);
    let [ours, rival] = alternate(
        plan.turns(),
        [&mut || nanoseconds(calls, || drop(Value::<u64>::from_fd(copy()).unwrap())) / 1e3, &mut || {
            nanoseconds(calls, || drop(copy())) / 1e3
        }],
    );
    table.row("Value::from_fd of memory attached already, + drop", "us", &ours, ("dup + close", &rival), &[]);
}
