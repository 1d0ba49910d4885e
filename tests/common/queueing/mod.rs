//! What holds for everything that messages go through: `Ring` and `Queue`.

mod capacity;
mod deaths;
mod handles;
mod kills;
mod streams;
mod waiting;

use std::sync::atomic::AtomicU32;

use crossproc::RawArray;

pub(crate) use capacity::capacity_tests;
pub(crate) use deaths::deaths_tests;
pub(crate) use handles::handles_tests;
pub(crate) use kills::kills_tests;
pub(crate) use streams::streams_tests;
pub(crate) use waiting::waiting_tests;

/// How many messages a stream has: fewer in a debug build.
pub(crate) const fn many(in_release: u64) -> u64 {
    if cfg!(debug_assertions) { in_release / 10 } else { in_release }
}

/// Which message of which producer, in one number.
pub(crate) fn numbered(producer: u64, message: u64) -> u64 {
    producer << 32 | message
}

/// Fails unless the parts that the consumers got are, together, `count` messages of each of the producers 0, 1 ...,
/// and in each part those of one producer are in its order.
pub(crate) fn check_parts(parts: &[Vec<u64>], producers: u64, count: u64) {
    for part in parts {
        for producer in 0..producers {
            let of_one = part.iter().filter(|&&message| message >> 32 == producer);
            assert!(of_one.is_sorted(), "messages of one producer overtook each other");
        }
    }
    let mut all: Vec<u64> = parts.concat();
    all.sort_unstable();
    let expected = (0..producers).flat_map(|producer| (0..count).map(move |message| numbered(producer, message)));
    assert!(all.iter().copied().eq(expected), "{} messages got, {} put", all.len(), producers * count);
}

/// How often each message was seen.
pub(crate) type Seen = RawArray<AtomicU32>;

/// The tests of a type with `put` and `get`.
///
/// The file has `Handle`, `handle(capacity)`, `Message`, `message(number)`, `number(&message)`,
/// `put_midway(handle, number, Midway)` and `give_up(&handle)`, which claims a place and puts nothing; `$take` and its two other forms get a message as a guard.
macro_rules! queueing_tests {
    ($take:ident, $try_take:ident, $take_timeout:ident) => {
        mod queueing {
            use std::sync::atomic::Ordering::Relaxed;
            use std::thread;
            use std::time::{Duration, Instant};

            use crossproc::{Error, Exit, GetError, Process, PutError, RawArray, TryGetError, TryPutError};

            use super::*;
            use crate::common::locking::{Stage, wait_for_state};
            use crate::common::processes::{Midway, forked, signal};
            use crate::common::queueing::{Seen, check_parts, many, numbered};
            use crate::common::watchdog;

            const MOMENT: Duration = Duration::from_millis(20);

            /// Fills an empty one and empties it again, so many times round.
            fn check_capacity(queue: &Handle, capacity: u64, rounds: u64) {
                for round in 0..rounds {
                    for n in 0..capacity {
                        assert_eq!((queue.len() as u64, queue.is_empty(), queue.is_full()), (n, n == 0, false));
                        queue.try_put(message(round + n)).unwrap();
                    }
                    assert_eq!((queue.len() as u64, queue.is_empty(), queue.is_full()), (capacity, false, true));
                    assert_eq!(queue.try_put(message(99)), Err(TryPutError::Full(message(99))));
                    for n in 0..capacity {
                        assert_eq!(queue.try_get(), Ok(message(round + n)));
                        assert_eq!((queue.len() as u64, queue.is_full()), (capacity - n - 1, false));
                    }
                    assert_eq!(queue.try_get(), Err(TryGetError::Empty));
                }
            }

            $crate::common::queueing::capacity_tests!($try_take, $take_timeout);
            $crate::common::queueing::waiting_tests!($take, $try_take, $take_timeout);
            $crate::common::queueing::streams_tests!($take);
            $crate::common::queueing::handles_tests!($take);
            $crate::common::queueing::deaths_tests!($take);
            $crate::common::queueing::kills_tests!($take);
        }
    };
}

pub(crate) use queueing_tests;
