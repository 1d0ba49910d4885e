//! Each container against one of the standard library, by operations at random.

use std::collections::{BTreeMap, BTreeSet};

use crossproc::{Error, Manager};

use crate::on_each_engine;

on_each_engine!(
    a_dict_is_a_map,
    a_list_is_a_vec,
    a_set_is_a_set,
    a_value_is_what_was_set,
    an_array_keeps_its_length,
    a_namespace_has_values_of_many_types,
    long_and_empty_values,
    thousands_of_entries_at_once,
);

/// Numbers that look random, the same in each run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

fn a_dict_is_a_map(manager: &Manager) {
    let (dict, mut map) = (manager.dict::<u64, String>().unwrap(), BTreeMap::new());
    let mut numbers = Numbers(1);
    for step in 0..400 {
        let (key, value) = (numbers.below(12), format!("{step}"));
        match numbers.below(9) {
            0 | 1 => assert_eq!(dict.insert(key, &value).unwrap(), map.insert(key, value)),
            2 => assert_eq!(dict.remove(key).unwrap(), map.remove(&key)),
            3 => assert_eq!(dict.get(key).unwrap(), map.get(&key).cloned()),
            4 => assert_eq!(dict.contains_key(key).unwrap(), map.contains_key(&key)),
            5 => {
                let some: Vec<_> = (key..key + 3).map(|key| (key, value.clone())).collect();
                dict.extend(some.clone()).unwrap();
                map.extend(some);
            }
            6 => {
                let found = dict.update(key, |old| old + "!");
                match map.get_mut(&key) {
                    Some(old) => {
                        old.push('!');
                        assert_eq!(found.as_ref(), Ok(&*old));
                    }
                    None => assert!(matches!(found, Err(Error::NoSuchKey { .. }))),
                }
            }
            7 => {
                let expected = match map.get(&key) {
                    Some(old) if *old == value => Ok(()),
                    old => Err(old.cloned()),
                };
                assert_eq!(dict.compare_exchange(key, Some(&value), None).unwrap(), expected);
                if expected.is_ok() {
                    map.remove(&key);
                }
            }
            _ => {
                let one = dict.pop().unwrap();
                assert_eq!(one.is_none(), map.is_empty());
                if let Some((key, value)) = one {
                    assert_eq!(map.remove(&key), Some(value));
                }
            }
        }
        assert_eq!(dict.len().unwrap(), map.len());
    }
    let mut items = dict.items().unwrap();
    items.sort();
    assert_eq!(items, map.clone().into_iter().collect::<Vec<_>>());
    let mut keys = dict.keys().unwrap();
    keys.sort();
    assert!(keys.iter().eq(map.keys()));
    dict.clear().unwrap();
    assert!(dict.is_empty().unwrap() && dict.items().unwrap().is_empty());
}

fn a_list_is_a_vec(manager: &Manager) {
    let (list, mut vec) = (manager.list::<u64>([]).unwrap(), Vec::new());
    let mut numbers = Numbers(2);
    for item in 0..400 {
        let place = numbers.below(vec.len() as u64 + 2) as usize;
        let is_there = place < vec.len();
        match numbers.below(10) {
            0..=2 => {
                list.push(item).unwrap();
                vec.push(item);
            }
            3 if place <= vec.len() => {
                list.insert(place, item).unwrap();
                vec.insert(place, item);
            }
            4 if is_there => assert_eq!(list.remove(place).unwrap(), vec.remove(place)),
            4 => assert!(matches!(list.remove(place), Err(Error::OutOfRange { .. }))),
            5 => assert_eq!(list.pop().unwrap(), vec.pop()),
            6 if is_there => {
                list.set(place, item).unwrap();
                vec[place] = item;
            }
            7 if is_there => {
                assert_eq!(list.update(place, |old| old + 1).unwrap(), vec[place] + 1);
                vec[place] += 1;
            }
            8 => {
                list.extend([item, item + 1]).unwrap();
                vec.extend([item, item + 1]);
            }
            9 => {
                list.reverse().unwrap();
                vec.reverse();
            }
            _ => {}
        }
        match vec.get(place) {
            Some(item) => assert_eq!(list.get(place).unwrap(), *item),
            None => assert_eq!(list.get(place).map(drop), Err(Error::OutOfRange { index: place, length: vec.len() })),
        }
        assert_eq!(list.len().unwrap(), vec.len());
    }
    assert_eq!(list.to_vec().unwrap(), vec);
    assert_eq!(list.slice(3..7).unwrap(), vec[3..7]);
    list.sort().unwrap();
    vec.sort();
    assert_eq!(list.to_vec().unwrap(), vec);
    assert_eq!(list.index(vec[5]).unwrap(), vec.iter().position(|item| *item == vec[5]));
    assert_eq!(list.count(vec[5]).unwrap(), vec.iter().filter(|item| **item == vec[5]).count());
    list.clear().unwrap();
    assert!(list.is_empty().unwrap() && list.pop().unwrap().is_none());
}

fn a_set_is_a_set(manager: &Manager) {
    let (set, mut known) = (manager.set::<String>([]).unwrap(), BTreeSet::new());
    let mut numbers = Numbers(3);
    for _ in 0..200 {
        let member = numbers.below(10).to_string();
        match numbers.below(3) {
            0 => assert_eq!(set.insert(&member).unwrap(), known.insert(member)),
            1 => assert_eq!(set.remove(&member).unwrap(), known.remove(&member)),
            _ => assert_eq!(set.contains(&member).unwrap(), known.contains(&member)),
        }
        assert_eq!(set.len().unwrap(), known.len());
    }
    set.extend(["x".to_owned(), "y".to_owned()]).unwrap();
    known.extend(["x".to_owned(), "y".to_owned()]);
    assert_eq!(set.to_vec().unwrap().into_iter().collect::<BTreeSet<_>>(), known);
}

fn a_value_is_what_was_set(manager: &Manager) {
    let value = manager.value("a".to_owned()).unwrap();
    assert_eq!(value.get().unwrap(), "a");
    value.set("b").unwrap();
    assert_eq!(value.update(|text| text + "c").unwrap(), "bc");
    let exchanged = value.compare_exchange(&"no".to_owned(), &"d".to_owned()).unwrap();
    assert_eq!(exchanged, Err("bc".to_owned()));
    assert_eq!(value.compare_exchange(&"bc".to_owned(), &"d".to_owned()).unwrap(), Ok(()));
    assert_eq!(value.get().unwrap(), "d");
    let number = manager.value(5_u64).unwrap();
    assert_eq!((number.fetch_add(3).unwrap(), number.get().unwrap()), (5, 8));
}

fn an_array_keeps_its_length(manager: &Manager) {
    let array = manager.array([1, 2, 3]).unwrap();
    array.set(1, 5).unwrap();
    assert_eq!(array.to_vec().unwrap(), [1, 5, 3]);
    assert_eq!(array.set(3, 5), Err(Error::OutOfRange { index: 3, length: 3 }));
    assert_eq!(array.len(), 3);
}

fn a_namespace_has_values_of_many_types(manager: &Manager) {
    let names = manager.namespace().unwrap();
    names.set("threads", &4_u32).unwrap();
    names.set("title", &"sweep".to_owned()).unwrap();
    assert_eq!(names.get::<u32>("threads").unwrap(), Some(4));
    assert_eq!(names.get::<String>("title").unwrap().as_deref(), Some("sweep"));
    assert!(names.get::<u32>("title").is_err());
    assert_eq!(names.get::<u32>("nothing").unwrap(), None);
}

fn long_and_empty_values(manager: &Manager) {
    let dict = manager.dict::<String, String>().unwrap();
    for length in [0, 1, 127, 128, 1_000, 70_000, 3_000_000] {
        let text = "x".repeat(length);
        dict.insert(&text, &text).unwrap();
        assert_eq!(dict.get(&text).unwrap().map(|value| value.len()), Some(length));
    }
    let bytes = manager.list([vec![0_u8, 13, 10, 255], vec![]]).unwrap();
    assert_eq!(bytes.to_vec().unwrap(), [vec![0_u8, 13, 10, 255], vec![]]);
}

fn thousands_of_entries_at_once(manager: &Manager) {
    let dict = manager.dict::<u32, u32>().unwrap();
    dict.extend((0..5_000).map(|n| (n, n * 2))).unwrap();
    let mut items = dict.items().unwrap();
    items.sort();
    assert!(items.into_iter().eq((0..5_000).map(|n| (n, n * 2))));
    let list = manager.list(0..5_000).unwrap();
    assert!(list.to_vec().unwrap().into_iter().eq(0..5_000));
    list.extend(5_000..9_000).unwrap();
    assert_eq!(list.len().unwrap(), 9_000);
}
