//! How soon an event loop learns of a message: from just before the send in another process until `epoll_wait` has returned
//! and the message has been read.
//!
//! The loop, and the thread that keeps the descriptor right, on core 0, asleep when the message comes; the sender on core 1,
//! which sends one every 300 us. The rival is the kernel's pipe.

mod common;

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::thread;
use std::time::Duration;

use common::{Plan, Samples, Table, alternate, pin};
use crossproc::{Process, Queue, Sender, channel};

const PAUSE: Duration = Duration::from_micros(300);

fn main() {
    crossproc::init();
    let plan = Plan::from_args();
    let table = Table::new(plan, "poll");
    let count = plan.of(2_000, 20);
    let _pinned = pin(0);
    let [channel, queue, pipe] =
        alternate(plan.turns(), [&mut || over_channel(count), &mut || over_queue(count), &mut || over_pipe(count)]);
    table.row("send to epoll and recv, p50", "us", &channel, ("OS pipe", &pipe), &[]);
    table.row("put to epoll and get, p50", "us", &queue, ("OS pipe", &pipe), &[]);
}

/// Nanoseconds of the monotonic clock, which all processes share.
fn now() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes a live timespec.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now) };
    now.tv_sec.cast_unsigned() * 1_000_000_000 + now.tv_nsec.cast_unsigned()
}

/// Calls `send` with the time, again and again.
fn send_times(count: usize, mut send: impl FnMut(u64)) {
    let _pinned = pin(1);
    for _ in 0..count {
        thread::sleep(PAUSE);
        send(now());
    }
}

/// The median of the microseconds that it took, in an event loop of one descriptor.
fn wait_for_times(count: usize, descriptor: i32, mut receive: impl FnMut() -> u64) -> f64 {
    // SAFETY: an integer.
    let epoll = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
    assert!(epoll >= 0);
    // SAFETY: just made for us.
    let epoll = unsafe { OwnedFd::from_raw_fd(epoll) };
    let mut event = libc::epoll_event { events: libc::EPOLLIN.cast_unsigned(), u64: 0 };
    // SAFETY: the event outlives the call.
    assert_eq!(unsafe { libc::epoll_ctl(epoll.as_raw_fd(), libc::EPOLL_CTL_ADD, descriptor, &mut event) }, 0);
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        // SAFETY: room for one event.
        assert_eq!(unsafe { libc::epoll_wait(epoll.as_raw_fd(), &mut event, 1, -1) }, 1);
        let sent = receive();
        times.push((now() - sent) as f64 / 1e3);
    }
    Samples::from(times).median()
}

fn over_channel(count: usize) -> f64 {
    let (sender, mut receiver) = channel::<u64>().unwrap();
    let send = |mut sender: Sender<u64>, count: usize| send_times(count, |time| sender.send(time).unwrap());
    let process = Process::spawn(send, (sender, count)).unwrap();
    let median = wait_for_times(count, receiver.as_fd().as_raw_fd(), || receiver.try_recv().unwrap());
    process.join().unwrap();
    median
}

fn over_queue(count: usize) -> f64 {
    let queue = Queue::<u64>::new(16).unwrap();
    let put = |queue: Queue<u64>, count: usize| send_times(count, |time| queue.put(time).unwrap());
    let process = Process::spawn(put, (&queue, count)).unwrap();
    let median = wait_for_times(count, queue.as_fd().as_raw_fd(), || queue.try_get().unwrap());
    process.join().unwrap();
    median
}

fn over_pipe(count: usize) -> f64 {
    let (mut input, output) = std::io::pipe().unwrap();
    let write = |count: usize| {
        let mut output = File::from(std::io::stdout().as_fd().try_clone_to_owned().unwrap());
        send_times(count, |time| output.write_all(&time.to_ne_bytes()).unwrap());
    };
    let process = Process::builder().stdout(output).spawn(write, (count,)).unwrap();
    let descriptor = input.as_raw_fd();
    let median = wait_for_times(count, descriptor, || {
        let mut time = [0; 8];
        input.read_exact(&mut time).unwrap();
        u64::from_ne_bytes(time)
    });
    process.join().unwrap();
    median
}
