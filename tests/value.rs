//! `Value`: within a process, across processes, after a death.

mod common;

use std::panic::{self, AssertUnwindSafe};
use std::time::Duration;

use common::locking::{Stage, locking_tests};
use common::watchdog;
use crossproc::{Error, Process, Shared, Value};
use zerocopy::{FromBytes, Immutable, IntoBytes};

crossproc::test_support!();

locking_tests!(Value<[u64; 3]>, Value::new([1_u64, 2, 3]).unwrap());

#[derive(Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct Reading {
    sensor: u32,
    quality: u32,
    samples: [f64; 4],
}

impl Shared for Reading {}

#[test]
fn a_child_sees_the_value_and_the_parent_sees_what_it_sets() {
    let _watchdog = watchdog();
    fn check<T: Shared + PartialEq + std::fmt::Debug + serde::Serialize + serde::de::DeserializeOwned>(old: T, new: T) {
        let value = Value::new(old).unwrap();
        assert_eq!(value.get(), old);
        let swap = |value: Value<T>, new: T| {
            let old = value.get();
            value.set(new);
            old
        };
        assert_eq!(Process::spawn(swap, (&value, new)).unwrap().join().unwrap(), old);
        assert_eq!(value.get(), new);
    }
    check(1_i8, -128);
    check(1_u16, 0xffff);
    check(-1_i32, i32::MIN);
    check(1_u64, 1 << 33);
    check(-1_i128, i128::MIN + 1);
    check(u128::MAX, 1 << 93);
    check(0.0_f32, 1.5);
    check(0.0_f64, 6.25e-2);
    check([1_u8; 5], [2; 5]);
}

#[test]
fn a_struct_travels_whole() {
    let _watchdog = watchdog();
    let value = Value::new(Reading { sensor: 1, quality: 2, samples: [0.5; 4] }).unwrap();
    let double = |value: Value<Reading>| {
        value.update(|r| Reading { sensor: r.sensor * 2, samples: r.samples.map(|s| s * 2.0), ..r });
    };
    Process::spawn(double, (&value,)).unwrap().join().unwrap();
    assert_eq!(value.get(), Reading { sensor: 2, quality: 2, samples: [1.0; 4] });
}

#[test]
fn updates_of_many_processes_are_all_counted() {
    let _watchdog = watchdog();
    let value = Value::new(0_u32).unwrap();
    let count = |value: Value<u32>| {
        for _ in 0..2_000 {
            value.update(|n| n + 1);
        }
    };
    let processes: Vec<_> = (0..4).map(|_| Process::spawn(count, (&value,)).unwrap()).collect();
    for process in processes {
        process.join().unwrap();
    }
    assert_eq!(value.get(), 8_000);
}

/// Writers fill all words with one number; a reader that finds two numbers has seen a torn value.
#[test]
fn a_reader_never_sees_a_torn_value() {
    let _watchdog = watchdog();
    const WORDS: usize = 500;
    let (value, stage) = (Value::new([0_u64; WORDS]).unwrap(), Stage::new());
    let write = |value: Value<[u64; WORDS]>, stage: Stage| {
        for number in 0..3_000 {
            value.set([number; WORDS]);
        }
        stage.advance();
    };
    let writers = [0; 2].map(|_| Process::spawn(write, (&value, &stage)).unwrap());
    while !stage.has_reached(2) {
        let seen = value.get();
        assert!(seen.iter().all(|&word| word == seen[0]), "torn");
    }
    for writer in writers {
        writer.join().unwrap();
    }
    assert_eq!(value.get(), [2_999; WORDS]);
}

#[test]
fn get_does_not_wait_for_the_guard() {
    let value = Value::new(1).unwrap();
    let mut guard = value.lock().unwrap();
    *guard = 2;
    assert_eq!((*guard, value.get()), (2, 1));
    guard.commit();
    assert_eq!(value.get(), 2);
    *guard = 3;
    drop(guard);
    assert_eq!(value.get(), 3);
}

#[test]
fn a_guard_dropped_by_a_panic_commits_nothing() {
    let value = Value::new(1).unwrap();
    let panicked = panic::catch_unwind(AssertUnwindSafe(|| {
        *value.lock().unwrap() = 2;
        let mut guard = value.lock().unwrap();
        *guard = 3;
        panic::resume_unwind(Box::new("before the guard is dropped"));
    }));
    assert!(panicked.is_err());
    assert_eq!(value.get(), 2);
}

#[test]
fn a_panic_in_update_changes_nothing_and_releases() {
    let value = Value::new(1).unwrap();
    let panicked = panic::catch_unwind(AssertUnwindSafe(|| value.update(|_| panic::resume_unwind(Box::new("no")))));
    assert!(panicked.is_err());
    assert_eq!(value.update(|n| n + 1), 2);
}

#[test]
fn writing_past_the_own_guard_is_refused() {
    let value = Value::new(1).unwrap();
    let guard = value.lock().unwrap();
    assert!(matches!(value.try_set(2), Err(Error::AlreadyHeld { .. })));
    assert!(matches!(value.set_timeout(2, Duration::from_secs(9)), Err(Error::AlreadyHeld { .. })));
    let panicked = panic::catch_unwind(AssertUnwindSafe(|| value.set(2))).unwrap_err();
    assert_eq!(panicked.downcast_ref::<String>().unwrap(), "this thread already holds a Value");
    drop(guard);
    assert_eq!(value.get(), 1);
}

#[test]
fn setting_past_anothers_guard_waits_as_long_as_it_may() {
    let _watchdog = watchdog();
    let value = Value::new(1).unwrap();
    let _guard = value.lock().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            assert!(matches!(value.try_update(|n| n + 1), Err(Error::Held { .. })));
            let wait = Duration::from_millis(30);
            let start = std::time::Instant::now();
            assert!(matches!(value.set_timeout(2, wait), Err(Error::Held { .. })));
            assert!(start.elapsed() >= wait);
        });
    });
}
