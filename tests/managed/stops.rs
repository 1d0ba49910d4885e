//! Processes that are stopped in the midst of something.

use crossproc::managed::Dict;
use crossproc::{Manager, Process};

use crate::common::locking::wait_for_state;
use crate::common::processes::signal;
use crate::common::watchdog;

type Numbers = Dict<String, u64>;

fn numbers() -> Numbers {
    let dict: Numbers = Manager::start().unwrap().dict().unwrap();
    dict.extend([("a", 1), ("b", 1)]).unwrap();
    dict
}

/// One that stops itself, when it has.
fn stopped<R>(process: crossproc::Result<Process<R>>) -> Process<R> {
    let process = process.unwrap();
    wait_for_state(process.pid(), 'T');
    process
}

fn stop() {
    signal(std::process::id(), libc::SIGSTOP);
}

/// `update`, `entry` and their kind run functions without the lock.
#[test]
fn who_is_stopped_in_an_update_holds_nobody_up() {
    let _watchdog = watchdog();
    let dict = numbers();
    let update = |dict: Numbers| {
        let mut calls = 0;
        dict.update("a", |number| {
            calls += 1;
            if calls == 1 {
                stop();
            }
            number + 10
        })
        .unwrap();
        calls
    };
    let modify = |dict: Numbers| {
        let mut calls = 0;
        let count = |number: &mut u64| {
            calls += 1;
            if calls == 1 {
                stop();
            }
            *number += 10;
        };
        dict.entry("b").unwrap().and_modify(count).or_insert(0).unwrap();
        calls
    };
    let processes = [stopped(Process::spawn(update, (&dict,))), stopped(Process::spawn(modify, (&dict,)))];
    for key in ["a", "b"] {
        dict.update(key, |number| number * 100).unwrap();
        assert_eq!(dict.fetch_add(key, 5), Ok(100));
    }
    assert_eq!(dict.values().unwrap(), [105, 105]);
    for process in processes {
        signal(process.pid(), libc::SIGCONT);
        assert_eq!(process.join(), Ok(2), "what it saw was changed meanwhile");
    }
    assert_eq!(dict.values().unwrap(), [115, 115]);
}

/// How often it ran.
fn add_within(dict: Numbers) -> u32 {
    let mut runs = 0;
    let done = dict.with(|guard| {
        runs += 1;
        let a = guard.get("a")?.unwrap();
        guard.insert("a", a + 10)?;
        if runs == 1 {
            stop();
        }
        guard.insert("b", a + 10)
    });
    assert_eq!(done, Ok(true));
    runs
}

#[test]
fn who_is_stopped_in_the_midst_of_several_changes_holds_nobody_up() {
    let _watchdog = watchdog();
    let dict = numbers();
    let process = stopped(Process::spawn(add_within, (&dict,)));
    assert_eq!(dict.values().unwrap(), [1, 1], "nothing is half done");
    assert_eq!(dict.fetch_add("a", 5), Ok(1));
    assert_eq!(dict.with(|guard| guard.insert("c", 1)), Ok(false));
    let other = Process::spawn(|dict: Numbers| dict.fetch_add("a", 5).unwrap(), (&dict,)).unwrap();
    assert_eq!(other.join(), Ok(6));
    signal(process.pid(), libc::SIGCONT);
    assert_eq!(process.join(), Ok(2), "what it saw was changed meanwhile");
    assert_eq!(dict.values().unwrap(), [21, 21, 1]);
}

#[test]
fn who_is_killed_in_the_midst_of_several_changes_has_made_none() {
    let _watchdog = watchdog();
    let dict = numbers();
    let process = stopped(Process::spawn(add_within, (&dict,)));
    process.kill().unwrap();
    process.wait();
    assert_eq!(dict.values().unwrap(), [1, 1]);
    assert_eq!(dict.insert("a", 2), Ok(Some(1)));
}

/// Nothing has been changed yet: there is nothing that a reader could see half done.
#[test]
fn readers_go_on_while_a_transaction_is_stopped_before_its_first_change() {
    let _watchdog = watchdog();
    let dict = numbers();
    let add = |dict: Numbers| {
        let added = dict.with(|guard| {
            let a = guard.get("a")?.unwrap();
            stop();
            guard.insert("a", a + 1)
        });
        added.unwrap()
    };
    let process = stopped(Process::spawn(add, (&dict,)));
    assert_eq!((dict.get("a"), dict.len(), dict.contains_key("b")), (Ok(Some(1)), Ok(2), Ok(true)));
    assert_eq!(dict.values().unwrap(), [1, 1]);
    signal(process.pid(), libc::SIGCONT);
    process.join().unwrap();
    assert_eq!(dict.get("a"), Ok(Some(2)));
}
