//! What holds data, and arenas.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crossproc::{Arena, Array, Error, Lock, RawArray, Result, ShareableList, Shared, SharedMemory, Value};

use super::sync::use_lock;
use super::{MOMENT, is_done, is_got};

pub fn use_value<T: Shared + PartialEq + std::fmt::Debug>(value: &Value<T>, one: T, two: T) {
    value.get();
    if is_done(value.update_timeout(|_| one, MOMENT)).is_some() {
        assert_eq!(value.get(), one);
        // The lock is free now, and nothing hostile happens meanwhile.
        value.set(two);
        assert_eq!(value.update(|found| found), two);
    }
    if is_got(value.lock_timeout(MOMENT)) {
        let mut guard = value.try_lock().expect("repaired and free");
        assert!(matches!(value.try_set(two), Err(Error::AlreadyHeld { .. })));
        *guard = one;
        drop(guard);
        assert_eq!(value.get(), one);
    }
}

pub fn use_array(array: &Array<u32>) {
    let last = array.len().saturating_sub(1);
    assert!(matches!(array.get(array.len()), Err(Error::OutOfRange { .. })));
    for index in [0, last / 2, last] {
        if index < array.len() && is_done(array.set_timeout(index, 5, MOMENT)).is_some() {
            assert_eq!(array.get(index).unwrap(), 5);
            assert_eq!(array.to_vec().len(), array.len());
        }
    }
    if is_got(array.lock_timeout(MOMENT)) {
        array.try_lock().expect("repaired and free").fill(6);
        assert!(array.to_vec().iter().all(|&item| item == 6));
    }
}

pub fn use_raw_array(array: &RawArray<AtomicU64>) {
    for item in array.iter() {
        item.store(item.load(Relaxed).wrapping_add(1), Relaxed);
    }
}

pub fn use_memory(memory: &SharedMemory) {
    let last = memory.len() - 1;
    if is_done(memory.write_at_timeout(last, &[5], MOMENT)).is_some() {
        assert_eq!(memory.to_vec()[last], 5);
    }
    let _ = memory.read_at(0, &mut [0; 5]);
    if is_got(memory.lock_timeout(MOMENT)) {
        memory.try_lock().expect("repaired and free").fill(6);
        assert!(memory.to_vec().iter().all(|&byte| byte == 6));
    }
}

/// Any item may stand for nothing.
pub fn use_list(list: &ShareableList) {
    let _ = (list.to_vec(), list.count(7), list.index("text"));
    for index in 0..list.len().min(5) {
        let _ = list.update_timeout(index, |_| 9.into(), MOMENT);
        let _ = list.set_timeout(index, "new", MOMENT);
        let _ = list.get(index);
    }
}

pub fn use_arena(arena: &Arena) {
    let remaining = arena.remaining();
    // What is made in a hostile arena lies on hostile bytes.
    if let Some(value) = is_made(Value::<u64>::new_in(arena, 1), remaining) {
        assert_eq!(value.get(), 1);
        use_value(&value, 2, 3);
    }
    if let Some(array) = is_made(Array::<u32>::new_in(arena, 10), remaining) {
        use_array(&array);
    }
    if let Some(lock) = is_made(Lock::new_in(arena), remaining) {
        use_lock(&lock);
    }
    assert!(is_made(RawArray::<AtomicU64>::new_in(arena, 1 << 20), remaining).is_none());
}

fn is_made<H>(outcome: Result<H>, room: usize) -> Option<H> {
    match outcome {
        Ok(object) => Some(object),
        Err(Error::NoSpace { available, .. }) => {
            assert!(available <= room as u64);
            None
        }
        Err(other) => panic!("{other:?}"),
    }
}
