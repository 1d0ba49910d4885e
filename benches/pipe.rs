//! `channel` and `pipe` against the kernel's pipe and stream socket: streams one way, and round trips.
//!
//! | row | where | waits |
//! |---|---|---|
//! | stream | sender in this process on core 0, receiver in another one on core 1 | ours: a spin, then asleep; the rivals: asleep in the kernel |
//! | round trip | the same two, one message there and one back | the same; "polling": `try_recv` in a loop at both ends |
//!
//! Our channels hold four messages, and 1 MiB at least; but for "in pieces", where they are as `channel` makes them. The kernel's pipe has a
//! capacity of 1 MiB. Its readers know how long a message is. Our receivers copy messages of up to
//! 1 KiB into a buffer and borrow larger ones where they lie; every message is checked at its first and last word.

#![allow(clippy::needless_pass_by_value, reason = "what a process is given is its own")]

mod common;

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::time::Instant;

use common::{Plan, Samples, Table, Target, alternate, pin};
use crossproc::{Connection, PipeBuilder, Process, Receiver, Sender, channel, pipe};

fn main() {
    crossproc::init();
    let plan = Plan::from_args();
    let table = Table::new(plan, "pipe");
    let small = |least| [Target::AtLeast(least), Target::RatioAtLeast(10.0)];
    stream(plan, &table, 8, 2_000_000, &small(50.0));
    stream(plan, &table, 64, 2_000_000, &small(35.0));
    stream(plan, &table, 1 << 10, 400_000, &[Target::AtLeast(8.0)]);
    stream(plan, &table, 64 << 10, 20_000, &[Target::AtLeast(27.0)]);
    stream(plan, &table, 1 << 20, 1_000, &[Target::AtLeast(17.0)]);
    stream_in_pieces(plan, &table, 16 << 20, 40);
    round_trip(plan, &table, 8, Wait::Spin, &[Target::AtMost(480.0)]);
    round_trip(plan, &table, 8, Wait::Default, &[Target::AtMost(600.0)]);
    round_trip(plan, &table, 1 << 10, Wait::Default, &[Target::AtMost(1_300.0)]);
}

/// What the `number`th message of a stream has at both ends: words, as programs write them.
fn mark(number: usize, message: &mut [u8]) {
    let word = number.to_ne_bytes();
    let last = message.len() - word.len();
    message[..word.len()].copy_from_slice(&word);
    message[last..].copy_from_slice(&word);
}

fn check(number: usize, message: &[u8], size: usize) {
    let word = &number.to_ne_bytes()[..];
    assert!(message.len() == size && message.starts_with(word) && message.ends_with(word), "torn or lost");
}

/// Seconds from the first message to the last, as the receiver sees it.
fn receive_all(count: usize, mut receive: impl FnMut(usize)) -> f64 {
    let _pinned = pin(1);
    receive(0);
    let start = Instant::now();
    (1..count).for_each(receive);
    start.elapsed().as_secs_f64()
}

/// Sends all messages, and what the receiver measured, as messages or bytes a second.
fn send_all(size: usize, count: usize, process: Process<f64>, mut send: impl FnMut(&[u8])) -> f64 {
    let mut message = vec![0; size];
    for number in 0..count {
        mark(number, &mut message);
        send(&message);
    }
    let per_second = (count - 1) as f64 / process.join().unwrap();
    if is_large(size) { per_second * size as f64 / f64::from(1 << 30) } else { per_second / 1e6 }
}

fn is_large(size: usize) -> bool {
    size > 1 << 10
}

fn stream(plan: Plan, table: &Table, size: usize, count: usize, targets: &[Target]) {
    let _pinned = pin(0);
    let count = plan.of(count, 100);
    // The rivals are so much slower that a tenth of the messages takes them as long.
    let rivals_count = (count / 10).max(100);
    let [ours, os_pipe, socket] = alternate(
        plan.turns(),
        [&mut || our_stream(size, count), &mut || pipe_stream(size, rivals_count), &mut || {
            socket_stream(size, rivals_count)
        }],
    );
    let (name, unit) = (format!("stream of {}", in_words(size)), if is_large(size) { "GiB/s" } else { "M/s" });
    table.row(&name, unit, &ours, ("OS pipe, 1 MiB", &os_pipe), targets);
    table.row(&name, unit, &ours, ("Unix stream socket", &socket), &[]);
}

/// Messages that are longer than the ring, into a buffer, through what `channel` gives.
fn stream_in_pieces(plan: Plan, table: &Table, size: usize, count: usize) {
    let _pinned = pin(0);
    let count = plan.of(count, 10);
    let ours = || {
        let receive = |mut receiver: Receiver<()>, size: usize, count: usize| {
            let mut buffer = vec![0; size];
            receive_all(count, |number| {
                assert_eq!(receiver.recv_bytes_into(&mut buffer), Ok(size));
                check(number, &buffer, size);
            })
        };
        let (mut sender, receiver) = channel::<()>().unwrap();
        let process = Process::spawn(receive, (receiver, size, count)).unwrap();
        send_all(size, count, process, |message| sender.send_bytes(message).unwrap())
    };
    let [ours, os_pipe, socket] =
        alternate(plan.turns(), [&mut || ours(), &mut || pipe_stream(size, count), &mut || socket_stream(size, count)]);
    let name = format!("stream of {}, in pieces", in_words(size));
    table.row(&name, "GiB/s", &ours, ("OS pipe, 1 MiB", &os_pipe), &[]);
    table.row(&name, "GiB/s", &ours, ("Unix stream socket", &socket), &[Target::RatioAtLeast(1.0)]);
}

fn in_words(size: usize) -> String {
    match size {
        0..1024 => format!("{size} B"),
        1024..1_048_576 => format!("{} KiB", size >> 10),
        _ => format!("{} MiB", size >> 20),
    }
}

fn our_stream(size: usize, count: usize) -> f64 {
    let capacity = (4 * size).max(1 << 20);
    let (mut sender, receiver) = PipeBuilder::new().capacity(capacity).channel::<()>().unwrap();
    let receive = |mut receiver: Receiver<()>, size: usize, count: usize| {
        let mut buffer = vec![0; size];
        receive_all(count, |number| {
            if is_large(size) {
                check(number, &receiver.recv_ref().unwrap(), size);
            } else {
                let length = receiver.recv_bytes_into(&mut buffer).unwrap();
                check(number, &buffer[..length], size);
            }
        })
    };
    let process = Process::spawn(receive, (receiver, size, count)).unwrap();
    send_all(size, count, process, |message| sender.send_bytes(message).unwrap())
}

/// Starts a receiver whose standard input is `input`.
fn rival(input: impl Into<crossproc::Stdio>, size: usize, count: usize) -> Process<f64> {
    let receive = |size: usize, count: usize| {
        let mut input = inherited_input();
        let mut buffer = vec![0; size];
        receive_all(count, |number| {
            input.read_exact(&mut buffer).unwrap();
            check(number, &buffer, size);
        })
    };
    Process::builder().stdin(input).spawn(receive, (size, count)).unwrap()
}

/// Standard input without the buffer of `std::io::stdin`.
fn inherited_input() -> File {
    let input = std::io::stdin();
    let descriptor = std::os::fd::AsFd::as_fd(&input).try_clone_to_owned().unwrap();
    File::from(descriptor)
}

fn pipe_stream(size: usize, count: usize) -> f64 {
    let (input, mut output) = std::io::pipe().unwrap();
    // SAFETY: F_SETPIPE_SZ takes an int.
    let capacity = unsafe { libc::fcntl(output.as_raw_fd(), libc::F_SETPIPE_SZ, 1 << 20) };
    assert_eq!(capacity, 1 << 20, "{}", std::io::Error::last_os_error());
    let process = rival(input, size, count);
    send_all(size, count, process, |message| output.write_all(message).unwrap())
}

fn socket_stream(size: usize, count: usize) -> f64 {
    let (input, mut output) = UnixStream::pair().unwrap();
    let process = rival(std::os::fd::OwnedFd::from(input), size, count);
    send_all(size, count, process, |message| output.write_all(message).unwrap())
}

#[derive(Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
enum Wait {
    Spin,
    Default,
}

/// Receives into `buffer`, spinning or by default; false at the end.
fn receive(receiver: &mut Receiver<()>, buffer: &mut [u8], wait: Wait) -> bool {
    match wait {
        Wait::Default => receiver.recv_bytes_into(buffer).is_ok(),
        Wait::Spin => loop {
            match receiver.try_recv_bytes_into(buffer) {
                Ok(_) => return true,
                Err(crossproc::TryRecvIntoError::Empty) => std::hint::spin_loop(),
                Err(_) => return false,
            }
        },
    }
}

fn echo(connection: Connection<(), ()>, size: usize, wait: Wait) {
    let _pinned = pin(1);
    let (mut sender, mut receiver): (Sender<()>, Receiver<()>) = connection.split();
    let mut buffer = vec![0; size];
    while receive(&mut receiver, &mut buffer, wait) {
        sender.send_bytes(&buffer).unwrap();
    }
}

fn echo_over_socket(size: usize) {
    let _pinned = pin(1);
    let mut input = inherited_input();
    let mut buffer = vec![0; size];
    while input.read_exact(&mut buffer).is_ok() {
        input.write_all(&buffer).unwrap();
    }
}

fn round_trip(plan: Plan, table: &Table, size: usize, wait: Wait, targets: &[Target]) {
    let _pinned = pin(0);
    let count = plan.of(20_000, 50);
    let (here, there) = pipe().unwrap();
    let (mut sender, mut receiver): (Sender<()>, Receiver<()>) = here.split();
    let echoing = Process::spawn(echo, (there, size, wait)).unwrap();
    let (input, mut socket) = UnixStream::pair().unwrap();
    let input = std::os::fd::OwnedFd::from(input);
    let echoing_over_socket = Process::builder().stdin(input).spawn(echo_over_socket, (size,)).unwrap();
    let (mut message, mut answer) = (vec![0; size], vec![0; size]);
    let [ours, theirs] = alternate(
        plan.turns(),
        [
            &mut || {
                median_of(count, |number| {
                    mark(number, &mut message);
                    sender.send_bytes(&message).unwrap();
                    assert!(receive(&mut receiver, &mut answer, wait));
                    check(number, &answer, size);
                })
            },
            &mut || {
                let (mut message, mut answer) = (vec![0; size], vec![0; size]);
                median_of(count / 10, |number| {
                    mark(number, &mut message);
                    socket.write_all(&message).unwrap();
                    socket.read_exact(&mut answer).unwrap();
                    check(number, &answer, size);
                })
            },
        ],
    );
    let how = if wait == Wait::Spin { "polling" } else { "by default" };
    let name = format!("round trip of {}, {how}, p50", in_words(size));
    table.row(&name, "ns", &ours, ("Unix stream socket", &theirs), targets);
    drop((sender, receiver, socket));
    echoing.join().unwrap();
    echoing_over_socket.join().unwrap();
}

/// The median of the nanoseconds that one trip takes.
fn median_of(count: usize, mut trip: impl FnMut(usize)) -> f64 {
    let mut times = Vec::with_capacity(count);
    for number in 0..count {
        let start = Instant::now();
        trip(number);
        times.push(start.elapsed().as_secs_f64() * 1e9);
    }
    Samples::from(times).median()
}
