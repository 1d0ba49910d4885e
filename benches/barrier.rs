//! `Barrier` against the C library's process-shared one, and `Event` against a bare atomic.
//!
//! | row | where | waits |
//! |---|---|---|
//! | event | one process on one core | never |
//! | barrier | n processes, party i on core i mod 2, each without a pause between its rounds | as each barrier does by itself: ours a spin, then asleep; theirs asleep |

#![allow(clippy::needless_pass_by_value, reason = "what a process is given is its own")]

mod common;

use std::mem;
use std::sync::atomic::Ordering::{Acquire, Relaxed};
use std::time::Instant;

use common::mapping::{APART, Mapping};
use common::{Plan, Samples, Table, Target, alternate, nanoseconds, pin};
use crossproc::{Barrier, Event, Process};

/// The parts of a field.
const BARRIER: usize = 0;
const COUNT: usize = 1;
const FIELD: usize = 4096;

fn main() {
    crossproc::init();
    let plan = Plan::from_args();
    let table = Table::new(plan, "barrier");
    events(plan, &table);
    rounds(plan, &table, 2, &[Target::AtMost(1.0), Target::RatioAtMost(1.0)]);
    rounds(plan, &table, 8, &[Target::RatioAtMost(1.0)]);
}

fn events(plan: Plan, table: &Table) {
    let _pinned = pin(0);
    let (event, field) = (Event::new().unwrap(), Mapping::new(FIELD));
    let word = field.word(COUNT);
    let calls = plan.of(1_000_000, 1_000);
    let row = |name: &str, ours: &mut dyn FnMut() -> f64, theirs: &mut dyn FnMut() -> f64, targets: &[Target]| {
        let [ours, theirs] = alternate(plan.turns(), [ours, theirs]);
        table.row(name, "ns", &ours, ("AtomicU64", &theirs), targets);
    };
    row(
        "event: is_set",
        &mut || nanoseconds(calls, || event.is_set()),
        &mut || nanoseconds(calls, || word.load(Acquire)),
        &[Target::AtMost(2.0)],
    );
    row(
        "event: set and clear, nobody waits",
        &mut || {
            nanoseconds(calls, || {
                event.set();
                event.clear();
            })
        },
        &mut || {
            nanoseconds(calls, || {
                word.swap(1, Relaxed);
                word.swap(0, Relaxed);
            })
        },
        &[],
    );
    assert!(!event.is_set());
}

/// Microseconds for a round of so many processes.
fn rounds(plan: Plan, table: &Table, parties: usize, targets: &[Target]) {
    let rounds = plan.of(20_000 / parties as u64, 50);
    let measure = |start: &dyn Fn(usize) -> Process<f64>, field: &Mapping| {
        let parties: Vec<_> = (0..parties).map(start).collect();
        let longest = parties.into_iter().map(|party| party.join().unwrap()).fold(0.0, f64::max);
        assert_eq!(field.word(COUNT).load(Acquire), rounds, "each round has one leader");
        longest
    };
    let samples: [Samples; 2] = alternate(
        plan.turns(),
        [
            &mut || {
                let (barrier, field) = (Barrier::new(parties).unwrap(), Mapping::new(FIELD));
                let start = |me| Process::spawn(pass_ours, (&barrier, field.path(), me, rounds)).unwrap();
                measure(&start, &field)
            },
            &mut || {
                let field = Mapping::new(FIELD);
                let _barrier = PthreadBarrier::new(&field, parties as u32);
                let start = |me| Process::spawn(pass_theirs, (field.path(), me, rounds)).unwrap();
                measure(&start, &field)
            },
        ],
    );
    let [ours, theirs] = samples;
    let name = format!("barrier: {parties} processes, 2 cores, a round");
    table.row(&name, "us", &ours, ("pthread_barrier shared", &theirs), targets);
}

fn pass_ours(barrier: Barrier, path: String, me: usize, rounds: u64) -> f64 {
    each_round(&Mapping::open(&path), me, rounds, || barrier.wait().unwrap().is_leader())
}

fn pass_theirs(path: String, me: usize, rounds: u64) -> f64 {
    let field = Mapping::open(&path);
    let barrier = PthreadBarrier { field: &field };
    each_round(&field, me, rounds, || barrier.wait())
}

/// `wait` says whether this is the one of the round that counts it. Microseconds for each, from the first on that all take.
fn each_round(field: &Mapping, me: usize, rounds: u64, wait: impl Fn() -> bool) -> f64 {
    let _pinned = pin(me);
    let count = |is_leader: bool| _ = field.word(COUNT).fetch_add(u64::from(is_leader), Relaxed);
    count(wait());
    let start = Instant::now();
    let leading: u64 = (1..rounds).map(|_| u64::from(wait())).sum();
    let microseconds = start.elapsed().as_secs_f64() * 1e6 / (rounds - 1) as f64;
    field.word(COUNT).fetch_add(leading, Relaxed);
    microseconds
}

/// A process-shared barrier of the C library, in the first part of a field.
struct PthreadBarrier<'a> {
    field: &'a Mapping,
}

const _: () = assert!(size_of::<libc::pthread_barrier_t>() <= APART);

impl<'a> PthreadBarrier<'a> {
    fn new(field: &'a Mapping, parties: u32) -> Self {
        let barrier = PthreadBarrier { field };
        // SAFETY: room for what the next call initialises.
        let mut attributes: libc::pthread_barrierattr_t = unsafe { mem::zeroed() };
        let attributes = &raw mut attributes;
        // SAFETY: live attributes.
        unsafe { libc::pthread_barrierattr_init(attributes) };
        // SAFETY: initialised attributes.
        unsafe { libc::pthread_barrierattr_setpshared(attributes, libc::PTHREAD_PROCESS_SHARED) };
        // SAFETY: room within the mapping that nobody uses yet, and initialised attributes.
        assert_eq!(unsafe { libc::pthread_barrier_init(barrier.address(), attributes, parties) }, 0);
        // SAFETY: initialised attributes, not used again.
        unsafe { libc::pthread_barrierattr_destroy(attributes) };
        barrier
    }

    fn address(&self) -> *mut libc::pthread_barrier_t {
        self.field.part(BARRIER).cast().as_ptr()
    }

    /// Whether this is the one of the round that the library picks.
    fn wait(&self) -> bool {
        // SAFETY: initialised, in a mapping that lives.
        match unsafe { libc::pthread_barrier_wait(self.address()) } {
            0 => false,
            libc::PTHREAD_BARRIER_SERIAL_THREAD => true,
            error => panic!("{}", std::io::Error::from_raw_os_error(error)),
        }
    }
}
