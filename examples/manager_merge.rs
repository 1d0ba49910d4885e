//! Jobs of several kinds, one process each, whose results are merged into one dictionary: a list for each key. First each
//! job reads the list, adds its result and writes the list back, under a lock; then it does so in one step, without. Prints
//! the same line twice: `{"cubes": [0, 1, 8, 27, 64, 125], "squares": [0, 1, 4, 9, 16, 25], "words": [3, 4, 5]}`.

use std::collections::BTreeMap;

use crossproc::managed::{Dict, Lock};
use crossproc::{Manager, Process, Result};

type Results = Dict<String, Vec<u64>>;

fn power(number: u64, exponent: u32) -> u64 {
    number.pow(exponent)
}

fn length(word: String) -> u64 {
    word.len() as u64
}

fn merge_locked(results: &Results, lock: &Lock, key: &str, result: u64) -> Result<()> {
    let _guard = lock.lock()?;
    let mut list = results.get(key)?.unwrap_or_default();
    list.push(result);
    results.insert(key, list)?;
    Ok(())
}

fn merge_at_once(results: &Results, key: &str, result: u64) -> Result<()> {
    results.entry(key)?.and_modify(|list| list.push(result)).or_insert(vec![result])?;
    Ok(())
}

/// Merges what a job has found: under the lock, if there is one.
fn merge(results: Results, lock: Option<Lock>, key: String, result: u64) -> Result<()> {
    match lock {
        Some(lock) => merge_locked(&results, &lock, &key, result),
        None => merge_at_once(&results, &key, result),
    }
}

fn power_job(results: Results, lock: Option<Lock>, key: String, (number, exponent): (u64, u32)) -> Result<()> {
    merge(results, lock, key, power(number, exponent))
}

fn length_job(results: Results, lock: Option<Lock>, key: String, word: String) -> Result<()> {
    merge(results, lock, key, length(word))
}

/// A manager of this machine, or one at the server that `--engine` names: `redis://localhost`, say.
fn manager() -> Result<Manager> {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--engine");
    match arguments.nth(1) {
        Some(address) => Manager::connect(&address),
        None => Manager::start(),
    }
}

/// What all jobs have found, sorted: they end in any order.
fn run_jobs(is_locked: bool) -> Result<BTreeMap<String, Vec<u64>>> {
    let manager = manager()?;
    let results: Results = manager.dict()?;
    let lock = is_locked.then(|| manager.lock()).transpose()?;
    let mut jobs = Vec::new();
    for number in 0..6_u64 {
        for (key, exponent) in [("squares", 2_u32), ("cubes", 3)] {
            jobs.push(Process::spawn(power_job, (&results, &lock, key, (number, exponent)))?);
        }
    }
    for word in ["one", "four", "three"] {
        jobs.push(Process::spawn(length_job, (&results, &lock, "words", word))?);
    }
    for job in jobs {
        job.join()??;
    }
    let mut lists: BTreeMap<_, _> = results.items()?.into_iter().collect();
    lists.values_mut().for_each(|list| list.sort_unstable());
    Ok(lists)
}

fn main() -> Result<()> {
    crossproc::init();
    println!("{:?}", run_jobs(true)?);
    println!("{:?}", run_jobs(false)?);
    Ok(())
}
