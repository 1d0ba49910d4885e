//! Who waits for callbacks, and what callbacks wait for.

use std::sync::{Arc, mpsc};
use std::thread;

use crossproc::{Pool, Process, Task};

use crate::common::limits::{address_space, limit};
use crate::common::watchdog;

/// More of them than the watchdog lets pass if each takes until somebody looks of his own accord.
const MANY: u32 = 2_000;

#[test]
fn whoever_waits_for_a_callback_is_woken_by_its_end() {
    let _watchdog = watchdog();
    let pool = Pool::new(1).unwrap();
    for number in 0..MANY {
        let task = pool.apply_async(|number: u32| number, (number,)).on_done(|_| thread::yield_now());
        assert_eq!(task.get(), Ok(number));
    }
}

#[test]
fn a_callback_waits_for_tasks_with_callbacks_in_each_way() {
    let _watchdog = watchdog();
    let (pool, (sender, seen)) = (Arc::new(Pool::new(1).unwrap()), mpsc::channel());
    let inner = Arc::clone(&pool);
    let task = pool.apply_async(|| 0, ()).on_done(move |_| {
        let ask = |number: u32| {
            let sender = sender.clone();
            inner.apply_async(|number: u32| number, (number,)).on_done(move |_| sender.send(number).unwrap())
        };
        assert_eq!(ask(1).get(), Ok(1));
        assert_eq!(Task::wait_any(&[ask(2)], None), [0]);
        assert!(Task::wait_all(&[ask(3)], None));
        assert_eq!(Task::as_completed([ask(4)]).map(|task| task.get().unwrap()).collect::<Vec<_>>(), [4]);
        sender.send(0).unwrap();
    });
    task.get().unwrap();
    join(pool);
    assert_eq!(seen.iter().collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
}

/// Joins a pool that nobody else has any more.
fn join(pool: Arc<Pool>) {
    Arc::into_inner(pool).unwrap().join();
}

/// Less than a thread's stack.
const LITTLE: u64 = 1 << 20;

fn park() {
    loop {
        thread::park();
    }
}

/// Has calls of a pool from callbacks where no thread can be had any more.
fn call_without_threads() {
    let pool = Arc::new(Pool::new(2).unwrap());
    limit(libc::RLIMIT_AS, address_space() + LITTLE);
    // Some may find the stack of one that has ended.
    while thread::Builder::new().spawn(park).is_ok() {}
    let (sender, seen) = mpsc::channel();
    let inside = Arc::clone(&pool);
    let task = pool.apply_async(|| 1, ()).on_done(move |outcome| {
        sender.send((outcome.clone(), inside.apply(|| 2, ()))).unwrap();
        inside.join();
    });
    assert_eq!((task.get(), seen.recv()), (Ok(1), Ok((Ok(1), Ok(2)))));
    pool.join();
}

#[test]
fn a_callback_waits_where_no_thread_can_be_had() {
    let _watchdog = watchdog();
    assert_eq!(Process::spawn(call_without_threads, ()).unwrap().join(), Ok(()));
}
