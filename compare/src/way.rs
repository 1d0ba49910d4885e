//! What a contender is: a way for messages from one process, or one thread, to another.
//!
//! Messages are `N` words of 64 bits, all equal to the number of the message. A sender writes every one of them anew, and
//! a receiver reads every one, whatever the contender: in place where its interface has that, else in a buffer that it
//! copies from and to.

use std::hint;
use std::thread;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// How a receiver waits for a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Waiting {
    /// Looks again and again.
    Spinning,
    /// As the contender's own blocking call does.
    Blocking,
}

/// What both ends know.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Shape {
    /// How many messages are to have room at most. Some contenders count bytes, or are faster with fewer.
    pub(crate) slots: usize,
    pub(crate) waiting: Waiting,
}

pub(crate) trait Sender {
    /// Writes message `number` and sends it; waits while there is no room.
    fn send(&mut self, number: u64);

    /// Sends what has been kept back, if this sender sends several at a time.
    fn flush(&mut self) {}
}

pub(crate) trait Receiver {
    /// Waits for the next message, reads all of it, and returns its number.
    fn receive(&mut self) -> u64;
}

/// A way between processes. Its two ends are tickets, each of which can be sent to another process, and is opened once,
/// where it is.
///
/// Tickets of a way for many are clones, if they can be cloned.
pub(crate) trait Way<const N: usize>: Sized + 'static {
    type SenderTicket: Serialize + DeserializeOwned + 'static;
    type ReceiverTicket: Serialize + DeserializeOwned + 'static;
    type Sender: Sender;
    type Receiver: Receiver;

    /// A new way, which ends with the value returned first: whatever has a name has it until then.
    fn new(shape: Shape) -> (Self, Self::SenderTicket, Self::ReceiverTicket);
    fn sender(ticket: Self::SenderTicket, shape: Shape) -> Self::Sender;
    fn receiver(ticket: Self::ReceiverTicket, shape: Shape) -> Self::Receiver;
}

/// A way between two threads of one process.
pub(crate) trait Passage<const N: usize> {
    type Sender: Sender + Send;
    type Receiver: Receiver;

    fn new(slots: usize) -> (Self::Sender, Self::Receiver);
}

/// The number of a message that lies in a row of words.
#[inline]
pub(crate) fn number_of(words: &[u64]) -> u64 {
    let number = words[0];
    let differences = words.iter().fold(0, |differences, word| differences | (word ^ number));
    assert_eq!(differences, 0, "message {number} is torn");
    number
}

/// The number of a message that lies at any address.
#[inline]
pub(crate) fn number_of_bytes(bytes: &[u8]) -> u64 {
    let (words, []) = bytes.as_chunks::<8>() else { panic!("{} bytes are no message", bytes.len()) };
    let number = u64::from_ne_bytes(words[0]);
    let differences = words.iter().fold(0, |differences, word| differences | (u64::from_ne_bytes(*word) ^ number));
    assert_eq!(differences, 0, "message {number} is torn");
    number
}

/// A message on the heap: of those that are copied, some are too large for a stack.
pub(crate) fn buffer<const N: usize>() -> Box<[u64; N]> {
    vec![0; N].into_boxed_slice().try_into().expect("of N words")
}

/// Looks again and again until there is something. Where others want the processor, too, they get it now and then.
#[inline]
pub(crate) fn spin<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let mut looks = 0_u32;
    loop {
        if let Some(found) = look() {
            return found;
        }
        looks = looks.wrapping_add(1);
        if looks.is_multiple_of(1 << 12) {
            thread::yield_now();
        }
        hint::spin_loop();
    }
}
