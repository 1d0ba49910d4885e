//! A peer that writes into the words of a live manager's heap, between and during operations on what it manages: they give
//! errors or values, never a panic, a crash or a hang.

#![no_main]

mod scribbling;

use std::fs::File;
use std::os::unix::fs::FileExt;

use arbitrary::Arbitrary;
use crossproc::managed::{Dict, List, Set, Value};
use crossproc::{Error, Manager};
use libfuzzer_sys::fuzz_target;

use self::scribbling::{BODY, Word, scribbled};

#[derive(Arbitrary, Debug)]
struct Input {
    steps: Vec<Step>,
    /// What a peer writes again and again meanwhile.
    meanwhile: Vec<Scribble>,
}

#[derive(Arbitrary, Debug)]
enum Step {
    Scribble(Scribble),
    /// Writes what stands in one place into another.
    Copy(Place, Place),
    Dict(OnDict, u8, u8),
    List(OnList, u8, u8),
    Set(OnSet, u8),
    Nested(OnNested, u8),
    Value(OnValue, u8),
    Named(OnNamed, u8),
    /// New containers in place of the old ones.
    Renew,
}

#[derive(Arbitrary, Debug)]
enum OnDict {
    Get,
    Insert,
    Remove,
    Pop,
    Extend,
    Update,
    Entry,
    Exchange,
    With,
    Ask,
    Clear,
}

#[derive(Arbitrary, Debug)]
enum OnList {
    Get,
    Set,
    Push,
    Insert,
    Extend,
    Pop,
    Remove,
    Update,
    Sort,
    Reverse,
    Ask,
    Clear,
}

#[derive(Arbitrary, Debug)]
enum OnSet {
    Insert,
    Extend,
    Remove,
    Ask,
    Clear,
}

#[derive(Arbitrary, Debug)]
enum OnNested {
    Insert,
    Push,
    Remove,
    Ask,
    Clear,
}

#[derive(Arbitrary, Debug)]
enum OnValue {
    Get,
    Set,
    Update,
    Exchange,
}

#[derive(Arbitrary, Debug)]
enum OnNamed {
    Find,
    Remove,
    Ask,
}

/// What a peer writes, and where.
type Scribble = (Place, Content);

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Place {
    /// The lock, and what is known of the whole heap.
    Control(u8),
    /// Old values of words that are being changed.
    Notes(u8),
    /// Words of the first blocks.
    Block(u16),
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Content {
    Any(u64),
    /// Of a word of the first blocks.
    Address(u16),
    /// Where the entry lies that a slot of a table says.
    Slot(u16, u16),
    Head {
        is_used: bool,
        order: u8,
    },
    Small(u8),
}

const CAPACITY: u64 = 1 << 20;

/// Control words come first, and have addresses, too.
const CONTROL: u64 = 128;
const NOTES: u64 = BODY + 8 * CONTROL;
/// Blocks begin at the next page behind a megabyte of notes.
const BLOCKS: u64 = (NOTES + (1 << 20)).next_multiple_of(4096);

fn offset(place: Place) -> u64 {
    match place {
        Place::Control(word) => BODY + 8 * (u64::from(word) % CONTROL),
        Place::Notes(word) => NOTES + 8 * u64::from(word),
        Place::Block(word) => BLOCKS + 8 * (u64::from(word) % (1 << 12)),
    }
}

fn word((place, content): Scribble) -> Word {
    let address = |word: u16| CONTROL + u64::from(word) % (1 << 12);
    let content = match content {
        Content::Any(word) => word,
        Content::Address(word) => address(word),
        Content::Slot(word, hash) => u64::from(hash) << 48 | address(word),
        Content::Head { is_used, order } => {
            (if is_used { 0x6465_7375 } else { 0x6565_7266 }) << 32 | u64::from(order % 48)
        }
        Content::Small(number) => number.into(),
    };
    Word { offset: offset(place), content }
}

struct Containers {
    dict: Dict<u8, Vec<u8>>,
    list: List<Vec<u8>>,
    set: Set<u8>,
    nested: Dict<u8, List<u8>>,
    value: Value<u8>,
}

impl Containers {
    fn new(manager: &Manager) -> Result<Self, Error> {
        let (dict, list, set) = (manager.dict()?, manager.list([])?, manager.set([])?);
        Ok(Containers { dict, list, set, nested: manager.dict()?, value: manager.value(7)? })
    }

    fn on_dict(&self, operation: &OnDict, key: u8, length: u8) {
        let (dict, value) = (&self.dict, vec![length; usize::from(length) * usize::from(length) / 8]);
        match operation {
            OnDict::Get => drop((dict.get(key), dict.contains_key(key))),
            OnDict::Insert => drop(dict.insert(key, value)),
            OnDict::Remove => drop(dict.remove(key)),
            OnDict::Pop => drop(dict.pop()),
            OnDict::Extend => drop(dict.extend((key..=u8::MAX).take(length.into()).map(|key| (key, vec![key])))),
            OnDict::Update => drop(dict.update(key, |_| value.clone())),
            OnDict::Entry => drop(dict.entry(key).unwrap().and_modify(|value| value.push(1)).or_insert(value)),
            OnDict::Exchange => drop(dict.compare_exchange(key, Some(&value), None)),
            OnDict::With => drop(dict.with(|dict| {
                dict.insert(key, &value)?;
                dict.remove(key ^ 1)?;
                dict.get(key)?;
                dict.keys()
            })),
            OnDict::Ask => drop((dict.items(), dict.keys(), dict.len(), dict.is_empty())),
            OnDict::Clear => drop(dict.clear()),
        }
    }

    fn on_list(&self, operation: &OnList, place: u8, length: u8) {
        let (list, item) = (&self.list, vec![length; usize::from(length) * usize::from(length) / 8]);
        let place = usize::from(place);
        match operation {
            OnList::Get => drop(list.get(place)),
            OnList::Set => drop(list.set(place, item)),
            OnList::Push => drop(list.push(item)),
            OnList::Insert => drop(list.insert(place, item)),
            OnList::Extend => drop(list.extend((0..length).map(|byte| vec![byte]))),
            OnList::Pop => drop(list.pop()),
            OnList::Remove => drop(list.remove(place)),
            OnList::Update => drop(list.update(place, |_| item.clone())),
            OnList::Sort => drop(list.sort()),
            OnList::Reverse => drop(list.reverse()),
            OnList::Ask => {
                drop((list.to_vec(), list.slice(place..place + 9), list.index(&item), list.count(&item), list.len()));
                list.iter().take(1000).for_each(drop);
            }
            OnList::Clear => drop(list.clear()),
        }
    }

    fn on_set(&self, operation: &OnSet, member: u8) {
        match operation {
            OnSet::Insert => drop(self.set.insert(member)),
            OnSet::Extend => drop(self.set.extend(member..=u8::MAX)),
            OnSet::Remove => drop(self.set.remove(member)),
            OnSet::Ask => drop((self.set.to_vec(), self.set.len(), self.set.contains(member))),
            OnSet::Clear => drop(self.set.clear()),
        }
    }

    fn on_value(&self, operation: &OnValue, number: u8) {
        match operation {
            OnValue::Get => drop(self.value.get()),
            OnValue::Set => drop(self.value.set(number)),
            OnValue::Update => drop(self.value.update(|_| number)),
            OnValue::Exchange => drop(self.value.compare_exchange(&number, &1)),
        }
    }

    fn on_nested(&self, manager: &Manager, operation: &OnNested, key: u8) {
        match operation {
            OnNested::Insert => drop(manager.list([key]).and_then(|list| self.nested.insert(key, list))),
            OnNested::Push => {
                if let Ok(Some(list)) = self.nested.get(key) {
                    let _ = list.push(key);
                }
            }
            OnNested::Remove => drop(self.nested.remove(key)),
            OnNested::Ask => drop((self.nested.items(), self.nested.len())),
            OnNested::Clear => drop(self.nested.clear()),
        }
    }
}

fn on_named(manager: &Manager, operation: &OnNamed, name: u8) {
    let name = format!("{}", name % 4);
    match operation {
        OnNamed::Find => drop(manager.at(&name).list::<u8>().and_then(|list| list.push(1))),
        OnNamed::Remove => drop(manager.remove(&name)),
        OnNamed::Ask => drop(manager.names()),
    }
}

fn copy(file: &File, from: Place, to: Place) {
    let mut word = [0; 8];
    if file.read_exact_at(&mut word, offset(from)).is_ok() {
        Word { offset: offset(to), content: u64::from_le_bytes(word) }.write(file);
    }
}

fuzz_target!(|input: Input| {
    let manager = Manager::with_capacity(CAPACITY).unwrap();
    let mut containers = Containers::new(&manager).unwrap();
    let meanwhile: Vec<Word> = input.meanwhile.iter().copied().map(word).collect();
    scribbled(&manager.fd().expect("it lies in memory"), &meanwhile, |file| {
        for step in &input.steps {
            match step {
                Step::Scribble(scribble) => word(*scribble).write(file),
                Step::Copy(from, to) => copy(file, *from, *to),
                Step::Dict(operation, key, length) => containers.on_dict(operation, *key, *length),
                Step::List(operation, place, length) => containers.on_list(operation, *place, *length),
                Step::Set(operation, member) => containers.on_set(operation, *member),
                Step::Nested(operation, key) => containers.on_nested(&manager, operation, *key),
                Step::Value(operation, number) => containers.on_value(operation, *number),
                Step::Named(operation, name) => on_named(&manager, operation, *name),
                Step::Renew => {
                    if let Ok(new) = Containers::new(&manager) {
                        containers = new;
                    }
                }
            }
        }
        drop(containers);
    });
});
