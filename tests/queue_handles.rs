//! What every handle of a queue can do, and what the ends of a task are.

mod common;

use std::os::fd::{AsFd, AsRawFd};
use std::panic::{self, AssertUnwindSafe};
use std::thread;
use std::time::Duration;

use common::watchdog;
use crossproc::{Consumer, Error, GetError, Process, Producer, Queue, Result, Ring, TryGetError, TryPutError};
use serde::{Deserialize, Deserializer, Serialize, de};

crossproc::test_support!();

#[derive(Debug, PartialEq, Serialize)]
struct NotZero(u8);

impl<'de> Deserialize<'de> for NotZero {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u8::deserialize(deserializer)? {
            0 => Err(de::Error::custom("zero")),
            number => Ok(NotZero(number)),
        }
    }
}

#[test]
fn iteration_goes_on_behind_a_message_that_does_not_decode() {
    let _watchdog = watchdog();
    let queue = Queue::builder().capacity(4).end_with_producers(true).build().unwrap();
    let consumer = queue.consumer();
    [1, 0, 2].into_iter().for_each(|number| queue.put(NotZero(number)).unwrap());
    drop(queue);
    let got: Vec<_> = consumer.iter().collect();
    assert!(matches!(got[..], [Ok(NotZero(1)), Err(GetError::Failed(Error::Decode { .. })), Ok(NotZero(2))]));
}

#[test]
fn references_can_be_iterated_over() {
    let _watchdog = watchdog();
    let (ring, queue) = (Ring::new(4).unwrap(), Queue::new(4).unwrap());
    let consumer = queue.consumer();
    (0..3).for_each(|number| ring.put(number).unwrap());
    (0..2).for_each(|number| queue.put(number).unwrap());
    (&ring).into_iter().take(1).for_each(|got| assert_eq!(got, Ok(0)));
    ring.close();
    let mut sum = 0;
    for number in &ring {
        sum += number.unwrap();
    }
    queue.close();
    for number in (&queue).into_iter().take(1) {
        assert_eq!(number, Ok(0));
    }
    for number in &consumer {
        sum += number.unwrap();
    }
    assert_eq!(sum, 1 + 2 + 1);
}

#[test]
fn a_producer_can_wait_until_all_is_done() {
    let _watchdog = watchdog();
    let work = |jobs: Consumer<u32>| -> Result<()> {
        for job in &jobs {
            job?;
            jobs.task_done()?;
        }
        Ok(())
    };
    let queue = Queue::new(2).unwrap();
    let worker = Process::spawn(work, (queue.consumer(),)).unwrap();
    let producer = queue.producer();
    (0..10).for_each(|job| producer.put(job).unwrap());
    producer.join();
    assert!(producer.is_empty() && queue.consumer().join_timeout(Duration::ZERO));
    producer.close();
    worker.join().unwrap().unwrap();
}

/// Some are asked for by name alone: they need nothing of `T`.
fn numbers<T>(producer: &Producer<T>, consumer: &Consumer<T>) -> [[usize; 3]; 2] {
    [
        [producer.len(), producer.capacity(), producer.max_message()],
        [consumer.len(), consumer.capacity(), consumer.max_message()],
    ]
}

#[test]
fn a_producer_and_a_consumer_say_what_their_queue_does() {
    let queue = Queue::builder().capacity(2).max_message(100).build().unwrap();
    let (producer, consumer) = (queue.producer(), queue.consumer());
    queue.put(1).unwrap();
    assert_eq!(numbers(&producer, &consumer), [[1, 2, 100]; 2]);
    assert!(!producer.is_full() && !consumer.is_full() && !consumer.is_empty());
    producer.put(2).unwrap();
    assert!(producer.is_full() && consumer.is_full());
    consumer.close();
    assert!(producer.is_closed() && consumer.is_closed());
    assert_eq!((producer.redelivered(), consumer.redelivered()), (0, 0));
    let again = Queue::<i32>::from_fd(consumer.memory_fd().try_clone_to_owned().unwrap()).unwrap();
    assert_eq!(again.len(), 2);
}

#[test]
fn a_handle_shows_what_is_in_it() {
    let queue = Queue::builder().capacity(16).end_with_producers(true).build().unwrap();
    let consumer = queue.consumer();
    (0..3).for_each(|number| queue.put(number).unwrap());
    let producer = queue.producer();
    assert_eq!(format!("{queue:?}"), "Queue { len: 3, capacity: 16, is_closed: false, producers: 2 }");
    drop(queue);
    assert_eq!(format!("{producer:?}"), "Producer { len: 3, capacity: 16, is_closed: false, producers: 1 }");
    drop(producer);
    consumer.close();
    assert_eq!(format!("{consumer:?}"), "Consumer { len: 3, capacity: 16, is_closed: true, producers: 0 }");
    let ring = Ring::<u8>::new(2).unwrap();
    assert_eq!(format!("{ring:?}"), "Ring { len: 0, capacity: 2, is_closed: false }");
}

#[test]
fn the_raw_descriptor_is_the_one_that_polls() {
    let (ring, queue) = (Ring::<u8>::new(1).unwrap(), Queue::<u8>::new(1).unwrap());
    let consumer = queue.consumer();
    assert_eq!(ring.as_raw_fd(), ring.as_fd().as_raw_fd());
    assert_eq!(queue.as_raw_fd(), queue.readiness().unwrap().as_raw_fd());
    assert_eq!(consumer.as_raw_fd(), consumer.as_fd().as_raw_fd());
}

#[test]
fn a_task_that_is_done_is_gone() {
    let queue = Queue::new(2).unwrap();
    (1..=2).for_each(|number| queue.put(number).unwrap());
    queue.get_task().unwrap().give_back_on_drop().done();
    assert_eq!(queue.get_task().unwrap().give_back_on_drop().into_inner(), 2);
    assert_eq!((queue.try_get(), queue.join_timeout(Duration::ZERO)), (Err(TryGetError::Empty), true));
}

fn work(jobs: &Queue<u32>, results: &Queue<u32>) -> Result<()> {
    let job = jobs.try_get_task()?.give_back_on_drop();
    results.try_put(*job)?;
    job.done();
    Ok(())
}

#[test]
fn an_early_return_gives_a_task_back_that_was_told_to() {
    let (jobs, results) = (Queue::new(2).unwrap(), Queue::new(1).unwrap());
    jobs.put(7).unwrap();
    results.put(0).unwrap();
    assert_eq!(results.try_put(1), Err(TryPutError::Full(1)));
    assert_eq!(work(&jobs, &results), Err(Error::Full));
    assert!(!jobs.join_timeout(Duration::ZERO));
    results.get().unwrap();
    assert_eq!((work(&jobs, &results), results.get()), (Ok(()), Ok(7)));
    assert!(jobs.join_timeout(Duration::ZERO));
}

#[test]
fn a_task_is_done_by_whoever_says_so_in_a_panic() {
    let queue = Queue::new(2).unwrap();
    (1..=2).for_each(|number| queue.put(number).unwrap());
    struct OnDrop<'a>(Option<crossproc::QueueTask<'a, i32>>);
    impl Drop for OnDrop<'_> {
        fn drop(&mut self) {
            assert!(thread::panicking());
            self.0.take().unwrap().done();
        }
    }
    let panicked = panic::catch_unwind(AssertUnwindSafe(|| {
        let _done = OnDrop(Some(queue.get_task().unwrap()));
        let _given_back = queue.get_task().unwrap();
        panic::resume_unwind(Box::new(()));
    }));
    assert!(panicked.is_err());
    assert_eq!((queue.try_get(), queue.try_get()), (Ok(2), Err(TryGetError::Empty)));
}
