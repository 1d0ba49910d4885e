//! Descriptors for `poll`, and `wait_any`: what is readable when, across processes and deaths, and in event loops.

mod common;

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use common::locking::{Stage, wait_for_state};
use common::watchdog;
use crossproc::{
    Connection, Error, PipeBuilder, Process, Producer, Queue, RawValue, Receiver, Ring, Sender, TryGetError,
    TryRecvError, channel, pipe, wait_any,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

crossproc::test_support!();

const MOMENT: Duration = Duration::from_millis(20);

fn is_readable(thing: &dyn AsFd) -> bool {
    !wait_any(&[thing], Some(Duration::ZERO)).unwrap().is_empty()
}

fn wait_for(thing: &dyn AsFd) {
    assert_eq!(wait_any(&[thing], None), Ok(vec![0]));
}

/// For what other processes did, which is seen within the detection bound.
fn wait_until_unreadable(thing: &dyn AsFd) {
    while is_readable(thing) {
        thread::yield_now();
    }
}

/// What can be polled and got from, by any number of handles.
trait Stream: AsFd + Serialize + DeserializeOwned + Clone + Send + Sync + 'static {
    fn of(capacity: usize) -> Self;
    fn put(&self, number: u32);
    fn get(&self) -> Option<u32>;
    fn try_get(&self) -> Result<u32, TryGetError>;
    fn close(&self);
    /// Gets one, calls `meanwhile` before it is done, and then is done or gives it back.
    fn hold(&self, is_done: bool, meanwhile: impl FnOnce());
}

impl Stream for Ring<u32> {
    fn of(capacity: usize) -> Self {
        Ring::new(capacity).unwrap()
    }

    fn put(&self, number: u32) {
        Ring::put(self, number).unwrap();
    }

    fn get(&self) -> Option<u32> {
        Ring::get(self).ok()
    }

    fn try_get(&self) -> Result<u32, TryGetError> {
        Ring::try_get(self)
    }

    fn close(&self) {
        Ring::close(self);
    }

    fn hold(&self, is_done: bool, meanwhile: impl FnOnce()) {
        let taken = self.take().unwrap();
        meanwhile();
        if is_done { drop(taken) } else { taken.give_back() }
    }
}

impl Stream for Queue<u32> {
    fn of(capacity: usize) -> Self {
        Queue::new(capacity).unwrap()
    }

    fn put(&self, number: u32) {
        Queue::put(self, number).unwrap();
    }

    fn get(&self) -> Option<u32> {
        Queue::get(self).ok()
    }

    fn try_get(&self) -> Result<u32, TryGetError> {
        Queue::try_get(self)
    }

    fn close(&self) {
        Queue::close(self);
    }

    fn hold(&self, is_done: bool, meanwhile: impl FnOnce()) {
        let task = self.get_task().unwrap();
        meanwhile();
        if is_done { drop(task) } else { task.give_back() }
    }
}

/// Each of these holds for a `Ring` and for a `Queue`.
macro_rules! for_each_stream {
    ($($test:ident)*) => {
        mod ring {
            $(#[test] fn $test() { let _watchdog = super::watchdog(); super::$test::<super::Ring<u32>>(); })*
        }

        mod queue {
            $(#[test] fn $test() { let _watchdog = super::watchdog(); super::$test::<super::Queue<u32>>(); })*
        }
    };
}

for_each_stream! {
    a_put_of_another_process_makes_it_readable
    it_is_readable_until_it_is_drained
    it_is_unreadable_when_another_process_has_drained_it
    a_close_of_another_process_makes_it_readable_for_ever
    what_is_being_read_is_not_readable
    what_a_killed_consumer_had_is_readable_again
    what_was_there_before_the_first_look_is_readable
    clones_share_a_descriptor
    blocked_consumers_get_every_wake_up
    blocked_threads_get_every_wake_up
    every_message_is_announced
    event_loops_share_the_messages
    dropping_the_last_clone_ends_thread_and_descriptor
    a_forked_copy_has_its_own
}

fn a_put_of_another_process_makes_it_readable<S: Stream>() {
    let (stream, go) = (S::of(4), Stage::new());
    let put = |stream: S, go: Stage| {
        for number in 1..=20 {
            go.wait_for(number);
            stream.put(number);
        }
    };
    let process = Process::spawn(put, (&stream, &go)).unwrap();
    for number in 1..=20 {
        assert!(!is_readable(&stream));
        go.advance();
        wait_for(&stream);
        assert_eq!(stream.try_get(), Ok(number));
    }
    process.join().unwrap();
}

fn it_is_readable_until_it_is_drained<S: Stream>() {
    let stream = S::of(4);
    assert!(!is_readable(&stream));
    (0..3).for_each(|number| stream.put(number));
    for number in 0..3 {
        wait_for(&stream);
        assert_eq!(stream.get(), Some(number));
    }
    assert!(!is_readable(&stream));
    assert_eq!(stream.try_get(), Err(TryGetError::Empty));
    stream.close();
    wait_for(&stream);
}

fn it_is_unreadable_when_another_process_has_drained_it<S: Stream>() {
    let stream = S::of(4);
    stream.put(7);
    wait_for(&stream);
    assert_eq!(Process::spawn(|stream: S| stream.get(), (&stream,)).unwrap().join(), Ok(Some(7)));
    wait_until_unreadable(&stream);
    stream.put(8);
    wait_for(&stream);
    assert_eq!(Process::spawn(|stream: S| stream.get(), (&stream,)).unwrap().join(), Ok(Some(8)));
    // The look that finds nothing says so at once.
    assert_eq!(stream.try_get(), Err(TryGetError::Empty));
    assert!(!is_readable(&stream));
}

fn a_close_of_another_process_makes_it_readable_for_ever<S: Stream>() {
    let stream = S::of(4);
    assert!(!is_readable(&stream));
    let process = Process::spawn(|stream: S| stream.close(), (&stream,)).unwrap();
    wait_for(&stream);
    for _ in 0..3 {
        assert_eq!(stream.try_get(), Err(TryGetError::Closed));
        assert!(is_readable(&stream));
    }
    process.join().unwrap();
}

fn what_is_being_read_is_not_readable<S: Stream>() {
    let stream = S::of(4);
    stream.put(7);
    wait_for(&stream);
    stream.hold(false, || assert!(!is_readable(&stream)));
    wait_for(&stream);
    stream.close();
    // Not the end yet: it may be given back.
    stream.hold(false, || assert!(!is_readable(&stream)));
    wait_for(&stream);
    stream.hold(true, || assert!(!is_readable(&stream)));
    wait_for(&stream);
    assert_eq!(stream.try_get(), Err(TryGetError::Closed));
}

fn what_a_killed_consumer_had_is_readable_again<S: Stream>() {
    let (stream, stage) = (S::of(4), Stage::new());
    let hold = |stream: S, stage: Stage| {
        stream.hold(true, || {
            stage.advance();
            loop {
                thread::park();
            }
        });
    };
    let process = Process::spawn(hold, (&stream, &stage)).unwrap();
    stream.put(7);
    stage.wait_for(1);
    wait_until_unreadable(&stream);
    process.kill().unwrap();
    wait_for(&stream);
    assert_eq!(stream.try_get(), Ok(7));
    assert!(!is_readable(&stream));
}

fn what_was_there_before_the_first_look_is_readable<S: Stream>() {
    let stream = S::of(4);
    stream.put(1);
    assert!(is_readable(&stream));
    let closed = S::of(4);
    closed.close();
    assert!(is_readable(&closed));
}

fn clones_share_a_descriptor<S: Stream>() {
    let stream = S::of(4);
    let clone = stream.clone();
    assert_eq!(stream.as_fd().as_raw_fd(), clone.as_fd().as_raw_fd());
    clone.put(1);
    wait_for(&stream);
    assert_eq!(clone.get(), Some(1));
    assert!(!is_readable(&stream));
    drop(stream);
    clone.put(2);
    wait_for(&clone);
}

/// One wake-up each, of which the watcher must not keep any: at 50 ms for each message the watchdog would bark.
const ROUNDS: u32 = if cfg!(debug_assertions) { 2_000 } else { 3_000 };

fn blocked_consumers_get_every_wake_up<S: Stream>() {
    let (stream, got) = (S::of(4), RawValue::new(AtomicU32::new(0)).unwrap());
    let consume = |stream: S, got: RawValue<AtomicU32>| {
        while stream.get().is_some() {
            got.fetch_add(1, SeqCst);
        }
    };
    let process = Process::spawn(consume, (&stream, &got)).unwrap();
    stream.as_fd();
    for round in 0..ROUNDS {
        if round % 100 == 0 {
            wait_for_state(process.pid(), 'S');
        }
        stream.put(round);
        while got.load(SeqCst) == round {
            thread::yield_now();
        }
    }
    stream.close();
    process.join().unwrap();
}

fn blocked_threads_get_every_wake_up<S: Stream>() {
    let (stream, got) = (S::of(4), AtomicU32::new(0));
    stream.as_fd();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while stream.get().is_some() {
                    got.fetch_add(1, SeqCst);
                }
            });
        }
        for round in 0..ROUNDS {
            stream.put(round);
            while got.load(SeqCst) == round {
                thread::yield_now();
            }
        }
        stream.close();
    });
    assert_eq!(stream.try_get(), Err(TryGetError::Closed));
}

fn every_message_is_announced<S: Stream>() {
    let (there, here) = (S::of(4), S::of(4));
    let answer = |there: S, here: S| {
        while let Some(number) = there.get() {
            here.put(number);
        }
    };
    let process = Process::spawn(answer, (&there, &here)).unwrap();
    for round in 0..ROUNDS {
        there.put(round);
        wait_for(&here);
        assert_eq!(here.try_get(), Ok(round));
        assert!(!is_readable(&here));
    }
    there.close();
    process.join().unwrap();
}

fn event_loops_share_the_messages<S: Stream>() {
    const MESSAGES: u32 = 20_000;
    let stream = S::of(8);
    let take_all = |stream: S| {
        let mut sum = 0_u64;
        loop {
            wait_for(&stream);
            match stream.try_get() {
                Ok(number) => sum += u64::from(number),
                Err(TryGetError::Empty) => {} // somebody else was faster
                Err(TryGetError::Closed) => return sum,
                Err(other) => panic!("{other}"),
            }
        }
    };
    let process = Process::spawn(take_all, (&stream,)).unwrap();
    let threads: Vec<_> =
        (0..2).map(|_| stream.clone()).map(|stream| thread::spawn(move || take_all(stream))).collect();
    (1..=MESSAGES).for_each(|number| stream.put(number));
    stream.close();
    let here: u64 = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    assert_eq!(here + process.join().unwrap(), u64::from(MESSAGES) * u64::from(MESSAGES + 1) / 2);
}

/// Threads of this process that watch, and its descriptors that are eventfds. In a process of its own: tests run in threads.
fn watchers() -> (usize, usize) {
    let names = std::fs::read_dir("/proc/self/task").unwrap().flatten().map(|task| task.path().join("comm"));
    let threads = names.filter(|name| std::fs::read_to_string(name).is_ok_and(|name| name.trim() == "crossproc-watch"));
    let links = std::fs::read_dir("/proc/self/fd").unwrap().flatten().map(|entry| std::fs::read_link(entry.path()));
    let eventfds = links.flatten().filter(|link| link.to_string_lossy().contains("[eventfd]"));
    (threads.count(), eventfds.count())
}

fn dropping_the_last_clone_ends_thread_and_descriptor<S: Stream>() {
    let body = || {
        let stream = S::of(4);
        stream.put(1);
        assert_eq!((stream.get(), watchers()), (Some(1), (0, 0)));
        for is_ready in [false, true] {
            let stream = S::of(4);
            let clone = stream.clone();
            if is_ready {
                stream.put(1);
            }
            clone.as_fd();
            stream.as_fd();
            while watchers() != (1, 1) {} // until it has its name
            drop(clone);
            assert_eq!(watchers(), (1, 1));
            drop(stream);
            while watchers() != (0, 0) {} // until the kernel has it out of its list
        }
    };
    Process::spawn(body, ()).unwrap().join().unwrap();
}

fn a_forked_copy_has_its_own<S: Stream>() {
    let stream = S::of(4);
    stream.as_fd();
    // SAFETY: the copy uses the stream, which allows for it, and ends with _exit.
    match unsafe { libc::fork() } {
        0 => {
            let body = || {
                stream.put(1);
                wait_for(&stream);
                let clone = stream.clone();
                assert_eq!(clone.get(), Some(1));
                assert!(!is_readable(&stream));
                stream.put(2);
            };
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
            // SAFETY: ends the copy at once.
            unsafe { libc::_exit(i32::from(outcome.is_err())) }
        }
        copy => {
            let mut status = -1;
            // SAFETY: our child; `status` outlives the call.
            assert_eq!(unsafe { libc::waitpid(copy, &mut status, 0) }, copy);
            assert_eq!(status, 0);
        }
    }
    wait_for(&stream);
    assert_eq!(stream.get(), Some(2));
}

#[test]
fn a_send_of_another_process_makes_a_receiver_readable() {
    let _watchdog = watchdog();
    let (mut here, there) = pipe::<u32, u32>().unwrap();
    let echo = |mut there: Connection<u32, u32>| {
        while let Ok(number) = there.recv() {
            there.send(number).unwrap();
        }
    };
    let process = Process::spawn(echo, (there,)).unwrap();
    for round in 0..ROUNDS {
        assert!(!is_readable(&here));
        here.send(round).unwrap();
        wait_for(&here);
        assert_eq!(here.try_recv(), Ok(round));
    }
    drop(here);
    process.join().unwrap();
}

#[test]
fn a_receiver_is_readable_until_it_is_drained() {
    let _watchdog = watchdog();
    let (mut sender, mut receiver) = channel::<u32>().unwrap();
    assert!(!is_readable(&receiver));
    (0..3).for_each(|number| sender.send(number).unwrap());
    wait_for(&receiver);
    assert_eq!(receiver.recv(), Ok(0));
    assert!(is_readable(&receiver));
    assert_eq!(receiver.recv_bytes(), Ok(vec![1]));
    assert!(is_readable(&receiver));
    assert_eq!(*receiver.recv_ref().unwrap(), [2]);
    assert!(!is_readable(&receiver));
    sender.send_bytes(b"five").unwrap();
    wait_for(&receiver);
    // A message that stays, and one of which a part stays.
    assert!(receiver.recv_bytes_into(&mut [0; 1]).is_err() && is_readable(&receiver));
    receiver.reader().read_exact(&mut [0; 2]).unwrap();
    assert!(is_readable(&receiver));
    assert!(receiver.poll(Duration::ZERO).unwrap() && is_readable(&receiver));
    assert_eq!(receiver.recv_bytes(), Ok(b"ve".to_vec()));
    assert!(!is_readable(&receiver));
}

#[test]
fn a_sender_that_closes_or_dies_makes_its_receiver_readable_for_ever() {
    let _watchdog = watchdog();
    let (sender, mut receiver) = channel::<u32>().unwrap();
    assert!(!is_readable(&receiver));
    let linger = |mut sender: Sender<u32>| {
        sender.send(1).unwrap();
        thread::park();
    };
    let process = Process::spawn(linger, (sender,)).unwrap();
    wait_for(&receiver);
    assert_eq!(receiver.recv(), Ok(1));
    assert!(!is_readable(&receiver));
    process.kill().unwrap();
    wait_for(&receiver);
    while receiver.try_recv() != Err(TryRecvError::EndOfFile) {}
    assert!(is_readable(&receiver));

    let (sender, mut receiver) = channel::<u32>().unwrap();
    assert!(!is_readable(&receiver));
    drop(sender);
    wait_for(&receiver);
    assert_eq!(receiver.try_recv(), Err(TryRecvError::EndOfFile));
    assert!(is_readable(&receiver));
}

#[test]
fn a_message_in_pieces_is_received_by_an_event_loop() {
    let _watchdog = watchdog();
    let (sender, mut receiver) = PipeBuilder::new().capacity(4096).channel::<Vec<u8>>().unwrap();
    let send = |mut sender: Sender<Vec<u8>>| (0..20_u8).for_each(|n| sender.send(vec![n; 50_000]).unwrap());
    let process = Process::spawn(send, (sender,)).unwrap();
    let mut number = 0;
    loop {
        wait_for(&receiver);
        match receiver.try_recv() {
            Ok(message) => {
                assert!(message == vec![number; 50_000]);
                number += 1;
            }
            Err(TryRecvError::Empty) => {} // a part
            Err(error) => break assert_eq!((error, number), (TryRecvError::EndOfFile, 20)),
        }
    }
    process.join().unwrap();
}

#[test]
fn a_receiver_that_moves_is_readable_where_it_is() {
    let _watchdog = watchdog();
    let (mut sender, mut receiver) = channel::<u32>().unwrap();
    sender.send(1).unwrap();
    sender.send(2).unwrap();
    wait_for(&receiver);
    assert_eq!(receiver.recv(), Ok(1));
    let next = |mut receiver: Receiver<u32>| {
        wait_for(&receiver);
        let number = receiver.recv().unwrap();
        assert!(!is_readable(&receiver));
        (number, receiver)
    };
    let (number, mut receiver) = Process::spawn(next, (receiver,)).unwrap().join().unwrap();
    assert_eq!(number, 2);
    assert!(!is_readable(&receiver));
    sender.send(3).unwrap();
    wait_for(&receiver);
    assert_eq!(receiver.recv(), Ok(3));
}

#[test]
fn a_copy_of_a_receiver_has_no_descriptor() {
    let _watchdog = watchdog();
    let (_sender, receiver) = channel::<u32>().unwrap();
    receiver.as_fd();
    // SAFETY: the copy only asks, and ends with _exit.
    match unsafe { libc::fork() } {
        0 => {
            let is_refused = matches!(receiver.readiness(), Err(Error::GivenAway { .. }));
            // SAFETY: ends the copy at once.
            unsafe { libc::_exit(i32::from(!is_refused)) }
        }
        copy => {
            let mut status = -1;
            // SAFETY: our child; `status` outlives the call.
            assert_eq!(unsafe { libc::waitpid(copy, &mut status, 0) }, copy);
            assert_eq!(status, 0);
        }
    }
}

#[test]
fn a_killed_process_is_readable() {
    let _watchdog = watchdog();
    let process = Process::spawn(thread::park, ()).unwrap();
    assert!(!is_readable(&process));
    process.kill().unwrap();
    wait_for(&process);
    wait_for(process.child());
}

#[test]
fn a_timeout_is_never_early() {
    let _watchdog = watchdog();
    let queue = Queue::<u8>::new(1).unwrap();
    for timeout in [Duration::ZERO, Duration::from_micros(300), MOMENT] {
        for things in [&[&queue as &dyn AsFd][..], &[]] {
            let start = Instant::now();
            assert_eq!(wait_any(things, Some(timeout)), Ok(vec![]));
            assert!(start.elapsed() >= timeout);
        }
    }
    assert_eq!(wait_any(&[], None), Ok(vec![]));
}

/// A signal is no reason to come back, nor to begin anew.
#[test]
fn signals_do_not_end_a_wait() {
    let _watchdog = watchdog();
    extern "C" fn ignore(_: i32) {}
    // SAFETY: the handler does nothing; no SA_RESTART.
    unsafe { libc::signal(libc::SIGUSR1, ignore as extern "C" fn(i32) as libc::sighandler_t) };
    let queue = Queue::<u8>::new(1).unwrap();
    let (report, waiter) = std::sync::mpsc::channel();
    thread::scope(|scope| {
        let wait = scope.spawn(|| {
            // SAFETY: has no preconditions.
            report.send(unsafe { libc::pthread_self() }).unwrap();
            let start = Instant::now();
            let ready = wait_any(&[&queue], Some(5 * MOMENT));
            (ready, start.elapsed())
        });
        let waiter = waiter.recv().unwrap();
        while !wait.is_finished() {
            // SAFETY: the thread has not been joined.
            unsafe { libc::pthread_kill(waiter, libc::SIGUSR1) };
            thread::yield_now();
        }
        let (ready, elapsed) = wait.join().unwrap();
        assert!(ready == Ok(vec![]) && elapsed >= 5 * MOMENT);
    });
}

#[test]
fn all_that_are_ready_are_named_in_order() {
    let _watchdog = watchdog();
    let (queue, ring) = (Queue::new(2).unwrap(), Ring::new(2).unwrap());
    let (mut sender, receiver) = channel::<u8>().unwrap();
    let (mut here, there) = pipe::<u8, u8>().unwrap();
    let (mut stream, socket) = UnixStream::pair().unwrap();
    let process = Process::spawn(thread::park, ()).unwrap();
    let things: [&dyn AsFd; 6] = [&queue, &ring, &receiver, &there, &socket, &process];
    assert_eq!(wait_any(&things, Some(MOMENT)), Ok(vec![]));
    ring.put(1).unwrap();
    assert_eq!(wait_any(&things, None), Ok(vec![1]));
    process.kill().unwrap();
    process.wait();
    here.send(1).unwrap();
    wait_for(&there);
    assert_eq!(wait_any(&things, None), Ok(vec![1, 3, 5]));
    queue.put(1).unwrap();
    sender.send(1).unwrap();
    stream.write_all(b"1").unwrap();
    wait_for(&queue);
    wait_for(&receiver);
    assert_eq!(wait_any(&things, None), Ok(vec![0, 1, 2, 3, 4, 5]));
    assert_eq!((queue.get(), ring.get()), (Ok(1), Ok(1)));
    assert_eq!(wait_any(&things, None), Ok(vec![2, 3, 4, 5]));
}

/// A thing may be named twice, and one that is hung up or has no descriptor behind it is ready.
#[test]
fn what_is_in_error_is_ready() {
    let _watchdog = watchdog();
    let queue = Queue::new(1).unwrap();
    let (here, there) = UnixStream::pair().unwrap();
    drop(there);
    queue.put(1).unwrap();
    assert_eq!(wait_any(&[&queue, &here, &queue], None), Ok(vec![0, 1, 2]));
    // SAFETY: far above every descriptor; nothing but `poll` uses it.
    let nobody = unsafe { BorrowedFd::borrow_raw(i32::MAX) };
    assert_eq!(wait_any(&[&nobody], None), Ok(vec![0]));
}

/// Everybody sends, some slowly, and goes; whoever waits for all gets everything and sees everybody go.
#[test]
fn many_senders_are_waited_for_until_each_is_gone() {
    let _watchdog = watchdog();
    let send = |mut sender: Sender<(u32, u32)>, who: u32| {
        for number in 0..10 {
            if who.is_multiple_of(2) {
                thread::yield_now();
            }
            sender.send((number, who)).unwrap();
        }
    };
    let mut receivers = Vec::new();
    let mut processes = Vec::new();
    for who in 0..4 {
        let (sender, receiver) = channel().unwrap();
        processes.push(Process::spawn(send, (sender, who)).unwrap());
        receivers.push(receiver);
    }
    let mut messages = Vec::new();
    while !receivers.is_empty() {
        let things: Vec<&dyn AsFd> = receivers.iter().map(|receiver| receiver as &dyn AsFd).collect();
        for index in wait_any(&things, None).unwrap().into_iter().rev() {
            match receivers[index].try_recv() {
                Ok(message) => messages.push(message),
                Err(TryRecvError::EndOfFile) => drop(receivers.remove(index)),
                Err(other) => panic!("{other}"),
            }
        }
    }
    messages.sort_unstable();
    assert_eq!(messages, (0..10).flat_map(|number| (0..4).map(move |who| (number, who))).collect::<Vec<_>>());
    processes.into_iter().for_each(|process| process.join().unwrap());
}

/// There is nothing but a slot that a dead producer had claimed: whoever gets mends it, and finds the end.
#[test]
fn a_closed_ring_full_of_what_a_dead_producer_had_claimed_is_readable() {
    let _watchdog = watchdog();
    for is_queried_before in [false, true] {
        let (ring, stage) = (Ring::<u32>::new(1).unwrap(), Stage::new());
        let claim = |ring: Ring<u32>, stage: Stage| {
            let _slot = ring.reserve().unwrap();
            stage.advance();
            stage.wait_for(2);
        };
        let process = Process::spawn(claim, (&ring, &stage)).unwrap();
        stage.wait_for(1);
        if is_queried_before {
            assert!(!is_readable(&ring));
        }
        process.kill().unwrap();
        process.wait();
        ring.close();
        assert_eq!(wait_any(&[&ring], Some(Duration::from_secs(5))), Ok(vec![0]));
        assert_eq!(ring.try_get(), Err(TryGetError::Closed));
    }
}

/// The end of a queue that ends with its producers: told by the last one that goes, or found out.
#[test]
fn a_queue_without_producers_is_readable() {
    let _watchdog = watchdog();
    for is_killed in [false, true] {
        let queue = Queue::<u32>::builder().capacity(4).end_with_producers(true).build().unwrap();
        let (producer, consumer) = (queue.producer(), queue.consumer());
        drop(queue);
        let put = |producer: Producer<u32>, is_killed: bool| {
            producer.put(7).unwrap();
            if is_killed {
                thread::park();
            }
        };
        let process = Process::spawn(put, (producer, is_killed)).unwrap();
        wait_for(&consumer);
        assert_eq!(consumer.get(), Ok(7));
        if is_killed {
            assert!(!is_readable(&consumer));
            process.kill().unwrap();
        }
        wait_for(&consumer);
        assert_eq!(consumer.try_get(), Err(TryGetError::Disconnected));
        assert!(is_readable(&consumer));
        process.wait();
    }
}

/// An epoll instance, with the number of each descriptor that it is to say.
struct Epoll(OwnedFd);

impl Epoll {
    fn new() -> Self {
        // SAFETY: an integer.
        let descriptor = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        assert!(descriptor >= 0);
        // SAFETY: just made for us.
        Epoll(unsafe { OwnedFd::from_raw_fd(descriptor) })
    }

    fn add(&self, thing: &dyn AsFd, number: u64, flags: i32) {
        let mut event = libc::epoll_event { events: (libc::EPOLLIN | flags).cast_unsigned(), u64: number };
        let fd = thing.as_fd().as_raw_fd();
        // SAFETY: the event outlives the call.
        assert_eq!(unsafe { libc::epoll_ctl(self.0.as_raw_fd(), libc::EPOLL_CTL_ADD, fd, &mut event) }, 0);
    }

    fn wait(&self, timeout: i32) -> Vec<u64> {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; 8];
        let count = loop {
            // SAFETY: room for eight events.
            let count = unsafe { libc::epoll_wait(self.0.as_raw_fd(), events.as_mut_ptr(), 8, timeout) };
            // Signals that other tests send interrupt it, too; that it is not restarted is epoll's own way.
            if count >= 0 || std::io::Error::last_os_error().kind() != std::io::ErrorKind::Interrupted {
                break count;
            }
        };
        let mut numbers: Vec<_> = events[..usize::try_from(count).unwrap()].iter().map(|event| event.u64).collect();
        numbers.sort_unstable();
        numbers
    }
}

#[test]
fn epoll_sees_levels_beside_a_socket() {
    let _watchdog = watchdog();
    let (queue, (mut sender, mut receiver)) = (Queue::new(4).unwrap(), channel::<u8>().unwrap());
    let (mut stream, mut socket) = UnixStream::pair().unwrap();
    let epoll = Epoll::new();
    epoll.add(&queue, 0, 0);
    epoll.add(&receiver, 1, 0);
    epoll.add(&socket, 2, 0);
    assert_eq!(epoll.wait(20), []);
    queue.put(1).unwrap();
    queue.put(2).unwrap();
    for _ in 0..3 {
        assert_eq!(epoll.wait(-1), [0]);
    }
    assert_eq!(queue.get(), Ok(1));
    assert_eq!(epoll.wait(-1), [0]);
    assert_eq!(queue.get(), Ok(2));
    assert_eq!(epoll.wait(0), []);
    stream.write_all(b"x").unwrap();
    assert_eq!(epoll.wait(-1), [2]);
    sender.send(1).unwrap();
    while epoll.wait(-1) != [1, 2] {}
    socket.read_exact(&mut [0]).unwrap();
    assert_eq!(epoll.wait(-1), [1]);
    receiver.recv().unwrap();
    assert_eq!(epoll.wait(0), []);
    drop(sender);
    assert_eq!(epoll.wait(-1), [1]);
    drop(receiver); // closes its descriptor, and so leaves the instance
    assert_eq!(epoll.wait(0), []);
}

/// An event loop that drains before it waits again loses nothing by edges.
#[test]
fn epoll_sees_edges() {
    let _watchdog = watchdog();
    let (there, here) = (Queue::new(4).unwrap(), Queue::new(4).unwrap());
    let answer = |there: Queue<u32>, here: Queue<u32>| {
        while let Ok(number) = there.get() {
            here.put(number).unwrap();
        }
    };
    let process = Process::spawn(answer, (&there, &here)).unwrap();
    let epoll = Epoll::new();
    epoll.add(&here, 0, libc::EPOLLET);
    let mut expected = VecDeque::new();
    for round in 0..ROUNDS {
        there.put(round).unwrap();
        expected.push_back(round);
        while !expected.is_empty() {
            assert_eq!(epoll.wait(-1), [0]);
            while let Ok(number) = here.try_get() {
                assert_eq!(Some(number), expected.pop_front());
            }
        }
    }
    there.close();
    process.join().unwrap();
}

/// A process ends with watchers at work, and by all ways.
#[test]
fn watchers_do_not_keep_a_process() {
    let _watchdog = watchdog();
    let body = |way: u32| {
        let queues: Vec<_> = (0..8).map(|_| Queue::<u8>::new(1).unwrap()).collect();
        assert!(queues.iter().all(|queue| queue.readiness().is_ok()));
        std::mem::forget(queues.clone());
        match way {
            0 => {}
            1 => std::process::exit(0),
            _ => std::mem::forget(queues),
        }
    };
    for way in 0..3 {
        let process = Process::spawn(body, (way,)).unwrap();
        assert_eq!(process.wait(), crossproc::Exit::Code(0));
    }
}

#[test]
fn without_descriptors_readiness_is_an_error() {
    let _watchdog = watchdog();
    let body = || {
        let queue = Queue::<u8>::new(1).unwrap();
        let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: reads a live rlimit.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &none) }, 0);
        match queue.readiness() {
            Err(Error::Os { source, .. }) => source.code() == libc::EMFILE,
            _ => false,
        }
    };
    assert_eq!(Process::spawn(body, ()).unwrap().join(), Ok(true));
}
