//! `wait_any`: timeouts, signals, and which of several things are ready.

use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use crossproc::{Process, Queue, Ring, Sender, TryRecvError, channel, pipe, wait_any};

use crate::common::watchdog;
use crate::wait_for;

const MOMENT: Duration = Duration::from_millis(20);

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
