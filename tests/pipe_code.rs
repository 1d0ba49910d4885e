//! Messages whose own code makes trouble while they are sent and received: it forks, or there is no memory for them.

mod common;

use std::cell::Cell;

use common::watchdog;
use crossproc::{Error, PipeBuilder, Process, RecvError, SendError, TryRecvError, TrySendError, channel};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

crossproc::test_support!();

thread_local! {
    /// Whether the next message forks, once.
    static FORKS: Cell<bool> = const { Cell::new(false) };
}

/// A message that forks while it is encoded or decoded. The original goes on when the copy has ended.
#[derive(Debug, PartialEq)]
struct Forks(u32);

/// The original waits for its copy, which must find what it should.
fn fork_if_asked() {
    if !FORKS.take() {
        return;
    }
    // SAFETY: the copy does what other threads cannot have broken by disappearing, and ends with _exit.
    match unsafe { libc::fork() } {
        0 => {}
        copy => {
            let mut status = -1;
            // SAFETY: our child; `status` outlives the call.
            assert_eq!(unsafe { libc::waitpid(copy, &raw mut status, 0) }, copy);
            assert_eq!(status, 0, "what the copy found");
        }
    }
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

#[test]
fn a_copy_made_while_a_message_is_encoded_sends_nothing() {
    let _watchdog = watchdog();
    let original = std::process::id();
    let (mut sender, mut receiver) = channel::<Forks>().unwrap();
    // The first one is encoded otherwise than those after it.
    for number in 0..3 {
        FORKS.set(true);
        let sent = sender.send(Forks(number));
        end_copy(original, || matches!(sent, Err(SendError::Failed { error: Error::GivenAway { .. }, .. })));
        assert_eq!(sent, Ok(()));
        assert_eq!(receiver.recv(), Ok(Forks(number)));
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    }
}

#[test]
fn a_copy_made_while_a_message_is_decoded_gives_nothing_back() {
    let _watchdog = watchdog();
    let original = std::process::id();
    let (mut sender, mut receiver) = PipeBuilder::new().capacity(64).channel::<Forks>().unwrap();
    for number in 0..10 {
        sender.send(Forks(number)).unwrap();
        sender.send(Forks(number + 100)).unwrap();
        FORKS.set(true);
        let received = receiver.recv();
        end_copy(original, || matches!(receiver.recv(), Err(RecvError::Failed(Error::GivenAway { .. }))));
        assert_eq!(received, Ok(Forks(number)));
        assert_eq!(receiver.recv(), Ok(Forks(number + 100)));
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    }
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
