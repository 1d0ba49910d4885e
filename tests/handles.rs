//! Handles on their way: at any depth, both ways, passed on, many at once; and nothing else comes with them.

mod common;

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use common::watchdog;
use crossproc::{Arena, Array, AttachError, Error, Lock, Process, ProcessError, RawValue, Value};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

crossproc::test_support!();

/// The names of all descriptors of this process but the one that lists them.
fn descriptors() -> Vec<String> {
    let entries = std::fs::read_dir("/proc/self/fd").unwrap().map(|entry| entry.unwrap());
    let is_list = |target: std::path::PathBuf| target.ends_with("fd");
    let others = entries.filter(|entry| !std::fs::read_link(entry.path()).is_ok_and(is_list));
    let mut names: Vec<_> = others.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

type Numbered = Vec<(u8, Option<Value<u32>>)>;

#[derive(Serialize, Deserialize)]
struct Deep {
    first: Option<Value<u32>>,
    by_name: BTreeMap<String, Numbered>,
}

#[test]
fn handles_travel_at_any_depth_once_each_and_bring_nothing_else() {
    let _watchdog = watchdog();
    let value = Value::new(1).unwrap();
    let by_name = BTreeMap::from([("a".into(), vec![(1, None), (2, Some(value.clone()))]), ("b".into(), vec![])]);
    let deep = Deep { first: Some(value.clone()), by_name };
    let work = |deep: Deep, again: Value<u32>| {
        deep.first.unwrap().update(|n| n * 10);
        deep.by_name["a"][1].1.as_ref().unwrap().update(|n| n + 5);
        again.update(|n| n * 2);
        descriptors()
    };
    let found = Process::spawn(work, (deep, &value)).unwrap().join().unwrap();
    assert_eq!(found, ["0", "1", "2", "3", "4"]);
    assert_eq!(value.get(), 30);
}

#[test]
fn every_kind_travels() {
    let _watchdog = watchdog();
    type Kinds = (Arena, Value<f64>, Array<u8>, RawValue<AtomicU64>, Lock, Lock);
    let arena = Arena::new(1 << 16).unwrap();
    let raw = RawValue::new_in(&arena, 7.into()).unwrap();
    let locks = [Lock::new().unwrap(), Lock::new_in(&arena).unwrap()];
    let [own, shared] = locks.clone();
    let kinds: Kinds = (arena.clone(), Value::new(0.5).unwrap(), Array::from_iter(*b"abc").unwrap(), raw, own, shared);
    let use_all = |(arena, value, array, raw, own, shared): Kinds| -> crossproc::Result<(Value<u32>, String)> {
        let _guards = (own.lock()?, shared.lock()?);
        let text = format!("{} {:?} {}", value.get(), array.to_vec(), raw.load(Relaxed));
        Ok((Value::new_in(&arena, 99)?, text))
    };
    let (made_there, text) = Process::spawn(use_all, (kinds,)).unwrap().join().unwrap().unwrap();
    assert_eq!((made_there.get(), text.as_str()), (99, "0.5 [97, 98, 99] 7"));
    assert!(locks.iter().all(|lock| lock.try_lock().is_ok()));
}

#[test]
fn more_handles_travel_than_one_message_holds() {
    let _watchdog = watchdog();
    let values: Vec<_> = (0..600).map(|number| Value::new(number).unwrap()).collect();
    let sum = |values: Vec<Value<u64>>, text: String| {
        (values.iter().map(Value::get).sum::<u64>(), descriptors().len(), text.len())
    };
    let text = "x".repeat(1 << 20);
    assert_eq!(Process::spawn(sum, (&values, &text)).unwrap().join().unwrap(), (179_700, 604, 1 << 20));
}

#[test]
fn what_a_child_made_outlives_it() {
    let _watchdog = watchdog();
    let make = || -> crossproc::Result<_> { Ok((Some(Array::from_iter(0..1_000_u32)?), vec![7_u8; 1 << 20])) };
    let (array, bytes) = Process::spawn(make, ()).unwrap().join().unwrap().unwrap();
    assert_eq!(array.unwrap().lock().unwrap().iter().sum::<u32>(), 499_500);
    assert_eq!(bytes.len(), 1 << 20);
}

#[test]
fn a_handle_that_comes_back_is_the_same_segment() {
    let _watchdog = watchdog();
    let value = Value::new(1).unwrap();
    let before = descriptors().len();
    let back = Process::spawn(|value: Value<i32>| value, (&value,)).unwrap().join().unwrap();
    let guard = back.lock().unwrap();
    assert!(value.try_lock().is_err(), "one peer, one lock");
    drop(guard);
    assert!(descriptors().len() < before + 20, "other tests open some, but this one none");
}

#[test]
fn a_handle_dropped_right_after_the_start_arrives() {
    let _watchdog = watchdog();
    let value = Value::new(41).unwrap();
    let process = Process::spawn(|value: Value<u8>| value.update(|n| n + 1), (value,)).unwrap();
    assert_eq!(process.join().unwrap(), 42);
}

/// What is sent as a `Value<u32>` and received as a `Value<i32>`.
struct Mistaken(Value<u32>);

impl Serialize for Mistaken {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Mistaken {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::<i32>::deserialize(deserializer).map(|value| panic!("a u32 arrived as {}", value.get()))
    }
}

#[test]
fn a_wrong_type_at_the_other_end_is_an_error_that_names_both() {
    let _watchdog = watchdog();
    let make = || Mistaken(Value::new(3).unwrap());
    let there = Process::spawn(|_: Mistaken| (), (make(),)).unwrap().join().unwrap_err();
    let here = Process::spawn(make, ()).unwrap().join().map(drop).unwrap_err();
    for error in [there, here] {
        let ProcessError::Failed { source, .. } = error else { panic!("{error:?}") };
        let Error::Attach(AttachError::WrongType { found, expected, .. }) = *source else { panic!("{source:?}") };
        assert_eq!((found.name.as_str(), expected.name.as_str()), ("u32", "i32"));
    }
}

#[test]
fn too_many_handles_for_this_process_are_an_error() {
    let _watchdog = watchdog();
    // In a process of its own, which has used up its descriptors before the handles arrive.
    let limited = || {
        let make = || (0..60).map(|_| Lock::new().unwrap()).collect::<Vec<_>>();
        let process = Process::spawn(make, ()).unwrap();
        process.wait();
        let hold: Vec<_> = std::iter::from_fn(|| File::open("/dev/null").ok()).take(100_000).collect();
        let error = process.join().map(drop).unwrap_err();
        drop(hold);
        error
    };
    let error = Process::spawn(limited, ()).unwrap().join().unwrap();
    let ProcessError::Failed { source, .. } = error else { panic!("{error:?}") };
    assert_eq!(source.to_string(), "cannot receive the answer of a process");
    assert!(matches!(*source, Error::Os { source, .. } if source.code() == libc::EMFILE), "{source:?}");
}

#[test]
fn a_handle_outside_a_transfer_is_an_error() {
    let value = Value::new(1).unwrap();
    assert_eq!(postcard::to_stdvec(&value).unwrap_err(), postcard::Error::SerdeSerCustom);
    assert!(postcard::from_bytes::<Value<i32>>(&[0, 0]).is_err());
    assert!(Error::HandleOutsideTransfer.to_string().contains("cannot be serialised anywhere else"));
}
