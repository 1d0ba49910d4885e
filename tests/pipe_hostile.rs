//! A hostile sender, who leaves records in the ring that no `Sender` writes: no call goes on for ever, or for long after its
//! time.

mod common;

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use common::watchdog;
use crossproc::{Arena, Error, PipeBuilder, Receiver, RecvError, Sender, TryRecvError};

/// Header and 256 places for peers of the arena, and the channel's header: there the words of both ends begin.
const TRACK: u64 = 128 + 256 * 8 + 128 + 128;
const WORDS: u64 = TRACK + 256;

/// Kinds of records.
const WHOLE: u64 = 1;
const FIRST: u64 = 2;
const MORE: u64 = 3;

/// A channel whose ring has been filled with records of so many bytes, of this kind but for the first.
struct Filled {
    memory: File,
    sender: Sender<u32>,
    receiver: Receiver<u32>,
}

impl Filled {
    fn with(capacity: usize, first: u64, kind: u64, bytes: u64) -> Self {
        let arena = Arena::new(capacity + 4096).unwrap();
        let (sender, receiver) = PipeBuilder::new().capacity(capacity).arena(&arena).channel().unwrap();
        let memory = File::from(arena.memory_fd().try_clone_to_owned().unwrap());
        let size = 8 + bytes.next_multiple_of(8);
        for at in (0..capacity as u64).step_by(size as usize) {
            let kind = if at == 0 { first } else { kind };
            memory.write_at(&(kind << 48 | bytes).to_le_bytes(), WORDS + at).unwrap();
        }
        Filled { memory, sender, receiver }
    }

    /// How far the receiver is.
    fn head(&self) -> u64 {
        let mut head = [0; 8];
        self.memory.read_exact_at(&mut head, TRACK).unwrap();
        u64::from_le_bytes(head)
    }
}

/// Every form that does not wait, once.
const TRIES: [fn(&mut Receiver<u32>) -> bool; 6] = [
    |receiver| receiver.try_recv() == Err(TryRecvError::Empty),
    |receiver| receiver.recv_timeout(Duration::ZERO) == Err(TryRecvError::Empty),
    |receiver| receiver.try_recv_bytes() == Err(TryRecvError::Empty),
    |receiver| receiver.try_recv_ref().is_err(),
    |receiver| receiver.try_recv_bytes_into(&mut [0; 100]).is_err(),
    |receiver| receiver.poll(Duration::ZERO) == Ok(false),
];

#[test]
fn pieces_without_bytes_keep_nobody() {
    let _watchdog = watchdog();
    for attempt in TRIES {
        let Filled { mut receiver, .. } = Filled::with(64, FIRST, FIRST, 0);
        assert!(attempt(&mut receiver));
        let Filled { mut receiver, .. } = Filled::with(64, FIRST, MORE, 0);
        assert!(attempt(&mut receiver));
    }
    let mut filled = Filled::with(64, FIRST, FIRST, 0);
    assert_eq!(filled.receiver.recv_timeout(Duration::from_millis(1)), Err(TryRecvError::Empty));
}

/// What there is without waiting is no more than a few pieces.
#[test]
fn a_call_whose_time_is_up_takes_few_pieces() {
    let _watchdog = watchdog();
    for attempt in TRIES {
        let mut filled = Filled::with(1 << 16, FIRST, MORE, 1);
        assert!(attempt(&mut filled.receiver));
        assert!(filled.head() < 100 * 16, "{} bytes of pieces", filled.head());
    }
}

#[test]
fn what_a_sender_has_left_ends() {
    let _watchdog = watchdog();
    for (first, kind, bytes) in [(FIRST, FIRST, 0), (FIRST, FIRST, 8), (FIRST, MORE, 0), (FIRST, MORE, 1)] {
        let Filled { sender, mut receiver, .. } = Filled::with(1024, first, kind, bytes);
        drop(sender);
        assert!(matches!(receiver.recv(), Err(RecvError::Failed(Error::Corrupted { .. }))));
    }
    let Filled { sender, mut receiver, .. } = Filled::with(1024, WHOLE, WHOLE, 0);
    drop(sender);
    assert!(receiver.reader().read(&mut [0; 8]).is_err());
}
