//! Changes by many processes at once, of which none is lost.

use crossproc::managed::{Dict, List};
use crossproc::{Manager, Process};

use crate::on_each_engine;

on_each_engine!(
    every_fetch_add_counts,
    every_update_counts,
    every_use_of_an_entry_counts,
    one_of_all_gets_a_key,
    money_is_never_seen_on_its_way,
    a_list_loses_and_doubles_nothing,
);

/// So many processes do their work so often.
const PROCESSES: u64 = 4;
const TURNS: u64 = 50;

type Counts = Dict<String, u64>;

/// Has a function without captures run by all.
macro_rules! by_all {
    ($counts:expr, $work:expr) => {
        let workers: Vec<_> = (0..PROCESSES).map(|me| Process::spawn($work, (&$counts, me)).unwrap()).collect();
        workers.into_iter().for_each(|worker| worker.join().unwrap());
    };
}

fn every_fetch_add_counts(manager: &Manager) {
    let counts: Counts = manager.dict().unwrap();
    by_all!(counts, |counts: Counts, _: u64| {
        (0..TURNS).for_each(|_| _ = counts.fetch_add("all", 1).unwrap());
    });
    assert_eq!(counts.get("all").unwrap(), Some(PROCESSES * TURNS));
}

fn every_update_counts(manager: &Manager) {
    let counts: Counts = manager.dict().unwrap();
    counts.insert("all", 0).unwrap();
    by_all!(counts, |counts: Counts, _: u64| {
        (0..TURNS).for_each(|_| _ = counts.update("all", |count| count + 1).unwrap());
    });
    assert_eq!(counts.get("all").unwrap(), Some(PROCESSES * TURNS));
}

fn every_use_of_an_entry_counts(manager: &Manager) {
    let counts: Counts = manager.dict().unwrap();
    by_all!(counts, |counts: Counts, _: u64| {
        (0..TURNS).for_each(|_| _ = counts.entry("all").unwrap().and_modify(|count| *count += 1).or_insert(1).unwrap());
    });
    assert_eq!(counts.get("all").unwrap(), Some(PROCESSES * TURNS));
}

fn one_of_all_gets_a_key(manager: &Manager) {
    let counts: Counts = manager.dict().unwrap();
    by_all!(counts, |counts: Counts, me: u64| {
        for turn in 0..TURNS {
            if counts.compare_exchange(turn.to_string(), None, Some(&me)).unwrap().is_ok() {
                counts.fetch_add("got", 1).unwrap();
            }
        }
    });
    assert_eq!(counts.get("got").unwrap(), Some(TURNS));
}

fn money_is_never_seen_on_its_way(manager: &Manager) {
    let accounts: Counts = manager.dict().unwrap();
    accounts.extend([("a".to_owned(), 1_000), ("b".to_owned(), 1_000)]).unwrap();
    by_all!(accounts, |accounts: Counts, me: u64| {
        for _ in 0..TURNS {
            let sum = accounts.with(|accounts| {
                let (a, b) = (accounts.get("a")?.unwrap(), accounts.get("b")?.unwrap());
                let moved = if me.is_multiple_of(2) { a.min(me + 1) } else { 0 };
                accounts.insert("a", a - moved)?;
                accounts.insert("b", b + moved)?;
                Ok(a + b)
            });
            assert_eq!(sum.unwrap(), 2_000);
        }
    });
    let total: u64 = accounts.values().unwrap().iter().sum();
    assert_eq!(total, 2_000);
}

fn a_list_loses_and_doubles_nothing(manager: &Manager) {
    fn push(list: List<u64>, me: u64) {
        for turn in 0..TURNS {
            list.push(me * TURNS + turn).unwrap();
            if turn % 5 == 0
                && let Some(item) = list.pop().unwrap()
            {
                list.insert(0, item).unwrap();
            }
        }
    }
    let list = manager.list([]).unwrap();
    by_all!(list, push);
    list.sort().unwrap();
    assert!(list.to_vec().unwrap().into_iter().eq(0..PROCESSES * TURNS));
}
