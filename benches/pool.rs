//! What a pool costs for each task, and what a death in it does; against Python's `multiprocessing.Pool` if there is a Python.
//!
//! | row | what is measured |
//! |---|---|
//! | map, imap | the squares of 100,000 numbers: from the call until the last result is there |
//! | apply | calls one after the other, each of which is waited for |
//! | a killed worker | from the call of a task that kills its worker: until its end is reported, and until there are four workers again that work |
//! | start + join | a pool of four without tasks; the rival is four processes without a pool |
//!
//! Pools of the first two have two workers. All wait as they do by themselves, on any core. Python's pool is forked once, does
//! fewer of the tasks that take it long, and measures itself.
//!
//! `cargo bench --bench pool -- map "a killed worker"` measures the rows that begin so.

#![allow(clippy::needless_pass_by_value, reason = "what a process is given is its own")]

mod common;

use std::time::Instant;

use common::python::{POOL, Python};
use common::{Plan, Samples, Table, Target, alternate, is_asked_for, microseconds};
use crossproc::{Barrier, Exit, Pool, Process, TaskError};

const WORKERS: usize = 2;
/// Of the pools that lose one, or only start.
const MORE_WORKERS: usize = 4;

fn main() {
    crossproc::init();
    let plan = Plan::from_args();
    let table = Table::new(plan, "pool");
    tasks(plan, &table);
    if is_asked_for("a killed worker") {
        a_killed_worker(&table, plan.of(200, 3));
    }
    if is_asked_for("start + join") {
        start_and_join(&table, plan.of(100, 3));
    }
}

fn square(n: u64) -> u64 {
    n * n
}

fn tasks(plan: Plan, table: &Table) {
    let pool = Pool::new(WORKERS).unwrap();
    let mut python = Python::start(POOL);
    let many = plan.of(100_000, 1_000);
    let some = many / 10;

    let row = Row { name: "map, default chunks", unit: "M/s", count: many, targets: &[Target::AtLeast(30.0)] };
    let rival = ("pool.map(square, range(n))", many);
    row.measure(plan, table, || pool.map(square, 0..many).unwrap(), python.as_mut(), rival);

    let row = Row { name: "map, chunks of one", unit: "M/s", count: many, targets: &[Target::AtLeast(1.0)] };
    let rival = ("pool.map(square, range(n), 1)", some);
    row.measure(plan, table, || pool.chunk(1).map(square, 0..many).unwrap(), python.as_mut(), rival);

    let row = Row { name: "imap, default chunks", unit: "M/s", count: many, targets: &[] };
    let rival = ("list(pool.imap(square, range(n), 1000))", many);
    row.measure(plan, table, || pool.imap(square, 0..many).map(Result::unwrap).collect(), python.as_mut(), rival);

    let row = Row { name: "imap, chunks of one", unit: "M/s", count: many, targets: &[] };
    let rival = ("list(pool.imap(square, range(n)))", some);
    let imap = || pool.chunk(1).imap(square, 0..many).map(Result::unwrap).collect();
    row.measure(plan, table, imap, python.as_mut(), rival);

    let row = Row { name: "apply, one at a time", unit: "K/s", count: some, targets: &[Target::AtLeast(100.0)] };
    let rival = ("[pool.apply(square, (i,)) for i in range(n)]", some / 10);
    let apply = || (0..some).map(|n| pool.apply(square, (n,)).unwrap()).collect();
    row.measure(plan, table, apply, python.as_mut(), rival);
}

/// So many squares, in thousands or millions a second.
struct Row<'a> {
    name: &'a str,
    unit: &'a str,
    count: u64,
    targets: &'a [Target],
}

impl Row<'_> {
    /// `rival`: what Python is to do, and how often.
    fn measure(
        &self,
        plan: Plan,
        table: &Table,
        squares: impl Fn() -> Vec<u64>,
        python: Option<&mut Python>,
        rival: (&str, u64),
    ) {
        if !is_asked_for(self.name) {
            return;
        }
        let unit = if self.unit == "K/s" { 1e3 } else { 1e6 };
        let mut ours = || {
            let start = Instant::now();
            let squares = squares();
            let seconds = start.elapsed().as_secs_f64();
            assert!(squares.iter().copied().eq((0..self.count).map(square)), "not the squares, in order");
            self.count as f64 / seconds / unit
        };
        match python {
            Some(python) => {
                let (expression, count) = rival;
                let mut theirs = || count as f64 / python.seconds(expression, count) / unit;
                let [ours, theirs] = alternate(plan.turns(), [&mut ours, &mut theirs]);
                table.row(self.name, self.unit, &ours, ("Python's Pool", &theirs), self.targets);
            }
            None => {
                let [ours] = alternate(plan.turns(), [&mut ours]);
                table.alone(self.name, self.unit, ours.median(), self.targets);
            }
        }
    }
}

fn a_killed_worker(table: &Table, rounds: usize) {
    let pool = Pool::new(MORE_WORKERS).unwrap();
    let (mut reported, mut replaced) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let start = Instant::now();
        let outcome = pool.apply(kill_this_process, ());
        reported.push(start.elapsed().as_secs_f64() * 1e3);
        assert!(matches!(outcome, Err(TaskError::WorkerDied { exit: Exit::Signal(libc::SIGKILL), .. })), "{outcome:?}");
        // Nobody gets past it before all are there.
        let all = Barrier::new(MORE_WORKERS).unwrap();
        pool.chunk(1).map(meet, vec![all; MORE_WORKERS]).unwrap();
        replaced.push(start.elapsed().as_secs_f64() * 1e3);
    }
    let target = [Target::AtMost(60.0)];
    for (what, samples) in [("its task reported", reported), ("four workers again", replaced)] {
        let samples = Samples::from(samples);
        table.alone(&format!("a killed worker: {what}, p50"), "ms", samples.percentile(50.0), &target);
        table.alone(&format!("a killed worker: {what}, max"), "ms", samples.percentile(100.0), &target);
    }
}

fn kill_this_process() {
    // SAFETY: a system call without pointers.
    unsafe { libc::raise(libc::SIGKILL) };
}

fn meet(all: Barrier) {
    all.wait().unwrap();
}

fn start_and_join(table: &Table, starts: usize) {
    let [ours, rival] = alternate(
        starts,
        [&mut || microseconds(|| Pool::new(MORE_WORKERS).unwrap().join()), &mut || {
            microseconds(|| {
                let processes = [(); MORE_WORKERS].map(|()| Process::spawn(|| (), ()).unwrap());
                processes.map(|process| process.join().unwrap())
            })
        }],
    );
    let rival = ("four of Process::spawn", &rival);
    table.percentile_row("start + join of a pool of four, p50", "us", 50.0, &ours, rival, &[]);
    table.percentile_row("start + join of a pool of four, p99", "us", 99.0, &ours, rival, &[]);
}
