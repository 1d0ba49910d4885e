//! Queues between a parent and its children.

use std::time::Instant;

use crossproc::managed::{Event, Queue};
use crossproc::{Manager, Process, TryGetError, TryPutError};

use super::MOMENT;
use crate::on_each_engine;

on_each_engine!(
    a_full_queue_takes_no_more_until_a_child_has_got_some,
    what_a_child_has_put_comes_in_order,
    a_child_goes_on_where_its_parent_has_stopped,
    a_queue_counts_what_is_in_it,
    join_waits_for_workers_that_a_none_ends,
);

fn a_full_queue_takes_no_more_until_a_child_has_got_some(manager: &Manager) {
    fn get_all(queue: Queue<u32>, go: Event, done: Event) {
        go.wait().unwrap();
        (1..7).for_each(|number| assert_eq!(queue.get(), Ok(number)));
        done.set().unwrap();
    }
    let (queue, go, done) = (manager.queue(6).unwrap(), manager.event().unwrap(), manager.event().unwrap());
    let child = Process::spawn(get_all, (&queue, &go, &done)).unwrap();
    assert_eq!(queue.is_empty(), Ok(true));
    queue.put(1).unwrap();
    queue.put_timeout(2, MOMENT).unwrap();
    (3..7).for_each(|number| queue.try_put(number).unwrap());
    assert_eq!((queue.is_empty(), queue.len()), (Ok(false), Ok(queue.capacity())));
    assert_eq!(queue.try_put(7), Err(TryPutError::Full(7)));
    let start = Instant::now();
    assert_eq!(queue.put_timeout(7, MOMENT), Err(TryPutError::Full(7)));
    assert!(start.elapsed() >= MOMENT);
    go.set().unwrap();
    done.wait().unwrap();
    assert_eq!((queue.is_empty(), queue.len()), (Ok(true), Ok(0)));
    child.join().unwrap();
}

fn what_a_child_has_put_comes_in_order(manager: &Manager) {
    fn put_some(queue: Queue<u32>, go: Event, done: Event) {
        go.wait().unwrap();
        (2..6).for_each(|number| queue.put(number).unwrap());
        done.set().unwrap();
    }
    let (queue, go, done) = (manager.queue(10).unwrap(), manager.event().unwrap(), manager.event().unwrap());
    let child = Process::spawn(put_some, (&queue, &go, &done)).unwrap();
    assert_eq!(queue.is_empty(), Ok(true));
    go.set().unwrap();
    done.wait().unwrap();
    // What has been put is there at once, where Python's may be on its way still.
    assert_eq!((queue.is_empty(), queue.len()), (Ok(false), Ok(4)));
    assert_eq!((queue.get(), queue.get()), (Ok(2), Ok(3)));
    assert_eq!((queue.get_timeout(MOMENT), queue.try_get()), (Ok(4), Ok(5)));
    assert_eq!((queue.is_empty(), queue.try_get()), (Ok(true), Err(TryGetError::Empty)));
    let start = Instant::now();
    assert_eq!(queue.get_timeout(MOMENT), Err(TryGetError::Empty));
    assert!(start.elapsed() >= MOMENT);
    child.join().unwrap();
}

fn a_child_goes_on_where_its_parent_has_stopped(manager: &Manager) {
    let queue = manager.queue(20).unwrap();
    (0..10).for_each(|number| queue.put(number).unwrap());
    let put = |queue: Queue<u32>| (10..20).for_each(|number| queue.put(number).unwrap());
    let child = Process::spawn(put, (&queue,)).unwrap();
    (0..20).for_each(|number| assert_eq!(queue.get(), Ok(number)));
    assert_eq!(queue.try_get(), Err(TryGetError::Empty));
    child.join().unwrap();
}

fn a_queue_counts_what_is_in_it(manager: &Manager) {
    let queue = manager.queue(5).unwrap();
    assert_eq!(queue.len(), Ok(0));
    queue.put(1).unwrap();
    assert_eq!(queue.len(), Ok(1));
    queue.put(5).unwrap();
    assert_eq!((queue.len(), queue.get(), queue.len()), (Ok(2), Ok(1), Ok(1)));
    assert_eq!((queue.get(), queue.len()), (Ok(5), Ok(0)));
}

fn join_waits_for_workers_that_a_none_ends(manager: &Manager) {
    fn work(queue: Queue<Option<u32>>, done: Queue<u32>) {
        while let Some(job) = queue.get().unwrap() {
            done.put(job).unwrap();
            queue.task_done().unwrap();
        }
    }
    let (queue, done) = (manager.queue(4).unwrap(), manager.queue(10).unwrap());
    let workers = [(); 4].map(|()| Process::spawn(work, (&queue, &done)).unwrap());
    (0..10).for_each(|job| queue.put(Some(job)).unwrap());
    queue.join().unwrap();
    let mut all: Vec<u32> = (0..10).map(|_| done.try_get().unwrap()).collect();
    all.sort();
    assert!(all.into_iter().eq(0..10));
    (0..4).for_each(|_| queue.put(None).unwrap());
    workers.into_iter().for_each(|worker| worker.join().unwrap());
    // Python would wait for the four at the end, of which nobody has said that they are done: who got them has ended.
    queue.join().unwrap();
}
