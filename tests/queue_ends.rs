//! Queues that end with those who use them.

mod common;

use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::thread;
use std::time::Duration;

use common::locking::{Stage, wait_for_state};
use common::processes::forked;
use common::watchdog;
use crossproc::{
    Consumer, Exit, GetError, Process, Producer, PutError, Queue, Result, TryGetError, TryPutError, wait_any,
};

crossproc::test_support!();

fn ends_with_producers(capacity: usize) -> (Queue<u32>, Consumer<u32>) {
    let queue = Queue::builder().capacity(capacity).end_with_producers(true).build().unwrap();
    let consumer = queue.consumer();
    (queue, consumer)
}

#[test]
fn everything_that_was_put_is_got_before_the_end() {
    let _watchdog = watchdog();
    let (queue, consumer) = ends_with_producers(4);
    queue.put(1).unwrap();
    assert_eq!(consumer.try_get(), Ok(1));
    assert_eq!(consumer.try_get(), Err(TryGetError::Empty));
    queue.put(2).unwrap();
    drop(queue);
    assert_eq!(consumer.get(), Ok(2));
    assert_eq!(consumer.get(), Err(GetError::Disconnected));
    assert_eq!(consumer.iter().count(), 0);
}

#[test]
fn every_clone_counts() {
    let _watchdog = watchdog();
    let (queue, consumer) = ends_with_producers(4);
    let producer = queue.producer();
    let another = producer.clone();
    drop(queue);
    assert_eq!(consumer.try_get(), Err(TryGetError::Empty));
    drop(producer);
    assert_eq!(consumer.try_get(), Err(TryGetError::Empty));
    another.put(1).unwrap();
    drop(another);
    assert_eq!(consumer.try_get(), Ok(1));
    assert_eq!(consumer.try_get(), Err(TryGetError::Disconnected));
}

#[test]
fn a_queue_that_was_not_told_waits_for_later_producers() {
    let queue = Queue::<u32>::new(4).unwrap();
    let consumer = queue.consumer();
    drop(queue);
    assert_eq!(consumer.try_get(), Err(TryGetError::Empty));
}

fn put_and_return(producer: Producer<u32>, messages: u32) -> Result<()> {
    (0..messages).try_for_each(|message| Ok(producer.put(message)?))
}

#[test]
fn the_end_of_a_producing_process_is_an_end() {
    let _watchdog = watchdog();
    let (queue, consumer) = ends_with_producers(2);
    let processes = [3, 5].map(|messages| Process::spawn(put_and_return, (queue.producer(), messages)).unwrap());
    drop(queue);
    assert_eq!(consumer.iter().count(), 8);
    assert_eq!(consumer.get(), Err(GetError::Disconnected));
    for process in processes {
        process.join().unwrap().unwrap();
    }
}

fn put_and_wait(producer: Producer<u32>, told: Queue<u32>) -> Result<()> {
    producer.put(7)?;
    told.get()?;
    Ok(())
}

#[test]
fn a_killed_producer_is_an_end() {
    let _watchdog = watchdog();
    let (queue, consumer) = ends_with_producers(2);
    let process =
        Process::builder().daemon(true).spawn(put_and_wait, (queue.producer(), Queue::<u32>::new(1).unwrap())).unwrap();
    drop(queue);
    assert_eq!(consumer.get(), Ok(7));
    assert_eq!(consumer.try_get(), Err(TryGetError::Empty));
    process.kill().unwrap();
    assert_eq!(consumer.get(), Err(GetError::Disconnected));
    assert_eq!(process.wait(), Exit::Signal(libc::SIGKILL));
}

/// A producer whose process is there, but has not taken its arguments yet, or never will.
#[test]
fn a_producer_on_its_way_counts_as_long_as_it_can_arrive() {
    let _watchdog = watchdog();
    for _ in 0..20 {
        let (queue, consumer) = ends_with_producers(2);
        let process = Process::spawn(put_and_return, (queue.producer(), 1)).unwrap();
        drop(queue);
        // Whenever this comes: the process is not there yet, or is.
        assert_eq!(consumer.get(), Ok(0));
        assert_eq!(consumer.get(), Err(GetError::Disconnected));
        process.join().unwrap().unwrap();

        let (queue, consumer) = ends_with_producers(2);
        let process = Process::spawn(put_and_return, (queue.producer(), 1)).unwrap();
        drop(queue);
        process.kill().unwrap();
        assert!(consumer.iter().count() <= 1);
        assert_eq!(consumer.get(), Err(GetError::Disconnected));
    }
}

fn pass_on(producers: Vec<Option<Producer<u32>>>) -> Result<()> {
    let processes: Result<Vec<_>> =
        producers.into_iter().flatten().map(|producer| Process::spawn(put_and_return, (producer, 2))).collect();
    for process in processes? {
        process.join()??;
    }
    Ok(())
}

#[test]
fn producers_travel_at_any_depth_and_from_hand_to_hand() {
    let _watchdog = watchdog();
    let (queue, consumer) = ends_with_producers(1);
    let producers = vec![Some(queue.producer()), None, Some(queue.producer()), Some(queue.producer())];
    let process = Process::spawn(pass_on, (producers,)).unwrap();
    drop(queue);
    assert_eq!(consumer.iter().count(), 6);
    process.join().unwrap().unwrap();
}

fn give_back(producer: Producer<u32>) -> Producer<u32> {
    producer
}

#[test]
fn a_producer_can_be_a_result() {
    let _watchdog = watchdog();
    let (queue, consumer) = ends_with_producers(1);
    let producer = Process::spawn(give_back, (queue.producer(),)).unwrap().join().unwrap();
    drop(queue);
    assert_eq!(consumer.try_get(), Err(TryGetError::Empty));
    producer.put(1).unwrap();
    drop(producer);
    assert_eq!((consumer.get(), consumer.get()), (Ok(1), Err(GetError::Disconnected)));
}

fn get_one(consumer: Consumer<String>) -> Result<String> {
    Ok(consumer.get()?)
}

#[test]
fn a_full_queue_without_consumers_gives_the_message_back() {
    let _watchdog = watchdog();
    let queue = Queue::<String>::builder().capacity(1).end_with_consumers(true).build().unwrap();
    let producer = queue.producer();
    let process = Process::spawn(get_one, (queue.consumer(),)).unwrap();
    drop(queue);
    producer.put("got").unwrap();
    assert_eq!(process.join().unwrap().unwrap(), "got");
    producer.put("left behind").unwrap();
    assert_eq!(producer.put("for nobody"), Err(PutError::Disconnected("for nobody")));
    assert_eq!(producer.try_put("for nobody"), Err(TryPutError::Disconnected("for nobody")));
}

fn wait_for_the_end(consumer: Consumer<u32>) -> Result<(), GetError> {
    consumer.get().map(drop)
}

#[test]
fn all_who_wait_learn_of_the_end() {
    let _watchdog = watchdog();
    let (queue, consumer) = ends_with_producers(2);
    let threads: Vec<_> = (0..3)
        .map(|_| {
            let consumer = consumer.clone();
            std::thread::spawn(move || wait_for_the_end(consumer))
        })
        .collect();
    drop(queue);
    for thread in threads {
        assert_eq!(thread.join().unwrap(), Err(GetError::Disconnected));
    }
}

/// A forked copy of a handle is not a producer, and its drop takes none away.
#[test]
fn a_forked_copy_does_not_count() {
    let _watchdog = watchdog();
    let (queue, consumer) = ends_with_producers(2);
    let mut queue = Some(queue);
    assert!(forked(|| {
        drop(queue.take());
        true
    }));
    assert_eq!(consumer.try_get(), Err(TryGetError::Empty));
    drop(queue);
    assert_eq!(consumer.try_get(), Err(TryGetError::Disconnected));
}

fn is_readable(thing: &dyn AsFd) -> bool {
    !wait_any(&[thing], Some(Duration::ZERO)).unwrap().is_empty()
}

fn hold_a_task(consumer: Consumer<u32>, held: Stage) {
    let _task = consumer.get_task().unwrap();
    held.advance();
    loop {
        thread::park();
    }
}

/// What is being worked on may come back: whoever took that for the end would not be there to do it.
#[test]
fn there_is_no_end_while_another_process_has_a_task() {
    let _watchdog = watchdog();
    let (queue, consumer) = ends_with_producers(4);
    let held = Stage::new();
    let holder = Process::builder().daemon(true).spawn(hold_a_task, (&consumer, &held)).unwrap();
    queue.put(7).unwrap();
    drop(queue);
    held.wait_for(1);
    assert_eq!(consumer.try_get(), Err(TryGetError::Empty));
    assert!(!is_readable(&consumer));
    let waiting = Process::spawn(get_number, (&consumer,)).unwrap();
    wait_for_state(waiting.pid(), 'S');
    holder.kill().unwrap();
    assert_eq!(waiting.join().unwrap(), Ok(7));
    assert_eq!(wait_any(&[&consumer], None), Ok(vec![0]));
    assert_eq!(consumer.get(), Err(GetError::Disconnected));
}

fn get_number(consumer: Consumer<u32>) -> Result<u32> {
    Ok(consumer.get()?)
}

#[test]
fn the_end_comes_with_the_last_task() {
    let _watchdog = watchdog();
    let (queue, consumer) = ends_with_producers(4);
    (0..2).for_each(|number| queue.put(number).unwrap());
    drop(queue);
    let [first, second] = [(), ()].map(|()| consumer.get_task().unwrap());
    let waiting = Process::spawn(get_number, (&consumer,)).unwrap();
    wait_for_state(waiting.pid(), 'S');
    drop(first);
    second.give_back();
    assert_eq!(waiting.join().unwrap(), Ok(1));
    assert_eq!(consumer.get(), Err(GetError::Disconnected));
}

/// What shared memory says later is not believed: a peer that writes there ends nobody's queue.
#[test]
fn with_whom_a_queue_ends_is_what_was_checked() {
    // `ends`: the header, the table of peers, the object's header, and where it lies in a queue.
    const ENDS: u64 = 128 + 8 * 256 + 128 + 280;
    let queue = Queue::<u32>::new(1).unwrap();
    let consumer = queue.consumer();
    let memory = File::from(queue.memory_fd().try_clone_to_owned().unwrap());
    drop(queue);
    memory.write_all_at(&1_u64.to_ne_bytes(), ENDS).unwrap();
    assert_eq!(consumer.try_get(), Err(TryGetError::Empty));
    assert!(!is_readable(&consumer));
}
