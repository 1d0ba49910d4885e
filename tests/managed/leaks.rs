//! What nobody has any more is freed: what was dropped, and what only the killed had.

use crossproc::managed::{Dict, List};
use crossproc::{Manager, Process};

use crate::bytes_used;
use crate::common::locking::Stage;
use crate::common::naming::TestName;
use crate::common::watchdog;

const BYTES: usize = 20_000;

/// What so many bytes take.
const BLOCK: u64 = 32 << 10;

/// Makes lists of its own, and waits to be killed with them.
fn hoard(manager: Manager, stage: Stage, count: usize) {
    let lists: Vec<_> = (0..count).map(|_| manager.list([vec![1_u8; BYTES]]).unwrap()).collect();
    stage.advance();
    loop {
        std::thread::park();
        assert_eq!(lists.len(), count);
    }
}

/// Lists of so many bytes each are made and let go by one after another; how much the manager has grown from one to the next.
fn growth(rounds: u64, round: impl Fn(&Manager)) -> Vec<u64> {
    let name = TestName::new();
    let manager = Manager::create(name.as_str()).unwrap();
    let mut used = Vec::new();
    for _ in 0..rounds {
        round(&manager);
        used.push(bytes_used(name.as_str()));
    }
    used
}

#[test]
fn what_killed_processes_held_is_freed() {
    let _watchdog = watchdog();
    let used = growth(20, |manager| {
        let stage = Stage::new();
        let child = Process::spawn(hoard, (manager, &stage, 50)).unwrap();
        stage.wait_for(1);
        child.kill().unwrap();
        child.wait();
    });
    // What a child leaves is there until others have made 64 objects at most.
    assert!(used[19] <= 4 * 50 * BLOCK, "grows: {used:?}");
}

#[test]
fn what_was_on_its_way_to_a_killed_process_is_freed() {
    let _watchdog = watchdog();
    let used = growth(20, |manager| {
        for _ in 0..10 {
            let lists: Vec<_> = (0..5).map(|_| manager.list([vec![1; BYTES]]).unwrap()).collect();
            let look = |lists: Vec<List<Vec<u8>>>| drop(lists);
            let process = Process::spawn(look, (&lists,)).unwrap();
            process.kill().unwrap();
            process.wait();
        }
    });
    assert!(used[19] <= 4 * 50 * BLOCK, "grows: {used:?}");
}

/// Nobody has to make anything before there is room.
#[test]
fn what_killed_processes_held_is_room_in_a_full_manager() {
    let _watchdog = watchdog();
    let manager = Manager::with_capacity(1 << 20).unwrap();
    let list = manager.list::<Vec<u8>>([]).unwrap();
    let stage = Stage::new();
    let child = Process::spawn(hoard, (&manager, &stage, 20)).unwrap();
    stage.wait_for(1);
    let mut items = 0;
    while list.push(vec![1; BYTES]).is_ok() {
        items += 1;
    }
    child.kill().unwrap();
    child.wait();
    (0..20).for_each(|_| list.push(vec![2; BYTES]).unwrap());
    assert_eq!(list.len(), Ok(items + 20));
}

/// What has been cleared is taken apart little by little, but not too late; and to clear takes no room.
#[test]
fn what_was_cleared_is_room_at_once() {
    let _watchdog = watchdog();
    let manager = Manager::with_capacity(1 << 17).unwrap();
    let (list, dict) = (manager.list::<u64>([]).unwrap(), manager.dict::<u64, u64>().unwrap());
    let other = manager.list::<Vec<u8>>([]).unwrap();
    for _ in 0..2 {
        while list.push(7).is_ok() {}
        while dict.insert(dict.len().unwrap() as u64, 7).is_ok() {}
        while other.push(vec![]).is_ok() {}
        list.clear().unwrap();
        dict.clear().unwrap();
        other.clear().unwrap();
        assert_eq!((list.len(), dict.len(), other.len()), (Ok(0), Ok(0), Ok(0)));
        other.push(vec![1; 20_000]).unwrap();
        list.push(1).unwrap();
        dict.insert(0, 1).unwrap();
        other.clear().unwrap();
    }
}

#[test]
fn what_is_dropped_is_freed_at_once() {
    let _watchdog = watchdog();
    let used = growth(50, |manager| {
        let outer: Dict<u32, List<Vec<u8>>> = manager.dict().unwrap();
        for key in 0..5 {
            outer.insert(key, manager.list([vec![1; BYTES]]).unwrap()).unwrap();
        }
        let kept = outer.remove(3).unwrap().unwrap();
        drop(outer);
        assert_eq!(kept.len(), Ok(1));
    });
    assert!(used[1..].iter().all(|bytes| *bytes == used[1]), "grows: {used:?}");
}

#[test]
fn values_that_are_replaced_are_freed() {
    let _watchdog = watchdog();
    let name = TestName::new();
    let manager = Manager::create(name.as_str()).unwrap();
    let (dict, list) = (manager.dict::<u32, Vec<u8>>().unwrap(), manager.list([vec![]]).unwrap());
    let mut used = Vec::new();
    for round in 0..200_usize {
        for key in 0..20 {
            dict.insert(key, vec![1; (round * 37 + key as usize * 101) % 5_000]).unwrap();
            dict.update(key, |value| vec![2; (value.len() * 3) % 5_000]).unwrap();
        }
        list.set(0, vec![1; round % 700]).unwrap();
        list.push(vec![2; round % 300]).unwrap();
        list.remove(0).unwrap();
        used.push(bytes_used(name.as_str()));
    }
    assert!(used[199] <= used[20] * 2, "grows: {used:?}");
}

#[test]
fn a_long_queue_in_a_list_does_not_grow() {
    let _watchdog = watchdog();
    let name = TestName::new();
    let list = Manager::create(name.as_str()).unwrap().list(0..100_u64).unwrap();
    let mut used = Vec::new();
    for number in 100..20_000 {
        list.push(number).unwrap();
        assert_eq!(list.remove(0), Ok(number - 100));
        used.push(bytes_used_now_and_then(name.as_str(), number));
    }
    assert!(used.into_iter().flatten().max() <= Some(64 << 10));
}

fn bytes_used_now_and_then(name: &str, number: u64) -> Option<u64> {
    number.is_multiple_of(1_000).then(|| bytes_used(name))
}

#[test]
fn nothing_is_left_of_a_named_manager() {
    let _watchdog = watchdog();
    let name = TestName::new();
    let manager = Manager::create(name.as_str()).unwrap();
    let list = manager.list([1]).unwrap();
    drop(manager);
    assert!(name.exists(), "the list keeps it");
    drop(list);
    assert!(!name.exists());
}
