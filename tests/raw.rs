//! `RawValue` and `RawArray`: within a process, across processes, after a death.

mod common;

use std::sync::atomic::{AtomicU16, AtomicU64, Ordering::Relaxed};

use common::watchdog;
use crossproc::{Process, RawArray, RawValue};

crossproc::test_support!();

#[test]
fn additions_of_many_processes_are_all_counted() {
    let _watchdog = watchdog();
    let total = RawValue::new(AtomicU64::new(5)).unwrap();
    let count = |total: RawValue<AtomicU64>| {
        for _ in 0..100_000 {
            total.fetch_add(1, Relaxed);
        }
    };
    let processes: Vec<_> = (0..3).map(|_| Process::spawn(count, (&total,)).unwrap()).collect();
    for process in processes {
        process.join().unwrap();
    }
    assert_eq!(total.load(Relaxed), 300_005);
}

#[test]
fn a_row_of_atomics_is_shared_item_by_item() {
    let _watchdog = watchdog();
    let hits = RawArray::<AtomicU16>::new(4).unwrap();
    let hit = |hits: RawArray<AtomicU16>, place: usize| hits[place].store(place as u16 + 1, Relaxed);
    let processes: Vec<_> = (0..4_usize).map(|place| Process::spawn(hit, (&hits, place)).unwrap()).collect();
    for process in processes {
        process.join().unwrap();
    }
    assert_eq!(hits.iter().map(|hit| hit.load(Relaxed)).collect::<Vec<_>>(), [1, 2, 3, 4]);
}

#[test]
fn what_a_killed_process_added_stays() {
    let _watchdog = watchdog();
    let total = RawValue::new(AtomicU64::new(0)).unwrap();
    let die = |total: RawValue<AtomicU64>| -> () {
        total.fetch_add(3, Relaxed);
        std::process::abort();
    };
    assert!(Process::spawn(die, (&total,)).unwrap().join().is_err());
    assert_eq!(total.load(Relaxed), 3);
}

#[test]
fn an_index_out_of_range_panics_as_a_slice_does() {
    let hits = RawArray::<AtomicU16>::new(2).unwrap();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| hits[2].load(Relaxed))).unwrap_err();
    assert_eq!(panicked.downcast_ref::<String>().unwrap(), "index out of bounds: the len is 2 but the index is 2");
}
