//! Event loops of epoll, with levels and with edges.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

use crossproc::{Event, Process, Queue, channel};

use crate::ROUNDS;
use crate::common::watchdog;
use crate::events::answer;

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

/// One that clears before it waits again loses no setting by edges.
#[test]
fn epoll_sees_edges_of_events() {
    let _watchdog = watchdog();
    let (there, here) = (Event::new().unwrap(), Event::new().unwrap());
    let process = Process::spawn(answer, (&there, &here)).unwrap();
    let epoll = Epoll::new();
    epoll.add(&here, 0, libc::EPOLLET);
    for _ in 0..ROUNDS {
        there.set();
        while !here.is_set() {
            assert_eq!(epoll.wait(-1), [0]);
        }
        here.clear();
    }
    process.join().unwrap();
}
