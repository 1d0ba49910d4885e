//! What a container refuses, with an error that says why, and with nothing changed.

use std::panic::{self, AssertUnwindSafe};

use crossproc::managed::{Dict, List};
use crossproc::{Error, Kind, Manager, Process, Value};

use crate::common::watchdog;

#[test]
fn a_handle_of_another_manager_is_refused() {
    let (manager, other) = (Manager::start().unwrap(), Manager::start().unwrap());
    let dict: Dict<String, List<u32>> = manager.dict().unwrap();
    let (own, foreign) = (manager.list([1]).unwrap(), other.list([2]).unwrap());
    dict.insert("own", &own).unwrap();
    assert!(matches!(dict.insert("own", &foreign), Err(Error::Encode { .. })));
    assert!(matches!(dict.insert("foreign", &foreign), Err(Error::Encode { .. })));
    assert!(matches!(dict.extend([("a", &own), ("b", &foreign)]), Err(Error::Encode { .. })));
    let lists = manager.list([own.clone()]).unwrap();
    assert!(matches!(lists.push(&foreign), Err(Error::Encode { .. })));
    assert!(matches!(lists.set(0, &foreign), Err(Error::Encode { .. })));
    assert!(matches!(lists.update(0, |_| foreign.clone()), Err(Error::Encode { .. })));
    assert!(matches!(dict.update("own", |_| foreign.clone()), Err(Error::Encode { .. })));
    assert_eq!((dict.keys().unwrap(), lists.len()), (vec!["own".to_string()], Ok(1)));
    assert_eq!(dict.get("own").unwrap().unwrap().to_vec().unwrap(), [1]);
    assert_eq!(foreign.to_vec().unwrap(), [2]);
}

#[test]
fn a_plain_handle_is_no_value_and_no_handle_is_a_key() {
    let manager = Manager::start().unwrap();
    let values: Dict<u32, Option<Value<u32>>> = manager.dict().unwrap();
    values.insert(1, None).unwrap();
    let value = Some(Value::new(5_u32).unwrap());
    assert_eq!(values.insert(1, &value).unwrap_err(), Error::HandleOutsideTransfer);
    assert_eq!(values.insert(2, &value).unwrap_err(), Error::HandleOutsideTransfer);
    assert!(values.get(1).unwrap().unwrap().is_none());
    assert_eq!(values.len(), Ok(1));
    let list = manager.list([1]).unwrap();
    let keys: Dict<List<u32>, u32> = manager.dict().unwrap();
    assert_eq!(keys.insert(&list, 1), Err(Error::HandleOutsideTransfer));
    assert_eq!(keys.len(), Ok(0));
}

#[test]
fn a_handle_outside_a_transfer_is_refused() {
    let manager = Manager::start().unwrap();
    let dict: Dict<u8, Vec<u8>> = manager.dict().unwrap();
    assert!(postcard::to_stdvec(&dict).is_err());
}

#[test]
fn what_does_not_decode_is_an_error_and_stays() {
    let _watchdog = watchdog();
    let manager = Manager::start().unwrap();
    let flags = manager.list([Picky(0)]).unwrap();
    assert!(matches!(flags.get(0), Err(Error::Decode { .. })));
    assert!(matches!(flags.to_vec(), Err(Error::Decode { .. })));
    assert_eq!(flags.len(), Ok(1));
    flags.set(0, Picky(1)).unwrap();
    assert_eq!(flags.get(0), Ok(Picky(1)));
}

#[derive(Debug, PartialEq, serde::Serialize)]
struct Picky(u8);

impl<'de> serde::Deserialize<'de> for Picky {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u8::deserialize(deserializer)? {
            0 => Err(serde::de::Error::custom("zero")),
            number => Ok(Picky(number)),
        }
    }
}

/// Goes in as a handle of a list of numbers, and comes out as one of texts, or as a dictionary.
#[derive(Clone)]
struct Mistaken<H>(List<u32>, std::marker::PhantomData<fn(H)>);

impl<H> serde::Serialize for Mistaken<H> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de, H: serde::Deserialize<'de>> serde::Deserialize<'de> for Mistaken<H> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        H::deserialize(deserializer)?;
        Err(serde::de::Error::custom("it was taken for something else"))
    }
}

fn is_refused<H: serde::de::DeserializeOwned + 'static>(manager: &Manager) {
    let list = manager.list([1]).unwrap();
    let mistaken = || Mistaken::<H>(list.clone(), std::marker::PhantomData);
    let refused = |got: Error| match got {
        Error::Decode { reason, .. } => assert!(!reason.contains("taken for something else"), "{reason}"),
        other => panic!("{other}"),
    };
    let dict: Dict<u32, Mistaken<H>> = manager.dict().unwrap();
    dict.insert(1, mistaken()).unwrap();
    refused(dict.get(1).map(drop).unwrap_err());
    let never = Process::spawn(|_: Mistaken<H>| (), (mistaken(),)).unwrap();
    assert!(never.join().is_err());
    assert_eq!((list.to_vec().unwrap(), dict.len()), (vec![1], Ok(1)));
}

#[test]
fn a_handle_of_another_type_is_refused() {
    let _watchdog = watchdog();
    let manager = Manager::start().unwrap();
    is_refused::<List<String>>(&manager);
    is_refused::<Dict<u32, u32>>(&manager);
}

#[test]
fn calls_within_several_changes_are_steps_of_their_own() {
    let _watchdog = watchdog();
    let manager = Manager::start().unwrap();
    let (dict, list) = (manager.dict::<u32, u32>().unwrap(), manager.list([1]).unwrap());
    dict.insert(1, 1).unwrap();
    let mut runs = 0;
    let inside = dict.with(|guard| {
        runs += 1;
        guard.insert(1, 2)?;
        assert_eq!(dict.get(1), Ok(Some(1)), "not done yet");
        assert_eq!(dict.fetch_add(2, 1), Ok(runs - 1));
        assert_eq!(dict.with(|guard| guard.insert(4, 4)), Ok(runs > 1));
        assert_eq!(list.push(2), Ok(()));
        assert_eq!(list.len(), Ok(1 + runs as usize));
        assert_eq!(manager.list([5]).unwrap().to_vec().unwrap(), [5]);
        if runs == 1 {
            // Somebody is faster: it has to run again.
            assert_eq!(dict.insert(3, 9), Ok(None));
            assert_eq!(guard.get(3), Ok(Some(9)));
            assert_eq!(dict.insert(3, 10), Ok(Some(9)));
        }
        assert_eq!(guard.get(3)?, Some(if runs == 1 { 9 } else { 10 }));
        guard.insert(3, 3)
    });
    assert_eq!((inside, runs), (Ok(true), 2));
    assert_eq!(dict.items().unwrap(), [(1, 2), (2, 2), (4, 4), (3, 3)]);
}

/// An error that comes of what was never there together is none.
#[test]
fn an_error_counts_only_if_what_was_looked_at_is_still_so() {
    let _watchdog = watchdog();
    let dict = Manager::start().unwrap().dict::<u32, u32>().unwrap();
    dict.extend([(1, 1), (2, 1)]).unwrap();
    let mut runs = 0;
    let sum = dict.with(|guard| {
        runs += 1;
        let one = guard.get(1)?.unwrap();
        if runs == 1 {
            dict.with(|both| both.insert(1, 5).and_then(|_| both.insert(2, 5)))?;
        }
        let two = guard.get(2)?.unwrap();
        if one == two { Ok(one + two) } else { Err(Error::Gone { object: Kind::Value }) }
    });
    assert_eq!((sum, runs), (Ok(10), 2));
}

#[test]
fn calls_of_another_manager_are_allowed_within_a_transaction() {
    let _watchdog = watchdog();
    let (one, other) = (Manager::start().unwrap(), Manager::start().unwrap());
    let (dict, list) = (one.dict::<u32, u32>().unwrap(), other.list([1]).unwrap());
    dict.with(|guard| guard.insert(1, 1).and_then(|_| list.push(2))).unwrap();
    assert_eq!((dict.len(), list.len()), (Ok(1), Ok(2)));
}

fn has_panicked<R>(work: impl FnOnce() -> R) -> bool {
    panic::catch_unwind(AssertUnwindSafe(work)).is_err()
}

fn give_up() {
    panic::resume_unwind(Box::new("in a closure"))
}

#[test]
fn a_panic_in_a_closure_changes_nothing_and_holds_nobody_up() {
    let _watchdog = watchdog();
    let manager = Manager::start().unwrap();
    let (dict, list) = (manager.dict::<u32, u32>().unwrap(), manager.list([1]).unwrap());
    dict.insert(1, 1).unwrap();
    assert!(has_panicked(|| dict.with(|guard| {
        guard.insert(1, 2)?;
        guard.insert(2, 2)?;
        guard.remove(1)?;
        give_up();
        Ok(())
    })));
    assert!(has_panicked(|| dict.update(1, |value| {
        give_up();
        value
    })));
    assert!(has_panicked(|| list.update(0, |value| {
        give_up();
        value
    })));
    assert!(has_panicked(|| dict.entry(1).unwrap().and_modify(|_| give_up()).or_insert(3)));
    assert_eq!((dict.items().unwrap(), list.to_vec().unwrap()), (vec![(1, 1)], vec![1]));
    let change = |dict: Dict<u32, u32>| dict.insert(1, 5);
    assert_eq!(Process::spawn(change, (&dict,)).unwrap().join(), Ok(Ok(Some(1))));
}

#[test]
fn a_transaction_that_fails_has_changed_nothing() {
    let dict = Manager::start().unwrap().dict::<u32, String>().unwrap();
    dict.insert(1, "one").unwrap();
    let refused = Error::Gone { object: Kind::Value };
    let failed = dict.with(|guard| {
        guard.insert(1, "another".repeat(1_000))?;
        guard.insert(2, "two")?;
        assert_eq!(guard.get(2)?, Some("two".to_string()));
        assert_eq!(guard.keys()?, [1, 2]);
        Err::<(), _>(refused.clone())
    });
    assert_eq!(failed, Err(refused));
    assert_eq!(dict.items().unwrap(), [(1, "one".to_string())]);
}
