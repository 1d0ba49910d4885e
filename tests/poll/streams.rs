//! A `Ring` and a `Queue`: when they are readable, and to whom.

use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::thread;

use crossproc::{Process, Queue, RawValue, Ring, TryGetError};

use crate::common::locking::{Stage, wait_for_state};
use crate::common::processes::forked;
use crate::common::watchdog;
use crate::stream::Stream;
use crate::{ROUNDS, is_readable, wait_for, wait_until_unreadable, watchers};

/// Each of these holds for a `Ring` and for a `Queue`.
macro_rules! for_each_stream {
    ($($test:ident)*) => {
        mod ring {
            $(#[test] fn $test() { let _watchdog = super::watchdog(); super::$test::<super::Ring<u32>>(); })*
        }

        mod queue {
            $(#[test] fn $test() { let _watchdog = super::watchdog(); super::$test::<super::Queue<u32>>(); })*
        }
    };
}

for_each_stream! {
    a_put_of_another_process_makes_it_readable
    it_is_readable_until_it_is_drained
    it_is_unreadable_when_another_process_has_drained_it
    a_close_of_another_process_makes_it_readable_for_ever
    what_is_being_read_is_not_readable
    what_a_killed_consumer_had_is_readable_again
    what_was_there_before_the_first_look_is_readable
    clones_share_a_descriptor
    blocked_consumers_get_every_wake_up
    blocked_threads_get_every_wake_up
    every_message_is_announced
    event_loops_share_the_messages
    dropping_the_last_clone_ends_thread_and_descriptor
    a_forked_copy_has_its_own
}

fn a_put_of_another_process_makes_it_readable<S: Stream>() {
    let (stream, go) = (S::of(4), Stage::new());
    let put = |stream: S, go: Stage| {
        for number in 1..=20 {
            go.wait_for(number);
            stream.put(number);
        }
    };
    let process = Process::spawn(put, (&stream, &go)).unwrap();
    for number in 1..=20 {
        assert!(!is_readable(&stream));
        go.advance();
        wait_for(&stream);
        assert_eq!(stream.try_get(), Ok(number));
    }
    process.join().unwrap();
}

fn it_is_readable_until_it_is_drained<S: Stream>() {
    let stream = S::of(4);
    assert!(!is_readable(&stream));
    (0..3).for_each(|number| stream.put(number));
    for number in 0..3 {
        wait_for(&stream);
        assert_eq!(stream.get(), Some(number));
    }
    assert!(!is_readable(&stream));
    assert_eq!(stream.try_get(), Err(TryGetError::Empty));
    stream.close();
    wait_for(&stream);
}

fn it_is_unreadable_when_another_process_has_drained_it<S: Stream>() {
    let stream = S::of(4);
    stream.put(7);
    wait_for(&stream);
    assert_eq!(Process::spawn(|stream: S| stream.get(), (&stream,)).unwrap().join(), Ok(Some(7)));
    wait_until_unreadable(&stream);
    stream.put(8);
    wait_for(&stream);
    assert_eq!(Process::spawn(|stream: S| stream.get(), (&stream,)).unwrap().join(), Ok(Some(8)));
    // The look that finds nothing says so at once.
    assert_eq!(stream.try_get(), Err(TryGetError::Empty));
    assert!(!is_readable(&stream));
}

fn a_close_of_another_process_makes_it_readable_for_ever<S: Stream>() {
    let stream = S::of(4);
    assert!(!is_readable(&stream));
    let process = Process::spawn(|stream: S| stream.close(), (&stream,)).unwrap();
    wait_for(&stream);
    for _ in 0..3 {
        assert_eq!(stream.try_get(), Err(TryGetError::Closed));
        assert!(is_readable(&stream));
    }
    process.join().unwrap();
}

fn what_is_being_read_is_not_readable<S: Stream>() {
    let stream = S::of(4);
    stream.put(7);
    wait_for(&stream);
    stream.hold(false, || assert!(!is_readable(&stream)));
    wait_for(&stream);
    stream.close();
    // Not the end yet: it may be given back.
    stream.hold(false, || assert!(!is_readable(&stream)));
    wait_for(&stream);
    stream.hold(true, || assert!(!is_readable(&stream)));
    wait_for(&stream);
    assert_eq!(stream.try_get(), Err(TryGetError::Closed));
}

fn what_a_killed_consumer_had_is_readable_again<S: Stream>() {
    let (stream, stage) = (S::of(4), Stage::new());
    let hold = |stream: S, stage: Stage| {
        stream.hold(true, || {
            stage.advance();
            loop {
                thread::park();
            }
        });
    };
    let process = Process::spawn(hold, (&stream, &stage)).unwrap();
    stream.put(7);
    stage.wait_for(1);
    wait_until_unreadable(&stream);
    process.kill().unwrap();
    wait_for(&stream);
    assert_eq!(stream.try_get(), Ok(7));
    assert!(!is_readable(&stream));
}

fn what_was_there_before_the_first_look_is_readable<S: Stream>() {
    let stream = S::of(4);
    stream.put(1);
    assert!(is_readable(&stream));
    let closed = S::of(4);
    closed.close();
    assert!(is_readable(&closed));
}

fn clones_share_a_descriptor<S: Stream>() {
    let stream = S::of(4);
    let clone = stream.clone();
    assert_eq!(stream.as_fd().as_raw_fd(), clone.as_fd().as_raw_fd());
    clone.put(1);
    wait_for(&stream);
    assert_eq!(clone.get(), Some(1));
    assert!(!is_readable(&stream));
    drop(stream);
    clone.put(2);
    wait_for(&clone);
}

fn blocked_consumers_get_every_wake_up<S: Stream>() {
    let (stream, got) = (S::of(4), RawValue::new(AtomicU32::new(0)).unwrap());
    let consume = |stream: S, got: RawValue<AtomicU32>| {
        while stream.get().is_some() {
            got.fetch_add(1, SeqCst);
        }
    };
    let process = Process::spawn(consume, (&stream, &got)).unwrap();
    stream.as_fd();
    for round in 0..ROUNDS {
        if round % 100 == 0 {
            wait_for_state(process.pid(), 'S');
        }
        stream.put(round);
        while got.load(SeqCst) == round {
            thread::yield_now();
        }
    }
    stream.close();
    process.join().unwrap();
}

fn blocked_threads_get_every_wake_up<S: Stream>() {
    let (stream, got) = (S::of(4), AtomicU32::new(0));
    stream.as_fd();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while stream.get().is_some() {
                    got.fetch_add(1, SeqCst);
                }
            });
        }
        for round in 0..ROUNDS {
            stream.put(round);
            while got.load(SeqCst) == round {
                thread::yield_now();
            }
        }
        stream.close();
    });
    assert_eq!(stream.try_get(), Err(TryGetError::Closed));
}

fn every_message_is_announced<S: Stream>() {
    let (there, here) = (S::of(4), S::of(4));
    let answer = |there: S, here: S| {
        while let Some(number) = there.get() {
            here.put(number);
        }
    };
    let process = Process::spawn(answer, (&there, &here)).unwrap();
    for round in 0..ROUNDS {
        there.put(round);
        wait_for(&here);
        assert_eq!(here.try_get(), Ok(round));
        assert!(!is_readable(&here));
    }
    there.close();
    process.join().unwrap();
}

fn event_loops_share_the_messages<S: Stream>() {
    const MESSAGES: u32 = 20_000;
    let stream = S::of(8);
    let take_all = |stream: S| {
        let mut sum = 0_u64;
        loop {
            wait_for(&stream);
            match stream.try_get() {
                Ok(number) => sum += u64::from(number),
                Err(TryGetError::Empty) => {} // somebody else was faster
                Err(TryGetError::Closed) => return sum,
                Err(other) => panic!("{other}"),
            }
        }
    };
    let process = Process::spawn(take_all, (&stream,)).unwrap();
    let threads: Vec<_> =
        (0..2).map(|_| stream.clone()).map(|stream| thread::spawn(move || take_all(stream))).collect();
    (1..=MESSAGES).for_each(|number| stream.put(number));
    stream.close();
    let here: u64 = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    assert_eq!(here + process.join().unwrap(), u64::from(MESSAGES) * u64::from(MESSAGES + 1) / 2);
}

fn dropping_the_last_clone_ends_thread_and_descriptor<S: Stream>() {
    let body = || {
        let stream = S::of(4);
        stream.put(1);
        assert_eq!((stream.get(), watchers()), (Some(1), (0, 0)));
        for is_ready in [false, true] {
            let stream = S::of(4);
            let clone = stream.clone();
            if is_ready {
                stream.put(1);
            }
            clone.as_fd();
            stream.as_fd();
            while watchers() != (1, 1) {} // until it has its name
            drop(clone);
            assert_eq!(watchers(), (1, 1));
            drop(stream);
            while watchers() != (0, 0) {} // until the kernel has it out of its list
        }
    };
    Process::spawn(body, ()).unwrap().join().unwrap();
}

fn a_forked_copy_has_its_own<S: Stream>() {
    let stream = S::of(4);
    stream.as_fd();
    assert!(forked(|| {
        stream.put(1);
        wait_for(&stream);
        let clone = stream.clone();
        assert_eq!(clone.get(), Some(1));
        assert!(!is_readable(&stream));
        stream.put(2);
        true
    }));
    wait_for(&stream);
    assert_eq!(stream.get(), Some(2));
}
