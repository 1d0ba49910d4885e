//! What a managed container costs for each call; against those of Python's `multiprocessing.Manager` if there is a Python.
//!
//! | row | what is measured |
//! |---|---|
//! | insert, get | of a dictionary with 1,000 entries, each key in turn |
//! | update, fetch_add | of one key, by all clients; Python takes a lock of its own for that, as its dictionary cannot add |
//! | push, index | of a list: behind its end, and of 1,000 items each in turn. Ours frees meanwhile what was pushed the turn before |
//! | items | copies of 1,000 entries |
//! | value | reading one, of a number |
//!
//! A client is a process: the bench itself, and for two another one. Neither is bound to a processor. Python's manager serves two
//! forked processes of its pool, does fewer calls, and measures itself.
//!
//! `cargo bench --bench managed -- insert get` measures the rows that begin so.

mod common;

use std::hint::black_box;
use std::time::Instant;

use common::python::{MANAGER, Python};
use common::{Plan, Table, Target, alternate, is_asked_for};
use crossproc::managed::{Dict, List, Value};
use crossproc::{Barrier, Manager, Process, Result};
use serde::{Deserialize, Serialize};

const ENTRIES: u64 = 1_000;
const LONG: usize = 1 << 10;

/// What all clients work on.
#[derive(Clone, Serialize, Deserialize)]
struct Containers {
    numbers: Dict<u64, u64>,
    texts: Dict<String, Vec<u8>>,
    items: List<u64>,
    log: List<u64>,
    value: Value<u64>,
}

#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
enum Call {
    Insert,
    Get,
    Update,
    FetchAdd,
    InsertLong,
    GetLong,
    Push,
    Index,
    Items,
    Value,
}

fn main() -> Result<()> {
    crossproc::init();
    let plan = Plan::from_args();
    let table = Table::new(plan, "managed");
    let manager = Manager::start()?;
    let containers = Containers {
        numbers: manager.dict()?,
        texts: manager.dict()?,
        items: manager.list(0..ENTRIES)?,
        log: manager.list([])?,
        value: manager.value(7)?,
    };
    containers.numbers.extend((0..ENTRIES).map(|i| (i, i)))?;
    containers.texts.extend((0..ENTRIES).map(|i| (text_key(i), vec![0_u8; LONG])))?;
    let mut bench = Bench { plan, table, containers, python: Python::start(MANAGER) };

    let at_least = |rate| vec![Target::AtLeast(rate)];
    let many = 100_000;
    bench.row(
        "insert, u64 -> u64",
        Call::Insert,
        many,
        [at_least(500.0), at_least(1e3)],
        "numbers.__setitem__(i % 1000, i)",
    );
    bench.row("get, u64 -> u64", Call::Get, many, [at_least(500.0), at_least(1e3)], "numbers[i % 1000]");
    bench.row("update of one key", Call::Update, many, [vec![], vec![]], "add()");
    bench.row("fetch_add to one key", Call::FetchAdd, many, [vec![], vec![]], "add()");
    let insert = "texts.__setitem__('key %d' % (i % 1000), bytes(1024))";
    bench.row("insert, String -> 1 KiB", Call::InsertLong, many, [vec![], vec![]], insert);
    bench.row("get, String -> 1 KiB", Call::GetLong, many, [vec![], vec![]], "texts['key %d' % (i % 1000)]");
    bench.row("push to a list", Call::Push, many, [vec![], vec![]], "items.append(i)");
    bench.row("index of a list", Call::Index, many, [vec![], vec![]], "items[i % 1000]");
    bench.row("items of 1,000 entries", Call::Items, 1_000, [vec![], vec![]], "numbers.items()");
    bench.value();
    Ok(())
}

fn text_key(i: u64) -> String {
    format!("key {}", i % ENTRIES)
}

/// What one client does, so often.
fn work(containers: &Containers, call: Call, count: u64) -> Result<()> {
    let Containers { numbers, texts, items, log, value } = containers;
    for i in 0..count {
        match call {
            Call::Insert => {
                black_box(numbers.insert(i % ENTRIES, i % ENTRIES)?);
            }
            Call::Get => assert!(numbers.get(i % ENTRIES)?.is_some()),
            Call::Update => {
                black_box(numbers.update(0, |number| number + 1)?);
            }
            Call::FetchAdd => {
                black_box(numbers.fetch_add(0, 1)?);
            }
            Call::InsertLong => {
                black_box(texts.insert(text_key(i), vec![i as u8; LONG])?);
            }
            Call::GetLong => assert_eq!(texts.get(text_key(i))?.map(|text| text.len()), Some(LONG)),
            Call::Push => log.push(i)?,
            Call::Index => assert_eq!(items.get((i % ENTRIES) as usize)?, i % ENTRIES),
            Call::Items => assert_eq!(numbers.items()?.len() as u64, ENTRIES),
            Call::Value => {
                black_box(value.get()?);
            }
        }
    }
    Ok(())
}

/// The second client.
fn second(containers: Containers, call: Call, count: u64, both: Barrier) -> Result<()> {
    both.wait().expect("the first client is there");
    work(&containers, call, count)?;
    both.wait().expect("the first client is there");
    Ok(())
}

/// Seconds that it takes so many clients to do it so often each.
fn seconds(containers: &Containers, call: Call, clients: u64, count: u64) -> f64 {
    let Containers { numbers, log, .. } = containers;
    log.clear().unwrap();
    let before = numbers.get(0).unwrap().unwrap();
    let seconds = if clients == 1 {
        let start = Instant::now();
        work(containers, call, count).unwrap();
        start.elapsed().as_secs_f64()
    } else {
        let both = Barrier::new(2).unwrap();
        let other = Process::spawn(second, (containers, call, count, &both)).unwrap();
        both.wait().expect("the second client is there");
        let start = Instant::now();
        work(containers, call, count).unwrap();
        both.wait().expect("the second client is there");
        let seconds = start.elapsed().as_secs_f64();
        other.join().unwrap().unwrap();
        seconds
    };
    let added = numbers.get(0).unwrap().unwrap().wrapping_sub(before);
    assert!(
        !matches!(call, Call::Update | Call::FetchAdd) || added == clients * count,
        "{added} of {clients} * {count}"
    );
    assert!(call != Call::Push || log.len().unwrap() as u64 == clients * count);
    seconds
}

struct Bench {
    plan: Plan,
    table: Table,
    containers: Containers,
    python: Option<Python>,
}

impl Bench {
    /// One row for one client, and one for two: thousands of calls a second, of all clients together. `targets`: of each;
    /// `rival`: what Python does for each call.
    fn row(&mut self, name: &str, call: Call, count: u64, targets: [Vec<Target>; 2], rival: &str) {
        for ((clients, who), targets) in [(1, "one client"), (2, "two clients")].into_iter().zip(targets) {
            let name = format!("{name}, {who}");
            if !is_asked_for(&name) {
                continue;
            }
            let count = self.plan.of(count, 100);
            let theirs = self.plan.of(count.min(100_000) / 50, 20);
            let mut ours = || (clients * count) as f64 / seconds(&self.containers, call, clients, count) / 1e3;
            match &mut self.python {
                Some(python) => {
                    let rival = format!("{clients} {rival}");
                    let mut theirs = || (clients * theirs) as f64 / python.seconds(&rival, theirs) / 1e3;
                    let [ours, theirs] = alternate(self.plan.turns(), [&mut ours, &mut theirs]);
                    self.table.row(&name, "K/s", &ours, ("Python's Manager", &theirs), &targets);
                }
                None => {
                    let [ours] = alternate(self.plan.turns(), [&mut ours]);
                    self.table.alone(&name, "K/s", ours.median(), &targets);
                }
            }
        }
    }

    fn value(&mut self) {
        let name = "value of a number, read by one client";
        if !is_asked_for(name) {
            return;
        }
        let (count, theirs) = (self.plan.of(1_000_000, 100), self.plan.of(2_000, 20));
        let mut ours = || seconds(&self.containers, Call::Value, 1, count) * 1e9 / count as f64;
        let target = [Target::AtMost(10.0)];
        match &mut self.python {
            Some(python) => {
                let mut theirs = || python.seconds("1 value.value", theirs) * 1e9 / theirs as f64;
                let [ours, theirs] = alternate(self.plan.turns(), [&mut ours, &mut theirs]);
                self.table.row(name, "ns", &ours, ("Python's Manager", &theirs), &target);
            }
            None => {
                let [ours] = alternate(self.plan.turns(), [&mut ours]);
                self.table.alone(name, "ns", ours.median(), &target);
            }
        }
    }
}
