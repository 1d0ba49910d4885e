//! What `Ring` and `Queue` have in common, for tests of both: a channel of numbers.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use crossproc::{GetError, PutError, Queue, Ring, TryGetError, TryPutError};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Every message is made of its number, and is read as one only if it is whole.
pub(crate) trait Channel: Serialize + DeserializeOwned + Clone + Send + 'static {
    const NAME: &str;

    fn of(capacity: usize) -> Self;

    /// False if it is closed.
    fn put(&self, number: u64) -> bool;

    /// False if it is full.
    fn try_put(&self, number: u64) -> bool;

    /// `None` if it is closed and drained.
    fn get(&self) -> Option<u64>;

    /// `None` if it is empty.
    fn try_get(&self) -> Option<u64>;

    /// `None` if there was nothing for so long.
    fn get_timeout(&self, timeout: Duration) -> Option<u64>;

    /// Gets a message as `take` and `get_task` do, and calls `work` before it is done; false if it is closed and drained.
    fn hold(&self, work: impl FnOnce(u64)) -> bool;

    /// As `hold`, and gives the message back instead.
    fn give_back(&self);

    fn close(&self);
    fn len(&self) -> usize;
    fn capacity(&self) -> usize;
    fn redelivered(&self) -> u64;
    fn memory_fd(&self) -> BorrowedFd<'_>;
}

/// A message without a `Copy`, as long as its number says.
pub(crate) trait Message: Serialize + DeserializeOwned + Clone + Send + 'static {
    const NAME: &str;

    fn of(number: u64) -> Self;
    fn number(self) -> u64;
}

impl Message for u64 {
    const NAME: &str = "a queue of small messages";

    fn of(number: u64) -> Self {
        number
    }

    fn number(self) -> u64 {
        self
    }
}

/// Longer than a slot.
#[derive(Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct Long(Vec<u64>);

impl Message for Long {
    const NAME: &str = "a queue of long messages";

    fn of(number: u64) -> Self {
        Long(vec![number; 400])
    }

    fn number(self) -> u64 {
        assert!(self.0.len() == 400 && self.0.iter().all(|&word| word == self.0[0]), "torn: {:?}", self.0);
        self.0[0]
    }
}

/// Some in their slots, some behind them, of any length, and some the longest that there may be.
#[derive(Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct Mixed(u64, Vec<u8>);

impl Mixed {
    fn length(number: u64) -> usize {
        match number % 8 {
            0 => 8_000,
            1 | 2 => (number as usize * 31) % 6_000,
            _ => (number as usize) % 96,
        }
    }
}

impl Message for Mixed {
    const NAME: &str = "a queue of small and long messages";

    fn of(number: u64) -> Self {
        Mixed(number, vec![number as u8; Self::length(number)])
    }

    fn number(self) -> u64 {
        let whole = self.1.len() == Self::length(self.0) && self.1.iter().all(|&byte| byte == self.0 as u8);
        assert!(whole, "torn: {} with {:?}", self.0, self.1);
        self.0
    }
}

/// Some cache lines, so that it can be torn.
pub(crate) type Lines = [u64; 40];

fn of_lines(lines: &Lines) -> u64 {
    assert!(lines.iter().all(|&word| word == lines[0]), "torn: {lines:?}");
    lines[0]
}

impl Channel for Ring<Lines> {
    const NAME: &str = "a ring";

    fn of(capacity: usize) -> Self {
        Ring::new(capacity).unwrap()
    }

    fn put(&self, number: u64) -> bool {
        match Ring::put(self, [number; 40]) {
            Ok(()) => true,
            Err(PutError::Closed(_)) => false,
            Err(other) => panic!("{other}"),
        }
    }

    fn try_put(&self, number: u64) -> bool {
        match Ring::try_put(self, [number; 40]) {
            Ok(()) => true,
            Err(TryPutError::Full(_)) => false,
            Err(other) => panic!("{other}"),
        }
    }

    fn get(&self) -> Option<u64> {
        got(Ring::get(self)).map(|lines| of_lines(&lines))
    }

    fn try_get(&self) -> Option<u64> {
        got_now(Ring::try_get(self)).map(|lines| of_lines(&lines))
    }

    fn get_timeout(&self, timeout: Duration) -> Option<u64> {
        got_now(Ring::get_timeout(self, timeout)).map(|lines| of_lines(&lines))
    }

    fn hold(&self, work: impl FnOnce(u64)) -> bool {
        got(self.take()).map(|taken| work(of_lines(&taken))).is_some()
    }

    fn give_back(&self) {
        self.take().unwrap().give_back();
    }

    fn close(&self) {
        Ring::close(self);
    }

    fn len(&self) -> usize {
        Ring::len(self)
    }

    fn capacity(&self) -> usize {
        Ring::capacity(self)
    }

    fn redelivered(&self) -> u64 {
        Ring::redelivered(self)
    }

    fn memory_fd(&self) -> BorrowedFd<'_> {
        Ring::memory_fd(self)
    }
}

impl<M: Message> Channel for Queue<M> {
    const NAME: &str = M::NAME;

    fn of(capacity: usize) -> Self {
        Queue::builder().capacity(capacity).max_message(8_192).build().unwrap()
    }

    fn put(&self, number: u64) -> bool {
        match Queue::put(self, M::of(number)) {
            Ok(()) => true,
            Err(PutError::Closed(_)) => false,
            Err(other) => panic!("{other}"),
        }
    }

    fn try_put(&self, number: u64) -> bool {
        match Queue::try_put(self, M::of(number)) {
            Ok(()) => true,
            Err(TryPutError::Full(_)) => false,
            Err(other) => panic!("{other}"),
        }
    }

    fn get(&self) -> Option<u64> {
        got(Queue::get(self)).map(M::number)
    }

    fn try_get(&self) -> Option<u64> {
        got_now(Queue::try_get(self)).map(M::number)
    }

    fn get_timeout(&self, timeout: Duration) -> Option<u64> {
        got_now(Queue::get_timeout(self, timeout)).map(M::number)
    }

    fn hold(&self, work: impl FnOnce(u64)) -> bool {
        got(self.get_task()).map(|task| work(task.clone().number())).is_some()
    }

    fn give_back(&self) {
        self.get_task().unwrap().give_back();
    }

    fn close(&self) {
        Queue::close(self);
    }

    fn len(&self) -> usize {
        Queue::len(self)
    }

    fn capacity(&self) -> usize {
        Queue::capacity(self)
    }

    fn redelivered(&self) -> u64 {
        Queue::redelivered(self)
    }

    fn memory_fd(&self) -> BorrowedFd<'_> {
        Queue::memory_fd(self)
    }
}

fn got<M>(outcome: Result<M, GetError>) -> Option<M> {
    match outcome {
        Ok(message) => Some(message),
        Err(GetError::Closed) => None,
        Err(other) => panic!("{other}"),
    }
}

fn got_now<M>(outcome: Result<M, TryGetError>) -> Option<M> {
    match outcome {
        Ok(message) => Some(message),
        Err(TryGetError::Empty) => None,
        Err(other) => panic!("{other}"),
    }
}

/// Everything that is there now.
pub(crate) fn drain<C: Channel>(it: &C) -> Vec<u64> {
    std::iter::from_fn(|| it.try_get()).collect()
}

/// Every slot can be written and read, some laps long, and there are as many as there were at first.
pub(crate) fn assert_all_slots_are_usable<C: Channel>(it: &C) {
    assert_eq!(drain(it), [], "drained");
    for lap in 0..3 {
        let numbers: Vec<u64> = (0..it.capacity() as u64).map(|n| lap * 1_000 + n).collect();
        let puts = numbers.iter().take_while(|&&number| it.try_put(number)).count();
        assert_eq!((puts, it.len()), (it.capacity(), it.capacity()), "all slots can be written in lap {lap}");
        assert!(!it.try_put(0), "there are no more slots than capacity");
        assert_eq!(drain(it), numbers, "all slots can be read in lap {lap}");
    }
}
