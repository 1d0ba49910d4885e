//! Tasks that close what is not theirs, as `closefrom` does, or forbid what others need: these do not suffer for it.

use std::mem;
use std::os::unix::net::UnixStream;

use crossproc::{Pool, Queue, TaskError};

use crate::common::locking::Stage;
use crate::common::watchdog;

fn close_all() {
    // SAFETY: not ours to close, which is the point; no memory is involved.
    assert_eq!(unsafe { libc::close_range(3, libc::c_uint::MAX, 0) }, 0);
}

/// Longer than what goes through the queue.
const LONG: usize = 100 << 10;

#[test]
fn the_task_behind_one_that_has_closed_all_descriptors_is_done() {
    let _watchdog = watchdog();
    let pool = Pool::new(1).unwrap();
    for round in 0..20 {
        assert_eq!(pool.apply(close_all, ()), Ok(()));
        let outcome = match round % 3 {
            0 => pool.apply(|n: usize| n, (round,)),
            1 => pool.apply(|bytes: Vec<u8>| bytes.len(), (vec![0; LONG],)),
            _ => pool.apply(|queue: Queue<u8>| queue.capacity(), (&Queue::new(round).unwrap(),)),
        };
        assert_eq!(outcome, Ok(if round % 3 == 1 { LONG } else { round }));
    }
}

/// What waits behind it, waits no longer than until it is done.
#[test]
fn a_task_that_cannot_be_supplied_is_left_to_another_worker() {
    let _watchdog = watchdog();
    let (pool, stage) = (Pool::new(1).unwrap(), Stage::new());
    let closing = |stage: Stage| {
        stage.wait_for(1);
        close_all();
    };
    let closer = pool.apply_async(closing, (&stage,));
    let long = pool.apply_async(|bytes: Vec<u8>| bytes.len(), (vec![0; LONG],));
    let queue = Queue::<u8>::new(7).unwrap();
    let handle = pool.apply_async(|queue: Queue<u8>| queue.capacity(), (&queue,));
    let short = pool.apply_async(|n: usize| n, (5,));
    stage.advance();
    assert_eq!((closer.get(), long.get(), handle.get(), short.get()), (Ok(()), Ok(LONG), Ok(7), Ok(5)));
}

/// As [`close_all`], and opens another socket, which gets the number of the one to the pool.
fn replace_all() {
    close_all();
    mem::forget(UnixStream::pair().unwrap());
}

/// Whoever asked the other socket would wait for ever.
#[test]
fn a_socket_under_the_number_of_the_one_to_the_pool_is_asked_for_nothing() {
    let _watchdog = watchdog();
    let (pool, queue) = (Pool::new(1).unwrap(), Queue::<u8>::new(7).unwrap());
    for _ in 0..5 {
        assert_eq!(pool.apply(replace_all, ()), Ok(()));
        assert_eq!(pool.apply(|n: usize| n, (5,)), Ok(5));
        assert_eq!(pool.apply(replace_all, ()), Ok(()));
        assert_eq!(pool.apply(|queue: Queue<u8>| queue.capacity(), (&queue,)), Ok(7));
        assert_eq!(pool.apply(replace_all, ()), Ok(()));
        assert_eq!(pool.apply(|length: usize| vec![1; length], (LONG,)), Ok(vec![1_u8; LONG]));
    }
}

/// So that a worker cannot take in what has descriptors.
fn forbid_descriptors() {
    let none = libc::rlimit { rlim_cur: 3, rlim_max: 3 };
    // SAFETY: reads one struct, which outlives the call.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const none) }, 0);
}

#[test]
fn the_task_behind_one_that_has_forbidden_descriptors_is_done() {
    let _watchdog = watchdog();
    let pool = Pool::new(1).unwrap();
    for number in 1..10 {
        let queue = Queue::<u8>::new(number).unwrap();
        assert_eq!(pool.apply(forbid_descriptors, ()), Ok(()));
        assert_eq!(pool.apply(|queue: Queue<u8>| queue.capacity(), (&queue,)), Ok(number));
    }
}

/// It would be so for each of them.
#[test]
fn a_task_whose_handles_no_worker_can_take_in_ends() {
    let _watchdog = watchdog();
    let pool = Pool::builder().workers(1).initializer(forbid_descriptors, ()).start().unwrap();
    let queue = Queue::<u8>::new(7).unwrap();
    for _ in 0..2 {
        assert_eq!(pool.apply(|| 5, ()), Ok(5));
        let outcome = pool.apply(|queue: Queue<u8>| queue.capacity(), (&queue,));
        assert!(matches!(outcome, Err(TaskError::Decode { .. })), "{outcome:?}");
    }
}
