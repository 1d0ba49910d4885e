//! Ways in which containers once lost something, kept something for ever, or said what was not true.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};

use crossproc::managed::{Dict, List};
use crossproc::{Error, Manager, channel};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::common::watchdog;

/// Small enough that a hold left behind each time fills it soon.
fn small() -> Manager {
    Manager::with_capacity(1 << 20).unwrap()
}

const ROUNDS: usize = 30_000;

#[test]
fn what_fails_inside_a_transaction_leaves_nothing_half_done() {
    let _watchdog = watchdog();
    let manager = Manager::with_capacity(64 << 20).unwrap();
    let (dict, other) = (manager.dict::<u32, Vec<u8>>().unwrap(), manager.dict::<u32, u32>().unwrap());
    for padding in 0..20 {
        let outcome = dict.with(|dict| {
            let mut n = 0;
            while dict.insert(n, vec![n as u8; 40 + padding]).is_ok() {
                n += 1;
            }
            assert!(n > 10_000, "it fails in the midst of something");
            Ok(())
        });
        assert!(matches!(outcome, Err(Error::TooManyChanges { .. })), "{outcome:?}");
        assert_eq!((dict.len(), dict.keys().unwrap().len()), (Ok(0), 0), "padding {padding}");
    }
    other.extend((0..2_000).map(|n| (n, n))).unwrap();
    assert!((0..2_000).all(|n| other.get(n) == Ok(Some(n))));
}

#[test]
fn more_items_than_a_transaction_has_notes_for_are_added_in_several() {
    let manager = Manager::start().unwrap();
    assert_eq!(manager.list(0..50_000).unwrap().len(), Ok(50_000));
    assert_eq!(manager.array(0..50_000).unwrap().get(49_999), Ok(49_999));
    assert_eq!(manager.set(0..20_000).unwrap().len(), Ok(20_000));
    let dict = manager.dict::<u32, u32>().unwrap();
    dict.extend((0..20_000).map(|n| (n, n))).unwrap();
    assert_eq!(dict.len(), Ok(20_000));
}

#[test]
fn a_value_of_too_many_handles_is_refused_and_one_of_many_can_be_removed() {
    let manager = Manager::start().unwrap();
    let dict = manager.dict::<u8, Vec<List<u8>>>().unwrap();
    let list = manager.list::<u8>([]).unwrap();
    let refused = dict.insert(1, vec![list.clone(); 20_000]);
    assert!(matches!(&refused, Err(Error::Encode { reason, .. }) if reason.contains("20000")), "{refused:?}");
    assert_eq!(dict.len(), Ok(0));
    dict.insert(1, vec![list.clone(); 1_000]).unwrap();
    dict.insert(1, (0..1_000).map(|_| manager.list([1]).unwrap()).collect::<Vec<_>>()).unwrap();
    assert_eq!(dict.get(1).unwrap().map(|lists| lists.len()), Some(1_000));
    assert!(dict.remove(1).unwrap().is_some_and(|lists| lists[999].to_vec() == Ok(vec![1])));
}

#[test]
fn values_that_do_not_decode_hold_nothing() {
    let _watchdog = watchdog();
    let manager = small();
    let namespace = manager.namespace().unwrap();
    namespace.set("list", &manager.list([1]).unwrap()).unwrap();
    for _ in 0..ROUNDS {
        assert!(namespace.get::<String>("list").is_err());
    }
    assert_eq!(namespace.get::<List<i32>>("list").unwrap().unwrap().to_vec(), Ok(vec![1]));
}

/// Panics when it is decoded, behind a list.
#[derive(Serialize)]
struct Panics(List<u8>);

impl<'de> Deserialize<'de> for Panics {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        panic::resume_unwind(Box::new("decoding"))
    }
}

#[test]
fn decoding_that_panics_holds_nothing() {
    let _watchdog = watchdog();
    let manager = small();
    let dict = manager.dict::<u8, Panics>().unwrap();
    let _ = dict.insert(1, Panics(manager.list([]).unwrap()));
    for _ in 0..ROUNDS {
        assert!(panic::catch_unwind(AssertUnwindSafe(|| dict.get(1).map(drop))).is_err());
    }
    assert!(manager.list([1]).is_ok());
}

#[test]
fn what_is_dropped_between_several_changes_is_free_behind_them() {
    let manager = Manager::with_capacity(4 << 20).unwrap();
    let dict = manager.dict::<u32, Vec<u8>>().unwrap();
    let large = manager.list((0..30).map(|_| vec![1_u8; 100_000])).unwrap();
    let mut large = Some(large);
    dict.with(|_| {
        drop(large.take());
        Ok(())
    })
    .unwrap();
    for n in 0..30 {
        dict.insert(n, vec![2; 100_000]).unwrap();
    }
}

#[test]
fn short_values_do_not_keep_the_room_of_long_ones() {
    let manager = Manager::with_capacity(16 << 20).unwrap();
    let dict = manager.dict::<u32, Vec<u8>>().unwrap();
    for n in 0..1_000 {
        dict.insert(n, vec![1; 100_000]).unwrap();
        dict.insert(n, vec![]).unwrap();
    }
    assert_eq!(dict.len(), Ok(1_000));
}

#[test]
fn every_change_of_an_entry_counts() {
    let dict = Manager::start().unwrap().dict::<u8, u32>().unwrap();
    dict.insert(1, 1).unwrap();
    let changed = dict.entry(1).unwrap().and_modify(|n| *n += 10).and_modify(|n| *n *= 2).or_insert(0);
    assert_eq!((changed, dict.get(1)), (Ok(22), Ok(Some(22))));
}

thread_local! {
    static SENT: Cell<Option<Result<(), String>>> = const { Cell::new(None) };
}

/// Sends a handle somewhere else while it is encoded.
#[derive(Clone)]
struct Sends(List<u8>);

impl Serialize for Sends {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (mut sender, _receiver) = channel::<List<u8>>().unwrap();
        SENT.set(Some(sender.send(&self.0).map_err(|error| format!("{error:?}"))));
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Sends {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        List::deserialize(deserializer).map(Sends)
    }
}

#[test]
fn what_is_sent_while_a_value_is_encoded_is_no_part_of_it() {
    let manager = Manager::start().unwrap();
    let dict: Dict<u8, Sends> = manager.dict().unwrap();
    dict.insert(1, Sends(manager.list([7]).unwrap())).unwrap();
    let sent = SENT.take().unwrap();
    assert!(sent.as_ref().is_err_and(|error| error.contains("a handle travels only")), "{sent:?}");
    assert_eq!(dict.get(1).unwrap().map(|sends| sends.0.to_vec().unwrap()), Some(vec![7]));
}

#[test]
fn lost_races_of_values_with_handles_hold_nothing() {
    let _watchdog = watchdog();
    let manager = small();
    let dict = manager.dict::<u8, (u32, List<u8>)>().unwrap();
    let list = manager.list([]).unwrap();
    dict.insert(1, (0, list.clone())).unwrap();
    let mut races = 0;
    dict.update(1, |(n, list)| {
        races += 1;
        if races < ROUNDS as u32 {
            dict.insert(1, (races, list.clone())).unwrap();
        }
        (n, list)
    })
    .unwrap();
    assert!(manager.list([1]).is_ok());
}

/// While one is decoded, a forked copy of the process is made, which fails to decode it.
#[derive(Serialize)]
struct Forks(List<u8>);

thread_local! {
    static COPY: Cell<libc::pid_t> = const { Cell::new(-1) };
}

impl<'de> Deserialize<'de> for Forks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // SAFETY: the copy does what other threads cannot have broken by disappearing, and ends with _exit.
        COPY.set(unsafe { libc::fork() });
        if COPY.get() == 0 {
            return Err(D::Error::custom("this is the copy"));
        }
        let mut status = -1;
        // SAFETY: our child; `status` outlives the call.
        assert_eq!(unsafe { libc::waitpid(COPY.get(), &mut status, 0) }, COPY.get());
        assert_eq!(status, 0);
        List::deserialize(deserializer).map(Forks)
    }
}

#[test]
fn a_copy_forked_while_a_value_is_decoded_lets_nothing_go() {
    let _watchdog = watchdog();
    let manager = Manager::start().unwrap();
    let dict = manager.dict::<u8, Forks>().unwrap();
    dict.insert(1, Forks(manager.list([7]).unwrap())).unwrap();
    // Nothing but the hold for what is decoded keeps the list.
    let removed = dict.remove(1);
    if COPY.get() == 0 {
        // SAFETY: ends the copy at once, without destructors.
        unsafe { libc::_exit(i32::from(removed.is_ok())) }
    }
    assert_eq!(removed.unwrap().unwrap().0.to_vec(), Ok(vec![7]));
}
