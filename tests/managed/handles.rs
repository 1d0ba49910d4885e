//! Handles: on their way to other processes, inside other containers, and in copies of a process.

use crossproc::managed::{Dict, List, Set};
use crossproc::{Error, Manager, Process, channel};
use serde::{Deserialize, Serialize};

use crate::common::processes::forked;
use crate::common::watchdog;

type Texts = List<String>;

#[test]
fn a_dict_outlives_its_parents_handle() {
    let _watchdog = watchdog();
    let dict: Dict<String, u32> = Manager::start().unwrap().dict().unwrap();
    dict.insert("a", 1).unwrap();
    let (mut go, wait) = channel::<()>().unwrap();
    let look = |dict: Dict<String, u32>, mut wait: crossproc::Receiver<()>| {
        let _ = wait.recv();
        dict.fetch_add("a", 1).unwrap();
        dict.items().unwrap()
    };
    let child = Process::spawn(look, (&dict, wait)).unwrap();
    drop(dict);
    go.send(()).unwrap();
    assert_eq!(child.join().unwrap(), [("a".to_string(), 2)]);
}

#[test]
fn a_list_outlives_the_child_that_made_it() {
    let _watchdog = watchdog();
    let own = || {
        let list = Manager::start().unwrap().list(["alone".to_string()]).unwrap();
        list.push("made").unwrap();
        list
    };
    let list: Texts = Process::spawn(own, ()).unwrap().join().unwrap();
    list.push("here").unwrap();
    assert_eq!(list.to_vec().unwrap(), ["alone", "made", "here"]);

    let manager = Manager::start().unwrap();
    let ours = |manager: Manager| manager.list(["of the parent's manager".to_string()]).unwrap();
    let lists: Vec<Texts> = (0..20).map(|_| Process::spawn(ours, (&manager,)).unwrap().join().unwrap()).collect();
    let all: Dict<usize, Texts> = manager.dict().unwrap();
    all.extend(lists.iter().enumerate()).unwrap();
    drop(lists);
    for list in all.values().unwrap() {
        assert_eq!(list.to_vec().unwrap(), ["of the parent's manager"]);
    }
}

#[derive(Clone, Serialize, Deserialize)]
struct Desk {
    name: String,
    drawers: Vec<Option<(u32, Texts)>>,
    index: Set<String>,
}

#[test]
fn handles_travel_at_any_depth_and_back() {
    let _watchdog = watchdog();
    let manager = Manager::start().unwrap();
    let list = manager.list::<String>([]).unwrap();
    let index = manager.set(["pens".to_string()]).unwrap();
    let desk = Desk { name: "oak".into(), drawers: vec![None, Some((1, list.clone()))], index };
    let tidy = |desk: Desk| {
        desk.drawers[1].as_ref().unwrap().1.push("a pen").unwrap();
        assert!(desk.index.contains("pens").unwrap());
        desk
    };
    let back = Process::spawn(tidy, (&desk,)).unwrap().join().unwrap();
    assert_eq!(back.name, "oak");
    drop(desk);
    back.drawers[1].as_ref().unwrap().1.push("ink").unwrap();
    assert_eq!(list.to_vec().unwrap(), ["a pen", "ink"]);
}

#[test]
fn containers_nest_three_deep_and_stay_live() {
    let _watchdog = watchdog();
    let manager = Manager::start().unwrap();
    let outermost: Dict<String, Dict<String, List<u32>>> = manager.dict().unwrap();
    let middle = manager.dict().unwrap();
    middle.insert("list", manager.list([1]).unwrap()).unwrap();
    outermost.insert("middle", &middle).unwrap();
    drop(middle);
    let change = |outermost: Dict<String, Dict<String, List<u32>>>| {
        let list = outermost.get("middle").unwrap().unwrap().get("list").unwrap().unwrap();
        list.push(2).unwrap();
    };
    Process::spawn(change, (&outermost,)).unwrap().join().unwrap();
    let list = outermost.get("middle").unwrap().unwrap().get("list").unwrap().unwrap();
    assert_eq!(list.to_vec().unwrap(), [1, 2]);
    outermost.clear().unwrap();
    list.push(3).unwrap();
    assert_eq!(list.to_vec().unwrap(), [1, 2, 3], "the handle keeps it");
}

#[test]
fn a_handle_stays_live_when_its_entry_is_gone() {
    let _watchdog = watchdog();
    let manager = Manager::start().unwrap();
    let lists: Dict<u32, List<u32>> = manager.dict().unwrap();
    for way in 0..5 {
        lists.insert(way, manager.list([way]).unwrap()).unwrap();
        let list = lists.get(way).unwrap().unwrap();
        match way {
            0 => drop(lists.remove(way).unwrap()),
            1 => drop(lists.pop().unwrap()),
            2 => drop(lists.insert(way, manager.list([]).unwrap()).unwrap()),
            3 => lists.clear().unwrap(),
            _ => assert!(lists.with(|lists| lists.remove(way)).unwrap()),
        }
        (0..500).for_each(|n| list.push(n).unwrap());
        assert_eq!((list.get(0), list.len()), (Ok(way), Ok(501)), "way {way}");
    }
}

/// Handles that only the argument had: they are kept until the containers are theirs.
#[test]
fn containers_are_made_of_containers_given_by_value() {
    let manager = Manager::start().unwrap();
    let lists = manager.list((0..3).map(|n| manager.list([n]).unwrap())).unwrap();
    assert_eq!(lists.get(2).unwrap().to_vec().unwrap(), [2]);
    lists.extend([manager.list([3]).unwrap()]).unwrap();
    assert_eq!(lists.get(3).unwrap().to_vec().unwrap(), [3]);
    let dict: Dict<u32, List<u32>> = manager.dict().unwrap();
    dict.extend((0..3).map(|n| (n, manager.list([n]).unwrap()))).unwrap();
    assert_eq!(dict.get(1).unwrap().unwrap().to_vec().unwrap(), [1]);
    dict.entry(7).unwrap().or_insert(manager.list([7]).unwrap()).unwrap().push(8).unwrap();
    assert_eq!(dict.get(7).unwrap().unwrap().to_vec().unwrap(), [7, 8]);
}

#[derive(Clone, Serialize, Deserialize)]
struct Node {
    name: String,
    next: Option<Dict<String, Node>>,
}

#[test]
fn a_dict_may_be_inside_itself() {
    let _watchdog = watchdog();
    let dict: Dict<String, Node> = Manager::start().unwrap().dict().unwrap();
    dict.insert("me", Node { name: "self".into(), next: Some(dict.clone()) }).unwrap();
    let me = |dict: Dict<String, Node>| dict.get("me").unwrap().unwrap().next.unwrap();
    let found = me(me(me(dict.clone())));
    found.insert("other", Node { name: "other".into(), next: None }).unwrap();
    assert_eq!(dict.keys().unwrap(), ["me", "other"]);
    let same = Process::spawn(|dict: Dict<String, Node>| dict.get("me").unwrap().unwrap().next.unwrap(), (&dict,));
    assert_eq!(same.unwrap().join().unwrap().len(), Ok(2));
    dict.clear().unwrap();
    assert_eq!(dict.len(), Ok(0));
    dict.insert("still", Node { name: "there".into(), next: None }).unwrap();
}

#[test]
fn a_forked_copy_uses_its_parents_handles_and_lets_nothing_go() {
    let _watchdog = watchdog();
    let manager = Manager::start().unwrap();
    let lists: Dict<String, List<u32>> = manager.dict().unwrap();
    let mut list = Some(manager.list([1]).unwrap());
    lists.insert("list", list.as_ref().unwrap()).unwrap();
    assert!(forked(|| {
        list.as_ref().unwrap().push(2).unwrap();
        lists.get("list").unwrap().unwrap().push(3).unwrap();
        lists.insert("own", manager.list([7]).unwrap()).unwrap();
        drop(list.take());
        lists.remove("list").unwrap();
        true
    }));
    assert_eq!(list.as_ref().unwrap().to_vec().unwrap(), [1, 2, 3]);
    assert_eq!(lists.get("own").unwrap().unwrap().to_vec().unwrap(), [7]);
    assert!(lists.get("list").unwrap().is_none());
}

/// The copy finds the parent's handle gone, which is an error and no more.
#[test]
fn a_forked_copy_of_a_handle_ends_with_the_parents() {
    let _watchdog = watchdog();
    let manager = Manager::start().unwrap();
    let (list, copy) = (manager.list([1]).unwrap(), manager.list([2]).unwrap());
    let drop_all = |list: List<u32>| drop(list);
    assert!(forked(|| copy.to_vec().is_ok()));
    drop_all(list);
    assert!(forked(|| manager.list([3]).is_ok()));
    assert_eq!(copy.to_vec().unwrap(), [2]);
}

/// What it looks at and changes belongs to each of the two.
#[test]
fn several_changes_that_fork_are_made_by_both() {
    let _watchdog = watchdog();
    let dict: Dict<u32, u32> = Manager::start().unwrap().dict().unwrap();
    dict.insert(1, 1).unwrap();
    let mut copy = -1;
    let done = dict.with(|guard| {
        let one = guard.get(1)?.unwrap();
        guard.insert(1, one + 1)?;
        if copy == -1 {
            // SAFETY: the child does what other threads cannot have broken by disappearing, and ends with _exit.
            copy = unsafe { libc::fork() };
        }
        guard.insert(if copy == 0 { 77 } else { 2 }, 2)
    });
    if copy == 0 {
        // SAFETY: ends the copy at once.
        unsafe { libc::_exit(i32::from(done != Ok(false))) }
    }
    let mut status = -1;
    // SAFETY: our child; `status` outlives the call.
    assert_eq!(unsafe { libc::waitpid(copy, &mut status, 0) }, copy);
    assert_eq!((status, done), (0, Ok(false)));
    let mut items = dict.items().unwrap();
    items.sort_unstable();
    assert_eq!(items, [(1, 3), (2, 2), (77, 2)]);
}

/// What a handle that was dropped in the midst of several changes held is let go at once, and by the parent alone.
#[test]
fn a_forked_copy_does_not_let_go_what_its_parent_has_to() {
    let _watchdog = watchdog();
    let manager = Manager::start().unwrap();
    let dict: Dict<u32, u32> = manager.dict().unwrap();
    let (list, kept) = (manager.list([1]).unwrap(), manager.list([2]).unwrap());
    let mut list = Some(list);
    dict.with(|_| {
        drop(list.take());
        Ok(())
    })
    .unwrap();
    assert!(forked(|| manager.list([3]).is_ok()));
    let others: Vec<_> = (0..10).map(|n| manager.list([n]).unwrap()).collect();
    assert_eq!(kept.to_vec().unwrap(), [2]);
    for (n, other) in (0..).zip(others) {
        assert_eq!(other.to_vec().unwrap(), [n]);
    }
}

/// Handles in values come and go in the midst of several changes, too.
#[test]
fn handles_are_got_and_put_in_the_midst_of_several_changes() {
    let _watchdog = watchdog();
    let manager = Manager::start().unwrap();
    let lists: Dict<u32, List<u32>> = manager.dict().unwrap();
    lists.insert(1, manager.list([1]).unwrap()).unwrap();
    let moved = lists.with(|lists| {
        let one = lists.get(1)?.unwrap();
        assert_eq!(one.to_vec()?, [1]);
        lists.insert(2, &one)?;
        // Nobody has a handle of it but the change.
        lists.insert(3, manager.list([3])?)?;
        assert_eq!(lists.get(3)?.unwrap().to_vec()?, [3]);
        assert_eq!((lists.get(2)?.unwrap().to_vec()?, lists.get(1)?.unwrap().to_vec()?), (vec![1], vec![1]));
        lists.remove(1)
    });
    assert_eq!(moved, Ok(true));
    let items: Vec<_> = lists.items().unwrap().into_iter().map(|(key, list)| (key, list.to_vec().unwrap())).collect();
    assert_eq!(items, [(2, vec![1]), (3, vec![3])]);
    let outcome = lists.with(|lists| {
        lists.insert(4, manager.list([4])?)?;
        Err::<(), _>(Error::Exiting)
    });
    assert_eq!((outcome, lists.len()), (Err(Error::Exiting), Ok(2)));
}
