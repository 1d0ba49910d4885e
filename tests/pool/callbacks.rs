//! Callbacks: on one thread, one at a time, in order; and what they may do.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use crossproc::{Pool, Task, TaskError};

use crate::common::locking::Stage;
use crate::common::watchdog;

fn square(n: u64) -> u64 {
    n * n
}

#[test]
fn whoever_joins_waits_for_them_as_long_as_it_likes() {
    let _watchdog = watchdog();
    let (pool, (go, gone)) = (Pool::new(1).unwrap(), mpsc::channel::<()>());
    let task = pool.apply_async(square, (3,)).on_done(move |_| {
        let _ = gone.recv();
    });
    assert!(!pool.join_timeout(Duration::from_millis(200)));
    drop(go);
    assert!(pool.join_timeout(Duration::from_secs(3600)));
    assert_eq!(task.get(), Ok(9));
}

#[test]
fn they_run_on_one_thread_one_at_a_time() {
    let _watchdog = watchdog();
    let pool = Pool::new(3).unwrap();
    let (threads, busy) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
    let tasks: Vec<_> = (0..200)
        .map(|n| {
            let (threads, busy) = (Arc::clone(&threads), Arc::clone(&busy));
            pool.apply_async(square, (n,)).on_done(move |outcome| {
                assert!(!busy.swap(true, SeqCst));
                threads.lock().unwrap().push((thread::current().id(), outcome.clone()));
                thread::yield_now();
                busy.store(false, SeqCst);
            })
        })
        .collect();
    pool.join();
    let seen = std::mem::take(&mut *threads.lock().unwrap());
    assert_eq!(seen.len(), 200);
    assert!(seen.iter().all(|(id, _)| *id == seen[0].0 && *id != thread::current().id()));
    let mut results: Vec<_> = seen.into_iter().map(|(_, outcome)| outcome.unwrap()).collect();
    results.sort_unstable();
    assert_eq!(results, (0..200).map(square).collect::<Vec<_>>());
    assert!((0..200).zip(tasks).all(|(n, task)| task.get() == Ok(n * n)));
}

#[test]
fn they_come_in_the_order_in_which_tasks_end_and_were_given() {
    let _watchdog = watchdog();
    let pool = Pool::new(1).unwrap();
    let (sender, order) = mpsc::channel();
    let tasks: Vec<_> = (0..50)
        .map(|n| {
            let (first, second) = (sender.clone(), sender.clone());
            let task = pool.apply_async(square, (n,));
            task.on_done(move |_| first.send((n, 1)).unwrap()).on_done(move |_| second.send((n, 2)).unwrap())
        })
        .collect();
    drop(tasks);
    pool.join();
    drop(sender);
    let seen: Vec<_> = order.iter().collect();
    assert_eq!(seen.len(), 100);
    // One worker does one after the other; those of tasks that were done already come when they are given.
    let firsts: Vec<_> = seen.iter().filter(|(_, which)| *which == 1).map(|(n, _)| *n).collect();
    assert_eq!(firsts, (0..50).collect::<Vec<_>>());
    for n in 0..50 {
        let of_task: Vec<_> = seen.iter().filter(|(of, _)| *of == n).map(|(_, which)| *which).collect();
        assert_eq!(of_task, [1, 2]);
    }
}

#[test]
fn a_result_is_asked_for_after_them() {
    let _watchdog = watchdog();
    let pool = Pool::new(2).unwrap();
    for n in 0..50 {
        let called = Arc::new(AtomicU32::new(0));
        let count = || {
            let called = Arc::clone(&called);
            move |outcome: &Result<u64, TaskError>| {
                assert_eq!(*outcome, Ok(n * n));
                thread::yield_now();
                called.fetch_add(1, SeqCst);
            }
        };
        let task = pool.apply_async(square, (n,)).on_done(count()).on_done(count());
        assert_eq!(task.get(), Ok(n * n));
        assert_eq!(called.load(SeqCst), 2);
    }
    // Of one that is done.
    let task = pool.apply_async(square, (3,));
    task.wait();
    let (sender, seen) = mpsc::channel();
    let task = task.on_done(move |outcome| sender.send(outcome.clone()).unwrap());
    assert_eq!((task.get(), seen.recv()), (Ok(9), Ok(Ok(9))));
}

#[test]
fn a_panic_of_one_harms_nobody() {
    let _watchdog = watchdog();
    let pool = Pool::new(1).unwrap();
    let (sender, seen) = mpsc::channel();
    let task = pool
        .apply_async(square, (3,))
        .on_done(|_| std::panic::resume_unwind(Box::new("in a callback")))
        .on_done(move |outcome| sender.send(outcome.clone()).unwrap());
    assert_eq!(task.get(), Ok(9));
    assert_eq!(seen.recv(), Ok(Ok(9)));
    assert_eq!(pool.apply_async(square, (4,)).on_done(|_| ()).get(), Ok(16));
}

#[test]
fn errors_are_called_back_with_and_results_are_not() {
    let _watchdog = watchdog();
    let pool = Pool::new(1).unwrap();
    let (sender, errors) = mpsc::channel();
    let ask = |n: u32| {
        let sender = sender.clone();
        let task = pool.apply_async(|n: u32| 6 / n, (n,));
        task.on_error(move |error| sender.send((n, error.clone())).unwrap())
    };
    let tasks = [ask(2), ask(0), ask(3)];
    let [good, bad, other] = tasks.map(|task| task.get());
    assert_eq!((good, other), (Ok(3), Ok(2)));
    assert_eq!(errors.try_iter().collect::<Vec<_>>(), [(0, bad.unwrap_err())]);
    // Every other end is an error, too.
    let stage = Stage::new();
    let (sender, ends) = mpsc::channel();
    let hang = |number: u32| {
        let sender = sender.clone();
        let task = pool.apply_async(|stage: Stage| stage.wait_for(1), (&stage,));
        task.on_error(move |error| sender.send((number, error.clone())).unwrap())
    };
    let (first, second) = (hang(1), hang(2));
    assert!(first.cancel());
    pool.terminate();
    first.wait();
    second.wait();
    assert_eq!(ends.try_iter().collect::<Vec<_>>(), [(1, TaskError::Cancelled), (2, TaskError::Cancelled)]);
}

#[test]
fn one_may_submit_to_the_pool_and_ask_for_the_result_of_another_task() {
    let _watchdog = watchdog();
    let pool = Arc::new(Pool::new(1).unwrap());
    let other = pool.apply_async(square, (5,));
    let (sender, seen) = mpsc::channel();
    let inside = Arc::clone(&pool);
    let task = pool.apply_async(square, (3,)).on_done(move |outcome| {
        let next = inside.apply(square, (outcome.clone().unwrap(),));
        sender.send((next, other.get(), inside.map(square, 0..3))).unwrap();
    });
    assert_eq!(task.get(), Ok(9));
    assert_eq!(seen.recv(), Ok((Ok(81), Ok(25), Ok(vec![0, 1, 4]))));
}

/// Each result asks for the next one.
#[test]
fn one_may_go_on_for_ever() {
    let _watchdog = watchdog();
    fn go_on(pool: &Arc<Pool>, left: u64, done: mpsc::Sender<u64>) {
        let inside = Arc::downgrade(pool);
        pool.apply_async(|left: u64| left - 1, (left,)).on_done(move |outcome| match outcome {
            Ok(0) => done.send(0).unwrap(),
            Ok(left) => go_on(&inside.upgrade().unwrap(), *left, done),
            Err(error) => panic!("{error}"),
        });
    }
    let pool = Arc::new(Pool::new(2).unwrap());
    let (sender, done) = mpsc::channel();
    go_on(&pool, 300, sender);
    assert_eq!(done.recv(), Ok(0));
}

#[test]
fn one_may_terminate_the_pool() {
    let _watchdog = watchdog();
    let pool = Arc::new(Pool::new(1).unwrap());
    let inside = Arc::clone(&pool);
    let workers = pool.workers();
    let task = pool.apply_async(square, (3,)).on_done(move |_| inside.terminate());
    let waiting: Vec<_> = (0..100).map(|_| pool.apply_async(std::thread::park, ())).collect();
    assert_eq!(task.get(), Ok(9));
    assert!(waiting.into_iter().all(|task| task.get() == Err(TaskError::Cancelled)));
    assert!(workers.iter().all(|worker| !worker.is_alive()) && pool.workers().is_empty());
    assert_eq!(pool.apply(square, (3,)), Err(TaskError::Cancelled));
}

/// The last of a pool may be dropped there, too.
#[test]
fn one_may_drop_the_pool() {
    let _watchdog = watchdog();
    let pool = Arc::new(Pool::new(1).unwrap());
    let (sender, gone) = mpsc::channel();
    let last = Arc::clone(&pool);
    let go = Stage::new();
    let task = pool.apply_async(|go: Stage| go.wait_for(1), (&go,)).on_done(move |_| {
        drop(last);
        sender.send(()).unwrap();
    });
    drop(pool);
    go.advance();
    assert_eq!(task.get(), Ok(()));
    assert_eq!(gone.recv(), Ok(()));
}

/// It has the outcome in hands: it may ask for all but that, which those behind it see, too.
#[test]
fn one_may_ask_its_own_task() {
    let _watchdog = watchdog();
    let (pool, go, (sender, seen)) = (Pool::new(1).unwrap(), Stage::new(), mpsc::channel());
    let (slot, ends) = (Arc::new(Mutex::new(None::<Task<u32>>)), sender.clone());
    let own = Arc::clone(&slot);
    let task = pool.apply_async(wait_for, (&go,)).on_done(move |_| {
        let task = own.lock().unwrap().take().unwrap();
        task.wait();
        assert!(task.is_ready() && !task.cancel());
        sender.send((task.is_successful(), task.get())).unwrap();
    });
    let task = task.on_done(move |outcome| ends.send((None, outcome.clone())).unwrap());
    *slot.lock().unwrap() = Some(task);
    go.advance();
    assert_eq!(seen.recv(), Ok((Some(true), Err(TaskError::Taken))));
    assert_eq!(seen.recv(), Ok((None, Ok(7))));
    pool.join();
}

fn wait_for(go: Stage) -> u32 {
    go.wait_for(1);
    7
}

#[test]
fn one_may_ask_a_task_that_others_have_too() {
    let _watchdog = watchdog();
    let (pool, go, (sender, seen)) = (Pool::new(1).unwrap(), Stage::new(), mpsc::channel());
    let slot = Arc::new(Mutex::new(None::<Arc<Task<u32>>>));
    let own = Arc::clone(&slot);
    let task = pool.apply_async(wait_for, (&go,)).on_done(move |_| {
        let task = own.lock().unwrap().take().unwrap();
        sender.send(task.is_successful()).unwrap();
    });
    let task = Arc::new(task);
    *slot.lock().unwrap() = Some(Arc::clone(&task));
    go.advance();
    task.wait();
    assert_eq!((seen.recv(), task.is_successful()), (Ok(Some(true)), Some(true)));
    assert_eq!(Arc::into_inner(task).unwrap().get(), Ok(7));
}

/// A callback waits for no other one, and so can be first.
#[test]
fn an_outcome_that_one_has_taken_is_not_there_for_those_of_its_task() {
    let _watchdog = watchdog();
    let (pool, (sender, seen)) = (Arc::new(Pool::new(1).unwrap()), mpsc::channel());
    let inside = Arc::clone(&pool);
    let first = pool.apply_async(square, (3,)).on_done(move |_| {
        let later = inside.map_async(square, 0..3).on_done(move |outcome| sender.send(outcome.clone()).unwrap());
        assert_eq!(later.get(), Ok(vec![0, 1, 4]));
    });
    assert_eq!(first.get(), Ok(9));
    assert_eq!(seen.recv(), Ok(Err(TaskError::Taken)));
}

/// It stays what it was, also when those of its task have been told that it is away.
#[test]
fn a_task_whose_outcome_was_taken_goes_on_to_be_successful() {
    let _watchdog = watchdog();
    let (pool, (sender, seen), (lender, back)) = (Arc::new(Pool::new(1).unwrap()), mpsc::channel(), mpsc::channel());
    let inside = Arc::clone(&pool);
    let first = pool.apply_async(square, (3,)).on_done(move |_| {
        let mut later = inside.apply_async(square, (4,)).on_done(move |outcome| sender.send(outcome.clone()).unwrap());
        later.wait();
        let taken = Pin::new(&mut later).poll(&mut Context::from_waker(Waker::noop()));
        lender.send((later, taken)).unwrap();
    });
    assert_eq!(first.get(), Ok(9));
    let (later, taken) = back.recv().unwrap();
    later.wait();
    assert_eq!((seen.recv(), taken), (Ok(Err(TaskError::Taken)), Poll::Ready(Ok(16))));
    assert_eq!(later.is_successful(), Some(true));
}
