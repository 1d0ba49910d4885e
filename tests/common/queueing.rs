//! What holds for everything that messages go through: `Ring` and `Queue`.

use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::AtomicU32;

use crossproc::{Child, RawArray};

/// What a process does to itself in the middle of a put: its slot is claimed, and the message not yet there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) enum Midway {
    #[default]
    Nothing,
    Stop,
    Die,
}

impl Midway {
    pub(crate) fn act(self) {
        match self {
            Midway::Nothing => {}
            Midway::Stop => signal_self(libc::SIGSTOP),
            Midway::Die => signal_self(libc::SIGKILL),
        }
    }
}

fn signal_self(signal: i32) {
    // SAFETY: of this process, and its own decision.
    assert_eq!(unsafe { libc::kill(std::process::id().cast_signed(), signal) }, 0);
}

pub(crate) fn signal(child: &Child, signal: i32) {
    // SAFETY: a child of this process that has not been joined.
    assert_eq!(unsafe { libc::kill(child.pid().cast_signed(), signal) }, 0);
}

/// Whether `copy` says yes in a forked copy of this process, which then ends.
pub(crate) fn forked(copy: impl FnOnce() -> bool) -> bool {
    // SAFETY: the copy does what other threads cannot have broken by disappearing, and ends with _exit.
    match unsafe { libc::fork() } {
        0 => {
            let answer = panic::catch_unwind(AssertUnwindSafe(copy));
            // SAFETY: ends the copy at once, without destructors.
            unsafe { libc::_exit(i32::from(answer.ok() != Some(true))) }
        }
        copy => {
            let mut status = -1;
            // SAFETY: our child; `status` outlives the call.
            assert_eq!(unsafe { libc::waitpid(copy, &mut status, 0) }, copy);
            status == 0
        }
    }
}

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
            use crate::common::queueing::{Midway, Seen, check_parts, forked, many, numbered, signal};
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

            #[test]
            fn capacity_is_exact() {
                for capacity in [1, 2, 3, 6, 7, 16, 17, 64, 100] {
                    let queue = handle(capacity);
                    assert_eq!(queue.capacity(), capacity);
                    check_capacity(&queue, capacity as u64, 5);
                }
            }

            /// The places in the line move on: every slot is once the first.
            #[test]
            fn capacity_is_exact_wherever_the_line_begins() {
                for capacity in [1, 2, 6, 7] {
                    let queue = handle(capacity);
                    for _ in 0..3 * capacity {
                        check_capacity(&queue, capacity as u64, 1);
                        queue.put(message(5)).unwrap();
                        assert_eq!(queue.get(), Ok(message(5)));
                    }
                }
            }

            #[test]
            fn an_impossible_capacity_is_an_error() {
                for wrong in [0, (1 << 30) + 1, usize::MAX] {
                    match Handle::new(wrong) {
                        Err(Error::Capacity { capacity, most, .. }) => assert_eq!((capacity, most), (wrong, 1 << 30)),
                        other => panic!("{other:?}"),
                    }
                }
            }

            #[test]
            fn what_is_not_put_comes_back() {
                let _watchdog = watchdog();
                let queue = handle(1);
                queue.put(message(1)).unwrap();
                assert_eq!(queue.try_put(message(2)), Err(TryPutError::Full(message(2))));
                assert_eq!(queue.put_timeout(message(3), MOMENT), Err(TryPutError::Full(message(3))));
                assert_eq!(queue.put_timeout(message(3), Duration::ZERO), Err(TryPutError::Full(message(3))));
                queue.close();
                assert_eq!(queue.try_put(message(4)), Err(TryPutError::Closed(message(4))));
                assert_eq!(queue.put_timeout(message(5), MOMENT), Err(TryPutError::Closed(message(5))));
                let closed = queue.put(message(6)).unwrap_err();
                assert_eq!(closed, PutError::Closed(message(6)));
                assert_eq!(closed.into_message(), message(6));
                assert_eq!(queue.get(), Ok(message(1)));
                assert_eq!(queue.put(message(7)), Err(PutError::Closed(message(7))), "also with room");
                assert_eq!(queue.try_put(message(7)), Err(TryPutError::Closed(message(7))));
            }

            #[test]
            fn outcomes_become_errors() {
                let queue = handle(1);
                assert_eq!(Error::from(queue.try_get().unwrap_err()), Error::Empty);
                queue.put(message(1)).unwrap();
                assert_eq!(Error::from(queue.try_put(message(2)).unwrap_err()), Error::Full);
                queue.close();
                assert_eq!(Error::from(queue.try_put(message(2)).unwrap_err()), Error::Closed);
                assert_eq!(Error::from(queue.put(message(2)).unwrap_err()), Error::Closed);
                assert!(queue.get().is_ok());
                assert_eq!(Error::from(queue.try_get().unwrap_err()), Error::Closed);
                assert_eq!(Error::from(queue.get().unwrap_err()), Error::Closed);
            }

            #[test]
            fn try_forms_do_not_wait_and_a_timeout_is_never_early() {
                let _watchdog = watchdog();
                let queue = handle(2);
                for wait in [Duration::ZERO, Duration::from_micros(1), MOMENT, MOMENT * 4] {
                    let start = Instant::now();
                    assert_eq!(queue.get_timeout(wait), Err(TryGetError::Empty));
                    assert!(start.elapsed() >= wait);
                    let start = Instant::now();
                    assert_eq!(queue.$take_timeout(wait).map(drop), Err(TryGetError::Empty));
                    assert!(start.elapsed() >= wait);
                }
                assert_eq!(queue.try_get(), Err(TryGetError::Empty));
                assert_eq!(queue.$try_take().map(drop), Err(TryGetError::Empty));
                queue.put(message(1)).unwrap();
                queue.put_timeout(message(2), MOMENT).unwrap();
                for wait in [Duration::ZERO, Duration::from_micros(1), MOMENT, MOMENT * 4] {
                    let start = Instant::now();
                    assert_eq!(queue.put_timeout(message(3), wait), Err(TryPutError::Full(message(3))));
                    assert!(start.elapsed() >= wait);
                }
                assert_eq!(queue.try_put(message(3)), Err(TryPutError::Full(message(3))));
                assert_eq!(queue.get_timeout(Duration::ZERO), Ok(message(1)));
                assert_eq!(queue.get_timeout(Duration::MAX), Ok(message(2)));
            }

            #[test]
            fn a_blocked_put_goes_on_when_there_is_room() {
                let _watchdog = watchdog();
                for capacity in [1, 2, 6] {
                    let (queue, stage) = (handle(capacity), Stage::new());
                    (0..capacity as u64).for_each(|n| queue.put(message(n)).unwrap());
                    let put = |queue: Handle, stage: Stage| {
                        stage.advance();
                        queue.put(message(100)).is_ok()
                    };
                    let producer = Process::spawn(put, (&queue, &stage)).unwrap();
                    stage.wait_for(1);
                    wait_for_state(producer.pid(), 'S');
                    assert_eq!(queue.get(), Ok(message(0)));
                    assert!(producer.join().unwrap());
                    assert!(queue.is_full());
                }
            }

            #[test]
            fn a_blocked_get_goes_on_when_a_message_comes() {
                let _watchdog = watchdog();
                let (queue, stage) = (handle(2), Stage::new());
                let get = |queue: Handle, stage: Stage| {
                    stage.advance();
                    let first = number(&queue.get().unwrap());
                    stage.advance();
                    let second = number(&*queue.$take().unwrap());
                    stage.advance();
                    [first, second, number(&queue.get_timeout(Duration::MAX).unwrap())]
                };
                let consumer = Process::spawn(get, (&queue, &stage)).unwrap();
                for n in 1..=3 {
                    stage.wait_for(n);
                    wait_for_state(consumer.pid(), 'S');
                    queue.put(message(n.into())).unwrap();
                }
                assert_eq!(consumer.join().unwrap(), [1, 2, 3]);
            }

            #[test]
            fn a_blocked_put_learns_of_a_close() {
                let _watchdog = watchdog();
                let (queue, stage) = (handle(1), Stage::new());
                queue.put(message(1)).unwrap();
                let put = |queue: Handle, stage: Stage| {
                    stage.advance();
                    queue.put(message(2)) == Err(PutError::Closed(message(2)))
                };
                let wait = |queue: Handle, stage: Stage| {
                    stage.advance();
                    queue.put_timeout(message(3), Duration::MAX) == Err(TryPutError::Closed(message(3)))
                };
                let producers =
                    [Process::spawn(put, (&queue, &stage)).unwrap(), Process::spawn(wait, (&queue, &stage)).unwrap()];
                stage.wait_for(2);
                producers.iter().for_each(|producer| wait_for_state(producer.pid(), 'S'));
                queue.close();
                for producer in producers {
                    assert!(producer.join().unwrap());
                }
                assert_eq!((queue.get(), queue.get()), (Ok(message(1)), Err(GetError::Closed)));
            }

            #[test]
            fn a_close_ends_every_blocked_get() {
                let _watchdog = watchdog();
                let (queue, stage) = (handle(2), Stage::new());
                let get = |queue: Handle, stage: Stage| {
                    stage.advance();
                    queue.get() == Err(GetError::Closed)
                };
                let take = |queue: Handle, stage: Stage| {
                    stage.advance();
                    queue.$take_timeout(Duration::MAX).map(drop) == Err(TryGetError::Closed)
                };
                let mut consumers = vec![];
                for _ in 0..2 {
                    consumers.push(Process::spawn(get, (&queue, &stage)).unwrap());
                    consumers.push(Process::spawn(take, (&queue, &stage)).unwrap());
                }
                stage.wait_for(4);
                consumers.iter().for_each(|consumer| wait_for_state(consumer.pid(), 'S'));
                queue.close();
                assert!(queue.is_closed());
                for consumer in consumers {
                    assert!(consumer.join().unwrap());
                }
            }

            #[test]
            fn a_close_drains_first() {
                let _watchdog = watchdog();
                for capacity in [1, 2, 7] {
                    let queue = handle(capacity);
                    (0..capacity as u64).for_each(|n| queue.put(message(n)).unwrap());
                    let other = queue.clone();
                    queue.close();
                    queue.close();
                    assert!(other.is_closed());
                    assert_eq!(queue.len(), capacity);
                    for n in 0..capacity as u64 {
                        assert_eq!(other.get(), Ok(message(n)));
                    }
                    for queue in [&queue, &other] {
                        assert_eq!(queue.get(), Err(GetError::Closed));
                        assert_eq!(queue.try_get(), Err(TryGetError::Closed));
                        assert_eq!(queue.get_timeout(MOMENT), Err(TryGetError::Closed));
                        assert_eq!(queue.$try_take().map(drop), Err(TryGetError::Closed));
                    }
                }
            }

            /// While somebody may still die with a message in hand, nobody is told that none will come.
            #[test]
            fn a_message_in_hand_keeps_the_end_away() {
                let _watchdog = watchdog();
                let (queue, stage) = (handle(4), Stage::new());
                queue.put(message(1)).unwrap();
                let get = |queue: Handle, stage: Stage| {
                    stage.advance();
                    queue.get().map(|message| number(&message)).ok()
                };
                let taken = queue.$take().unwrap();
                queue.close();
                let other = queue.clone();
                assert_eq!(other.try_get(), Err(TryGetError::Empty));
                assert_eq!(other.get_timeout(MOMENT), Err(TryGetError::Empty));
                let consumers = [0; 2].map(|_| Process::spawn(get, (&queue, &stage)).unwrap());
                stage.wait_for(2);
                consumers.iter().for_each(|consumer| wait_for_state(consumer.pid(), 'S'));
                taken.give_back();
                let got: Vec<_> = consumers.into_iter().filter_map(|consumer| consumer.join().unwrap()).collect();
                assert_eq!(got, [1]);
                assert_eq!(queue.get(), Err(GetError::Closed));
            }

            #[test]
            fn iteration_ends_with_the_close() {
                let _watchdog = watchdog();
                let queue = handle(8);
                let sum = |queue: Handle| queue.iter().map(|message| number(&message.unwrap())).sum::<u64>();
                let consumer = Process::spawn(sum, (&queue,)).unwrap();
                (1..=100).for_each(|n| queue.put(message(n)).unwrap());
                queue.close();
                assert_eq!(consumer.join().unwrap(), 5_050);
                assert!(queue.iter().next().is_none());
            }

            fn produce(queue: Handle, producer: u64, count: u64) {
                for n in 0..count {
                    let mut message = message(numbered(producer, n));
                    match n % 3 {
                        0 => queue.put(message).unwrap(),
                        1 => queue.put_timeout(message, Duration::from_secs(60)).unwrap(),
                        _ => {
                            while let Err(TryPutError::Full(back)) = queue.try_put(message) {
                                message = back;
                                thread::yield_now();
                            }
                        }
                    }
                }
            }

            fn consume(queue: Handle) -> Vec<u64> {
                let mut got = vec![];
                loop {
                    let next = match got.len() % 4 {
                        0 => queue.get().map_err(|_| TryGetError::Closed),
                        1 => queue.get_timeout(Duration::from_secs(60)),
                        2 => queue.$take().map(|taken| taken.clone()).map_err(|_| TryGetError::Closed),
                        _ => queue.try_get(),
                    };
                    match next {
                        Ok(message) => got.push(number(&message)),
                        Err(TryGetError::Closed) => return got,
                        Err(TryGetError::Empty) => thread::yield_now(),
                        Err(other) => panic!("{other}"),
                    }
                }
            }

            #[test]
            fn processes_get_each_message_once_and_in_order() {
                let _watchdog = watchdog();
                for (capacity, producers, consumers) in
                    [(1, 1, 1), (1, 2, 2), (2, 2, 1), (6, 1, 3), (7, 3, 3), (100, 2, 2)]
                {
                    let (queue, count) = (handle(capacity), many(3_000));
                    let consumers: Vec<_> =
                        (0..consumers).map(|_| Process::spawn(consume, (&queue,)).unwrap()).collect();
                    let start = |producer| Process::spawn(produce, (&queue, producer, count)).unwrap();
                    let running: Vec<_> = (0..producers).map(start).collect();
                    running.into_iter().for_each(|producer| producer.join().unwrap());
                    queue.close();
                    let parts: Vec<_> = consumers.into_iter().map(|consumer| consumer.join().unwrap()).collect();
                    check_parts(&parts, producers, count);
                }
            }

            #[test]
            fn threads_share_a_handle_or_have_clones() {
                let _watchdog = watchdog();
                for shared in [true, false] {
                    let (queue, count) = (handle(7), many(5_000));
                    let parts: Vec<_> = thread::scope(|scope| {
                        let queue = &queue;
                        // A clone of a clone, or each time the very same handle.
                        let clone = move || if shared { None } else { Some(queue.clone().clone()) };
                        let consumers: Vec<_> = (0..3)
                            .map(|_| {
                                scope.spawn(move || {
                                    let own = clone();
                                    own.as_ref()
                                        .unwrap_or(queue)
                                        .iter()
                                        .map(|message| number(&message.unwrap()))
                                        .collect()
                                })
                            })
                            .collect();
                        let producers: Vec<_> = (0..3)
                            .map(|producer| {
                                scope.spawn(move || {
                                    let own = clone();
                                    let queue = own.as_ref().unwrap_or(queue);
                                    (0..count).for_each(|n| queue.put(message(numbered(producer, n))).unwrap());
                                })
                            })
                            .collect();
                        producers.into_iter().for_each(|producer| producer.join().unwrap());
                        queue.close();
                        consumers.into_iter().map(|consumer| consumer.join().unwrap()).collect()
                    });
                    check_parts(&parts, 3, count);
                }
            }

            #[test]
            fn a_handle_can_be_passed_on() {
                let _watchdog = watchdog();
                let queue = handle(2);
                let pass_on = |queue: Handle| -> Handle {
                    let put = |queue: Handle| queue.put(message(1)).is_ok();
                    assert!(Process::spawn(put, (&queue,)).unwrap().join().unwrap());
                    queue.put(message(2)).unwrap();
                    queue
                };
                let back = Process::spawn(pass_on, (&queue,)).unwrap().join().unwrap();
                assert_eq!((back.get(), queue.get()), (Ok(message(1)), Ok(message(2))));
            }

            #[test]
            fn messages_outlive_who_put_them() {
                let _watchdog = watchdog();
                let make = || {
                    let queue = handle(3);
                    (0..3).for_each(|n| queue.put(message(n)).unwrap());
                    queue.close();
                    queue
                };
                let queue = Process::spawn(make, ()).unwrap().join().unwrap();
                assert!(queue.iter().map(|message| number(&message.unwrap())).eq(0..3));
            }

            #[test]
            fn a_descriptor_is_enough() {
                let queue = handle(3);
                (0..2).for_each(|n| queue.put(message(n)).unwrap());
                let again = Handle::from_fd(queue.memory_fd().try_clone_to_owned().unwrap()).unwrap();
                assert_eq!((again.capacity(), again.len()), (3, 2));
                assert_eq!(again.get(), Ok(message(0)));
                again.put(message(2)).unwrap();
                assert_eq!([queue.get(), queue.get()], [Ok(message(1)), Ok(message(2))]);
            }

            #[test]
            fn a_latecomer_finds_its_place() {
                let _watchdog = watchdog();
                for capacity in [1, 2, 5, 16, 17, 33] {
                    let queue = handle(capacity);
                    let mut newest = 0;
                    for _ in 0..7 * capacity as u64 + 3 {
                        queue.put(message(newest)).unwrap();
                        assert_eq!(queue.get(), Ok(message(newest)));
                        newest += 1;
                    }
                    queue.put(message(newest)).unwrap();
                    // A handle that knows only what shared memory says about where the line begins and ends.
                    let use_it = |queue: Handle, newest: u64| {
                        let seen = (queue.len(), queue.is_full() == (queue.capacity() == 1));
                        let got = queue.try_get().map(|message| number(&message));
                        for n in 1..=queue.capacity() as u64 {
                            queue.try_put(message(newest + n)).unwrap();
                        }
                        let full = queue.try_put(message(0)).is_err();
                        (seen == (1, true), got == Ok(newest), full)
                    };
                    let outcome = Process::spawn(use_it, (&queue, newest)).unwrap().join().unwrap();
                    assert_eq!(outcome, (true, true, true), "capacity {capacity}");
                    (1..=capacity as u64).for_each(|n| assert_eq!(queue.try_get(), Ok(message(newest + n))));
                }
            }

            /// Places that were given up say nothing about those before them.
            #[test]
            fn a_handle_that_was_away_gets_messages_in_order() {
                let _watchdog = watchdog();
                for capacity in [2, 3, 4, 7] {
                    for laps in 1..4 {
                        for given_up in 1..capacity {
                            let queue = handle(capacity);
                            let away = queue.clone();
                            for n in 0..laps * capacity as u64 {
                                queue.put(message(n)).unwrap();
                                queue.get().unwrap();
                            }
                            queue.put(message(100)).unwrap();
                            (0..given_up).for_each(|_| give_up(&queue));
                            let more = (given_up + 1..capacity).filter(|_| queue.try_put(message(101)).is_ok()).count();
                            assert_eq!((more, away.len()), (capacity - given_up - 1, 1 + more));
                            assert_eq!(away.get(), Ok(message(100)));
                            (0..more).for_each(|_| assert_eq!(away.get(), Ok(message(101))));
                            check_capacity(&away, capacity as u64, 2);
                        }
                    }
                }
            }

            #[test]
            fn a_forked_copy_is_a_peer_of_its_own() {
                let _watchdog = watchdog();
                let queue = handle(2);
                queue.put(message(1)).unwrap();
                assert!(forked(|| queue.get() == Ok(message(1)) && queue.put(message(2)).is_ok()));
                assert_eq!(queue.get(), Ok(message(2)));
                // One that ends with a message in hand is not taken for this process, which lives.
                queue.put(message(3)).unwrap();
                assert!(forked(|| {
                    std::mem::forget(queue.$take());
                    true
                }));
                assert_eq!(queue.get(), Ok(message(3)));
                assert_eq!(queue.redelivered(), 1);
            }

            #[test]
            fn a_copied_guard_does_nothing() {
                let _watchdog = watchdog();
                let queue = handle(1);
                queue.put(message(1)).unwrap();
                for give_back in [false, true] {
                    let mut taken = Some(queue.$take().unwrap());
                    assert!(forked(|| {
                        let copy = taken.take().unwrap();
                        if give_back {
                            copy.give_back();
                        } else {
                            drop(copy);
                        }
                        queue.is_full() && queue.try_get() == Err(TryGetError::Empty)
                    }));
                    assert!(queue.is_full() && queue.is_empty());
                    taken.unwrap().give_back();
                    assert_eq!(queue.len(), 1);
                }
                assert_eq!(queue.get(), Ok(message(1)));
            }

            #[test]
            fn a_stopped_producer_is_waited_for() {
                let _watchdog = watchdog();
                let queue = handle(4);
                let producer = Process::spawn(put_midway, (&queue, 1, Midway::Stop)).unwrap();
                wait_for_state(producer.pid(), 'T');
                queue.put(message(2)).unwrap();
                assert_eq!(queue.try_get(), Err(TryGetError::Empty));
                assert_eq!(queue.get_timeout(MOMENT * 4), Err(TryGetError::Empty), "messages stay in order");
                signal(&producer, libc::SIGCONT);
                assert_eq!(queue.get().map(|message| number(&message)), Ok(1));
                assert_eq!(queue.get(), Ok(message(2)));
                producer.join().unwrap();
                check_capacity(&queue, 4, 3);
            }

            #[test]
            fn a_producer_killed_in_the_middle_is_passed_by() {
                let _watchdog = watchdog();
                let (queue, stage) = (handle(4), Stage::new());
                let producer = Process::spawn(put_midway, (&queue, 1, Midway::Stop)).unwrap();
                wait_for_state(producer.pid(), 'T');
                queue.put(message(2)).unwrap();
                let get = |queue: Handle, stage: Stage| {
                    stage.advance();
                    number(&queue.get().unwrap())
                };
                let consumer = Process::spawn(get, (&queue, &stage)).unwrap();
                stage.wait_for(1);
                wait_for_state(consumer.pid(), 'S');
                producer.kill().unwrap();
                assert_eq!(consumer.join().unwrap(), 2);
                assert_eq!(producer.wait(), Exit::Signal(libc::SIGKILL));
                check_capacity(&queue, 4, 3);
            }

            fn stop_with_a_message(queue: Handle) -> u64 {
                let taken = queue.$take().unwrap();
                Midway::Stop.act();
                number(&taken)
            }

            #[test]
            fn a_stopped_consumer_is_waited_for() {
                let _watchdog = watchdog();
                let (queue, stage) = (handle(2), Stage::new());
                queue.put(message(1)).unwrap();
                let consumer = Process::spawn(stop_with_a_message, (&queue,)).unwrap();
                wait_for_state(consumer.pid(), 'T');
                queue.put(message(2)).unwrap();
                assert!(queue.is_full(), "what is being read counts");
                assert_eq!(queue.put_timeout(message(3), MOMENT * 4), Err(TryPutError::Full(message(3))));
                let put = |queue: Handle, stage: Stage| {
                    stage.advance();
                    queue.put(message(3)).is_ok()
                };
                let producer = Process::spawn(put, (&queue, &stage)).unwrap();
                stage.wait_for(1);
                wait_for_state(producer.pid(), 'S');
                signal(&consumer, libc::SIGCONT);
                assert!(producer.join().unwrap());
                assert_eq!(consumer.join().unwrap(), 1);
                assert_eq!([queue.get(), queue.get()], [Ok(message(2)), Ok(message(3))]);
                assert_eq!(queue.redelivered(), 0);
            }

            #[test]
            fn a_dead_consumers_message_is_got_by_another_and_counted() {
                let _watchdog = watchdog();
                let (queue, stage) = (handle(2), Stage::new());
                queue.put(message(1)).unwrap();
                let consumer = Process::spawn(stop_with_a_message, (&queue,)).unwrap();
                wait_for_state(consumer.pid(), 'T');
                let get = |queue: Handle, stage: Stage| {
                    stage.advance();
                    number(&queue.get().unwrap())
                };
                let other = Process::spawn(get, (&queue, &stage)).unwrap();
                stage.wait_for(1);
                wait_for_state(other.pid(), 'S');
                assert_eq!(queue.redelivered(), 0);
                consumer.kill().unwrap();
                assert_eq!(other.join().unwrap(), 1);
                assert_eq!(queue.redelivered(), 1);
                check_capacity(&queue, 2, 3);
            }

            /// A producer that waits for room finds the message of a dead consumer, and whoever gets it makes the room.
            #[test]
            fn a_dead_consumer_does_not_keep_producers_waiting() {
                let _watchdog = watchdog();
                let (queue, stage) = (handle(1), Stage::new());
                queue.put(message(1)).unwrap();
                let consumer = Process::spawn(stop_with_a_message, (&queue,)).unwrap();
                wait_for_state(consumer.pid(), 'T');
                let put = |queue: Handle, stage: Stage| {
                    stage.advance();
                    queue.put(message(2)).is_ok()
                };
                let producer = Process::spawn(put, (&queue, &stage)).unwrap();
                stage.wait_for(1);
                wait_for_state(producer.pid(), 'S');
                consumer.kill().unwrap();
                assert_eq!([queue.get(), queue.get()], [Ok(message(1)), Ok(message(2))]);
                assert!(producer.join().unwrap());
            }

            #[test]
            fn as_many_dead_producers_as_slots_take_none_of_them() {
                let _watchdog = watchdog();
                for capacity in [1, 2, 7] {
                    for getting_first in [false, true] {
                        let queue = handle(capacity);
                        for _ in 0..capacity {
                            let dead = Process::spawn(put_midway, (&queue, 1, Midway::Die)).unwrap();
                            assert_eq!(dead.wait(), Exit::Signal(libc::SIGKILL));
                        }
                        if getting_first {
                            assert_eq!(queue.try_get(), Err(TryGetError::Empty));
                        }
                        (0..capacity as u64).for_each(|n| queue.try_put(message(n)).unwrap());
                        assert_eq!(queue.try_put(message(99)), Err(TryPutError::Full(message(99))));
                        (0..capacity as u64).for_each(|n| assert_eq!(queue.try_get(), Ok(message(n))));
                        check_capacity(&queue, capacity as u64, 3);
                    }
                }
            }

            #[test]
            fn as_many_dead_consumers_as_slots_lose_nothing() {
                let _watchdog = watchdog();
                let die = |queue: Handle| {
                    let _taken = queue.$take().unwrap();
                    Midway::Die.act();
                };
                for capacity in [1, 2, 7] {
                    for putting_first in [false, true] {
                        let queue = handle(capacity);
                        (0..capacity as u64).for_each(|n| queue.put(message(n)).unwrap());
                        for _ in 0..capacity {
                            let dead = Process::spawn(die, (&queue,)).unwrap();
                            assert_eq!(dead.wait(), Exit::Signal(libc::SIGKILL));
                        }
                        if putting_first {
                            assert_eq!(queue.try_put(message(99)), Err(TryPutError::Full(message(99))));
                        }
                        let mut got: Vec<_> = (0..capacity).map(|_| number(&queue.try_get().unwrap())).collect();
                        got.sort_unstable();
                        assert!(got.into_iter().eq(0..capacity as u64));
                        assert_eq!(queue.redelivered(), capacity as u64);
                        check_capacity(&queue, capacity as u64, 3);
                    }
                }
            }

            #[test]
            fn a_killed_waiter_swallows_no_message() {
                let _watchdog = watchdog();
                let (queue, stage) = (handle(4), Stage::new());
                let get = |queue: Handle, stage: Stage| {
                    stage.advance();
                    number(&queue.get().unwrap())
                };
                let consumers = [0; 3].map(|_| Process::spawn(get, (&queue, &stage)).unwrap());
                stage.wait_for(3);
                consumers.iter().for_each(|consumer| wait_for_state(consumer.pid(), 'S'));
                consumers[0].kill().unwrap();
                consumers[0].wait();
                (1..=2).for_each(|n| queue.put(message(n)).unwrap());
                let [killed, second, third] = consumers;
                assert!(killed.join().is_err());
                assert_eq!(second.join().unwrap() + third.join().unwrap(), 3);
            }

            fn produce_for_ever(queue: Handle, producer: u64) {
                for n in 0.. {
                    queue.put(message(numbered(producer, n))).unwrap();
                }
            }

            /// Killed at any moment, a producer has put all its messages up to some one, and nothing of the next.
            #[test]
            fn killed_producers_leave_whole_messages_in_order() {
                let _watchdog = watchdog();
                let rounds = many(100);
                let queue = handle(7);
                let mut next = vec![0; 2 * rounds as usize];
                let mut check = |message: Message| {
                    let (producer, n) = (number(&message) >> 32, number(&message) & 0xffff_ffff);
                    assert_eq!(next[producer as usize], n, "of producer {producer}");
                    next[producer as usize] += 1;
                };
                for round in 0..rounds {
                    let start = |producer| Process::spawn(produce_for_ever, (&queue, producer)).unwrap();
                    let producers = [start(2 * round), start(2 * round + 1)];
                    (0..round * 7 % 50 + 1).for_each(|_| check(queue.get().unwrap()));
                    producers.iter().for_each(|producer| producer.kill().unwrap());
                    (0..round % 3).for_each(|_| queue.try_get().into_iter().for_each(&mut check));
                    assert!(producers.iter().all(|producer| !producer.wait().success()));
                }
                while let Ok(message) = queue.try_get() {
                    check(message);
                }
                check_capacity(&queue, 7, 3);
            }

            /// Marks each message before it says that it has got it.
            fn mark(queue: Handle, seen: Seen) {
                while let Ok(taken) = queue.$take() {
                    seen[number(&taken) as usize].fetch_add(1, Relaxed);
                }
            }

            /// Killed at any moment, a consumer has got a message or somebody else gets it.
            #[test]
            fn killed_consumers_lose_no_message() {
                let _watchdog = watchdog();
                let rounds = many(100);
                let (queue, each) = (handle(7), 40);
                let seen = RawArray::new((rounds * each) as usize).unwrap();
                for round in 0..rounds {
                    let consumers = [0; 2].map(|_| Process::spawn(mark, (&queue, &seen)).unwrap());
                    for n in 0..each {
                        if n == 5 + round % 30 {
                            consumers[0].kill().unwrap();
                        }
                        queue.put(message(round * each + n)).unwrap();
                    }
                    consumers[1].kill().unwrap();
                    assert!(consumers.iter().all(|consumer| !consumer.wait().success()));
                }
                queue.close();
                Process::spawn(mark, (&queue, &seen)).unwrap().join().unwrap();
                let times: Vec<_> = seen.iter().map(|times| u64::from(times.load(Relaxed))).collect();
                assert!(times.iter().all(|&times| times >= 1), "a message was lost");
                let more = times.iter().sum::<u64>() - rounds * each;
                assert!(more <= 2 * rounds, "of {} dead consumers, {more} had a message in hand", 2 * rounds);
                assert_eq!(queue.get(), Err(GetError::Closed));
            }
        }
    };
}

pub(crate) use queueing_tests;
