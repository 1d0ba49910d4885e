//! Event loops that wait for edges (`EPOLLET`): whoever takes until nothing is left, and then waits, misses nothing.

mod common;

use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use common::locking::Stage;
use common::watchdog;
use crossproc::{PipeBuilder, Process, Queue, Sender, TryGetError, TryRecvError};

crossproc::test_support!();

/// An epoll instance that waits for the edges of one descriptor.
struct Edges(OwnedFd);

impl Edges {
    fn of(thing: &dyn AsFd) -> Self {
        // SAFETY: an integer.
        let epoll = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        assert!(epoll >= 0);
        // SAFETY: just made for us.
        let epoll = unsafe { OwnedFd::from_raw_fd(epoll) };
        let mut event = libc::epoll_event { events: (libc::EPOLLIN | libc::EPOLLET).cast_unsigned(), u64: 0 };
        let descriptor = thing.as_fd().as_raw_fd();
        // SAFETY: the event outlives the call.
        let added = unsafe { libc::epoll_ctl(epoll.as_raw_fd(), libc::EPOLL_CTL_ADD, descriptor, &mut event) };
        assert_eq!(added, 0);
        Edges(epoll)
    }

    fn wait(&self) {
        let mut event = libc::epoll_event { events: 0, u64: 0 };
        // SAFETY: room for one event. Where a signal interrupts it, there is one look too many.
        unsafe { libc::epoll_wait(self.0.as_raw_fd(), &mut event, 1, -1) };
    }
}

/// The next piece may arrive when a call has found that there is none, and has not yet said so.
#[test]
fn a_receiver_of_long_messages_gets_every_edge() {
    let _watchdog = watchdog();
    let send = |mut sender: Sender<Vec<u8>>, bytes: usize, times: u32| {
        let message = vec![7; bytes];
        (0..times).for_each(|_| sender.send_bytes(&message).unwrap());
    };
    for (bytes, times) in [(30_000, 2000), (100_000, 500), (1_000_000, 50)] {
        let (sender, mut receiver) = PipeBuilder::new().capacity(1 << 14).channel::<Vec<u8>>().unwrap();
        let edges = Edges::of(&receiver);
        let process = Process::spawn(send, (sender, bytes, times)).unwrap();
        let mut received = 0;
        loop {
            match receiver.try_recv_bytes() {
                Ok(message) => {
                    assert_eq!(message.len(), bytes);
                    received += 1;
                }
                Err(TryRecvError::Empty) => edges.wait(),
                Err(error) => break assert_eq!(error, TryRecvError::EndOfFile),
            }
        }
        assert_eq!(received, times);
        process.join().unwrap();
    }
}

const ROUNDS: u32 = if cfg!(debug_assertions) { 500 } else { 5000 };

/// How many messages each of two consumers takes in a round.
const SHARE: u32 = 4;

/// Somebody else may take the last message, and then the next may come.
#[test]
fn a_queue_with_other_consumers_gets_every_edge() {
    let _watchdog = watchdog();
    let (queue, round) = (Queue::<u32>::new(2).unwrap(), Stage::new());
    let put = |queue: Queue<u32>, round: Stage| {
        for number in 1..=ROUNDS {
            round.wait_for(number);
            (0..2 * SHARE).for_each(|_| queue.put(number).unwrap());
        }
    };
    let take_share = |queue: Queue<u32>, round: Stage| {
        for number in 1..=ROUNDS {
            round.wait_for(number);
            (0..SHARE).for_each(|_| assert!(queue.get().is_ok()));
        }
    };
    let edges = Edges::of(&queue);
    let putting = Process::spawn(put, (&queue, &round)).unwrap();
    let taking = Process::spawn(take_share, (&queue, &round)).unwrap();
    for _ in 0..ROUNDS {
        round.advance();
        let mut got = 0;
        while got < SHARE {
            match queue.try_get() {
                Ok(_) => got += 1,
                Err(TryGetError::Empty) => edges.wait(),
                Err(error) => panic!("{error}"),
            }
        }
    }
    putting.join().unwrap();
    taking.join().unwrap();
}
