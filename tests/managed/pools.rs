//! Containers in tasks of a pool, and as their results.

use crossproc::managed::{Dict, List};
use crossproc::{Manager, Pool};

use crate::common::naming::TestName;
use crate::common::watchdog;

const TASKS: u64 = 1_000;

type Counts = Dict<u64, u64>;

fn count(counts: Counts, number: u64) -> u64 {
    counts.fetch_add(number % 10, 1).unwrap();
    number
}

fn queue_tasks(manager: &Manager) {
    let pool = Pool::new(2).unwrap();
    let counts: Counts = manager.dict().unwrap();
    let tasks: Vec<_> = (0..TASKS).map(|number| pool.apply_async(count, (&counts, number))).collect();
    for (number, task) in (0..).zip(tasks) {
        assert_eq!(task.get(), Ok(number));
    }
    assert_eq!(counts.values().unwrap(), [TASKS / 10; 10]);
    assert_eq!(pool.starmap(count, (0..TASKS).map(|number| (&counts, number))).unwrap().len() as u64, TASKS);
    assert_eq!(counts.values().unwrap(), [TASKS / 5; 10]);
}

#[test]
fn many_queued_tasks_have_the_same_dict() {
    let _watchdog = watchdog();
    queue_tasks(&Manager::start().unwrap());
}

#[test]
fn many_queued_tasks_have_the_same_dict_of_a_named_manager() {
    let _watchdog = watchdog();
    let name = TestName::new();
    queue_tasks(&Manager::create(name.as_str()).unwrap());
}

/// The task is all that keeps it.
#[test]
fn a_queued_task_keeps_its_dict() {
    let _watchdog = watchdog();
    let pool = Pool::new(1).unwrap();
    let manager = Manager::start().unwrap();
    let ask = |n: u64| {
        let dict: Counts = manager.dict().unwrap();
        dict.insert(0, n).unwrap();
        pool.apply_async(|dict: Counts| dict.get(0).unwrap(), (dict,))
    };
    let tasks: Vec<_> = (0..100).map(ask).collect();
    for (n, task) in (0..).zip(tasks) {
        assert_eq!(task.get(), Ok(Some(n)));
    }
}

#[test]
fn results_are_dicts_and_go_into_others() {
    let _watchdog = watchdog();
    let pool = Pool::new(2).unwrap();
    let manager = Manager::start().unwrap();
    let make = |manager: Manager, n: u64| {
        let list = manager.list([n]).unwrap();
        (n, list)
    };
    let made = pool.starmap(make, (0..300).map(|n| (&manager, n))).unwrap();
    let all: Dict<u64, List<u64>> = manager.dict().unwrap();
    all.extend(made.iter().map(|(n, list)| (n, list))).unwrap();
    drop(made);
    for (n, list) in all.items().unwrap() {
        assert_eq!(list.to_vec().unwrap(), [n]);
    }
}

#[test]
fn results_of_managers_of_the_workers_own() {
    let _watchdog = watchdog();
    let pool = Pool::new(2).unwrap();
    let make = |n: u64| {
        let dict: Counts = Manager::start().unwrap().dict().unwrap();
        dict.insert(n, n).unwrap();
        dict
    };
    let made = pool.map(make, 0..50).unwrap();
    for (n, dict) in (0..).zip(made) {
        assert_eq!(dict.items().unwrap(), [(n, n)]);
    }
}

/// A task that is tried again finds the dict that it had.
#[test]
fn a_killed_workers_task_has_its_dict_again() {
    let _watchdog = watchdog();
    let pool = Pool::builder().workers(1).retries(1).start().unwrap();
    let manager = Manager::start().unwrap();
    let dict: Counts = manager.dict().unwrap();
    let die_once = |dict: Counts| {
        if dict.fetch_add(1, 1).unwrap() == 0 {
            std::process::abort();
        }
        dict
    };
    let back = pool.apply(die_once, (&dict,)).unwrap();
    assert_eq!(back.get(1), Ok(Some(2)));
    assert_eq!(dict.get(1), Ok(Some(2)));
}
