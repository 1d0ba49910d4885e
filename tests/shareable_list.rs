//! `ShareableList`: within a process, across processes, after a death.

mod common;

use std::panic::{self, AssertUnwindSafe};
use std::thread;
use std::time::{Duration, Instant};

use common::kills::Kills;
use common::locking::{Stage, wait_for_state};
use common::processes::signal;
use common::watchdog;
use crossproc::{Arena, AttachError, Error, Kind, Process, ShareableItem, ShareableList};

crossproc::test_support!();

/// One of each type, as Python's own tests have them.
fn one_of_each() -> Vec<ShareableItem> {
    vec!["howdy".into(), b"HoWdY".into(), (-273.154).into(), 100.into(), ShareableItem::None, true.into(), 42.into()]
}

#[test]
fn the_items_are_those_it_was_made_of() {
    let list = ShareableList::new(one_of_each()).unwrap();
    assert_eq!((list.len(), list.is_empty()), (7, false));
    assert_eq!(list.to_vec().unwrap(), one_of_each());
    assert_eq!(list.iter().len(), 7);
    assert_eq!(list.get(0).unwrap(), "howdy".into());
    assert_eq!(list.get(5).unwrap(), true.into());
    let copy = ShareableList::new(list.to_vec().unwrap()).unwrap();
    copy.set(6, 77).unwrap();
    assert_eq!((copy.get(6).unwrap(), list.get(6).unwrap()), (77.into(), 42.into()));
}

#[test]
fn out_of_range_names_index_and_length() {
    let list = ShareableList::new(one_of_each()).unwrap();
    let refused = Error::OutOfRange { index: 7, length: 7 };
    assert_eq!(list.get(7), Err(refused.clone()));
    assert_eq!(list.set(7, 2), Err(refused.clone()));
    assert_eq!(list.update(7, |item| item), Err(refused));
    assert!(matches!(list.get(usize::MAX), Err(Error::OutOfRange { .. })));
    assert_eq!(list.to_vec().unwrap(), one_of_each());
}

#[test]
fn an_empty_list_has_nothing() {
    let list = ShareableList::new([]).unwrap();
    assert_eq!((list.len(), list.is_empty(), list.to_vec().unwrap()), (0, true, vec![]));
    assert_eq!((list.count("any"), list.index(ShareableItem::None)), (0, None));
    assert_eq!(list.get(0), Err(Error::OutOfRange { index: 0, length: 0 }));
}

#[test]
fn equal_items_are_counted_and_found_by_type_and_content() {
    let list = ShareableList::new(one_of_each()).unwrap();
    list.set(3, 42).unwrap();
    assert_eq!((list.count(42), list.count(b"HoWdY"), list.count(b"adios")), (2, 1, 0));
    assert_eq!((list.index(42), list.index("42"), list.index("HoWdY")), (Some(3), None, None));
    assert_eq!((list.index(ShareableItem::None), list.index(ShareableItem::Bool(true))), (Some(4), Some(5)));
    list.set(6, 1).unwrap();
    assert_eq!((list.index(1), list.count(1.0)), (Some(6), 0), "an int is no bool, and no float");
}

/// Whatever an item was, any other that fits may follow.
#[test]
fn any_type_follows_any_other() {
    let items: Vec<ShareableItem> = vec![
        ShareableItem::None,
        i64::MIN.into(),
        f64::NEG_INFINITY.into(),
        false.into(),
        true.into(),
        "".into(),
        "encodés".into(),
        b"".into(),
        b"12345678".into(),
        b"\0\0\0".into(),
    ];
    for first in &items {
        let list = ShareableList::new(["left".into(), first.clone(), "right".into()]).unwrap();
        for next in &items {
            list.set(1, next).unwrap();
            assert_eq!(list.to_vec().unwrap(), ["left".into(), next.clone(), "right".into()]);
        }
    }
}

#[test]
fn what_is_too_long_is_refused_and_nothing_changes() {
    for (first, space) in [
        (ShareableItem::from("howdy"), 8),
        (b"HoWdY".into(), 8),
        (1.into(), 8),
        (ShareableItem::None, 8),
        ("".into(), 8),
        ("123456789".into(), 16),
        (vec![1; 1000].into(), 1000),
        (vec![1; 1001].into(), 1008),
    ] {
        let list = ShareableList::new([b"left".into(), first.clone(), b"right".into()]).unwrap();
        let refused = Error::ExceedsSpace { index: 1, needed: space + 1, space };
        assert_eq!(list.set(1, vec![7; space + 1]), Err(refused.clone()));
        assert_eq!(list.try_set(1, "x".repeat(space + 1)), Err(refused.clone()));
        assert_eq!(list.update(1, |_| vec![7; space + 1].into()), Err(refused));
        assert_eq!(list.to_vec().unwrap(), [b"left".into(), first, b"right".into()]);
        list.set(1, vec![7; space]).unwrap();
        assert_eq!(list.to_vec().unwrap(), [b"left".into(), vec![7; space].into(), b"right".into()]);
    }
    let text = Error::ExceedsSpace { index: 1, needed: 9, space: 8 }.to_string();
    assert_eq!(text, "an item of 9 bytes does not fit into the 8 that item 1 was given");
}

#[test]
fn zeros_at_the_end_of_bytes_and_texts_survive() {
    let items: [ShareableItem; 4] = [b"a\0\0".into(), "b\0".into(), b"\0".into(), vec![0; 20].into()];
    let list = ShareableList::new(items.clone()).unwrap();
    assert_eq!(list.to_vec().unwrap(), items);
    list.set(3, b"c\0\0\0\0\0\0\0\0\0").unwrap();
    assert_eq!(list.get(3).unwrap(), b"c\0\0\0\0\0\0\0\0\0".into());
}

#[test]
fn a_list_may_be_long_and_its_items_large() {
    let list = ShareableList::new((0..10_000).map(Into::into)).unwrap();
    list.set(9_999, "the end").unwrap();
    assert_eq!((list.get(9_998).unwrap(), list.get(9_999).unwrap()), (9_998.into(), "the end".into()));
    let large: Vec<u8> = (0..1 << 20).map(|index| index as u8).collect();
    let list = ShareableList::new([large.clone().into(), 1.into()]).unwrap();
    assert_eq!(list.to_vec().unwrap(), [large.into(), 1.into()]);
}

#[test]
fn neighbours_in_an_arena_share_nothing() {
    let arena = Arena::new(1 << 16).unwrap();
    let lists = [0, 1, 2].map(|_| ShareableList::new_in(&arena, one_of_each()).unwrap());
    lists[1].set(6, 7).unwrap();
    assert_eq!((lists[0].to_vec(), lists[2].to_vec()), (Ok(one_of_each()), Ok(one_of_each())));
    assert!(matches!(ShareableList::new_in(&arena, [vec![0; 1 << 16].into()]), Err(Error::NoSpace { .. })));
}

#[test]
fn another_process_finds_it_by_name_or_gets_it() {
    let _watchdog = watchdog();
    let name = format!("test-list/{}", std::process::id());
    let list = ShareableList::create(&name, one_of_each()).unwrap();
    assert!(matches!(ShareableList::create(&name, []), Err(Error::NameTaken { .. })));
    let by_name = |name: String| {
        let list = ShareableList::open(name)?;
        list.set(6, 880)?;
        list.to_vec()
    };
    let found = Process::spawn(by_name, (&name,)).unwrap().join().unwrap().unwrap();
    assert_eq!((&found[..6], &found[6]), (&one_of_each()[..6], &880.into()));
    let by_handle = |list: ShareableList| list.set(4, "changed");
    Process::spawn(by_handle, (&list,)).unwrap().join().unwrap().unwrap();
    assert_eq!((list.get(6).unwrap(), list.get(4).unwrap()), (880.into(), "changed".into()));
    let other = crossproc::Array::<u64>::open(&name).unwrap_err();
    let kinds = AttachError::WrongKind { found: Ok(Kind::ShareableList), expected: Kind::Array };
    assert_eq!(other, Error::Attach(kinds));
    drop(list);
    assert_eq!(ShareableList::open(&name).unwrap_err(), Error::NoSuchName { name });
}

fn add_one(item: ShareableItem) -> ShareableItem {
    match item {
        ShareableItem::Int(number) => ShareableItem::Int(number + 1),
        other => other,
    }
}

#[test]
fn updates_of_many_processes_are_all_counted() {
    let _watchdog = watchdog();
    let list = ShareableList::new(["left".into(), 0.into(), 0.into()]).unwrap();
    let count = |list: ShareableList| {
        for _ in 0..2_000 {
            list.update(1, add_one).unwrap();
            list.update(2, add_one).unwrap();
        }
    };
    let processes = [0; 4].map(|_| Process::spawn(count, (&list,)).unwrap());
    for process in processes {
        process.join().unwrap();
    }
    assert_eq!(list.to_vec().unwrap(), ["left".into(), 8_000.into(), 8_000.into()]);
}

/// Items whose bytes say which item they belong to, of different types and lengths.
fn telling(number: u8) -> ShareableItem {
    match number % 4 {
        0 => vec![number; 700 + usize::from(number)].into(),
        1 => char::from(b'a' + number % 26).to_string().repeat(500 + usize::from(number)).into(),
        2 => i64::from_ne_bytes([number; 8]).into(),
        _ => ShareableItem::None,
    }
}

fn is_whole(item: &ShareableItem) -> bool {
    let number = match item {
        ShareableItem::Bytes(bytes) => bytes[0],
        ShareableItem::Text(text) => (text.len() - 500) as u8,
        ShareableItem::Int(number) => *number as u8,
        _ => 3,
    };
    telling(number) == *item
}

#[test]
fn a_reader_never_sees_a_torn_item() {
    let _watchdog = watchdog();
    let first = vec![0; 1000];
    let (list, stage) = (ShareableList::new(["left".into(), first.into(), "right".into()]).unwrap(), Stage::new());
    let write = |list: ShareableList, stage: Stage, rounds: usize| {
        for number in (0..=255).cycle().take(rounds) {
            list.set(1, telling(number)).unwrap();
        }
        stage.advance();
    };
    list.set(1, telling(0)).unwrap();
    let rounds = 20_000_usize;
    let writers = [0; 2].map(|_| Process::spawn(write, (&list, &stage, rounds)).unwrap());
    while !stage.has_reached(2) {
        let seen = list.get(1).unwrap();
        assert!(is_whole(&seen), "torn: {seen:?}");
    }
    for writer in writers {
        writer.join().unwrap();
    }
    assert_eq!((list.get(0).unwrap(), list.get(2).unwrap()), ("left".into(), "right".into()));
}

/// Writers that are killed at any instruction, by a parent that does not know which. The seed that it prints replays its
/// schedule: `common/kills.rs`.
#[test]
fn a_killed_writer_leaves_every_item_whole() {
    let list = ShareableList::new(["left".into(), vec![0; 1000].into(), 0.into()]).unwrap();
    list.set(1, telling(0)).unwrap();
    let write = |list: ShareableList| {
        for number in (0..=255).cycle() {
            list.set(1, telling(number)).unwrap();
            list.update(2, add_one).unwrap();
        }
    };
    Kills::asked_for(20).each_round(|round, random| {
        let before = list.get(2).unwrap();
        let writer = Process::spawn(write, (&list,)).unwrap();
        while list.get(2).unwrap() == before {
            thread::yield_now();
        }
        (0..random.below(50_000)).for_each(|_| std::hint::spin_loop());
        writer.kill().unwrap();
        writer.wait();
        let ShareableItem::Int(number) = list.update(2, add_one).unwrap() else { panic!("a number was there") };
        assert!(is_whole(&list.get(1).unwrap()), "round {round}");
        assert_eq!(list.get(2).unwrap(), number.into());
        assert_eq!(list.get(0).unwrap(), "left".into());
    });
}

/// A process in the middle of an update of item 0, once it has told so.
fn updater(list: &ShareableList, stage: &Stage) -> Process<()> {
    let update = |list: ShareableList, stage: Stage| {
        list.update(0, |_| {
            stage.advance();
            stage.wait_for(2);
            "new".into()
        })
        .unwrap();
    };
    let updater = Process::spawn(update, (list, stage)).unwrap();
    stage.wait_for(1);
    updater
}

#[test]
fn nobody_waits_for_a_stopped_writer_who_does_not_want_to() {
    let _watchdog = watchdog();
    let (list, stage) = (ShareableList::new(["old".into(), 1.into()]).unwrap(), Stage::new());
    let writer = updater(&list, &stage);
    signal(writer.pid(), libc::SIGSTOP);
    wait_for_state(writer.pid(), 'T');
    assert_eq!(list.to_vec().unwrap(), ["old".into(), 1.into()]);
    let held = Error::Held { object: Kind::ShareableList };
    assert_eq!(list.try_set(1, 2), Err(held.clone()));
    assert_eq!(list.try_update(1, add_one), Err(held.clone()));
    let (wait, start) = (Duration::from_millis(30), Instant::now());
    assert_eq!(list.set_timeout(1, 2, wait), Err(held.clone()));
    assert_eq!(list.update_timeout(1, add_one, wait), Err(held));
    assert!(start.elapsed() >= 2 * wait);
    stage.advance();
    signal(writer.pid(), libc::SIGCONT);
    list.set(1, 2).unwrap();
    writer.join().unwrap();
    assert_eq!(list.to_vec().unwrap(), ["new".into(), 2.into()]);
}

#[test]
fn nobody_is_told_of_a_writers_death() {
    let _watchdog = watchdog();
    let (list, stage) = (ShareableList::new(["old".into(), 1.into()]).unwrap(), Stage::new());
    let writer = updater(&list, &stage);
    writer.kill().unwrap();
    assert_eq!(list.update(1, add_one), Ok(2.into()));
    assert_eq!(list.to_vec().unwrap(), ["old".into(), 2.into()]);
    writer.wait();
}

#[test]
fn an_update_reads_and_does_not_write_by_other_means() {
    let list = ShareableList::new([1.into(), 2.into()]).unwrap();
    let updated = list.update(0, |_| {
        assert_eq!(list.set(1, 9), Err(Error::AlreadyHeld { object: Kind::ShareableList }));
        list.get(1).unwrap()
    });
    assert_eq!(updated, Ok(2.into()));
    assert_eq!(list.to_vec().unwrap(), [2.into(), 2.into()]);
}

#[test]
fn a_panic_in_update_changes_nothing_and_releases() {
    let list = ShareableList::new([1.into()]).unwrap();
    let panicked = panic::catch_unwind(AssertUnwindSafe(|| list.update(0, |_| panic::resume_unwind(Box::new("no")))));
    assert!(panicked.is_err());
    assert_eq!(list.update(0, add_one), Ok(2.into()));
}

#[test]
fn an_update_that_forks_is_its_parents() {
    let _watchdog = watchdog();
    let list = ShareableList::new([1.into()]).unwrap();
    let mut copy = -1;
    let updated = list.update(0, |item| {
        // SAFETY: the child does what other threads cannot have broken by disappearing, and ends with _exit.
        copy = unsafe { libc::fork() };
        if copy == 0 { 77.into() } else { add_one(item) }
    });
    if copy == 0 {
        let refused = matches!(updated, Err(Error::ForkedCopy { .. }));
        // SAFETY: ends the copy at once.
        unsafe { libc::_exit(i32::from(!refused)) }
    }
    let mut status = -1;
    // SAFETY: our child; `status` outlives the call.
    assert_eq!(unsafe { libc::waitpid(copy, &mut status, 0) }, copy);
    assert_eq!((status, updated, list.get(0)), (0, Ok(2.into()), Ok(2.into())));
}
