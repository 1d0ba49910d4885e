//! `Array`: within a process, across processes, after a death.

mod common;

use std::time::Duration;

use common::locking::locking_tests;
use common::watchdog;
use crossproc::{Array, Error, LockError, Process};

crossproc::test_support!();

locking_tests!(Array<u32>, Array::from_iter([1_u32, 2, 3]).unwrap());

#[test]
fn a_child_sees_the_items_and_the_parent_sees_what_it_does_with_them() {
    let _watchdog = watchdog();
    let items = [680, 626, 934, 821, 150, 233, 548, 982, 714, 831_i64];
    let array = Array::from_iter(items).unwrap();
    let sums = |array: Array<i64>| -> crossproc::Result<Vec<i64>> {
        let before = array.to_vec();
        let mut guard = array.lock()?;
        (1..guard.len()).for_each(|i| guard[i] += guard[i - 1]);
        Ok(before)
    };
    assert_eq!(Process::spawn(sums, (&array,)).unwrap().join().unwrap().unwrap(), items);
    let oracle: Vec<i64> = items
        .iter()
        .scan(0, |sum, item| {
            Some({
                *sum += item;
                *sum
            })
        })
        .collect();
    assert_eq!(array.to_vec(), oracle);
}

#[test]
fn a_new_array_is_zero_filled() {
    for length in [0, 1, 10, 100_000] {
        let array = Array::<u128>::new(length).unwrap();
        assert_eq!(array.len(), length);
        assert_eq!(array.to_vec(), vec![0; length]);
    }
}

#[test]
fn out_of_range_names_index_and_length() {
    let array = Array::from_iter([1, 2, 3]).unwrap();
    let refused = Error::OutOfRange { index: 3, length: 3 };
    assert_eq!(array.get(3), Err(refused.clone()));
    assert_eq!(array.set(3, 0), Err(refused.clone()));
    assert_eq!(
        array.try_get(usize::MAX).unwrap_err().to_string(),
        "index 18446744073709551615 is out of range for a length of 3"
    );
    assert_eq!(array.set_timeout(3, 0, Duration::ZERO), Err(refused));
    assert_eq!(array.to_vec(), [1, 2, 3]);
}

#[test]
fn a_guard_is_a_slice() {
    let array = Array::from_iter([3, 1, 2]).unwrap();
    let mut guard = array.lock().unwrap();
    guard.sort();
    guard[1..].copy_from_slice(&[8, 9]);
    assert_eq!(guard.iter().sum::<i32>(), 18);
    assert_eq!(format!("{guard:?}"), "[1, 8, 9]");
    drop(guard);
    assert_eq!(array.to_vec(), [1, 8, 9]);
}

#[test]
fn single_items_are_refused_past_the_own_guard_and_wait_for_anothers() {
    let _watchdog = watchdog();
    let array = Array::from_iter([1, 2]).unwrap();
    let guard = array.lock().unwrap();
    assert!(matches!(array.get(0), Err(Error::AlreadyHeld { .. })));
    assert!(matches!(array.set(0, 5), Err(Error::AlreadyHeld { .. })));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            assert!(matches!(array.try_get(0), Err(Error::Held { .. })));
            assert!(matches!(array.try_set(0, 5), Err(Error::Held { .. })));
            assert!(matches!(array.get_timeout(0, Duration::from_millis(10)), Err(Error::Held { .. })));
        });
    });
    drop(guard);
    assert_eq!(array.to_vec(), [1, 2]);
}

#[test]
fn sets_of_many_processes_do_not_mix() {
    let _watchdog = watchdog();
    let array = Array::from_iter([[0_u64; 8]; 4]).unwrap();
    let fill = |array: Array<[u64; 8]>, number: u64| -> crossproc::Result<()> {
        (0..2_000).try_for_each(|i| {
            array.set(i % 4, [number; 8])?;
            let item = array.get((i + 1) % 4)?;
            assert!(item.iter().all(|&word| word == item[0]), "torn");
            Ok(())
        })
    };
    let processes = [1, 2, 3].map(|number| Process::spawn(fill, (&array, number)).unwrap());
    for process in processes {
        process.join().unwrap().unwrap();
    }
}

#[test]
fn what_a_dead_owner_wrote_is_there_and_single_items_go_on() {
    let _watchdog = watchdog();
    let array = Array::from_iter([1, 2, 3]).unwrap();
    let die = |array: Array<i32>| -> () {
        array.lock().unwrap()[0] = 10;
        let mut guard = array.lock().unwrap();
        guard[1] = 20;
        std::process::abort();
    };
    assert!(Process::spawn(die, (&array,)).unwrap().join().is_err());
    assert_eq!(array.to_vec(), [10, 20, 3]);
    array.set(2, 30).unwrap();
    let mended = array.lock().or_else(LockError::repair).unwrap();
    assert_eq!(*mended, [10, 20, 30]);
}
