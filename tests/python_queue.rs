//! What Python's `multiprocessing` promises for its `Queue`, `JoinableQueue` and `SimpleQueue`, as far as it applies: one
//! [`Queue`] stands for all three.
//!
//! Not here: a queue without a limit (`maxsize=0`; a capacity is an error if it is 0), the feeder thread and what concerns
//! only it, and `task_done` by a process that has not got the message.

mod common;

use std::time::{Duration, Instant};

use common::locking::{Stage, wait_for_state};
use common::watchdog;
use crossproc::{Error, GetError, Lock, Process, PutError, Queue, TryGetError, TryPutError};
use serde::{Deserialize, Serialize, Serializer, ser};

crossproc::test_support!();

const MOMENT: Duration = Duration::from_millis(20);

/// `put`: all its forms put, in order, up to `maxsize`; then the queue is full and no longer empty.
#[test]
fn put_in_all_its_forms_fills_a_queue() {
    let _watchdog = watchdog();
    let queue = Queue::new(6).unwrap();
    assert!(queue.is_empty() && !queue.is_full());
    queue.put(1).unwrap();
    queue.put(2).unwrap();
    queue.put_timeout(3, Duration::MAX).unwrap();
    queue.try_put(4).unwrap();
    queue.put_timeout(5, Duration::ZERO).unwrap();
    queue.try_put(6).unwrap();
    assert!(!queue.is_empty() && queue.is_full());
    queue.close();
    assert!(queue.iter().eq((1..=6).map(Ok)));
}

/// `put` with `block=False` or `put_nowait` on a full queue: `Full` at once; with a timeout: `Full` after it.
#[test]
fn put_on_a_full_queue_is_full_at_once_or_after_the_timeout() {
    let _watchdog = watchdog();
    let queue = Queue::new(1).unwrap();
    queue.put(1).unwrap();
    assert_eq!(queue.try_put(7), Err(TryPutError::Full(7)));
    for wait in [Duration::ZERO, MOMENT, MOMENT * 3] {
        let start = Instant::now();
        assert_eq!(queue.put_timeout(7, wait), Err(TryPutError::Full(7)));
        assert!(start.elapsed() >= wait);
    }
    assert_eq!(queue.len(), 1);
}

/// `put`: when another process has got everything, the queue is empty and not full.
#[test]
fn a_queue_that_a_child_empties_is_empty_here() {
    let _watchdog = watchdog();
    let queue = Queue::new(6).unwrap();
    (0..6).for_each(|n| queue.put(n).unwrap());
    let empty = |queue: Queue<u8>| (0..6).map(|_| queue.get().unwrap()).collect::<Vec<_>>();
    assert_eq!(Process::spawn(empty, (&queue,)).unwrap().join().unwrap(), [0, 1, 2, 3, 4, 5]);
    assert!(queue.is_empty() && !queue.is_full());
}

/// `get`: all its forms get what another process has put, in its order.
#[test]
fn get_in_all_its_forms_gets_what_a_child_put() {
    let _watchdog = watchdog();
    let (queue, start) = (Queue::new(100).unwrap(), Stage::new());
    let put = |queue: Queue<u8>, start: Stage| {
        start.wait_for(1);
        (2..=5).for_each(|n| queue.put(n).unwrap());
        start.advance();
    };
    let child = Process::spawn(put, (&queue, &start)).unwrap();
    assert!(queue.is_empty());
    start.advance();
    start.wait_for(2);
    assert!(!queue.is_empty());
    assert_eq!(queue.get(), Ok(2));
    assert_eq!(queue.get_timeout(Duration::MAX), Ok(3));
    assert_eq!(queue.get_timeout(Duration::ZERO), Ok(4));
    assert_eq!(queue.try_get(), Ok(5));
    assert!(queue.is_empty());
    child.join().unwrap();
}

/// `get` with `block=False` or `get_nowait` on an empty queue: `Empty` at once; with a timeout: `Empty` after it.
#[test]
fn get_on_an_empty_queue_is_empty_at_once_or_after_the_timeout() {
    let _watchdog = watchdog();
    let queue = Queue::<u8>::new(1).unwrap();
    assert_eq!(queue.try_get(), Err(TryGetError::Empty));
    for wait in [Duration::ZERO, MOMENT, MOMENT * 3] {
        let start = Instant::now();
        assert_eq!(queue.get_timeout(wait), Err(TryGetError::Empty));
        assert!(start.elapsed() >= wait);
    }
}

/// A child can put into a queue that its parent has used before it was started; what both put comes in the order of time.
#[test]
fn a_queue_that_was_used_can_be_given_to_a_child() {
    let _watchdog = watchdog();
    let queue = Queue::new(100).unwrap();
    (0..10).for_each(|n| queue.put(n).unwrap());
    let put = |queue: Queue<u8>| (10..20).for_each(|n| queue.put(n).unwrap());
    let child = Process::spawn(put, (&queue,)).unwrap();
    (0..20).for_each(|n| assert_eq!(queue.get(), Ok(n)));
    assert_eq!(queue.try_get(), Err(TryGetError::Empty));
    child.join().unwrap();
}

/// A child that puts and ends at once loses nothing: what it has put is there when it has been joined.
#[test]
fn what_a_child_puts_last_arrives() {
    let _watchdog = watchdog();
    let queue = Queue::new(100).unwrap();
    let put = |queue: Queue<String>| (0..50).for_each(|n| queue.put("x".repeat(n * 100)).unwrap());
    Process::spawn(put, (&queue,)).unwrap().join().unwrap();
    assert_eq!(queue.len(), 50);
    (0..50).for_each(|n| assert_eq!(queue.get().unwrap().len(), n * 100));
}

/// `qsize` goes up and down with each message.
#[test]
fn the_size_follows_each_put_and_get() {
    let queue = Queue::new(4).unwrap();
    assert_eq!(queue.len(), 0);
    queue.put(1).unwrap();
    assert_eq!(queue.len(), 1);
    queue.put(5).unwrap();
    assert_eq!(queue.len(), 2);
    queue.get().unwrap();
    assert_eq!(queue.len(), 1);
    queue.get().unwrap();
    assert_eq!(queue.len(), 0);
}

/// `JoinableQueue`: `join` waits for several workers to call `task_done` for everything; then each is told to end.
#[test]
fn join_waits_for_all_workers_task_done() {
    let _watchdog = watchdog();
    let (queue, done) = (Queue::new(100).unwrap(), Stage::new());
    let work = |queue: Queue<Option<u32>>, done: Stage| {
        while queue.get().unwrap().is_some() {
            std::thread::yield_now();
            done.advance();
            queue.task_done().unwrap();
        }
    };
    let workers: Vec<_> = (0..4).map(|_| Process::spawn(work, (&queue, &done)).unwrap()).collect();
    (0..10).for_each(|n| queue.put(Some(n)).unwrap());
    queue.join();
    assert!(done.has_reached(10));
    (0..4).for_each(|_| queue.put(None).unwrap());
    workers.into_iter().for_each(|worker| worker.join().unwrap());
}

/// `JoinableQueue`: one `task_done` more than there were messages is an error.
#[test]
fn task_done_too_often_is_an_error() {
    let queue = Queue::new(1).unwrap();
    queue.put(()).unwrap();
    queue.get().unwrap();
    queue.task_done().unwrap();
    assert!(matches!(queue.task_done(), Err(Error::NothingToBeDone { .. })));
}

/// What cannot be pickled: the queue goes on working, its size is right, and (here) the putter is told.
#[test]
fn a_message_that_cannot_be_sent_does_no_harm() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Unsendable;
    impl Serialize for Unsendable {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(ser::Error::custom("never"))
        }
    }
    let queue = Queue::<Result<bool, Unsendable>>::new(1).unwrap();
    let refused = queue.put(Err(Unsendable)).unwrap_err();
    assert!(matches!(&refused, PutError::Failed { message: Err(Unsendable), error: Error::Encode { .. } }));
    queue.put(Ok(true)).unwrap();
    assert_eq!(queue.len(), 1);
    assert_eq!(queue.get(), Ok(Ok(true)));
    assert!(queue.is_empty());
}

/// A lock is for inheriting only: it cannot be sent through a queue.
#[test]
fn a_lock_cannot_be_sent_through_a_queue() {
    let queue = Queue::new(1).unwrap();
    let refused = queue.put(Lock::new().unwrap()).unwrap_err();
    assert!(matches!(refused, PutError::Failed { error: Error::HandleOutsideTransfer, .. }));
    assert!(queue.is_empty());
}

/// A closed queue: `put` and, where Python's `get` fails, too, a `get` that finds nothing are errors.
#[test]
fn a_closed_queue_refuses_put_and_get() {
    let _watchdog = watchdog();
    let queue = Queue::<String>::new(1).unwrap();
    queue.close();
    assert_eq!(queue.put("foo"), Err(PutError::Closed("foo")));
    assert_eq!(queue.get(), Err(GetError::Closed));
}

/// A closed queue can be asked whether it is empty, used or not, and closed once more.
#[test]
fn a_closed_queue_can_be_asked_whether_it_is_empty() {
    let unused = Queue::<String>::new(1).unwrap();
    unused.close();
    assert!(unused.is_empty());
    let used = Queue::<String>::new(1).unwrap();
    used.put("foo").unwrap();
    used.close();
    used.close();
    assert!(!used.is_empty() && used.is_full());
}

/// `SimpleQueue`: `empty` is right after each step, wherever it is taken.
#[test]
fn empty_is_right_in_both_processes() {
    let _watchdog = watchdog();
    let (queue, stage) = (Queue::new(4).unwrap(), Stage::new());
    let put = |queue: Queue<Option<bool>>, stage: Stage| {
        stage.wait_for(1);
        queue.put(Some(queue.is_empty())).unwrap();
        queue.put(Some(queue.is_empty())).unwrap();
        stage.advance();
    };
    let child = Process::spawn(put, (&queue, &stage)).unwrap();
    assert!(queue.is_empty());
    stage.advance();
    stage.wait_for(2);
    assert!(!queue.is_empty());
    assert_eq!([queue.get(), queue.get()], [Ok(Some(true)), Ok(Some(false))]);
    assert!(queue.is_empty());
    child.join().unwrap();
}

/// `None` is a message like any other, and ends a loop over `iter(queue.get, None)`.
#[test]
fn none_is_a_message_that_can_mean_the_end() {
    let _watchdog = watchdog();
    let queue = Queue::new(4).unwrap();
    let work = |queue: Queue<Option<u32>>| std::iter::from_fn(|| queue.get().unwrap()).sum::<u32>();
    let workers: Vec<_> = (0..3).map(|_| Process::spawn(work, (&queue,)).unwrap()).collect();
    (1..=100).for_each(|n| queue.put(Some(n)).unwrap());
    (0..3).for_each(|_| queue.put(None).unwrap());
    assert_eq!(workers.into_iter().map(|worker| worker.join().unwrap()).sum::<u32>(), 5_050);
    assert!(queue.is_empty());
}

/// A blocked `get` does not keep others from putting and getting, nor does its process's death (Python: it dies with the
/// queue's lock).
#[test]
fn a_blocked_get_is_in_nobodys_way() {
    let _watchdog = watchdog();
    let queue = Queue::<u8>::new(4).unwrap();
    let blocked = Process::spawn(|queue: Queue<u8>| queue.get().ok(), (&queue,)).unwrap();
    wait_for_state(blocked.pid(), 'S');
    assert_eq!(queue.get_timeout(MOMENT), Err(TryGetError::Empty));
    blocked.kill().unwrap();
    blocked.wait();
    queue.put(1).unwrap();
    assert_eq!(queue.get(), Ok(1));
}
