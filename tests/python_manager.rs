//! What Python's `multiprocessing` promises for the lists and dictionaries of a `Manager`, as far as it applies to
//! [`List`] and [`Dict`].
//!
//! Not here: a server process, its address and its keys; containers of items of any types at once; slices that are
//! assigned to; queues and locks as values (their handles travel by themselves).

mod common;

use std::collections::HashMap;

use common::watchdog;
use crossproc::managed::{Dict, List};
use crossproc::{Error, Manager, Process};

crossproc::test_support!();

type Numbers = Dict<String, u32>;

fn numbers(manager: &Manager, entries: &[(&str, u32)]) -> Numbers {
    let dict = manager.dict().unwrap();
    dict.extend(entries.iter().copied()).unwrap();
    dict
}

/// A list is made of items, or empty; it grows at its end, and is copied in whole and in part.
#[test]
fn a_list_is_made_extended_and_copied() {
    let manager = Manager::start().unwrap();
    let (a, b) = (manager.list(0..10).unwrap(), manager.list::<i32>([]).unwrap());
    assert_eq!(a.to_vec().unwrap(), Vec::from_iter(0..10));
    assert_eq!(b.to_vec().unwrap(), []);
    b.extend(0..5).unwrap();
    assert_eq!((b.get(2), b.slice(2..10).unwrap()), (Ok(2), vec![2, 3, 4]));
    b.extend(b.to_vec().unwrap()).unwrap();
    assert_eq!(b.to_vec().unwrap(), [0, 1, 2, 3, 4, 0, 1, 2, 3, 4]);
    assert_eq!(a.to_vec().unwrap(), Vec::from_iter(0..10), "the other one is another one");
}

/// A list of lists has the lists themselves, not what was in them.
#[test]
fn a_list_of_lists_has_the_lists_themselves() {
    let manager = Manager::start().unwrap();
    let (a, b) = (manager.list(0..3).unwrap(), manager.list(5..7).unwrap());
    let lists = manager.list([a.clone(), b]).unwrap();
    let contents: Vec<_> = lists.iter().map(|list| list.unwrap().to_vec().unwrap()).collect();
    assert_eq!(contents, [vec![0, 1, 2], vec![5, 6]]);
    a.push(77).unwrap();
    assert_eq!(lists.get(0).unwrap().to_vec().unwrap(), [0, 1, 2, 77]);
}

/// An iterator ends and stays at its end; it gives what is there when it comes by.
#[test]
fn an_iterator_over_a_list_sees_what_is_there_when_it_comes_by() {
    let list = Manager::start().unwrap().list(0..10).unwrap();
    let mut items = list.iter();
    assert!(items.by_ref().map(Result::unwrap).eq(0..10));
    assert!(items.next().is_none());
    let mut items = list.iter();
    list.set(0, 100).unwrap();
    assert_eq!(items.next(), Some(Ok(100)));
}

/// Items that are lists are changed one by one, and live on when who made them lets them go.
#[test]
fn the_lists_in_a_list_are_different_lists() {
    let manager = Manager::start().unwrap();
    let lists = manager.list((0..3).map(|_| manager.list(0..3).unwrap())).unwrap();
    let inner = |place: usize| lists.get(place).unwrap();
    inner(0).set(2, 55).unwrap();
    assert_eq!(inner(0).to_vec().unwrap(), [0, 1, 55]);
    assert!((1..3).all(|place| inner(place).to_vec().unwrap() == [0, 1, 2]));
    assert_eq!(inner(1).pop(), Ok(Some(2)));
    assert_eq!([inner(0).len(), inner(1).len(), inner(2).len()], [Ok(3), Ok(2), Ok(3)]);
}

/// Keys, values, items and a copy of everything, in the order in which the keys came.
#[test]
fn a_dict_is_copied_in_all_its_parts() {
    let dict: Dict<u32, String> = Manager::start().unwrap().dict().unwrap();
    let expected: Vec<_> = (65..70).map(|n| (n, char::from(n as u8).to_string())).collect();
    for (key, value) in &expected {
        dict.insert(key, value).unwrap();
    }
    assert_eq!(dict.to_map().unwrap(), expected.iter().cloned().collect::<HashMap<_, _>>());
    assert!(dict.keys().unwrap().into_iter().eq(65..70));
    assert_eq!(dict.values().unwrap(), ["A", "B", "C", "D", "E"]);
    assert_eq!(dict.items().unwrap(), expected);
}

/// What has been copied does not change when the dictionary does (Python raises an error instead).
#[test]
fn a_dict_may_be_cleared_while_its_keys_are_looked_at() {
    let dict = numbers(&Manager::start().unwrap(), &[("a", 1), ("b", 2)]);
    let mut seen = Vec::new();
    for key in dict.keys().unwrap() {
        dict.clear().unwrap();
        seen.push(key);
    }
    assert_eq!((seen, dict.len()), (vec!["a".to_string(), "b".to_string()], Ok(0)));
}

/// `d['supplies']['water']` is the same number as `supplies['water']`, whoever changes it, and whoever lets go.
#[test]
fn dicts_in_a_dict_are_the_dicts_themselves() {
    let _watchdog = watchdog();
    let manager = Manager::start().unwrap();
    let pets = numbers(&manager, &[("ferrets", 2), ("hamsters", 4)]);
    let supplies = numbers(&manager, &[("water", 10), ("feed", 3)]);
    let shop: Dict<String, Numbers> = manager.dict().unwrap();
    shop.extend([("pets", &pets), ("supplies", &supplies)]).unwrap();
    let inner = |key: &str| shop.get(key).unwrap().unwrap();
    assert_eq!((supplies.get("water"), inner("supplies").get("water")), (Ok(Some(10)), Ok(Some(10))));
    inner("supplies").insert("blankets", 5).unwrap();
    assert_eq!((supplies.get("blankets"), inner("supplies").get("blankets")), (Ok(Some(5)), Ok(Some(5))));
    inner("supplies").insert("water", 7).unwrap();
    assert_eq!(supplies.get("water"), Ok(Some(7)));
    drop((pets, supplies));
    assert_eq!(inner("pets").get("ferrets"), Ok(Some(2)));
    inner("supplies").insert("blankets", 11).unwrap();
    assert_eq!(inner("supplies").get("blankets"), Ok(Some(11)));

    let (pets, supplies) = (inner("pets"), inner("supplies"));
    shop.clear().unwrap();
    assert_eq!(shop.len(), Ok(0));
    assert_eq!((supplies.get("water"), pets.get("hamsters")), (Ok(Some(7)), Ok(Some(4))));

    let list = manager.list([pets.clone(), supplies]).unwrap();
    list.get(0).unwrap().insert("marmots", 1).unwrap();
    assert_eq!(pets.get("marmots"), Ok(Some(1)));
    drop(pets);
    let look = |list: List<Numbers>| list.get(0).unwrap().get("marmots").unwrap();
    assert_eq!(Process::spawn(look, (&list,)).unwrap().join(), Ok(Some(1)));
}

/// A plain `Vec` in a list stays one: what is changed is a copy until it is set again.
#[test]
fn plain_values_are_copies() {
    let list = Manager::start().unwrap().list([vec![88, 99]]).unwrap();
    let mut copy = list.get(0).unwrap();
    copy.push(100);
    assert_eq!(list.get(0).unwrap(), [88, 99]);
    list.set(0, copy).unwrap();
    assert_eq!(list.get(0).unwrap(), [88, 99, 100]);
}

/// Every method of a list, called by a child of a list that its parent has made.
#[test]
fn a_child_uses_its_parents_list() {
    let _watchdog = watchdog();
    let list = Manager::start().unwrap().list::<u32>([]).unwrap();
    list.push(5).unwrap();
    let work = |list: List<u32>| {
        assert_eq!((list.get(0), list.count(5), list.index(5)), (Ok(5), Ok(1), Ok(Some(0))));
        assert_eq!((list.count(6), list.index(6)), (Ok(0), Ok(None)));
        list.sort().unwrap();
        list.reverse().unwrap();
        assert!(list.iter().map(Result::unwrap).eq([5]));
        assert_eq!((list.len(), list.remove(0)), (Ok(1), Ok(5)));
        assert_eq!(list.remove(0), Err(Error::OutOfRange { index: 0, length: 0 }));
    };
    Process::spawn(work, (&list,)).unwrap().join().unwrap();
    assert_eq!(list.len(), Ok(0));
}

/// Every method of a dictionary, called by a child of a dictionary that its parent has made.
#[test]
fn a_child_uses_its_parents_dict() {
    let _watchdog = watchdog();
    let dict = numbers(&Manager::start().unwrap(), &[("foo", 5)]);
    let work = |dict: Numbers| {
        assert_eq!((dict.len(), dict.get("foo"), dict.get("bar")), (Ok(1), Ok(Some(5)), Ok(None)));
        assert_eq!((dict.contains_key("foo"), dict.contains_key("bar")), (Ok(true), Ok(false)));
        assert_eq!(dict.items().unwrap(), [("foo".to_string(), 5)]);
        assert_eq!((dict.keys().unwrap(), dict.values().unwrap()), (vec!["foo".to_string()], vec![5]));
        assert_eq!(dict.to_map().unwrap(), HashMap::from([("foo".to_string(), 5)]));
        assert_eq!((dict.pop(), dict.pop()), (Ok(Some(("foo".to_string(), 5))), Ok(None)));
        assert!(matches!(dict.update("foo", |n| n), Err(Error::NoSuchKey { .. })));
    };
    Process::spawn(work, (&dict,)).unwrap().join().unwrap();
    assert_eq!(dict.len(), Ok(0));
}

/// `setdefault`: what is there, or else the default, which then is there.
#[test]
fn an_entry_is_pythons_setdefault() {
    let dict = numbers(&Manager::start().unwrap(), &[("a", 1)]);
    assert_eq!(dict.entry("a").unwrap().or_insert(7), Ok(1));
    assert_eq!(dict.entry("b").unwrap().or_insert(7), Ok(7));
    assert_eq!(dict.items().unwrap(), [("a".to_string(), 1), ("b".to_string(), 7)]);
}

/// A manager that was ended and started again under its name is a new one.
#[test]
fn a_manager_can_be_started_again_under_its_name() {
    let _watchdog = watchdog();
    let name = common::naming::TestName::new();
    for _ in 0..20 {
        let manager = Manager::create(name.as_str()).unwrap();
        let add = |name: String| Manager::open(&*name).unwrap().list([1]).unwrap();
        let list = Process::spawn(add, (name.as_str(),)).unwrap().join().unwrap();
        assert_eq!(list.to_vec().unwrap(), [1]);
        drop((manager, list));
        assert!(!name.exists());
    }
}
