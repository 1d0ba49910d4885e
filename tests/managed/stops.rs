//! Processes that are stopped in the midst of something.

use crossproc::managed::Dict;
use crossproc::{Manager, Process};

use crate::common::locking::{Stage, wait_for_state};
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

fn stop_within(dict: Numbers) {
    dict.with(|guard| {
        guard.insert("a", 7)?;
        stop();
        guard.insert("b", 7)
    })
    .unwrap();
}

/// They have their handles before somebody is stopped: to give one away is to change something.
fn read(dict: Numbers, go: Stage) -> Vec<u64> {
    go.wait_for(1);
    dict.values().unwrap()
}

fn write(dict: Numbers, go: Stage) -> u64 {
    go.wait_for(1);
    dict.fetch_add("a", 1).unwrap()
}

#[test]
fn a_stopped_transaction_is_waited_for_and_never_seen_half_done() {
    let _watchdog = watchdog();
    let (dict, go) = (numbers(), Stage::new());
    let (reader, writer) = (Process::spawn(read, (&dict, &go)).unwrap(), Process::spawn(write, (&dict, &go)).unwrap());
    let process = stopped(Process::spawn(stop_within, (&dict,)));
    go.advance();
    wait_for_state(reader.pid(), 'S');
    wait_for_state(writer.pid(), 'S');
    signal(process.pid(), libc::SIGCONT);
    process.join().unwrap();
    let seen = reader.join().unwrap();
    assert!(seen == [7, 7] || seen == [8, 7], "{seen:?}");
    assert_eq!(writer.join(), Ok(7));
    assert_eq!(dict.values().unwrap(), [8, 7]);
}

#[test]
fn a_stopped_transaction_that_is_killed_is_undone() {
    let _watchdog = watchdog();
    let (dict, go) = (numbers(), Stage::new());
    let reader = Process::spawn(read, (&dict, &go)).unwrap();
    let process = stopped(Process::spawn(stop_within, (&dict,)));
    go.advance();
    wait_for_state(reader.pid(), 'S');
    process.kill().unwrap();
    assert_eq!(reader.join().unwrap(), [1, 1]);
    assert_eq!(dict.insert("a", 2), Ok(Some(1)));
    process.wait();
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
