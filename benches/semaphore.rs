//! `BoundedSemaphore` against POSIX's semaphore between processes, which loses the permits of the dead.
//!
//! | row | where | waits |
//! |---|---|---|
//! | uncontended | one process on one core | never |
//! | contended | 8 processes and 2 permits, worker i on core i mod 2, each without a pause between its turns | as each does by itself: ours a spin, then asleep; theirs asleep |

#![allow(clippy::needless_pass_by_value, reason = "what a process is given is its own")]

mod common;

use std::io;
use std::ptr::NonNull;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::thread;
use std::time::{Duration, Instant};

use common::mapping::{APART, Mapping};
use common::{Plan, Table, Target, alternate, nanoseconds, pin};
use crossproc::{BoundedSemaphore, Process};

/// The parts of a field.
const POSIX: usize = 0;
const INSIDE: usize = 1;
const READY: usize = 2;
const STOP: usize = 3;
const FIELD: usize = 4096;

const PERMITS: usize = 2;
const PROCESSES: usize = 8;

fn main() {
    crossproc::init();
    let plan = Plan::from_args();
    let table = Table::new(plan, "semaphore");
    uncontended(plan, &table);
    contended(plan, &table);
}

fn uncontended(plan: Plan, table: &Table) {
    let _pinned = pin(0);
    let field = Mapping::new(FIELD);
    let (ours, theirs) = (BoundedSemaphore::new(PERMITS).unwrap(), Posix::new(&field, PERMITS));
    let calls = plan.of(200_000, 1_000);
    let [guarded, forgotten, rival] = alternate(
        plan.turns(),
        [
            &mut || nanoseconds(calls, || ours.acquire().is_ok()),
            &mut || {
                nanoseconds(calls, || {
                    ours.acquire().unwrap().forget();
                    ours.release(1).unwrap();
                })
            },
            &mut || {
                nanoseconds(calls, || {
                    theirs.wait();
                    theirs.post();
                })
            },
        ],
    );
    assert_eq!(ours.value(), PERMITS);
    let rival = ("POSIX semaphore", &rival);
    table.row("acquire + drop, uncontended", "ns", &guarded, rival, &[Target::AtMost(25.0)]);
    table.row("acquire + forget + release, uncontended", "ns", &forgotten, rival, &[]);
}

fn contended(plan: Plan, table: &Table) {
    let time = plan.of(Duration::from_millis(100), Duration::from_millis(5));
    let [ours, theirs] = alternate(
        plan.turns(),
        [
            &mut || {
                let (semaphore, field) = (BoundedSemaphore::new(PERMITS).unwrap(), Mapping::new(FIELD));
                contend(&field, time, |worker| Process::spawn(take_ours, (&semaphore, field.path(), worker)))
            },
            &mut || {
                let field = Mapping::new(FIELD);
                let _posix = Posix::new(&field, PERMITS);
                contend(&field, time, |worker| Process::spawn(take_theirs, (field.path(), worker)))
            },
        ],
    );
    let name = format!("{PROCESSES} processes, {PERMITS} permits, 2 cores");
    table.row(&name, "M/s", &ours, ("POSIX semaphore", &theirs), &[]);
}

/// Lets workers contend for a time; million turns a second.
fn contend(field: &Mapping, time: Duration, start: impl Fn(usize) -> crossproc::Result<Process<(u64, f64)>>) -> f64 {
    let workers: Vec<_> = (0..PROCESSES).map(|worker| start(worker).unwrap()).collect();
    while field.word(READY).load(Acquire) < PROCESSES as u64 {
        thread::sleep(Duration::from_micros(100));
    }
    thread::sleep(time);
    field.word(STOP).store(1, Release);
    let turns: Vec<_> = workers.into_iter().map(|worker| worker.join().unwrap()).collect();
    let longest = turns.iter().map(|&(_, seconds)| seconds).fold(0.0, f64::max);
    turns.iter().map(|&(count, _)| count).sum::<u64>() as f64 / longest / 1e6
}

fn take_ours(semaphore: BoundedSemaphore, path: String, worker: usize) -> (u64, f64) {
    take_turns(&Mapping::open(&path), worker, |turn| {
        let _permit = semaphore.acquire().unwrap();
        turn();
    })
}

fn take_theirs(path: String, worker: usize) -> (u64, f64) {
    let field = Mapping::open(&path);
    let semaphore = Posix::at(&field);
    take_turns(&field, worker, |turn| {
        semaphore.wait();
        turn();
        semaphore.post();
    })
}

/// Takes turns until told to stop; how many, and in how many seconds.
fn take_turns(field: &Mapping, worker: usize, with_permit: impl Fn(&dyn Fn())) -> (u64, f64) {
    let _pinned = pin(worker);
    let (inside, stop) = (field.word(INSIDE), field.word(STOP));
    field.word(READY).fetch_add(1, AcqRel);
    while field.word(READY).load(Acquire) < PROCESSES as u64 {
        thread::yield_now();
    }
    let start = Instant::now();
    let mut count = 0;
    while stop.load(Relaxed) == 0 {
        with_permit(&|| {
            assert!(inside.fetch_add(1, AcqRel) < PERMITS as u64, "more inside than there are permits");
            inside.fetch_sub(1, AcqRel);
        });
        count += 1;
    }
    (count, start.elapsed().as_secs_f64())
}

/// A process-shared `sem_t` in the first part of a field.
struct Posix<'a>(&'a Mapping);

const _: () = assert!(size_of::<libc::sem_t>() <= APART);

impl<'a> Posix<'a> {
    /// A new one; nobody may use one that is there already.
    fn new(field: &'a Mapping, permits: usize) -> Self {
        let semaphore = Posix::at(field);
        // SAFETY: room for a semaphore, which nobody uses yet.
        assert_eq!(unsafe { libc::sem_init(semaphore.address().as_ptr(), 1, permits as u32) }, 0);
        semaphore
    }

    /// The one that another process has made there.
    fn at(field: &'a Mapping) -> Self {
        Posix(field)
    }

    fn address(&self) -> NonNull<libc::sem_t> {
        self.0.part(POSIX).cast()
    }

    #[inline]
    fn wait(&self) {
        // SAFETY: an initialised semaphore, in a mapping that outlives the call.
        assert_eq!(unsafe { libc::sem_wait(self.address().as_ptr()) }, 0, "{}", io::Error::last_os_error());
    }

    #[inline]
    fn post(&self) {
        // SAFETY: as in `wait`.
        assert_eq!(unsafe { libc::sem_post(self.address().as_ptr()) }, 0, "{}", io::Error::last_os_error());
    }
}
