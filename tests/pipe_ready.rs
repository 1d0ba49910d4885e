//! What has been announced is there: by `poll`, by a descriptor, level by level and edge by edge, also after a death.

mod common;

use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Duration;

use common::locking::Stage;
use common::watchdog;
use crossproc::{
    Connection, PipeBuilder, Process, Receiver, RecvError, SendError, Sender, TryRecvError, TrySendError, channel,
    pipe, wait_any,
};
use serde::{Deserialize, Deserializer, Serialize};

crossproc::test_support!();

const ROUNDS: u32 = if cfg!(debug_assertions) { 10 } else { 50 };

/// So many calls in a row that the next ones hardly look at the clock.
const DENSE: u32 = 40;

/// A channel whose sender a process holds that will be killed.
fn held() -> (Receiver<u32>, Process<()>) {
    let (sender, mut receiver) = channel().unwrap();
    let hold = |mut sender: Sender<u32>| {
        sender.send(1).unwrap();
        thread::park();
    };
    let process = Process::spawn(hold, (sender,)).unwrap();
    assert_eq!(receiver.recv(), Ok(1));
    (receiver, process)
}

fn is_readable(thing: &dyn AsFd) -> bool {
    !wait_any(&[thing], Some(Duration::ZERO)).unwrap().is_empty()
}

#[test]
fn an_end_that_was_announced_is_there() {
    let _watchdog = watchdog();
    let announced: [fn(&mut Receiver<u32>); 3] = [
        |receiver| while !receiver.poll(Duration::from_secs(60)).unwrap() {},
        |receiver| while !receiver.poll(Duration::ZERO).unwrap() {},
        |receiver| assert_eq!(wait_any(&[&*receiver], None), Ok(vec![0])),
    ];
    for announced in announced.into_iter().cycle().take(3 * ROUNDS as usize / 10) {
        let (mut receiver, process) = held();
        receiver.readiness().unwrap();
        for _ in 0..DENSE {
            assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
        }
        process.kill().unwrap();
        announced(&mut receiver);
        for _ in 0..DENSE {
            assert_eq!(receiver.try_recv(), Err(TryRecvError::EndOfFile));
        }
        assert_eq!(receiver.as_raw_fd(), receiver.as_fd().as_raw_fd());
    }
}

#[test]
fn who_has_seen_the_end_sends_no_more() {
    let _watchdog = watchdog();
    let (mut here, there) = pipe::<(), ()>().unwrap();
    let process = Process::spawn(|_there: Connection<(), ()>| thread::park(), (there,)).unwrap();
    for _ in 0..DENSE {
        here.try_send(()).unwrap();
    }
    process.kill().unwrap();
    assert_eq!(here.recv(), Err(RecvError::EndOfFile));
    for _ in 0..DENSE {
        assert_eq!(here.try_send(()), Err(TrySendError::BrokenPipe(())));
    }
    assert_eq!(here.send(()), Err(SendError::BrokenPipe(())));
}

#[test]
fn who_was_refused_once_is_refused_again() {
    let _watchdog = watchdog();
    let (mut sender, receiver) = channel::<()>().unwrap();
    let process = Process::spawn(|_receiver: Receiver<()>| thread::park(), (receiver,)).unwrap();
    process.kill().unwrap();
    while sender.try_send(()) != Err(TrySendError::BrokenPipe(())) {}
    for _ in 0..DENSE {
        assert_eq!(sender.try_send(()), Err(TrySendError::BrokenPipe(())));
    }
}

/// epoll(7) on the descriptor of one receiver, by edges.
struct Edges(OwnedFd);

impl Edges {
    fn of(thing: &dyn AsFd) -> Self {
        // SAFETY: an integer only.
        let descriptor = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        assert!(descriptor >= 0);
        // SAFETY: the kernel just made this descriptor for us.
        let edges = Edges(unsafe { OwnedFd::from_raw_fd(descriptor) });
        let mut event = libc::epoll_event { events: (libc::EPOLLIN | libc::EPOLLET).cast_unsigned(), u64: 0 };
        let watched = thing.as_fd().as_raw_fd();
        // SAFETY: both descriptors are open, and `event` outlives the call.
        let added = unsafe { libc::epoll_ctl(edges.0.as_raw_fd(), libc::EPOLL_CTL_ADD, watched, &raw mut event) };
        assert_eq!(added, 0);
        edges
    }

    fn wait(&self) {
        let mut event = libc::epoll_event { events: 0, u64: 0 };
        // SAFETY: `event` outlives the call, and has room for one.
        while unsafe { libc::epoll_wait(self.0.as_raw_fd(), &raw mut event, 1, -1) } != 1 {}
    }
}

/// An event loop that goes by edges, up to the end; how many messages it got.
fn drain_by_edges(receiver: &mut Receiver<Vec<u8>>) -> usize {
    receiver.readiness().unwrap();
    let (edges, mut count) = (Edges::of(receiver), 0);
    loop {
        edges.wait();
        loop {
            match receiver.try_recv() {
                Ok(message) => {
                    assert!(message.iter().all(|&byte| byte == count as u8), "message {count}");
                    count += 1;
                }
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::EndOfFile) => return count,
                Err(other) => panic!("{other}"),
            }
        }
    }
}

/// Each piece is an edge of its own, when the one before it has been taken.
#[test]
fn an_event_loop_that_goes_by_edges_gets_long_messages() {
    let _watchdog = watchdog();
    let (sender, mut receiver) = PipeBuilder::new().capacity(512).channel::<Vec<u8>>().unwrap();
    let send = |mut sender: Sender<Vec<u8>>| {
        (0..10 * ROUNDS).for_each(|number| sender.send(vec![number as u8; 20_000]).unwrap());
    };
    let process = Process::spawn(send, (sender,)).unwrap();
    assert_eq!(drain_by_edges(&mut receiver), 10 * ROUNDS as usize);
    process.join().unwrap();
}

#[test]
fn an_event_loop_that_goes_by_edges_learns_of_a_death() {
    let _watchdog = watchdog();
    for round in 0..ROUNDS {
        let (sender, mut receiver) = PipeBuilder::new().capacity(512).channel::<Vec<u8>>().unwrap();
        let stage = Stage::new();
        let send = |mut sender: Sender<Vec<u8>>, stage: Stage| {
            for number in 0.. {
                sender.send(vec![number as u8; number % 1000]).unwrap();
                stage.advance();
            }
        };
        let process = Process::spawn(send, (sender, &stage)).unwrap();
        thread::scope(|scope| {
            scope.spawn(|| {
                stage.wait_for(round * 20);
                process.kill().unwrap();
            });
            assert!(drain_by_edges(&mut receiver) >= round as usize * 20);
        });
    }
}

#[derive(Serialize)]
struct Panics;

impl<'de> Deserialize<'de> for Panics {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        panic!("of a message")
    }
}

#[test]
fn a_message_whose_decoding_panics_is_gone_and_its_descriptor_knows() {
    let _watchdog = watchdog();
    let (mut sender, mut receiver) = PipeBuilder::new().capacity(512).channel::<Panics>().unwrap();
    assert!(!is_readable(&receiver));
    let bytes = [0; 600];
    for length in [0, 10, 600] {
        thread::scope(|scope| {
            scope.spawn(|| sender.send_bytes(&bytes[..length]).unwrap());
            assert!(catch_unwind(AssertUnwindSafe(|| receiver.recv().is_ok())).is_err(), "{length} bytes");
        });
        assert!(!is_readable(&receiver), "{length} bytes");
        assert_eq!(receiver.try_recv_bytes(), Err(TryRecvError::Empty));
    }
}
