//! What comes of tasks that hosts run.

use std::fs;
use std::path::Path;
use std::process::abort;

use crossproc::managed::Dict;
use crossproc::{Error, Manager, Task, TaskError, Value};
use serde::{Deserialize, Deserializer, Serialize};

use super::{Place, common};

fn square(n: u64) -> u64 {
    n * n
}

#[test]
fn results_are_those_of_a_local_pool() {
    let _watchdog = common::watchdog();
    let place = Place::new();
    let _host = place.host(2);
    let pool = place.pool().workers(2).start().unwrap();
    assert_eq!(pool.apply(square, (7,)), Ok(49));
    let squares: Vec<u64> = (0..1_000).map(|n| n * n).collect();
    assert_eq!(pool.map(square, 0..1_000), Ok(squares.clone()));
    assert_eq!(pool.imap(square, 0..1_000).collect::<Result<Vec<_>, _>>(), Ok(squares.clone()));
    let mut unordered: Vec<_> = pool.chunk(7).imap_unordered(square, 0..1_000).map(Result::unwrap).collect();
    unordered.sort_unstable();
    assert_eq!(unordered, squares);
    assert_eq!(pool.starmap(u64::pow, [(2, 10), (3, 2)]), Ok(vec![1024, 9]));
    let tasks: Vec<Task<u64>> = (0..300).map(|n| pool.apply_async(square, (n,))).collect();
    for (task, n) in tasks.into_iter().zip(0..) {
        assert_eq!(task.get(), Ok(n * n));
    }
    let (told, heard) = std::sync::mpsc::channel();
    pool.apply_async(square, (3,)).on_done(move |outcome| told.send(outcome.clone()).unwrap());
    assert_eq!(heard.recv().unwrap(), Ok(9));
    assert!(pool.workers().is_empty());
    let progress = pool.progress();
    assert_eq!((progress.queued(), progress.done(), progress.failed()), (0, 3_304, 0));
    pool.join();
    assert_eq!(pool.apply(square, (7,)), Err(TaskError::Closed));
}

#[test]
fn long_arguments_and_results_arrive() {
    let _watchdog = common::watchdog();
    let place = Place::new();
    let _host = place.host(1);
    let pool = place.pool().start().unwrap();
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|n| n as u8).collect();
    assert_eq!(pool.apply(|bytes: Vec<u8>| bytes, (bytes.clone(),)), Ok(bytes));
}

fn fail(n: u64) -> u64 {
    match n {
        3 => panic!("three"),
        5 => abort(),
        n => n,
    }
}

#[test]
fn failures_are_those_of_their_calls() {
    let _watchdog = common::watchdog();
    let place = Place::new();
    let _host = place.host(1);
    let pool = place.pool().start().unwrap();
    let outcomes: Vec<_> = pool.chunk(8).imap(fail, 0..8).collect();
    for (outcome, n) in outcomes.iter().zip(0..) {
        match n {
            3 => assert!(
                matches!(outcome, Err(TaskError::Panicked { message, task: 3, .. }) if message == "three"),
                "{outcome:?}"
            ),
            5 => assert!(matches!(outcome, Err(TaskError::WorkerDied { task: 5, .. })), "{outcome:?}"),
            n => assert_eq!(outcome, &Ok(n)),
        }
    }
    assert_eq!(outcomes.len(), 8);
    assert_eq!(pool.progress().failed(), 2);
}

/// Aborts the first time.
fn second_time(file: String) -> u32 {
    if !Path::new(&file).exists() {
        fs::write(file, "").unwrap();
        abort();
    }
    2
}

#[test]
fn a_task_whose_worker_died_is_tried_again_as_often_as_its_pool_says() {
    let _watchdog = common::watchdog();
    let place = Place::new();
    let _host = place.host(1);
    let strict = place.pool().start().unwrap();
    assert!(matches!(strict.apply(second_time, (place.file("a"),)), Err(TaskError::WorkerDied { .. })));
    let patient = place.pool().retries(1).start().unwrap();
    assert_eq!(patient.apply(second_time, (place.file("b"),)), Ok(2));
}

/// Says that it is a number and is none.
#[derive(Serialize)]
struct Odd(u8);

impl<'de> Deserialize<'de> for Odd {
    fn deserialize<D: Deserializer<'de>>(decoder: D) -> Result<Self, D::Error> {
        u8::deserialize(decoder)?;
        Err(serde::de::Error::custom("odd"))
    }
}

#[test]
fn what_cannot_be_handed_over_is_said_to_be_so() {
    let _watchdog = common::watchdog();
    let place = Place::new();
    let _host = place.host(1);
    let pool = place.pool().start().unwrap();
    assert!(matches!(pool.apply(|odd: Odd| odd.0, (Odd(1),)), Err(TaskError::Decode { .. })));
    assert!(matches!(pool.apply(Odd, (1,)), Err(TaskError::Decode { .. })));
    let value = Value::new(1).unwrap();
    let refused = pool.apply(|value: Value<i32>| value.get(), (&value,));
    assert!(matches!(&refused, Err(TaskError::Encode { reason }) if reason.contains("handle")), "{refused:?}");
    let refused = pool.apply(|| Value::new(1).unwrap(), ());
    assert!(matches!(&refused, Err(TaskError::Encode { reason }) if reason.contains("handle")), "{refused:?}");
    assert_eq!(pool.apply(square, (2,)), Ok(4));
}

/// A result that the server does not take is said to be so, and the host goes on.
#[test]
fn what_the_server_does_not_take_is_said_to_be_so() {
    let _watchdog = common::watchdog();
    let place = Place::new();
    place.server.ask("CONFIG SET proto-max-bulk-len 1048576");
    let _host = place.host(1);
    let pool = place.pool().start().unwrap();
    let refused = pool.apply(|length: usize| vec![7_u8; length], (3 << 20,));
    assert!(matches!(refused, Err(TaskError::Encode { .. })), "{:?}", refused.map(|bytes| bytes.len()));
    assert_eq!(pool.apply(square, (2,)), Ok(4));
}

fn note(dict: Dict<u32, u32>, n: u32) -> Result<Dict<u32, u32>, Error> {
    dict.insert(n, n * n)?;
    Ok(dict)
}

#[test]
fn handles_at_the_server_travel() {
    let _watchdog = common::watchdog();
    let place = Place::new();
    let _host = place.host(2);
    let pool = place.pool().start().unwrap();
    let dict = Manager::connect(&place.url()).unwrap().dict::<u32, u32>().unwrap();
    let returned = pool.apply(note, (&dict, 3)).unwrap().unwrap();
    assert_eq!(returned.get(3).unwrap(), Some(9));
    drop(returned);
    pool.starmap(|dict, n| note(dict, n).map(drop), (4..20).map(|n| (&dict, n))).unwrap();
    assert_eq!(dict.len().unwrap(), 17);
}
