//! Panics of what a program gives a pool to call: each harms what it belongs to, and nothing else.

use std::future::Future;
use std::panic::panic_any;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, mpsc};
use std::task::{Context, Wake, Waker};
use std::thread;

use crossproc::{Event, Pool, Task, TaskError};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::common::watchdog;

struct Bad;

impl Wake for Bad {
    fn wake(self: Arc<Self>) {
        panic!("a waker");
    }
}

/// What a panic leaves, and whose drop panics, too.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("a payload");
    }
}

/// Waits without collecting: the pool's own threads have to.
fn look_until_ready<R>(task: &Task<R>) {
    while !task.is_ready() {
        thread::yield_now();
    }
}

/// Has the pool wake `Bad` at the end of a task.
fn poll_with_bad<R: serde::de::DeserializeOwned>(task: &mut Task<R>) {
    let waker = Waker::from(Arc::new(Bad));
    assert!(Pin::new(task).poll(&mut Context::from_waker(&waker)).is_pending());
}

/// The first one that is dropped in the pool's process panics.
#[derive(Serialize, Deserialize)]
struct Frail;

impl Drop for Frail {
    fn drop(&mut self) {
        static WAS_DROPPED: AtomicBool = AtomicBool::new(false);
        assert!(crossproc::parent().is_some() || WAS_DROPPED.swap(true, Relaxed), "a result");
    }
}

fn frail_but_the_third(number: u32) -> Frail {
    assert_ne!(number, 2, "no result");
    Frail
}

#[test]
fn results_that_panic_when_they_are_dropped_leave_their_map_failed() {
    let _watchdog = watchdog();
    let pool = Pool::new(1).unwrap();
    // It has two results in hands when it finds that there is no third.
    let task = pool.map_async(frail_but_the_third, 0..3);
    task.wait();
    assert_eq!(task.is_successful(), Some(false));
    assert!(matches!(task.get(), Err(TaskError::Decode { .. })));
}

#[test]
fn a_waker_that_panics_leaves_the_pool_as_it_was() {
    let _watchdog = watchdog();
    let (pool, go) = (Pool::new(1).unwrap(), Event::new().unwrap());
    // Both threads of the pool wake: the one that collects, and the one that sees a death.
    let mut returns = pool.apply_async(|go: Event| go.wait(), (&go,));
    let mut dies = pool.apply_async(|| -> u8 { std::process::abort() }, ());
    poll_with_bad(&mut returns);
    poll_with_bad(&mut dies);
    go.set();
    look_until_ready(&returns);
    look_until_ready(&dies);
    look_until_ready(&pool.apply_async(|| 7, ()));
    pool.workers()[0].kill().unwrap();
    assert_eq!(pool.apply(|| 8, ()), Ok(8));
}

#[test]
fn a_callback_whose_panic_panics_again_is_not_the_last_one() {
    let _watchdog = watchdog();
    let (pool, (sender, seen)) = (Pool::new(1).unwrap(), mpsc::channel());
    assert_eq!(pool.apply_async(|| 7, ()).on_done(|_| panic_any(Bomb)).get(), Ok(7));
    assert_eq!(pool.apply_async(|| 8, ()).on_done(move |_| sender.send(8).unwrap()).get(), Ok(8));
    assert_eq!(seen.recv(), Ok(8));
}

fn leave_a_bomb(number: u32) -> u32 {
    if number == 1 {
        panic_any(Bomb);
    }
    number
}

#[test]
fn a_task_whose_panic_panics_again_is_lost_alone() {
    let _watchdog = watchdog();
    let outcomes: Vec<_> = Pool::new(1).unwrap().chunk(4).imap(leave_a_bomb, 0..4).collect();
    assert!(matches!(outcomes[1], Err(TaskError::Panicked { task: 1, .. })), "{:?}", outcomes[1]);
    assert_eq!((&outcomes[0], &outcomes[2], &outcomes[3]), (&Ok(0), &Ok(2), &Ok(3)));
}

/// Longer than a worker's channel.
fn complain_at_length(number: u32) -> u32 {
    assert!(number != 1, "{}", "\u{e9}".repeat(1 << 20));
    number
}

#[test]
fn a_long_panic_is_a_panic() {
    let _watchdog = watchdog();
    let pool = Pool::builder().workers(1).retries(1).start().unwrap();
    let outcomes: Vec<_> = pool.chunk(3).imap(complain_at_length, 0..3).collect();
    let is_told = |message: &str| message.starts_with("\u{e9}\u{e9}\u{e9}") && message.ends_with("...");
    assert!(matches!(&outcomes[1], Err(TaskError::Panicked { message, task: 1, .. }) if is_told(message)));
    assert_eq!((&outcomes[0], &outcomes[2]), (&Ok(0), &Ok(2)));
}

#[derive(Debug, PartialEq)]
struct Untaken;

impl Serialize for Untaken {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        7_u8.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Untaken {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        panic!("a result")
    }
}

#[test]
fn a_result_whose_decoding_panics_is_one_outcome_for_all_who_ask() {
    let _watchdog = watchdog();
    let (pool, (sender, seen)) = (Pool::new(1).unwrap(), mpsc::channel());
    let task = pool.apply_async(|| Untaken, ()).on_done(move |outcome| sender.send(outcome.is_err()).unwrap());
    assert!(matches!(task.get(), Err(TaskError::Decode { .. })));
    assert_eq!(seen.recv(), Ok(true));
}

/// Of which those that are odd cannot be decoded.
#[derive(Debug, PartialEq)]
struct Even(u32);

impl Serialize for Even {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Even {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u32::deserialize(deserializer)?;
        assert_eq!(number % 2, 0, "it is odd");
        Ok(Even(number))
    }
}

/// More than a lazy map has ahead.
#[test]
fn a_result_whose_decoding_panics_is_one_of_many() {
    let _watchdog = watchdog();
    let pool = Pool::new(1).unwrap();
    let are_right = |outcomes: Vec<Result<Even, TaskError>>| {
        assert_eq!(outcomes.len(), 50);
        for (number, outcome) in (0..).zip(outcomes) {
            let is_right = match outcome {
                Err(TaskError::Decode { .. }) => number % 2 == 1,
                other => other == Ok(Even(number)),
            };
            assert!(is_right, "{number}");
        }
    };
    for chunk in [1, 7] {
        are_right(pool.chunk(chunk).imap(Even, 0..50).collect());
        are_right(pool.chunk(chunk).try_map(Even, 0..50));
        assert!(matches!(pool.chunk(chunk).map(Even, 0..50), Err(TaskError::Decode { .. })));
        assert!(matches!(pool.chunk(chunk).map_async(Even, 0..50).get(), Err(TaskError::Decode { .. })));
    }
}
