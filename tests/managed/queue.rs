//! A manager's queue: who gets what, and what a death leaves.

use std::time::Duration;

use crossproc::managed::Queue;
use crossproc::{Error, GetError, Manager, Process, TryGetError, TryPutError};

use crate::common::locking::Stage;
use crate::common::watchdog;

const SHORT: Duration = Duration::from_millis(1);

fn queue(capacity: usize) -> Queue<String> {
    Manager::start().unwrap().queue(capacity).unwrap()
}

#[test]
fn messages_come_in_order_until_it_is_closed_and_drained() {
    let _watchdog = watchdog();
    let queue = queue(2);
    queue.put("one").unwrap();
    queue.put_timeout("two", SHORT).unwrap();
    assert!(matches!(queue.try_put("three"), Err(TryPutError::Full("three"))));
    assert!(matches!(queue.put_timeout("three", SHORT), Err(TryPutError::Full("three"))));
    assert_eq!((queue.len(), queue.is_empty(), queue.capacity()), (Ok(2), Ok(false), 2));
    let child = Process::spawn(|queue: Queue<String>| queue.get().unwrap(), (&queue,)).unwrap();
    assert_eq!(child.join().unwrap(), "one");
    queue.close().unwrap();
    assert_eq!(queue.iter().collect::<Result<Vec<_>, _>>().unwrap(), ["two"]);
    assert_eq!(queue.get(), Err(GetError::Closed));
    assert_eq!(queue.try_get(), Err(TryGetError::Closed));
    assert!(matches!(queue.try_put("four"), Err(TryPutError::Closed("four"))));
}

/// Until it is killed.
fn stay(stage: &Stage) {
    stage.advance();
    loop {
        std::thread::park();
    }
}

#[test]
fn a_task_of_a_dead_consumer_is_delivered_again() {
    let _watchdog = watchdog();
    let (queue, stage) = (queue(4), Stage::new());
    queue.put("job").unwrap();
    let take = |queue: Queue<String>, stage: Stage| {
        let task = queue.get_task().unwrap();
        assert_eq!(*task, "job");
        stay(&stage);
    };
    let consumer = Process::spawn(take, (&queue, &stage)).unwrap();
    stage.wait_for(1);
    assert_eq!(queue.try_get().unwrap_err(), TryGetError::Empty);
    assert_eq!(queue.join_timeout(SHORT), Ok(false));
    consumer.kill().unwrap();
    consumer.wait();
    let task = queue.get_task().unwrap();
    assert_eq!(*task, "job");
    task.done().unwrap();
    queue.join().unwrap();
}

#[test]
fn a_task_that_is_given_back_is_somebody_elses() {
    let _watchdog = watchdog();
    let queue = queue(1);
    queue.put("job").unwrap();
    let mut task = queue.get_task().unwrap();
    task.push('!');
    task.give_back().unwrap();
    let again = Process::spawn(|queue: Queue<String>| queue.get_task().unwrap().clone(), (&queue,)).unwrap();
    assert_eq!(again.join().unwrap(), "job");
    assert_eq!((queue.join_timeout(Duration::from_secs(60)), queue.is_empty()), (Ok(true), Ok(true)));
}

#[test]
fn join_waits_for_what_is_said_to_be_done() {
    let _watchdog = watchdog();
    let queue = queue(8);
    assert_eq!(queue.task_done(), Err(Error::NothingToBeDone { object: crossproc::Kind::Queue }));
    let work = |queue: Queue<String>| {
        let mut got = 0;
        for message in queue.iter() {
            message.unwrap();
            queue.task_done().unwrap();
            got += 1;
        }
        got
    };
    let workers: Vec<_> = (0..2).map(|_| Process::spawn(work, (&queue,)).unwrap()).collect();
    for n in 0..100 {
        queue.put(n.to_string()).unwrap();
    }
    queue.join().unwrap();
    assert_eq!(queue.is_empty(), Ok(true));
    queue.close().unwrap();
    assert_eq!(workers.into_iter().map(|worker| worker.join().unwrap()).sum::<u32>(), 100);
}
