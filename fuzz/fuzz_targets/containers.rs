//! Any sequence of operations on a managed dictionary, list and set, compared with vectors; and on lists that are values.
//!
//! One process, several handles, no deaths. What finds no room changes nothing.

#![no_main]

use arbitrary::Arbitrary;
use crossproc::managed::{Dict, List, Set};
use crossproc::{Error, Manager, Result};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input {
    /// In units of 64 KiB, beyond one.
    capacity: u8,
    operations: Vec<Operation>,
}

#[derive(Arbitrary, Debug)]
enum Operation {
    Dict(u8, OnDict),
    List(u16, OnList),
    Set(u8, OnSet),
    Nested(u8, OnNested),
    /// New handles in place of the old ones.
    Renew,
}

#[derive(Arbitrary, Debug)]
enum OnDict {
    Insert(Text),
    Extend(Text, u8),
    Remove,
    Pop,
    Update(Text),
    Entry(Text),
    Exchange(Option<Text>, Option<Text>),
    /// Several at once, and whether in the end an error takes all of it back.
    With(Text, bool),
    Clear,
}

#[derive(Arbitrary, Debug)]
enum OnList {
    Push(Text),
    Set(Text),
    Insert(Text),
    Extend(Text, u8),
    Pop,
    Remove,
    Update(Text),
    Sort,
    Reverse,
    Clear,
}

#[derive(Arbitrary, Debug)]
enum OnSet {
    Insert,
    Extend(u8),
    Remove,
    Clear,
}

#[derive(Arbitrary, Debug)]
enum OnNested {
    /// A new list for a key.
    Insert,
    /// To the list of a key.
    Push,
    Remove,
    Clear,
}

/// So many times the same byte.
#[derive(Arbitrary, Clone, Copy, Debug)]
struct Text(u8, u16);

impl Text {
    fn bytes(self) -> Vec<u8> {
        // Most are short; some fill blocks of their own.
        let length = if self.1 & 0x7000 == 0 { self.1 % 5000 } else { self.1 % 150 };
        vec![self.0; length.into()]
    }
}

type Key = u16;

struct Containers {
    dict: Dict<Key, Vec<u8>>,
    list: List<Vec<u8>>,
    set: Set<Key>,
    nested: Dict<Key, List<Key>>,
    entries: Vec<(Key, Vec<u8>)>,
    items: Vec<Vec<u8>>,
    members: Vec<Key>,
    lists: Vec<(Key, Vec<Key>)>,
}

/// What has come of it, or `None` if there was no room: nothing has changed then.
fn done<R>(outcome: Result<R>) -> Option<R> {
    match outcome {
        Ok(result) => Some(result),
        Err(Error::NoSpace { .. }) => None,
        Err(other) => panic!("{other:?}"),
    }
}

fn place_of<V>(entries: &[(Key, V)], key: Key) -> Option<usize> {
    entries.iter().position(|(found, _)| *found == key)
}

fn value_of<V: Clone>(entries: &[(Key, V)], key: Key) -> Option<V> {
    place_of(entries, key).map(|place| entries[place].1.clone())
}

fn put<V>(entries: &mut Vec<(Key, V)>, key: Key, value: V) {
    match place_of(entries, key) {
        Some(place) => entries[place].1 = value,
        None => entries.push((key, value)),
    }
}

impl Containers {
    fn on_dict(&mut self, key: Key, operation: &OnDict) {
        let (dict, entries) = (&self.dict, &mut self.entries);
        let old = value_of(entries, key);
        assert_eq!((dict.get(key).unwrap(), dict.contains_key(key).unwrap()), (old.clone(), old.is_some()));
        match *operation {
            OnDict::Insert(text) => {
                if let Some(found) = done(dict.insert(key, text.bytes())) {
                    assert_eq!(found, old);
                    put(entries, key, text.bytes());
                }
            }
            OnDict::Extend(text, count) => {
                let keys = || key..key.saturating_add(count.into());
                if done(dict.extend(keys().map(|key| (key, text.bytes())))).is_some() {
                    keys().for_each(|key| put(entries, key, text.bytes()));
                }
            }
            OnDict::Remove => {
                if let Some(found) = done(dict.remove(key)) {
                    assert_eq!(found, old);
                    entries.retain(|(found, _)| *found != key);
                }
            }
            OnDict::Pop => {
                if let Some(found) = done(dict.pop()) {
                    assert_eq!(found, entries.pop());
                }
            }
            OnDict::Update(text) => match dict.update(key, |value| [value, text.bytes()].concat()) {
                Err(Error::NoSuchKey { .. }) => assert_eq!(old, None),
                outcome => {
                    let mut value = old.expect("there is an entry");
                    value.extend(text.bytes());
                    if let Some(found) = done(outcome) {
                        assert_eq!(found, value);
                        put(entries, key, value);
                    }
                }
            },
            OnDict::Entry(text) => {
                let entry = dict.entry(key).unwrap().and_modify(|value| value.push(1));
                if let Some(found) = done(entry.or_insert(text.bytes())) {
                    let value = old.map_or(text.bytes(), |mut value| {
                        value.push(1);
                        value
                    });
                    assert_eq!(found, value);
                    put(entries, key, value);
                }
            }
            OnDict::Exchange(current, new) => {
                let (current, new) = (current.map(Text::bytes), new.map(Text::bytes));
                match done(dict.compare_exchange(key, current.as_ref(), new.as_ref())) {
                    None => {}
                    Some(Err(found)) => assert!(found == old && found != current),
                    Some(Ok(())) => {
                        assert_eq!(current, old);
                        match new {
                            Some(new) => put(entries, key, new),
                            None => entries.retain(|(found, _)| *found != key),
                        }
                    }
                }
            }
            OnDict::With(text, is_taken_back) => {
                let other = key ^ 1;
                let mut changed = entries.clone();
                let outcome = dict.with(|dict| {
                    assert_eq!(dict.get(key)?, old);
                    assert_eq!(dict.insert(key, text.bytes())?, old.is_some());
                    put(&mut changed, key, text.bytes());
                    assert_eq!(dict.remove(other)?, place_of(&changed, other).is_some());
                    changed.retain(|(found, _)| *found != other);
                    assert_eq!(dict.keys()?, changed.iter().map(|(key, _)| *key).collect::<Vec<_>>());
                    if is_taken_back { Err(Error::HandleOutsideTransfer) } else { Ok(()) }
                });
                match outcome {
                    Err(Error::HandleOutsideTransfer) => assert!(is_taken_back),
                    outcome => {
                        if done(outcome).is_some() {
                            *entries = changed;
                        }
                    }
                }
            }
            OnDict::Clear => {
                if done(dict.clear()).is_some() {
                    entries.clear();
                }
            }
        }
        assert_eq!((dict.len().unwrap(), dict.is_empty().unwrap()), (entries.len(), entries.is_empty()));
        assert_eq!(dict.get(key).unwrap(), value_of(entries, key));
    }

    fn on_list(&mut self, place: u16, operation: &OnList) {
        let (list, items) = (&self.list, &mut self.items);
        // One of those beyond the end, too.
        let place = usize::from(place) % (items.len() + 2);
        let is_there = place < items.len();
        match list.get(place) {
            Err(Error::OutOfRange { .. }) => assert!(!is_there),
            found => assert_eq!(found.unwrap(), items[place]),
        }
        match *operation {
            OnList::Push(text) => {
                if done(list.push(text.bytes())).is_some() {
                    items.push(text.bytes());
                }
            }
            OnList::Set(text) => match list.set(place, text.bytes()) {
                Err(Error::OutOfRange { .. }) => assert!(!is_there),
                outcome => {
                    if done(outcome).is_some() {
                        items[place] = text.bytes();
                    }
                }
            },
            OnList::Insert(text) => match list.insert(place, text.bytes()) {
                Err(Error::OutOfRange { .. }) => assert!(place > items.len()),
                outcome => {
                    if done(outcome).is_some() {
                        items.insert(place, text.bytes());
                    }
                }
            },
            OnList::Extend(text, count) => {
                let more = vec![text.bytes(); count.into()];
                if done(list.extend(more.clone())).is_some() {
                    items.extend(more);
                }
            }
            OnList::Pop => {
                if let Some(found) = done(list.pop()) {
                    assert_eq!(found, items.pop());
                }
            }
            OnList::Remove => match list.remove(place) {
                Err(Error::OutOfRange { .. }) => assert!(!is_there),
                outcome => {
                    if let Some(found) = done(outcome) {
                        assert_eq!(found, items.remove(place));
                    }
                }
            },
            OnList::Update(text) => match list.update(place, |item| [item, text.bytes()].concat()) {
                Err(Error::OutOfRange { .. }) => assert!(!is_there),
                outcome => {
                    if let Some(found) = done(outcome) {
                        items[place].extend(text.bytes());
                        assert_eq!(found, items[place]);
                    }
                }
            },
            OnList::Sort => {
                if done(list.sort()).is_some() {
                    items.sort();
                }
            }
            OnList::Reverse => {
                if done(list.reverse()).is_some() {
                    items.reverse();
                }
            }
            OnList::Clear => {
                if done(list.clear()).is_some() {
                    items.clear();
                }
            }
        }
        assert_eq!((list.len().unwrap(), list.is_empty().unwrap()), (items.len(), items.is_empty()));
        let slice = &items[place.min(items.len())..(place + 5).min(items.len())];
        assert_eq!(list.slice(place..place + 5).unwrap(), slice);
        if let Some(item) = slice.first() {
            assert_eq!(list.index(item).unwrap(), items.iter().position(|found| found == item));
            assert_eq!(list.count(item).unwrap(), items.iter().filter(|found| *found == item).count());
        }
    }

    fn on_set(&mut self, member: Key, operation: &OnSet) {
        let (set, members) = (&self.set, &mut self.members);
        let is_member = members.contains(&member);
        assert_eq!(set.contains(member).unwrap(), is_member);
        match *operation {
            OnSet::Insert => {
                if let Some(is_new) = done(set.insert(member)) {
                    assert_eq!(is_new, !is_member);
                    members.extend(is_new.then_some(member));
                }
            }
            OnSet::Extend(count) => {
                let more = member..member.saturating_add(count.into());
                if done(set.extend(more.clone())).is_some() {
                    let new: Vec<_> = more.filter(|member| !members.contains(member)).collect();
                    members.extend(new);
                }
            }
            OnSet::Remove => {
                if let Some(was_there) = done(set.remove(member)) {
                    assert_eq!(was_there, is_member);
                    members.retain(|found| *found != member);
                }
            }
            OnSet::Clear => {
                if done(set.clear()).is_some() {
                    members.clear();
                }
            }
        }
        assert_eq!((set.len().unwrap(), set.is_empty().unwrap()), (members.len(), members.is_empty()));
    }

    fn on_nested(&mut self, manager: &Manager, key: Key, operation: &OnNested) {
        let (nested, lists) = (&self.nested, &mut self.lists);
        let Some(list) = done(nested.get(key)) else { return };
        assert_eq!(list.as_ref().map(|list| list.to_vec().unwrap()), value_of(lists, key));
        match *operation {
            OnNested::Insert => {
                let Some(new) = done(manager.list([key])) else { return };
                if done(nested.insert(key, &new)).is_some() {
                    put(lists, key, vec![key]);
                }
                // What it replaced is still there for who has it.
                if let Some(old) = list {
                    old.len().unwrap();
                }
            }
            OnNested::Push => {
                let (Some(list), Some(place)) = (list, place_of(lists, key)) else { return };
                if done(list.push(7)).is_some() {
                    lists[place].1.push(7);
                }
            }
            OnNested::Remove => {
                if done(nested.remove(key)).is_some() {
                    lists.retain(|(found, _)| *found != key);
                }
            }
            OnNested::Clear => {
                if done(nested.clear()).is_some() {
                    lists.clear();
                }
            }
        }
    }

    fn renew(&mut self) {
        self.dict = self.dict.clone();
        self.list = self.list.clone();
        self.set = self.set.clone();
        self.nested = self.nested.clone();
    }

    fn check(&self) {
        assert_eq!(self.dict.items().unwrap(), self.entries);
        assert_eq!(self.list.to_vec().unwrap(), self.items);
        assert_eq!(self.list.iter().collect::<Result<Vec<_>>>().unwrap(), self.items);
        assert_eq!(self.set.to_vec().unwrap(), self.members);
        assert_eq!(self.nested.keys().unwrap(), self.lists.iter().map(|(key, _)| *key).collect::<Vec<_>>());
    }
}

fuzz_target!(|input: Input| {
    let manager = Manager::with_capacity((u64::from(input.capacity % 16) + 2) << 16).unwrap();
    let mut containers = Containers {
        dict: manager.dict().unwrap(),
        list: manager.list([]).unwrap(),
        set: manager.set([]).unwrap(),
        nested: manager.dict().unwrap(),
        entries: Vec::new(),
        items: Vec::new(),
        members: Vec::new(),
        lists: Vec::new(),
    };
    for operation in &input.operations {
        match operation {
            Operation::Dict(key, operation) => containers.on_dict(u16::from(*key), operation),
            Operation::List(place, operation) => containers.on_list(*place, operation),
            Operation::Set(member, operation) => containers.on_set(u16::from(*member), operation),
            Operation::Nested(key, operation) => containers.on_nested(&manager, u16::from(*key % 8), operation),
            Operation::Renew => containers.renew(),
        }
    }
    containers.check();
});
