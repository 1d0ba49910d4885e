//! Pools: many small tasks for two workers each, which wait as they do by themselves. All tasks are squares of numbers, and all
//! results are looked at.

use std::time::Instant;

use crossproc::Pool;
use rayon::ThreadPool;
use rayon::prelude::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};

use crate::common::python::Python;
use crate::contest::Contest;
use crate::plan::Plan;
use crate::report::Unit;
use crate::watchdog::Watchdog;

const WORKERS: usize = 2;

pub(crate) fn run(plan: &Plan, watchdog: &Watchdog) {
    let (many, few) = (plan.of(100_000, 1_000), plan.of(2_000, 50));
    let row = "pool, map, default chunks";
    if plan.wants_row(row) {
        let mut contest = Contest::new(plan, watchdog, row.to_string());
        let pool = Pool::new(WORKERS).unwrap();
        contest.ours("Pool::map", move || rate(many, |n| pool.map(square, 0..n).unwrap()));
        let threads = rayon_pool();
        contest.rival("rayon, threads", move || {
            rate(many, |n| threads.install(|| (0..n).into_par_iter().map(square).collect()))
        });
        python(&mut contest, many, "pool.map(square, range(n))");
        contest.run(Unit::Tasks);
    }
    let row = "pool, map, chunks of one";
    if plan.wants_row(row) {
        let mut contest = Contest::new(plan, watchdog, row.to_string());
        let pool = Pool::new(WORKERS).unwrap();
        contest.ours("Pool::chunk(1).map", move || rate(many, |n| pool.chunk(1).map(square, 0..n).unwrap()));
        let threads = rayon_pool();
        contest.rival("rayon, threads", move || {
            rate(many, |n| {
                threads.install(|| (0..n as u32).into_par_iter().with_max_len(1).map(|i| square(i.into())).collect())
            })
        });
        let processes = procspawn_pool();
        contest.rival("procspawn", move || {
            rate(few, |n| {
                let handles: Vec<_> = (0..n).map(|i| processes.spawn(i, square)).collect();
                handles.into_iter().map(|handle| handle.join().unwrap()).collect()
            })
        });
        python(&mut contest, few, "pool.map(square, range(n), 1)");
        contest.run(Unit::Tasks);
    }
    let row = "pool, apply, one at a time";
    if plan.wants_row(row) {
        let mut contest = Contest::new(plan, watchdog, row.to_string());
        let pool = Pool::new(WORKERS).unwrap();
        contest.ours("Pool::apply", move || rate(few, |n| (0..n).map(|i| pool.apply(square, (i,)).unwrap()).collect()));
        let threads = rayon_pool();
        contest.rival("rayon, threads", move || rate(few, |n| (0..n).map(|i| threads.install(|| square(i))).collect()));
        let processes = procspawn_pool();
        contest.rival("procspawn", move || {
            rate(few, |n| (0..n).map(|i| processes.spawn(i, square).join().unwrap()).collect())
        });
        python(&mut contest, few, "[pool.apply(square, (i,)) for i in range(n)]");
        contest.run(Unit::Tasks);
    }
}

fn square(n: u64) -> u64 {
    n * n
}

fn rayon_pool() -> ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(WORKERS).build().unwrap()
}

fn procspawn_pool() -> procspawn::Pool {
    procspawn::Pool::new(WORKERS).unwrap()
}

/// Thousands of tasks a second.
fn rate(count: u64, squares: impl Fn(u64) -> Vec<u64>) -> Vec<f64> {
    let start = Instant::now();
    let squares = squares(count);
    let seconds = start.elapsed().as_secs_f64();
    assert!(squares.into_iter().eq((0..count).map(square)), "not the squares, in order");
    vec![count as f64 / seconds / 1e3]
}

fn python(contest: &mut Contest<'_>, count: u64, expression: &'static str) {
    let name = "Python's Pool";
    match Python::start() {
        Some(mut python) => contest.rival(name, move || vec![count as f64 / python.seconds(expression, count) / 1e3]),
        None => contest.missing_rival(name, "no python3"),
    }
}
