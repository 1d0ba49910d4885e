//! Tasks and initializers that fork, and have the copy return: it is not the worker, and goes no further.

use std::process;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use crossproc::{Pool, RawArray, RawValue, TaskError};

use crate::common::locking::state_of;
use crate::common::processes::signal;
use crate::common::{until, watchdog};

/// fork(2), without more: the copy's number, or `None` in the copy.
fn fork() -> Option<u32> {
    // SAFETY: a worker has one thread, so whatever the copy goes on with is whole.
    match unsafe { libc::fork() } {
        0 => None,
        copy => Some(copy.cast_unsigned()),
    }
}

fn wait_for(copy: u32) {
    let mut status = 0;
    // SAFETY: writes one integer, which outlives the call.
    assert_eq!(unsafe { libc::waitpid(copy.cast_signed(), &raw mut status, 0) }, copy.cast_signed());
}

/// Returns in the copy, and when that has ended.
fn fork_and_wait() -> bool {
    let copy = fork();
    copy.into_iter().for_each(wait_for);
    copy.is_none()
}

#[test]
fn the_copy_of_an_initializer_takes_no_task() {
    let _watchdog = watchdog();
    let pool = Pool::builder()
        .workers(1)
        .initializer(
            || {
                fork_and_wait();
            },
            (),
        )
        .start()
        .unwrap();
    let worker = pool.workers()[0].pid();
    assert_eq!(pool.chunk(1).map(|_: u32| process::id(), 0..20), Ok(vec![worker; 20]));
}

#[test]
fn what_a_copy_returns_is_no_result() {
    let _watchdog = watchdog();
    // What goes through the channel, and what goes through the socket.
    for times in [1, 20_000] {
        let pool = Pool::new(1).unwrap();
        let text = |times| if fork_and_wait() { "the copy".repeat(times) } else { "original".repeat(times) };
        for _ in 0..3 {
            assert!(pool.apply(text, (times,)) == Ok("original".repeat(times)), "{times} times");
        }
    }
}

const ITEMS: usize = 12;

/// The item whose call forks.
const FORKING: usize = 5;

fn runs() -> RawArray<AtomicU32> {
    RawArray::new(ITEMS).unwrap()
}

#[test]
fn the_copy_does_not_go_on_with_a_chunk() {
    let _watchdog = watchdog();
    let (pool, runs) = (Pool::new(1).unwrap(), runs());
    let one = |n: usize, runs: RawArray<AtomicU32>| {
        runs[n].fetch_add(1, SeqCst);
        let is_copy = n == FORKING && fork_and_wait();
        if is_copy { usize::MAX } else { n }
    };
    let results = pool.chunk(ITEMS).starmap(one, (0..ITEMS).map(|n| (n, &runs)));
    assert_eq!(results, Ok((0..ITEMS).collect()));
    assert!(runs.iter().all(|times| times.load(SeqCst) == 1), "{runs:?}");
}

/// The next worker is at the desk of the one that has died: the copy writes nothing there.
#[test]
fn the_copy_of_a_worker_that_dies_does_not_go_on_in_its_place() {
    let _watchdog = watchdog();
    let (pool, runs, copy) = (Pool::new(1).unwrap(), runs(), RawValue::new(AtomicU32::new(0)).unwrap());
    let one = |n: usize, runs: RawArray<AtomicU32>, copy: RawValue<AtomicU32>| {
        runs[n].fetch_add(1, SeqCst);
        if n == FORKING {
            match fork() {
                None => return usize::MAX,
                Some(number) => {
                    copy.store(number, SeqCst);
                    signal(process::id(), libc::SIGKILL);
                }
            }
        }
        n
    };
    let outcomes = pool.chunk(ITEMS).try_starmap(one, (0..ITEMS).map(|n| (n, &runs, &copy)));
    for (n, outcome) in outcomes.into_iter().enumerate() {
        let is_right = match outcome {
            Err(TaskError::WorkerDied { .. }) => n == FORKING,
            other => other == Ok(n) && n != FORKING,
        };
        assert!(is_right, "{n}");
    }
    // Nobody of this test is its parent, and may see its end.
    until("the end of the copy", || matches!(state_of(copy.load(SeqCst)), 'Z' | '?'));
    assert!(runs.iter().all(|times| times.load(SeqCst) == 1), "{runs:?}");
}
