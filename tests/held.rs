//! Messages that somebody works on for long: the ring goes on without their slots.

mod common;

use std::time::Duration;

use common::watchdog;
use crossproc::{Connection, Process, Queue, Ring, TryGetError, TryPutError, pipe};

crossproc::test_support!();

const SOON: Duration = Duration::from_secs(20);

#[test]
fn an_open_task_takes_its_own_place_and_no_other() {
    let queue = Queue::new(4).unwrap();
    queue.put(0).unwrap();
    let open = queue.get_task().unwrap();
    for n in 1..100 {
        queue.try_put(n).unwrap();
        assert_eq!(queue.try_get(), Ok(n));
        queue.task_done().unwrap();
    }
    (0..3).for_each(|n| queue.try_put(n).unwrap());
    assert_eq!((queue.len(), queue.is_full(), queue.try_put(9)), (3, true, Err(TryPutError::Full(9))));
    drop(open);
    queue.try_put(3).unwrap();
    assert_eq!(queue.iter().take(4).collect::<Vec<_>>(), [0, 1, 2, 3].map(Ok));
}

#[test]
fn a_ring_goes_on_behind_messages_that_are_read_in_place() {
    let ring = Ring::new(4).unwrap();
    ring.put_many(&[0, 1, 2, 3]).unwrap();
    let held = [ring.take().unwrap(), ring.take().unwrap()];
    for n in 2..50 {
        assert_eq!(ring.try_get(), Ok(n));
        ring.try_put(n + 2).unwrap();
    }
    assert_eq!([*held[0], *held[1]], [0, 1]);
    assert!(ring.is_full());
    drop(held);
    ring.put_many(&[52, 53]).unwrap();
    (50..54).for_each(|n| assert_eq!(ring.try_get(), Ok(n)));
    assert_eq!(ring.try_get(), Err(TryGetError::Empty));
}

#[test]
fn when_all_places_are_held_the_ring_is_full() {
    let ring = Ring::new(2).unwrap();
    ring.put_many(&[1, 2]).unwrap();
    let (first, second) = (ring.take().unwrap(), ring.take().unwrap());
    for _ in 0..5 {
        assert_eq!(ring.try_put(3), Err(TryPutError::Full(3)));
    }
    drop(second);
    ring.try_put(3).unwrap();
    assert_eq!(ring.try_get(), Ok(3));
    first.give_back();
    assert_eq!((ring.try_get(), ring.try_get()), (Ok(1), Err(TryGetError::Empty)));
    ring.put_many(&[4, 5]).unwrap();
    assert_eq!((ring.get(), ring.get()), (Ok(4), Ok(5)));
}

/// Follow-up jobs that are put by who has a task in hand.
#[test]
fn who_has_a_task_may_put_more_than_the_queue_holds() {
    let _watchdog = watchdog();
    let jobs = Queue::<u32>::new(8).unwrap();
    let drain = |jobs: Queue<u32>| {
        let mut sum = 0;
        while let Ok(job) = jobs.get() {
            jobs.task_done().unwrap();
            sum += job;
        }
        sum
    };
    jobs.put(0).unwrap();
    let task = jobs.get_task().unwrap();
    let other = Process::spawn(drain, (&jobs,)).unwrap();
    (0..1000).for_each(|n| jobs.put(n).unwrap());
    drop(task);
    jobs.join();
    jobs.close();
    assert_eq!(other.join().unwrap(), 999 * 1000 / 2);
}

#[test]
fn a_task_that_was_passed_is_delivered_again_when_its_worker_dies() {
    let _watchdog = watchdog();
    let jobs = Queue::<u32>::new(4).unwrap();
    let taken = Queue::<u32>::new(1).unwrap();
    jobs.put(7).unwrap();
    let take = |jobs: Queue<u32>, taken: Queue<u32>| -> u32 {
        let task = jobs.get_task().unwrap();
        taken.put(*task).unwrap();
        loop {
            std::thread::park();
        }
    };
    let worker = Process::spawn(take, (&jobs, &taken)).unwrap();
    taken.get().unwrap();
    for n in 0..20 {
        jobs.try_put(n).unwrap();
        assert_eq!(jobs.get_timeout(SOON), Ok(n));
    }
    worker.kill().unwrap();
    worker.wait();
    assert_eq!((jobs.get_timeout(SOON), jobs.redelivered()), (Ok(7), 1));
    (0..4).for_each(|n| jobs.try_put(n).unwrap());
    assert_eq!(jobs.iter().take(4).collect::<Vec<_>>(), [0, 1, 2, 3].map(Ok));
}

/// While messages keep coming, what a dead worker had is not forgotten until the ring is empty, or round.
#[test]
fn a_dead_workers_task_comes_again_in_the_middle_of_a_stream() {
    let _watchdog = watchdog();
    let jobs = Queue::<u32>::new(200_000).unwrap();
    (0..20).for_each(|n| jobs.put(n).unwrap());
    let take = |jobs: Queue<u32>| {
        std::mem::forget(jobs.get_task().unwrap());
    };
    Process::spawn(take, (&jobs,)).unwrap().join().unwrap();
    // Some stream, and not one that is round at once: each message goes to another process and back.
    let (mut here, there) = pipe::<u32, u32>().unwrap();
    let echo = |mut there: Connection<u32, u32>| {
        while let Ok(job) = there.recv() {
            there.send(job).unwrap();
        }
    };
    let echoing = Process::spawn(echo, (there,)).unwrap();
    for got in 1.. {
        let job = jobs.get().unwrap();
        if job == 0 {
            break;
        }
        assert!(got < 190_000, "it was to come within some 25 ms");
        here.send(job).unwrap();
        jobs.put(here.recv().unwrap()).unwrap();
    }
    assert_eq!(jobs.redelivered(), 1);
    drop(here);
    echoing.join().unwrap();
}

/// Who cleans up in a panic does its tasks, too.
#[test]
fn a_task_got_during_a_panic_is_done_when_it_is_dropped() {
    struct Drain(Queue<u32>);
    impl Drop for Drain {
        fn drop(&mut self) {
            let mut drained = 0;
            while let Ok(task) = self.0.try_get_task() {
                drained += *task;
                assert!(drained < 10, "the same task again");
            }
        }
    }
    let jobs = Queue::new(4).unwrap();
    (0..3).for_each(|n| jobs.put(n).unwrap());
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _drain = Drain(jobs.clone());
        panic!("on purpose");
    }));
    assert!(panicked.is_err() && jobs.is_empty() && jobs.join_timeout(SOON));
}
