//! SIGKILL at each crash point of a change of a managed container: a child dies there, and what the survivors find is as before or as
//! after, never anything else, and nobody is held up.
//!
//! Only in builds with `--cfg crash_points`.

#![cfg(crash_points)]

mod common;

use common::watchdog;
use crossproc::managed::{Dict, List};
use crossproc::{Exit, Manager, Process, ProcessError};
use serde::{Deserialize, Serialize};

crossproc::test_support!();

/// Before the commit of a transaction, and behind it.
const POINTS: [&str; 4] = ["heap.begun", "heap.noted", "heap.ending", "heap.ended"];

/// What is changed, all of one manager.
#[derive(Clone, Serialize, Deserialize)]
struct Room {
    dict: Dict<u32, String>,
    list: List<String>,
    lists: Dict<u32, List<u32>>,
}

/// All that is in it.
type Found = (Vec<(u32, String)>, Vec<String>, Vec<(u32, Vec<u32>)>);

impl Room {
    fn new() -> Self {
        let manager = Manager::start().unwrap();
        let dict = manager.dict().unwrap();
        dict.extend((0..6).map(|n| (n, n.to_string().repeat(30)))).unwrap();
        let list = manager.list((0..6).map(|n| n.to_string().repeat(30))).unwrap();
        let lists = manager.dict().unwrap();
        lists.insert(1, manager.list([1]).unwrap()).unwrap();
        Room { dict, list, lists }
    }

    fn look(&self) -> Found {
        let lists = self.lists.items().unwrap().into_iter();
        let lists = lists.map(|(key, list)| (key, list.to_vec().unwrap())).collect();
        (self.dict.items().unwrap(), self.list.to_vec().unwrap(), lists)
    }
}

/// Kills a process at each pass of each point of `change`, which is one step.
macro_rules! dies_everywhere {
    ($change:expr) => {{
        let _watchdog = watchdog();
        let change = $change;
        let done = Room::new();
        let before = done.look();
        change(done.clone());
        let after = done.look();
        for point in POINTS {
            let mut deaths = 0;
            while dies(point, deaths, &before, &after, |builder, room| builder.spawn($change, (room,)), change) {
                deaths += 1;
            }
            assert!(deaths > 0, "{point} was not reached");
        }
    }};
}

/// Whether a process dies at this pass of a point; the next one finds all or nothing of its change, and can make its own.
fn dies(
    point: &str,
    pass: u32,
    before: &Found,
    after: &Found,
    start: impl FnOnce(crossproc::ProcessBuilder, &Room) -> crossproc::Result<Process<()>>,
    change: impl Fn(Room),
) -> bool {
    let room = Room::new();
    let ended = start(Process::builder().crash_at_nth(point, pass), &room).unwrap().join();
    let found = room.look();
    assert!(found == *before || found == *after, "{point} {pass}: {found:?}");
    match ended {
        Ok(()) => {
            assert!(found == *after, "{point} {pass}: {found:?}");
            return false;
        }
        Err(ProcessError::Ended { exit: Exit::Signal(libc::SIGKILL), .. }) => {}
        Err(other) => panic!("{point} {pass}: {other}"),
    }
    if found == *before {
        change(room.clone());
        assert!(room.look() == *after, "{point} {pass}: done again");
    }
    room.dict.insert(100, "next".repeat(50)).unwrap();
    assert_eq!(room.dict.remove(100).unwrap(), Some("next".repeat(50)));
    assert!(room.look() == *after, "{point} {pass}: at the end");
    true
}

#[test]
fn an_insert_is_done_or_not() {
    dies_everywhere!(|room: Room| drop(room.dict.insert(9, "new".repeat(40)).unwrap()));
}

#[test]
fn a_replacement_is_done_or_not() {
    dies_everywhere!(|room: Room| drop(room.dict.insert(3, "short").unwrap()));
    dies_everywhere!(|room: Room| drop(room.dict.insert(3, "long".repeat(100)).unwrap()));
}

#[test]
fn a_removal_is_done_or_not() {
    dies_everywhere!(|room: Room| drop(room.dict.remove(3).unwrap()));
    dies_everywhere!(|room: Room| drop(room.lists.remove(1).unwrap()));
}

#[test]
fn a_push_is_done_or_not() {
    dies_everywhere!(|room: Room| room.list.push("new".repeat(40)).unwrap());
    dies_everywhere!(|room: Room| room.list.insert(2, "new".repeat(40)).unwrap());
}

#[test]
fn what_is_taken_out_of_a_list_is_there_or_not() {
    dies_everywhere!(|room: Room| drop(room.list.pop().unwrap()));
    dies_everywhere!(|room: Room| drop(room.list.remove(2).unwrap()));
    dies_everywhere!(|room: Room| drop(room.list.remove(0).unwrap()));
}

#[test]
fn a_list_is_sorted_or_not() {
    dies_everywhere!(|room: Room| room.list.reverse().unwrap());
}

#[test]
fn several_changes_are_all_done_or_none() {
    dies_everywhere!(|room: Room| {
        let done = room.dict.with(|dict| {
            dict.insert(1, "one".repeat(60))?;
            dict.remove(2)?;
            dict.insert(8, "eight")?;
            dict.insert(3, "")
        });
        assert_eq!(done, Ok(true));
    });
}

#[test]
fn an_update_is_done_or_not() {
    dies_everywhere!(|room: Room| drop(room.dict.update(4, |text| text + "!").unwrap()));
}

#[test]
fn a_container_is_cleared_or_not() {
    dies_everywhere!(|room: Room| room.dict.clear().unwrap());
    dies_everywhere!(|room: Room| room.list.clear().unwrap());
    dies_everywhere!(|room: Room| room.lists.clear().unwrap());
}

/// The copy of the handle is all that changes.
#[test]
fn who_dies_dropping_a_handle_has_changed_nothing_else() {
    dies_everywhere!(|room: Room| {
        let list = room.lists.get(1).unwrap();
        drop(room);
        drop(list);
    });
}

/// What holds the list is the process that dies, in the midst of letting it go.
#[test]
fn what_a_dying_process_did_not_let_go_is_freed() {
    let _watchdog = watchdog();
    let manager = Manager::with_capacity(1 << 20).unwrap();
    let make = |manager: Manager| {
        for _ in 0..8 {
            drop(manager.list([vec![1_u8; 50_000]]).unwrap());
        }
    };
    for pass in 0..150 {
        for point in POINTS {
            let child = Process::builder().crash_at_nth(point, pass).spawn(make, (&manager,)).unwrap();
            match child.join() {
                Ok(()) | Err(ProcessError::Ended { exit: Exit::Signal(libc::SIGKILL), .. }) => {}
                Err(other) => panic!("{point} {pass}: {other}"),
            }
        }
        let kept: Vec<_> = (0..6).map(|_| manager.list([vec![2_u8; 50_000]])).collect();
        assert!(kept.iter().all(Result::is_ok), "pass {pass}: no room");
    }
}
