//! Messages that are longer than the ring: they come in pieces.

mod common;

use std::fs;
use std::thread;
use std::time::Duration;

use common::locking::{Stage, wait_for_state};
use common::piping::bytes;
use common::watchdog;
use crossproc::{
    Error, PipeBuilder, Process, Receiver, RecvIntoError, Sender, TryRecvIntoError, TrySendError, channel,
};

crossproc::test_support!();

/// What calls that had no more time have put into their buffers is part of what the last one gets.
#[test]
fn pieces_that_came_in_time_are_kept() {
    let _watchdog = watchdog();
    for size in [3_000, 300_000] {
        let (mut sender, mut receiver) = PipeBuilder::new().capacity(1024).channel::<()>().unwrap();
        let message = bytes(size, 1);
        thread::scope(|scope| {
            scope.spawn(|| sender.send_bytes(&message).unwrap());
            let mut calls = 0;
            let (length, buffer) = loop {
                calls += 1;
                let mut buffer = vec![0xAA; size + calls % 3];
                let got = match calls % 3 {
                    0 => receiver.try_recv_bytes_into(&mut buffer),
                    1 => receiver.recv_bytes_into_timeout(&mut buffer, Duration::from_micros(1)),
                    // Too short for all of it.
                    _ => receiver.recv_bytes_into_timeout(&mut buffer[..size / 2], Duration::from_micros(20)),
                };
                match got {
                    Ok(length) => break (length, buffer),
                    Err(TryRecvIntoError::Empty) => {}
                    Err(TryRecvIntoError::BufferTooShort(refused)) => {
                        assert_eq!((refused.message, refused.buffer), (size, size / 2));
                    }
                    Err(other) => panic!("{other:?}"),
                }
            };
            assert!(length == size && buffer[..size] == message, "{size} bytes, {calls} calls");
        });
    }
}

#[test]
fn what_a_sender_gave_up_is_no_part_of_the_next_message() {
    let _watchdog = watchdog();
    for next in [7, 5_000] {
        let (mut sender, mut receiver) = PipeBuilder::new().capacity(1024).channel::<()>().unwrap();
        let given_up = sender.send_bytes_timeout(&[1; 10_000], Duration::from_millis(1));
        assert_eq!(given_up, Err(TrySendError::Full(())));
        let message = bytes(next, 2);
        thread::scope(|scope| {
            scope.spawn(|| sender.send_bytes(&message).unwrap());
            let mut buffer = vec![0; 10_000];
            assert_eq!(receiver.recv_bytes_into(&mut buffer), Ok(next));
            assert_eq!(buffer[..next], message);
        });
    }
}

#[test]
fn half_a_message_of_a_killed_process_is_no_message() {
    let _watchdog = watchdog();
    let (sender, mut receiver) = PipeBuilder::new().capacity(1024).channel::<()>().unwrap();
    let stage = Stage::new();
    let send = |mut sender: Sender<()>, stage: Stage| {
        stage.advance();
        sender.send_bytes(&[1; 10_000]).unwrap();
    };
    let process = Process::spawn(send, (sender, &stage)).unwrap();
    stage.wait_for(1);
    wait_for_state(process.pid(), 'S'); // the ring is full of pieces
    process.kill().unwrap();
    process.wait();
    assert_eq!(receiver.recv_bytes_into(&mut [0; 20_000]), Err(RecvIntoError::EndOfFile));
}

/// Does `work` while this process can have no more than 16 MiB besides what it has.
fn with_little_memory<R>(work: impl FnOnce() -> R) -> R {
    let pages = fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = pages.split(' ').next().unwrap().parse().unwrap();
    // SAFETY: asks for a number.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as u64;
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel writes a limit.
    assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_AS, &raw mut limit) }, 0);
    let little = libc::rlimit { rlim_cur: pages * page + (16 << 20), ..limit };
    // SAFETY: the kernel reads a limit, here and below.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const little) }, 0);
    let result = work();
    // SAFETY: as above.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const limit) }, 0);
    result
}

/// As pieces of it are in a buffer that is too short, and there is no memory to collect them in.
#[test]
fn a_message_for_which_there_is_no_memory_stays_whole() {
    let _watchdog = watchdog();
    const SIZE: usize = 64 << 20;
    let receive = |mut receiver: Receiver<()>| {
        let mut buffer = vec![1; SIZE - 1];
        let refused = with_little_memory(|| receiver.recv_bytes_into(&mut buffer));
        assert!(matches!(refused, Err(RecvIntoError::Failed(Error::NoSpace { .. }))), "{refused:?}");
        assert!(receiver.recv_bytes().unwrap() == bytes(SIZE, 1));
        assert_eq!(receiver.recv_bytes(), Ok(b"next".to_vec()));
    };
    let (mut sender, receiver) = channel().unwrap();
    let process = Process::spawn(receive, (receiver,)).unwrap();
    sender.send_bytes(&bytes(SIZE, 1)).unwrap();
    sender.send_bytes(b"next").unwrap();
    process.join().unwrap();
}

/// How many pages this process has been given.
fn faults() -> i64 {
    // SAFETY: integers only; all zeroes is a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes the usage.
    assert_eq!(unsafe { libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) }, 0);
    usage.ru_minflt
}

const LONG: usize = 4 << 20;
const MANY: usize = 10;

/// Pages that it takes to receive many more when two have been received.
fn faults_of(mut receiver: Receiver<()>, receive: fn(&mut Receiver<()>, &mut [u8])) -> i64 {
    let mut buffer = vec![1; LONG];
    for _ in 0..2 {
        receive(&mut receiver, &mut buffer);
    }
    let before = faults();
    for _ in 0..MANY {
        receive(&mut receiver, &mut buffer);
    }
    faults() - before
}

#[test]
fn long_messages_in_a_row_take_their_memory_once() {
    let _watchdog = watchdog();
    let into_buffer = |receiver: Receiver<()>| {
        faults_of(receiver, |receiver, buffer| assert_eq!(receiver.recv_bytes_into(buffer), Ok(LONG)))
    };
    let lent = |receiver: Receiver<()>| {
        faults_of(receiver, |receiver, _| assert_eq!(receiver.recv_ref().unwrap().len(), LONG))
    };
    let (sender, receiver) = channel().unwrap();
    take_little_memory(sender, Process::spawn(into_buffer, (receiver,)).unwrap());
    let (sender, receiver) = channel().unwrap();
    take_little_memory(sender, Process::spawn(lent, (receiver,)).unwrap());
}

fn take_little_memory(mut sender: Sender<()>, receiving: Process<i64>) {
    let message = vec![1; LONG];
    for _ in 0..2 + MANY {
        sender.send_bytes(&message).unwrap();
    }
    let faults = receiving.join().unwrap();
    assert!(faults < 500, "{faults} pages for {MANY} messages, each of which has a thousand");
}
