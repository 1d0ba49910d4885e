//! What a parent makes and a child uses: values, arrays, namespaces, queues, and what processes wait for.

use std::mem;

use crossproc::managed::{Array, Barrier, Condvar, Event, Lock, Namespace, Queue, RLock, Semaphore, Value};
use crossproc::{Guard, LockError, Manager, Pool, Process, TryPutError};

use crate::on_each_engine;

on_each_engine!("?lease_ms=1000";
    an_event_is_cleared_by_a_child,
    a_lock_that_a_child_kept_comes_with_a_word,
    locks_are_locked_and_unlocked_by_a_child,
    a_permit_that_a_child_kept_can_be_made_good,
    a_barrier_is_reset_by_a_child,
    a_full_queue_is_emptied_by_a_child,
    values_of_each_type_are_set_by_a_child,
    an_array_is_summed_up_by_a_child,
    a_namespace_is_read_by_a_child_and_its_names_can_be_removed,
    an_initializer_of_a_pool_changes_a_namespace,
);

fn an_event_is_cleared_by_a_child(manager: &Manager) {
    let event = manager.event().unwrap();
    event.set().unwrap();
    let work = |event: Event| {
        assert_eq!(event.is_set(), Ok(true));
        event.wait().unwrap();
        event.clear().unwrap();
        assert_eq!(event.wait_timeout(super::MOMENT), Ok(false));
    };
    Process::spawn(work, (&event,)).unwrap().join().unwrap();
    assert_eq!((event.is_set(), event.wait_timeout(super::MOMENT)), (Ok(false), Ok(false)));
}

/// Python's lock stays locked, and anybody may release it: who is next here has it, and is told.
fn a_lock_that_a_child_kept_comes_with_a_word(manager: &Manager) {
    let lock = manager.lock().unwrap();
    Process::spawn(|lock: Lock| mem::forget(lock.lock().unwrap()), (&lock,)).unwrap().join().unwrap();
    let Err(LockError::OwnerDied(mut guard)) = lock.lock() else { panic!("an end goes unnoticed") };
    guard.repair();
    guard.unlock().unwrap();
    drop(lock.lock().unwrap());
}

fn locks_are_locked_and_unlocked_by_a_child(manager: &Manager) {
    type Handles = (RLock, Lock, Condvar);
    let handles: Handles = (manager.rlock().unwrap(), manager.lock().unwrap(), manager.condvar().unwrap());
    let work = |handles: Handles| {
        let (outer, inner) = (handles.0.lock().unwrap(), handles.0.lock().unwrap());
        outer.unlock().unwrap();
        inner.unlock().unwrap();
        let guard = handles.1.lock().unwrap();
        let (guard, is_notified) = handles.2.wait_timeout(guard, super::MOMENT).unwrap();
        assert!(!is_notified);
        guard.unlock().unwrap();
    };
    Process::spawn(work, (&handles,)).unwrap().join().unwrap();
    drop((handles.0.try_lock().unwrap(), handles.1.try_lock().unwrap()));
}

fn a_permit_that_a_child_kept_can_be_made_good(manager: &Manager) {
    let semaphore = manager.semaphore(1).unwrap();
    let work = |semaphore: Semaphore| semaphore.acquire().unwrap().forget().unwrap();
    Process::spawn(work, (&semaphore,)).unwrap().join().unwrap();
    assert_eq!(semaphore.value(), Ok(0));
    semaphore.release(1).unwrap();
    assert_eq!(semaphore.value(), Ok(1));
}

fn a_barrier_is_reset_by_a_child(manager: &Manager) {
    let barrier = manager.barrier(5).unwrap();
    barrier.abort().unwrap();
    let work = |barrier: Barrier| {
        assert_eq!((barrier.parties(), barrier.is_broken()), (5, Ok(true)));
        barrier.reset().unwrap();
    };
    Process::spawn(work, (&barrier,)).unwrap().join().unwrap();
    assert_eq!(barrier.is_broken(), Ok(false));
}

fn a_full_queue_is_emptied_by_a_child(manager: &Manager) {
    let queue = manager.queue(2).unwrap();
    queue.put(5).unwrap();
    queue.put(6).unwrap();
    let work = |queue: Queue<u32>| {
        assert_eq!((queue.len(), queue.try_put(7)), (Ok(2), Err(TryPutError::Full(7))));
        assert_eq!((queue.get(), queue.is_empty()), (Ok(5), Ok(false)));
        assert_eq!((queue.get(), queue.is_empty()), (Ok(6), Ok(true)));
    };
    Process::spawn(work, (&queue,)).unwrap().join().unwrap();
    assert_eq!((queue.is_empty(), queue.try_put(7)), (Ok(true), Ok(())));
}

fn values_of_each_type_are_set_by_a_child(manager: &Manager) {
    type Values = (Value<i32>, Value<f64>, Value<i16>, Value<i64>, Value<char>, Value<Option<String>>);
    let values: Values = (
        manager.value(4343).unwrap(),
        manager.value(3.625).unwrap(),
        manager.value(-232).unwrap(),
        manager.value(1 << 33).unwrap(),
        manager.value('x').unwrap(),
        manager.value(None).unwrap(),
    );
    let work = |values: Values| {
        assert_eq!((values.0.get(), values.1.get(), values.2.get()), (Ok(4343), Ok(3.625), Ok(-232)));
        assert_eq!((values.3.get(), values.4.get(), values.5.get()), (Ok(1 << 33), Ok('x'), Ok(None)));
        values.0.set(24234).unwrap();
        values.1.set(-4.25).unwrap();
        values.2.set(234).unwrap();
        values.3.set(1_i64 << 34).unwrap();
        values.4.set('y').unwrap();
        values.5.set(Some("hallå".to_owned())).unwrap();
    };
    Process::spawn(work, (&values,)).unwrap().join().unwrap();
    assert_eq!((values.0.get(), values.1.get(), values.2.get()), (Ok(24234), Ok(-4.25), Ok(234)));
    assert_eq!((values.3.get(), values.4.get(), values.5.get()), (Ok(1 << 34), Ok('y'), Ok(Some("hallå".to_owned()))));
}

fn an_array_is_summed_up_by_a_child(manager: &Manager) {
    let mut numbers = [680, 626, 934, 821, 150, 233, 548, 982, 714, 831];
    let array = manager.array(numbers).unwrap();
    assert_eq!((array.len(), array.get(3)), (10, Ok(821)));
    assert_eq!(array.to_vec().unwrap()[2..7], numbers[2..7]);
    for (place, number) in (4..8).zip(1..) {
        array.set(place, number).unwrap();
        numbers[place] = number;
    }
    assert_eq!(array.to_vec().unwrap(), numbers);
    let work = |array: Array<i32>| {
        for place in 1..array.len() {
            let before = array.get(place - 1).unwrap();
            array.update(place, |number| number + before).unwrap();
        }
    };
    Process::spawn(work, (&array,)).unwrap().join().unwrap();
    for place in 1..10 {
        numbers[place] += numbers[place - 1];
    }
    assert_eq!(array.to_vec().unwrap(), numbers);
    let zeros = manager.array(vec![0_u8; 10]).unwrap();
    assert_eq!(zeros.to_vec().unwrap(), [0; 10]);
}

fn a_namespace_is_read_by_a_child_and_its_names_can_be_removed(manager: &Manager) {
    let names = manager.namespace().unwrap();
    names.set("name", &"Bob".to_owned()).unwrap();
    names.set("job", &"Builder".to_owned()).unwrap();
    names.set("x", &0_u32).unwrap();
    let work = |names: Namespace| {
        assert_eq!(names.get::<String>("name").unwrap().as_deref(), Some("Bob"));
        assert_eq!(names.get::<u32>("x").unwrap(), Some(0));
        assert_eq!(names.remove("job"), Ok(true));
    };
    Process::spawn(work, (&names,)).unwrap().join().unwrap();
    assert_eq!((names.get::<String>("job"), names.remove("job")), (Ok(None), Ok(false)));
    let mut left = names.names().unwrap();
    left.sort();
    assert_eq!(left, ["name", "x"]);
}

fn an_initializer_of_a_pool_changes_a_namespace(manager: &Manager) {
    let names = manager.namespace().unwrap();
    names.set("test", &0_u32).unwrap();
    fn initialize(names: Namespace) {
        let test = names.get::<u32>("test").unwrap().unwrap();
        names.set("test", &(test + 1)).unwrap();
    }
    let pool = Pool::builder().workers(1).initializer(initialize, (&names,)).start().unwrap();
    assert_eq!(pool.apply(|n: u32| n + 1, (1,)), Ok(2));
    pool.join();
    assert_eq!(names.get::<u32>("test"), Ok(Some(1)));
}
