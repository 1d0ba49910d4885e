//! Tasks, and waiting until all are done.

use std::time::{Duration, Instant};

use crossproc::{Error, Kind, Process, Queue, RawValue, TryPutError};

use crate::MOMENT;
use crate::common::locking::{Stage, wait_for_state};
use crate::common::processes::{Midway, forked};
use crate::common::watchdog;

#[test]
fn one_task_done_too_many_is_an_error() {
    let _watchdog = watchdog();
    let queue = Queue::new(4).unwrap();
    let too_many = Err(Error::NothingToBeDone { object: Kind::Queue });
    assert_eq!(queue.task_done(), too_many);
    queue.put(1).unwrap();
    queue.put(2).unwrap();
    assert_eq!(queue.task_done(), too_many, "nothing got yet");
    assert_eq!(queue.get(), Ok(1));
    assert_eq!(queue.task_done(), Ok(()));
    assert_eq!(queue.task_done(), too_many);
    drop(queue.get_task().unwrap());
    assert_eq!(queue.task_done(), too_many, "a task says so itself");
    queue.put(3).unwrap();
    assert_eq!(queue.try_get(), Ok(3));
    let elsewhere = Process::spawn(|queue: Queue<i32>| queue.task_done(), (&queue,)).unwrap();
    assert_eq!(elsewhere.join().unwrap(), too_many, "somebody else has got it");
    assert!(!queue.join_timeout(Duration::ZERO));
    assert_eq!(queue.clone().task_done(), Ok(()));
    queue.join();
}

#[test]
fn join_waits_for_what_is_put_got_and_not_done() {
    let _watchdog = watchdog();
    let queue = Queue::new(4).unwrap();
    queue.join();
    assert!(queue.join_timeout(Duration::ZERO));
    let is_joined = || {
        let start = Instant::now();
        let joined = queue.join_timeout(MOMENT);
        assert!(joined || start.elapsed() >= MOMENT, "too early");
        joined
    };
    queue.put(1).unwrap();
    assert!(!is_joined(), "put");
    queue.get().unwrap();
    assert!(!is_joined(), "got");
    queue.task_done().unwrap();
    assert!(is_joined());
    queue.put(2).unwrap();
    let task = queue.get_task().unwrap();
    assert!(!is_joined(), "a task");
    task.give_back();
    assert!(!is_joined(), "given back");
    drop(queue.get_task_timeout(MOMENT).unwrap());
    assert!(is_joined());
    queue.close();
    assert!(is_joined());
}

#[test]
fn a_task_keeps_its_place_until_it_is_done() {
    let queue = Queue::new(2).unwrap();
    queue.put("one".to_string()).unwrap();
    let mut task = queue.try_get_task().unwrap();
    task.push_str(" more");
    assert_eq!((task.as_str(), format!("{task:?}").as_str()), ("one more", "QueueTask(\"one more\")"));
    queue.try_put("two").unwrap();
    assert_eq!(queue.try_put("three"), Err(TryPutError::Full("three")));
    task.give_back();
    let mut got = [queue.get().unwrap(), queue.get().unwrap()];
    got.sort_unstable();
    assert_eq!(got, ["one", "two"], "as it was put");
}

#[test]
fn a_blocked_join_ends_with_the_last_task() {
    let _watchdog = watchdog();
    let (queue, stage) = (Queue::new(4).unwrap(), Stage::new());
    (0..2).for_each(|n| queue.put(n).unwrap());
    let wait = |queue: Queue<u8>, stage: Stage| {
        stage.advance();
        queue.join();
    };
    let joiners = [0; 2].map(|_| Process::spawn(wait, (&queue, &stage)).unwrap());
    stage.wait_for(2);
    joiners.iter().for_each(|joiner| wait_for_state(joiner.pid(), 'S'));
    queue.get().unwrap();
    drop(queue.get_task().unwrap());
    assert!(joiners.iter().all(|joiner| joiner.exit().is_none()));
    queue.task_done().unwrap();
    joiners.into_iter().for_each(|joiner| joiner.join().unwrap());
}

/// Each message but 0 puts two smaller ones before it is done: in the end there were 2^(n + 1) - 1.
#[test]
fn join_waits_for_work_that_work_puts() {
    let _watchdog = watchdog();
    fn work(queue: Queue<u32>, done: RawValue<std::sync::atomic::AtomicU64>, by_task: bool) {
        let more = |level: u32| {
            if level > 0 {
                (0..2).for_each(|_| queue.put(level - 1).unwrap());
            }
            std::thread::yield_now();
            done.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        };
        if by_task {
            while let Ok(task) = queue.get_task() {
                more(*task);
            }
        } else {
            while let Ok(level) = queue.get() {
                more(level);
                queue.task_done().unwrap();
            }
        }
    }
    for level in [1, 4, 8] {
        let queue = Queue::new(1_000).unwrap();
        let done = RawValue::new(0.into()).unwrap();
        let workers: Vec<_> = (0..4).map(|n| Process::spawn(work, (&queue, &done, n % 2 == 0)).unwrap()).collect();
        for round in 1..=5 {
            queue.put(level).unwrap();
            queue.join();
            let total = done.load(std::sync::atomic::Ordering::SeqCst);
            assert_eq!(total, round * ((2 << level) - 1), "join did not wait for everything");
        }
        queue.close();
        workers.into_iter().for_each(|worker| worker.join().unwrap());
    }
}

#[test]
fn a_killed_workers_task_is_waited_for_until_another_has_done_it() {
    let _watchdog = watchdog();
    let (queue, stage) = (Queue::new(4).unwrap(), Stage::new());
    queue.put("job".to_string()).unwrap();
    let stop = |queue: Queue<String>| {
        let _task = queue.get_task().unwrap();
        Midway::Stop.act();
    };
    let worker = Process::spawn(stop, (&queue,)).unwrap();
    wait_for_state(worker.pid(), 'T');
    let wait = |queue: Queue<String>, stage: Stage| {
        stage.advance();
        queue.join();
        queue.redelivered()
    };
    let joiner = Process::spawn(wait, (&queue, &stage)).unwrap();
    stage.wait_for(1);
    wait_for_state(joiner.pid(), 'S');
    worker.kill().unwrap();
    worker.wait();
    assert!(!queue.join_timeout(MOMENT * 5), "nobody has done it");
    assert!(joiner.exit().is_none());
    let task = queue.get_task().unwrap();
    assert_eq!(*task, "job");
    drop(task);
    assert_eq!(joiner.join().unwrap(), 1);
}

#[test]
fn what_a_dead_process_had_got_is_not_waited_for() {
    let _watchdog = watchdog();
    let queue = Queue::new(4).unwrap();
    (0..3).for_each(|n| queue.put(n).unwrap());
    let get = |queue: Queue<u8>| {
        (0..2).for_each(|_| assert!(queue.get().is_ok()));
        queue.task_done().unwrap();
        Midway::Stop.act();
    };
    let worker = Process::spawn(get, (&queue,)).unwrap();
    wait_for_state(worker.pid(), 'T');
    assert!(!queue.join_timeout(MOMENT));
    worker.kill().unwrap();
    worker.wait();
    assert!(!queue.join_timeout(MOMENT), "one is still there");
    assert_eq!(queue.get(), Ok(2));
    queue.task_done().unwrap();
    queue.join();
    // Whoever comes into its place has got nothing yet.
    let nothing = |queue: Queue<u8>| queue.task_done() == Err(Error::NothingToBeDone { object: Kind::Queue });
    assert!(Process::spawn(nothing, (&queue,)).unwrap().join().unwrap());
}

#[test]
fn a_forked_copy_has_got_nothing() {
    let _watchdog = watchdog();
    let queue = Queue::new(2).unwrap();
    queue.put(1).unwrap();
    queue.get().unwrap();
    assert!(forked(|| queue.task_done().is_err() && !queue.join_timeout(Duration::ZERO)));
    queue.task_done().unwrap();
    queue.join();
}
