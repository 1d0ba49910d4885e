//! Lists and dictionaries.

use std::collections::HashMap;

use crossproc::managed::{Dict, List};
use crossproc::{Error, Manager, Process};

use crate::on_each_engine;

on_each_engine!(
    a_list_is_made_extended_and_copied,
    a_list_of_lists_has_the_lists_themselves,
    an_iterator_over_a_list_sees_what_is_there_when_it_comes_by,
    the_lists_in_a_list_are_different_lists,
    a_dict_is_copied_in_all_its_parts,
    a_dict_may_be_cleared_while_its_keys_are_looked_at,
    dicts_in_a_dict_are_the_dicts_themselves,
    plain_values_are_copies,
    a_child_uses_its_parents_list,
    a_child_uses_its_parents_dict,
    an_entry_is_pythons_setdefault,
);

type Numbers = Dict<String, u32>;

fn numbers(manager: &Manager, entries: &[(&str, u32)]) -> Numbers {
    let dict = manager.dict().unwrap();
    dict.extend(entries.iter().copied()).unwrap();
    dict
}

/// At a server they come in no order.
fn in_order<T: Ord>(manager: &Manager, mut found: Vec<T>) -> Vec<T> {
    if manager.fd().is_none() {
        found.sort();
    }
    found
}

/// A list is made of items, or empty; it grows at its end, and is copied in whole and in part.
fn a_list_is_made_extended_and_copied(manager: &Manager) {
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
fn a_list_of_lists_has_the_lists_themselves(manager: &Manager) {
    let (a, b) = (manager.list(0..3).unwrap(), manager.list(5..7).unwrap());
    let lists = manager.list([a.clone(), b]).unwrap();
    let contents: Vec<_> = lists.iter().map(|list| list.unwrap().to_vec().unwrap()).collect();
    assert_eq!(contents, [vec![0, 1, 2], vec![5, 6]]);
    a.push(77).unwrap();
    assert_eq!(lists.get(0).unwrap().to_vec().unwrap(), [0, 1, 2, 77]);
}

/// An iterator ends and stays at its end; it gives what is there when it comes by.
fn an_iterator_over_a_list_sees_what_is_there_when_it_comes_by(manager: &Manager) {
    let list = manager.list(0..10).unwrap();
    let mut items = list.iter();
    assert!(items.by_ref().map(Result::unwrap).eq(0..10));
    assert!(items.next().is_none());
    let mut items = list.iter();
    list.set(0, 100).unwrap();
    assert_eq!(items.next(), Some(Ok(100)));
}

/// Items that are lists are changed one by one, and live on when who made them lets them go.
fn the_lists_in_a_list_are_different_lists(manager: &Manager) {
    let lists = manager.list((0..3).map(|_| manager.list(0..3).unwrap())).unwrap();
    let inner = |place: usize| lists.get(place).unwrap();
    inner(0).set(2, 55).unwrap();
    assert_eq!(inner(0).to_vec().unwrap(), [0, 1, 55]);
    assert!((1..3).all(|place| inner(place).to_vec().unwrap() == [0, 1, 2]));
    assert_eq!(inner(1).pop(), Ok(Some(2)));
    assert_eq!([inner(0).len(), inner(1).len(), inner(2).len()], [Ok(3), Ok(2), Ok(3)]);
}

/// Keys, values, items and a copy of everything, in the order in which the keys came.
fn a_dict_is_copied_in_all_its_parts(manager: &Manager) {
    let dict: Dict<u32, String> = manager.dict().unwrap();
    let expected: Vec<_> = (65..70).map(|n| (n, char::from(n as u8).to_string())).collect();
    for (key, value) in &expected {
        dict.insert(key, value).unwrap();
    }
    assert_eq!(dict.to_map().unwrap(), expected.iter().cloned().collect::<HashMap<_, _>>());
    assert!(in_order(manager, dict.keys().unwrap()).into_iter().eq(65..70));
    assert_eq!(in_order(manager, dict.values().unwrap()), ["A", "B", "C", "D", "E"]);
    assert_eq!(in_order(manager, dict.items().unwrap()), expected);
}

/// What has been copied does not change when the dictionary does (Python raises an error instead).
fn a_dict_may_be_cleared_while_its_keys_are_looked_at(manager: &Manager) {
    let dict = numbers(manager, &[("a", 1), ("b", 2)]);
    let mut seen = Vec::new();
    for key in dict.keys().unwrap() {
        dict.clear().unwrap();
        seen.push(key);
    }
    assert_eq!((in_order(manager, seen), dict.len()), (vec!["a".to_string(), "b".to_string()], Ok(0)));
}

/// `d['supplies']['water']` is the same number as `supplies['water']`, whoever changes it, and whoever lets go.
fn dicts_in_a_dict_are_the_dicts_themselves(manager: &Manager) {
    let pets = numbers(manager, &[("ferrets", 2), ("hamsters", 4)]);
    let supplies = numbers(manager, &[("water", 10), ("feed", 3)]);
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
fn plain_values_are_copies(manager: &Manager) {
    let list = manager.list([vec![88, 99]]).unwrap();
    let mut copy = list.get(0).unwrap();
    copy.push(100);
    assert_eq!(list.get(0).unwrap(), [88, 99]);
    list.set(0, copy).unwrap();
    assert_eq!(list.get(0).unwrap(), [88, 99, 100]);
}

/// Every method of a list, called by a child of a list that its parent has made.
fn a_child_uses_its_parents_list(manager: &Manager) {
    let list = manager.list::<u32>([]).unwrap();
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
fn a_child_uses_its_parents_dict(manager: &Manager) {
    let dict = numbers(manager, &[("foo", 5)]);
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
fn an_entry_is_pythons_setdefault(manager: &Manager) {
    let dict = numbers(manager, &[("a", 1)]);
    assert_eq!(dict.entry("a").unwrap().or_insert(7), Ok(1));
    assert_eq!(dict.entry("b").unwrap().or_insert(7), Ok(7));
    assert_eq!(in_order(manager, dict.items().unwrap()), [("a".to_string(), 1), ("b".to_string(), 7)]);
}
