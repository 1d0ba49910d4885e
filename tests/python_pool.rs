//! What Python's `multiprocessing` promises for its `Pool` and `AsyncResult`, as far as it applies and `pool/` does not have it;
//! `python_executor.rs` has `concurrent.futures`.
//!
//! Different, since
//!
//! - a panic of the input goes to whoever pulls it, at once, and not to where its item's result would be: no outcome stands for
//!   what is no item;
//! - `imap` goes on behind an error, as the others' outcomes are there;
//! - 0 tasks for a worker (`maxtasksperchild`), and 0 items for a chunk, are 1: no number is an error that could be a guess;
//! - `maxtasksperchild` counts items and not chunks, so that it says what it limits;
//! - whoever calls `exit`, or is killed, costs one task, where Python goes on with an exception that nobody raised, or waits for ever;
//! - pools may be used by tasks of pools.
//!
//! Not here: keyword arguments, contexts (a pool is terminated when it is dropped, and gone), pools of a manager or of threads, and
//! what their types are (a number of workers below 0 does not compile).

mod common;

use std::collections::BTreeMap;
use std::panic::{self, AssertUnwindSafe};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{OnceLock, mpsc};
use std::time::Duration;

use common::locking::{Stage, state_of};
use common::watchdog;
use crossproc::{Error, Pool, Process, ProcessError, Queue, RawValue, TaskError, TryTaskError};
use serde::{Deserialize, Deserializer, Serialize, Serializer, ser};

crossproc::test_support!();

const LONG: Duration = Duration::from_secs(50);

fn square(n: u64) -> u64 {
    n * n
}

/// It can be made anywhere, and goes nowhere.
#[derive(Debug, PartialEq, Deserialize)]
struct Unsendable;

impl Serialize for Unsendable {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(ser::Error::custom("never"))
    }
}

/// `_TestPool.test_map_unplicklable`: no item can be sent, and nobody waits for ever.
#[test]
fn a_map_of_what_cannot_be_sent_ends() {
    let _watchdog = watchdog();
    let pool = Pool::new(4).unwrap();
    let items = || (0..10).map(|_| Unsendable);
    let is_it = |error: &TaskError| matches!(error, TaskError::Encode { .. });
    for chunk in [1, 3, 20] {
        let pool = pool.chunk(chunk);
        assert!(is_it(&pool.map(|_: Unsendable| (), items()).unwrap_err()));
        assert!(is_it(&pool.map_async(|_: Unsendable| (), items()).get().unwrap_err()));
        let outcomes: Vec<_> = pool.imap(|_: Unsendable| (), items()).collect();
        assert!(outcomes.len() == 10 && outcomes.iter().all(|outcome| outcome.as_ref().is_err_and(is_it)));
        assert_eq!(pool.try_map(|_: Unsendable| (), items()), outcomes);
    }
    assert_eq!(pool.map(square, 0..3), Ok(vec![0, 1, 4]));
}

/// `test_map_chunksize`: nothing, by chunks.
#[test]
fn a_map_of_nothing_by_chunks_is_done() {
    let _watchdog = watchdog();
    let pool = Pool::new(1).unwrap();
    match pool.chunk(1).map_async(square, [0; 0]).get_timeout(LONG) {
        Err(TryTaskError::Running(_)) => panic!("nothing takes long"),
        outcome => assert_eq!(outcome.unwrap(), []),
    }
}

/// `test_map_handle_iterable_exception`: the first item or a later one, again and again, for maps that do not wait, too.
#[test]
fn an_input_that_panics_ends_a_map_that_does_not_wait() {
    let _watchdog = watchdog();
    let pool = Pool::new(4).unwrap();
    for bad in [0, 0, 3] {
        let input = (0..10).inspect(|n| {
            if *n == bad {
                panic::resume_unwind(Box::new("somebody said when"));
            }
        });
        let caught = panic::catch_unwind(AssertUnwindSafe(|| pool.chunk(1).map_async(square, input).wait()));
        assert_eq!(caught.unwrap_err().downcast_ref(), Some(&"somebody said when"));
        assert_eq!(pool.apply(square, (bad,)), Ok(bad * bad));
    }
}

/// `test_imap_handle_iterable_exception`, `test_imap_unordered_handle_iterable_exception`: what came before the exception is
/// given. Here: also what was to be of the same chunk, and what comes behind it if the input goes on.
#[test]
fn a_panic_of_the_input_loses_no_item() {
    let _watchdog = watchdog();
    let pool = Pool::new(1).unwrap();
    for (chunk, ordered) in [(1, true), (2, true), (4, true), (1, false), (4, false)] {
        let input = (0..40).inspect(|n| {
            if *n == 21 {
                panic::resume_unwind(Box::new("somebody said when"));
            }
        });
        let mut outcomes: Box<dyn Iterator<Item = _>> = match ordered {
            true => Box::new(pool.chunk(chunk).imap(square, input)),
            false => Box::new(pool.chunk(chunk).imap_unordered(square, input)),
        };
        let (mut given, mut panics) = (Vec::new(), 0);
        loop {
            match panic::catch_unwind(AssertUnwindSafe(|| outcomes.next())) {
                Ok(Some(outcome)) => given.push(outcome.unwrap()),
                Ok(None) => break,
                Err(_) => panics += 1,
            }
        }
        assert_eq!(panics, 1);
        assert_eq!(given, (0..40).filter(|n| *n != 21).map(square).collect::<Vec<_>>(), "by {chunk}");
    }
}

/// `ExecutorTest.test_map_exception` of executors: an error where it belongs; and, here, the others behind it.
#[test]
fn a_lazy_map_gives_an_error_in_its_place_and_goes_on() {
    let _watchdog = watchdog();
    let pool = Pool::new(2).unwrap();
    let mut outcomes = pool.imap(|(a, b): (u64, u64)| (a / b, a % b), [(1, 2), (1, 3), (1, 0), (6, 5)]);
    assert_eq!((outcomes.next(), outcomes.next()), (Some(Ok((0, 1))), Some(Ok((0, 1)))));
    assert!(matches!(outcomes.next(), Some(Err(TaskError::Panicked { task: 2, .. }))));
    assert_eq!((outcomes.next(), outcomes.next()), (Some(Ok((1, 1))), None));
}

/// `test_shutdown_no_wait` of executors, for a map that is not all pulled: what was pulled is done, and then nothing is.
#[test]
fn a_lazy_map_whose_pool_is_closed_ends() {
    let _watchdog = watchdog();
    let pool = Pool::new(2).unwrap();
    let mut outcomes = pool.chunk(1).imap(square, 0..1_000);
    assert_eq!(outcomes.next(), Some(Ok(0)));
    pool.close();
    let rest: Vec<_> = outcomes.collect();
    let (refused, done) = rest.split_last().unwrap();
    assert!(matches!(refused, Err(TaskError::Closed)), "{refused:?}");
    assert!(!done.is_empty() && (1..).zip(done).all(|(n, outcome)| *outcome == Ok(n * n)), "{done:?}");
    pool.join();
}

/// `test_terminate`: ten thousand tasks that never end.
#[test]
fn a_pool_with_more_than_it_will_ever_do_can_be_terminated() {
    let _watchdog = watchdog();
    let (pool, stage) = (Pool::new(3).unwrap(), Stage::new());
    let hang = |stage: Stage| {
        stage.advance();
        loop {
            std::thread::park();
        }
    };
    let task = pool.chunk(1).map_async(hang, (0..10_000).map(|_| &stage));
    stage.wait_for(3);
    pool.terminate();
    pool.join();
    assert_eq!(task.get(), Err::<Vec<()>, _>(TaskError::Cancelled));
}

/// `test_context`: every form is refused by a pool that was closed, and by one that was terminated.
#[test]
fn a_pool_that_is_over_refuses_every_form() {
    let _watchdog = watchdog();
    for is_closed in [true, false] {
        let pool = Pool::new(2).unwrap();
        assert_eq!(pool.map_async(square, 0..10).get(), Ok((0..10).map(square).collect()));
        if is_closed {
            pool.close();
        } else {
            pool.terminate();
        }
        pool.join();
        let pairs = || [(2_u64, 3_u32), (3, 2)];
        let refused = [
            pool.apply(square, (3,)).unwrap_err(),
            pool.apply_async(square, (3,)).get().unwrap_err(),
            pool.map(square, 0..10).unwrap_err(),
            pool.map_async(square, 0..10).get().unwrap_err(),
            pool.starmap(u64::pow, pairs()).unwrap_err(),
            pool.starmap_async(u64::pow, pairs()).get().unwrap_err(),
            pool.imap(square, 0..10).next().unwrap().unwrap_err(),
            pool.imap_unordered(square, 0..10).next().unwrap().unwrap_err(),
        ];
        let is_it = |error: &TaskError| match error {
            TaskError::Closed => is_closed,
            other => !is_closed && *other == TaskError::Cancelled,
        };
        assert!(refused.iter().all(is_it), "{refused:?}");
    }
}

/// `test_map_no_failfast`: a map whose items fail, at length, has waited for all of them; and then the pool can be joined.
#[test]
fn a_map_that_fails_at_length_has_waited_for_all() {
    let _watchdog = watchdog();
    let (pool, runs) = (Pool::new(2).unwrap(), RawValue::new(AtomicU32::new(0)).unwrap());
    let fail = |n: usize, runs: RawValue<AtomicU32>| -> () {
        runs.fetch_add(1, SeqCst);
        panic!("{}", "x".repeat(n << 20));
    };
    let error = pool.chunk(1).starmap(fail, [(1, &runs), (2, &runs), (1, &runs)]).unwrap_err();
    assert!(matches!(&error, TaskError::Panicked { message, task: 0, .. } if message.starts_with("xxx")));
    assert_eq!(runs.load(SeqCst), 3);
    pool.close();
    pool.join();
}

/// Those of this process.
static COUNTED: AtomicU32 = AtomicU32::new(0);

/// Counts how many of it there are.
struct Counted;

impl Counted {
    fn new() -> Self {
        COUNTED.fetch_add(1, SeqCst);
        Counted
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        COUNTED.fetch_sub(1, SeqCst);
    }
}

impl Serialize for Counted {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_unit()
    }
}

impl<'de> Deserialize<'de> for Counted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <()>::deserialize(deserializer).map(|()| Counted::new())
    }
}

/// `test_release_task_refs`, and `test_no_stale_references` and `test_free_reference` of executors: arguments are not kept once
/// they are on their way, nor results once they are given.
#[test]
fn arguments_and_results_are_let_go() {
    let _watchdog = watchdog();
    let pool = Pool::new(2).unwrap();
    let count = || COUNTED.load(SeqCst);
    let pass = |it: Counted| it;
    let task = pool.apply_async(pass, (Counted::new(),));
    assert_eq!(count(), 0);
    task.wait();
    assert_eq!(count(), 0, "nobody has asked");
    assert!(task.get().is_ok());
    for chunk in [1, 4] {
        let pool = pool.chunk(chunk);
        let results = pool.map(pass, (0..10).map(|_| Counted::new())).unwrap();
        assert_eq!((results.len(), count()), (10, 10));
        drop(results);
        for outcome in pool.imap(pass, (0..10).map(|_| Counted::new())) {
            let others = count();
            drop(outcome.unwrap());
            assert_eq!(count(), others - 1);
        }
        drop(pool.imap_unordered(pass, (0..1_000).map(|_| Counted::new())));
        assert_eq!(count(), 0, "by {chunk}");
    }
}

/// `test_async_error_callback`, `test_unpickleable_result`: the callback and whoever asks are told the same, and no worker is lost.
#[test]
fn a_result_that_cannot_be_sent_costs_no_worker() {
    let _watchdog = watchdog();
    let pool = Pool::new(2).unwrap();
    let pids = |pool: &Pool| pool.workers().iter().map(|worker| worker.pid()).collect::<Vec<_>>();
    let before = pids(&pool);
    for _ in 0..20 {
        let (sender, told) = mpsc::channel();
        let task = pool.apply_async(|| Unsendable, ()).on_error(move |error| sender.send(error.clone()).unwrap());
        let error = task.get().unwrap_err();
        assert!(matches!(&error, TaskError::Encode { .. }), "{error:?}");
        assert_eq!(told.recv(), Ok(error));
    }
    assert_eq!(pids(&pool), before);
}

/// `_TestPoolWorkerLifetime.test_pool_worker_lifetime`: no worker does more than it may, and there are as many as before.
#[test]
fn workers_are_replaced_and_their_number_stays() {
    let _watchdog = watchdog();
    let pool = Pool::builder().workers(3).max_tasks_per_worker(10).start().unwrap();
    let tasks: Vec<_> = (0..100).map(|n| pool.apply_async(|n: u64| (n * n, process::id()), (n,))).collect();
    let mut done = BTreeMap::new();
    for (n, task) in (0..).zip(tasks) {
        let (result, pid) = task.get().unwrap();
        assert_eq!(result, n * n);
        *done.entry(pid).or_insert(0) += 1;
    }
    assert!(done.len() >= 10 && done.values().all(|count| *count <= 10), "{done:?}");
    // Those that are at their last task may still be there.
    while pool.workers().len() != 3 || pool.workers().iter().any(|worker| done.get(&worker.pid()) == Some(&10)) {
        std::thread::yield_now();
    }
    assert_eq!(pool.map(square, 0..10), Ok((0..10).map(square).collect()));
}

/// `TestPoolNotLeakOnFailure`: of a pool of which some worker does not start nobody is left.
#[test]
fn a_pool_that_starts_by_half_leaves_nobody() {
    let _watchdog = watchdog();
    let (pids, starts) = (Queue::new(10).unwrap(), RawValue::new(AtomicU32::new(0)).unwrap());
    let start = |pids: Queue<u32>, starts: RawValue<AtomicU32>| {
        pids.put(&process::id()).unwrap();
        if starts.fetch_add(1, SeqCst) == 3 { Err("one too many".to_string()) } else { Ok(()) }
    };
    let refused = Pool::builder().workers(5).initializer(start, (&pids, &starts)).start();
    assert!(matches!(refused, Err(Error::Process(ProcessError::Initializer { .. }))), "{refused:?}");
    pids.close();
    let pids: Vec<_> = pids.iter().map(Result::unwrap).collect();
    assert!(pids.len() >= 4 && pids.iter().all(|pid| state_of(*pid) == '?'), "{pids:?}");
}

/// `test_large_pool`.
#[test]
fn two_hundred_workers_are_a_pool() {
    let _watchdog = watchdog();
    let pool = Pool::new(200).unwrap();
    assert_eq!(pool.map(square, 0..1_000).unwrap().iter().sum::<u64>(), 332_833_500);
}

static POOL: OnceLock<Pool> = OnceLock::new();

/// `test_worker_finalization_via_atexit_handler_of_multiprocessing`: a pool that is never dropped.
#[test]
fn a_process_with_a_pool_in_a_static_ends() {
    let _watchdog = watchdog();
    let leave = || POOL.get_or_init(|| Pool::new(1).unwrap()).map(square, 0..10).unwrap();
    assert_eq!(Process::spawn(leave, ()).unwrap().join().unwrap().len(), 10);
}
