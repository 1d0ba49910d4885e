//! `Value`, `Array` and `RawValue` against the atomics, the locked structs and the vectors that they replace.
//!
//! Everything but the last row runs in one process, on one core, and nobody else touches the objects. In the last row
//! two processes on two cores add to one word, without a pause.

#![allow(clippy::needless_pass_by_value, reason = "what a process is given is its own")]

mod common;

use std::hint::black_box;
use std::ptr;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::thread;
use std::time::{Duration, Instant};

use common::mapping::Mapping;
use common::pthread::{Kind, Mutex};
use common::{Plan, Table, Target, alternate, nanoseconds, pin};
use crossproc::{Array, Process, RawValue, Value};

type Line = [u64; 8];

const READY: usize = 0;
const STOP: usize = 1;
const WORD: usize = 2;
const FIELD: usize = 4096;

fn main() {
    crossproc::init();
    let plan = Plan::from_args();
    let table = Table::new(plan, "cell");
    {
        let _pinned = pin(0);
        small_value(plan, &table);
        value_of_a_line(plan, &table);
        elements(plan, &table);
        whole_array(plan, &table);
        atomic_alone(plan, &table);
    }
    atomic_contended(plan, &table);
}

fn small_value(plan: Plan, table: &Table) {
    let (value, atomic) = (Value::new(7_u64).unwrap(), AtomicU64::new(7));
    assert_eq!((value.get(), value.update(|n| n + 1), value.get()), (7, 8, 8));
    let calls = plan.of(1_000_000, 1_000);
    let [ours, rival] = alternate(
        plan.turns(),
        [&mut || nanoseconds(calls, || black_box(&value).get()), &mut || {
            nanoseconds(calls, || black_box(&atomic).load(Acquire))
        }],
    );
    table.row("Value<u64>::get", "ns", &ours, ("AtomicU64::load", &rival), &[Target::AtMost(5.0)]);
}

/// Plain data behind the C library's mutex: what a program without `Value` does.
struct Guarded<'a> {
    mutex: Mutex<'a>,
    line: *mut Line,
}

impl<'a> Guarded<'a> {
    fn new(field: &'a Mapping, kind: Kind) -> Self {
        Guarded { mutex: Mutex::new(field, 0, kind), line: field.part(1).cast().as_ptr() }
    }

    fn get(&self) -> Line {
        let _held = self.mutex.lock();
        // SAFETY: 64 aligned bytes of the mapping, which whoever holds the mutex has alone.
        unsafe { self.line.read() }
    }

    fn update(&self, change: impl FnOnce(Line) -> Line) {
        let _held = self.mutex.lock();
        // SAFETY: as in `get`.
        let line = unsafe { &mut *self.line };
        *line = change(*line);
    }
}

fn value_of_a_line(plan: Plan, table: &Table) {
    let field = Mapping::new(FIELD);
    let (value, guarded) = (Value::new([0_u64; 8]).unwrap(), Guarded::new(&field, Kind::Robust));
    let bump = |mut line: Line| {
        line[7] += 1;
        line
    };
    value.update(bump);
    guarded.update(bump);
    assert_eq!((value.get(), guarded.get()), ([0, 0, 0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 0, 0, 0, 1]));

    let calls = plan.of(200_000, 1_000);
    let rival = "struct, pthread robust";
    let [ours, theirs] = alternate(
        plan.turns(),
        [&mut || nanoseconds(calls, || value.get()), &mut || nanoseconds(calls, || guarded.get())],
    );
    table.row("Value<[u64; 8]>::get", "ns", &ours, (rival, &theirs), &[]);
    let [ours, theirs] = alternate(
        plan.turns(),
        [&mut || nanoseconds(calls, || value.set(black_box([3; 8]))), &mut || {
            nanoseconds(calls, || guarded.update(|_| black_box([3; 8])))
        }],
    );
    table.row("Value<[u64; 8]>::set", "ns", &ours, (rival, &theirs), &[]);
    let [ours, theirs] = alternate(
        plan.turns(),
        [&mut || nanoseconds(calls, || value.update(bump)), &mut || nanoseconds(calls, || guarded.update(bump))],
    );
    table.row("Value<[u64; 8]>::update", "ns", &ours, (rival, &theirs), &[]);
}

/// Elements behind the C library's mutex.
struct GuardedElements<'a> {
    mutex: Mutex<'a>,
    first: *mut u64,
}

impl GuardedElements<'_> {
    const LENGTH: usize = 64;

    fn get(&self, index: usize) -> u64 {
        assert!(index < Self::LENGTH);
        let _held = self.mutex.lock();
        // SAFETY: in range, and nobody else's as long as the mutex is held.
        let element = unsafe { self.first.add(index) };
        // SAFETY: as above.
        unsafe { element.read() }
    }

    fn set(&self, index: usize, value: u64) {
        assert!(index < Self::LENGTH);
        let _held = self.mutex.lock();
        // SAFETY: in range, and nobody else's as long as the mutex is held.
        let element = unsafe { self.first.add(index) };
        // SAFETY: as above.
        unsafe { element.write(value) };
    }
}

fn elements(plan: Plan, table: &Table) {
    let field = Mapping::new(FIELD);
    let mutex = Mutex::new(&field, 0, Kind::Robust);
    let guarded = GuardedElements { mutex, first: field.part(1).cast().as_ptr() };
    let array = Array::<u64>::new(GuardedElements::LENGTH).unwrap();
    array.set(9, 5).unwrap();
    guarded.set(9, 5);
    assert_eq!((array.get(9).unwrap(), guarded.get(9)), (5, 5));

    let calls = plan.of(200_000, 1_000);
    let rival = "elements, pthread robust";
    let [ours, theirs] = alternate(
        plan.turns(),
        [&mut || nanoseconds(calls, || array.get(black_box(9)).is_ok()), &mut || {
            nanoseconds(calls, || guarded.get(black_box(9)))
        }],
    );
    table.row("Array<u64>::get", "ns", &ours, (rival, &theirs), &[]);
    let [ours, theirs] = alternate(
        plan.turns(),
        [&mut || nanoseconds(calls, || array.set(black_box(9), 5).is_ok()), &mut || {
            nanoseconds(calls, || guarded.set(black_box(9), 5))
        }],
    );
    table.row("Array<u64>::set", "ns", &ours, (rival, &theirs), &[]);
}

fn whole_array(plan: Plan, table: &Table) {
    let numbers: Vec<u64> = (0..(1 << 20) / 8).collect();
    let array = Array::from_iter(numbers.iter().copied()).unwrap();
    let sum = |numbers: &[u64]| numbers.iter().fold(0, |sum: u64, &number| sum.wrapping_add(number));
    let wanted = sum(&numbers);
    assert_eq!(sum(&array.lock().unwrap()), wanted);

    let calls = plan.of(100, 2);
    let [ours, rival] = alternate(
        plan.turns(),
        [&mut || nanoseconds(calls, || sum(black_box(&array.lock().unwrap()[..]))) / 1e3, &mut || {
            nanoseconds(calls, || sum(black_box(&numbers[..]))) / 1e3
        }],
    );
    let name = "sum of 1 MiB through an ArrayGuard";
    table.row(name, "us", &ours, ("Vec", &rival), &[]);
}

fn atomic_alone(plan: Plan, table: &Table) {
    let (raw, local) = (RawValue::new(AtomicU64::new(0)).unwrap(), Box::new(AtomicU64::new(0)));
    assert!(ptr::eq(&raw const *raw, &raw const *raw.clone()));
    let calls = plan.of(500_000, 1_000);
    let [ours, rival] = alternate(
        plan.turns(),
        [&mut || nanoseconds(calls, || black_box(&raw).fetch_add(1, Relaxed)), &mut || {
            nanoseconds(calls, || black_box(&local).fetch_add(1, Relaxed))
        }],
    );
    assert_eq!((raw.load(Relaxed), local.load(Relaxed)), {
        let all = (plan.turns() as u64 + 1) * u64::from(calls);
        (all, all)
    });
    let name = "RawValue<AtomicU64>::fetch_add, alone";
    table.row(name, "ns", &ours, ("local AtomicU64", &rival), &[Target::RatioAtMost(1.1)]);
}

fn atomic_contended(plan: Plan, table: &Table) {
    let time = plan.of(Duration::from_millis(100), Duration::from_millis(5));
    let [ours, rival] = alternate(
        plan.turns(),
        [
            &mut || {
                let (raw, field) = (RawValue::new(AtomicU64::new(0)).unwrap(), Mapping::new(FIELD));
                let start = |worker| Process::spawn(add_to_raw, (&raw, field.path(), worker));
                contend(&field, time, start, &raw)
            },
            &mut || {
                let field = Mapping::new(FIELD);
                contend(&field, time, |worker| Process::spawn(add_to_bare, (field.path(), worker)), field.word(WORD))
            },
        ],
    );
    let name = "RawValue<AtomicU64>::fetch_add, 2 processes, 2 cores";
    let targets = [Target::AtLeast(45.0), Target::RatioAtLeast(0.95)];
    table.row(name, "M/s", &ours, ("mmapped AtomicU64", &rival), &targets);
}

/// Million additions a second of two processes together; checks that none was lost.
fn contend(
    field: &Mapping,
    time: Duration,
    start: impl Fn(usize) -> crossproc::Result<Process<(u64, f64)>>,
    total: &AtomicU64,
) -> f64 {
    let workers = [start(0).unwrap(), start(1).unwrap()];
    while field.word(READY).load(Acquire) < 2 {
        thread::sleep(Duration::from_micros(100));
    }
    thread::sleep(time);
    field.word(STOP).store(1, Release);
    let done = workers.map(|worker| worker.join().unwrap());
    assert_eq!(total.load(Acquire), done[0].0 + done[1].0, "an addition was lost");
    done.iter().map(|&(count, seconds)| count as f64 / seconds / 1e6).sum()
}

fn add_to_raw(raw: RawValue<AtomicU64>, path: String, worker: usize) -> (u64, f64) {
    // The handle itself, in each addition: what it costs to get from it to the word is part of the row.
    add(&Mapping::open(&path), worker, || raw.fetch_add(1, Relaxed))
}

fn add_to_bare(path: String, worker: usize) -> (u64, f64) {
    let field = Mapping::open(&path);
    let word = field.word(WORD);
    add(&field, worker, || word.fetch_add(1, Relaxed))
}

/// Adds until told to stop; how often, and in how many seconds.
fn add(field: &Mapping, worker: usize, add_one: impl Fn() -> u64) -> (u64, f64) {
    let _pinned = pin(worker);
    let stop = field.word(STOP);
    field.word(READY).fetch_add(1, AcqRel);
    while field.word(READY).load(Acquire) < 2 {
        thread::yield_now();
    }
    let start = Instant::now();
    let mut count = 0;
    while stop.load(Relaxed) == 0 {
        // A thousand at a time: looking at `stop` shall not be part of the row.
        for _ in 0..1_000 {
            black_box(add_one());
        }
        count += 1_000;
    }
    (count, start.elapsed().as_secs_f64())
}
