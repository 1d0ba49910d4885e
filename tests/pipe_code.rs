//! Messages whose own code makes trouble while they are sent and received: it forks, or there is no memory for them.

mod common;

use std::cell::Cell;
use std::io::{PipeWriter, Read};

use common::watchdog;
use crossproc::{
    Error, PipeBuilder, Process, Receiver, RecvError, SendError, Sender, TryRecvError, TrySendError, channel,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

crossproc::test_support!();

thread_local! {
    /// Whether the next message forks, once.
    static FORKS: Cell<bool> = const { Cell::new(false) };
    /// The copy that it made, which waits until the other end of its pipe is closed.
    static COPY: Cell<Option<(libc::pid_t, PipeWriter)>> = const { Cell::new(None) };
}

/// A message that forks while it is encoded or decoded.
#[derive(Debug, PartialEq)]
struct Forks(u32);

fn fork_if_asked() {
    if !FORKS.take() {
        return;
    }
    let (mut gate, opener) = std::io::pipe().unwrap();
    // SAFETY: the copy does what other threads cannot have broken by disappearing, and ends with _exit.
    match unsafe { libc::fork() } {
        0 => {
            drop(opener);
            assert_eq!(gate.read(&mut [0]).unwrap(), 0);
        }
        copy => COPY.set(Some((copy, opener))),
    }
}

/// Lets the copy go on with its call, and waits for its end.
fn finish_copy() {
    let (copy, opener) = COPY.take().unwrap();
    drop(opener);
    let mut status = -1;
    // SAFETY: our child; `status` outlives the call.
    assert_eq!(unsafe { libc::waitpid(copy, &raw mut status, 0) }, copy);
    assert_eq!(status, 0, "what the copy found");
}

impl Serialize for Forks {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        fork_if_asked();
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Forks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        fork_if_asked();
        u32::deserialize(deserializer).map(Forks)
    }
}

/// Ends the copy, if this is one.
fn end_copy(original: u32, is_as_expected: impl FnOnce() -> bool) {
    if std::process::id() != original {
        // SAFETY: ends the copy at once, without destructors.
        unsafe { libc::_exit(i32::from(!is_as_expected())) };
    }
}

/// Messages through a channel that has room for three: among so many, the sender looks where the receiver is.
fn exchange(sender: &mut Sender<Forks>, receiver: &mut Receiver<Forks>) {
    for round in 0..10 {
        let numbers = [round, round + 1, round + 2];
        assert_eq!(numbers.map(|number| sender.try_send(Forks(number))), [Ok(()), Ok(()), Ok(())]);
        assert_eq!(numbers.map(|_| receiver.try_recv()), numbers.map(|number| Ok(Forks(number))));
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    }
}

#[test]
fn a_copy_made_while_a_message_is_encoded_sends_nothing() {
    let _watchdog = watchdog();
    let original = std::process::id();
    let (mut sender, mut receiver) = PipeBuilder::new().capacity(64).channel::<Forks>().unwrap();
    // The first one is encoded otherwise than those after it.
    for number in 0..3 {
        FORKS.set(true);
        let sent = sender.send(Forks(number));
        end_copy(original, || matches!(sent, Err(SendError::Failed { error: Error::GivenAway { .. }, .. })));
        assert_eq!((sent, receiver.recv()), (Ok(()), Ok(Forks(number))));
        exchange(&mut sender, &mut receiver);
        finish_copy();
        exchange(&mut sender, &mut receiver);
    }
}

#[test]
fn a_copy_made_while_a_message_is_decoded_gives_nothing_back() {
    let _watchdog = watchdog();
    let original = std::process::id();
    let (mut sender, mut receiver) = PipeBuilder::new().capacity(64).channel::<Forks>().unwrap();
    sender.send(Forks(1)).unwrap();
    FORKS.set(true);
    let received = receiver.recv();
    end_copy(original, || matches!(receiver.recv(), Err(RecvError::Failed(Error::GivenAway { .. }))));
    assert_eq!(received, Ok(Forks(1)));
    exchange(&mut sender, &mut receiver);
    finish_copy();
    exchange(&mut sender, &mut receiver);
}

#[test]
fn a_forked_copy_is_no_end() {
    let _watchdog = watchdog();
    let (mut sender, mut receiver) = channel::<u32>().unwrap();
    // SAFETY: the child calls nothing that another thread may have locked, and exits.
    match unsafe { libc::fork() } {
        0 => {
            let refused = matches!(sender.send(1), Err(SendError::Failed { error: Error::GivenAway { .. }, .. }))
                && matches!(receiver.try_recv(), Err(TryRecvError::Failed(Error::GivenAway { .. })));
            drop(sender);
            drop(receiver);
            // SAFETY: ends the child at once, without destructors.
            unsafe { libc::_exit(i32::from(!refused)) }
        }
        child => {
            let mut status = -1;
            // SAFETY: `child` is ours, and `status` outlives the call.
            unsafe { libc::waitpid(child, &raw mut status, 0) };
            assert_eq!(status, 0);
        }
    }
    sender.send(2).unwrap();
    assert_eq!(receiver.recv(), Ok(2));
}

/// setrlimit(2): so many bytes of address space from now on, beyond those in use.
fn limit_address_space(beyond: u64) {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = statm.split_whitespace().next().unwrap().parse().unwrap();
    // SAFETY: an integer only.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) }.cast_unsigned();
    let most = pages * page + beyond;
    let limit = libc::rlimit { rlim_cur: most, rlim_max: most };
    // SAFETY: reads a live rlimit.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const limit) }, 0);
}

#[test]
fn a_message_for_which_there_is_no_memory_comes_back() {
    let _watchdog = watchdog();
    let refused = || {
        let (mut sender, mut receiver) = channel::<Vec<u8>>().unwrap();
        let message = vec![7; 48 << 20];
        limit_address_space(32 << 20);
        let refused = sender.try_send(message);
        let Err(TrySendError::Failed { message, error: Error::NoSpace { .. } }) = refused else { return false };
        assert!(message.len() == 48 << 20);
        sender.send(vec![1, 2]).unwrap();
        receiver.recv() == Ok(vec![1, 2])
    };
    assert!(Process::spawn(refused, ()).unwrap().join().unwrap());
}
