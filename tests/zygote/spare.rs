//! The child that the zygote has forked before anybody wants it.

use std::fs::File;
use std::io::BufRead;
use std::sync::Barrier;
use std::thread;

use crossproc::Exit;

use crate::common::processes::signal;
use crate::life::start_parent;
use crate::zygotes::{end_of, from_zygote, nobody_is_left_behind, own_zygote, spare, spares, wait_for};

fn start() -> u32 {
    from_zygote().spawn(std::process::id, ()).unwrap().join().unwrap()
}

pub(crate) fn a_program_has_one_from_its_first_start_on() {
    assert!(spares().is_empty());
    start();
    let first = spare();
    assert_eq!(start(), first);
    assert_ne!(spare(), first);
}

pub(crate) fn a_start_does_without_one_that_was_killed() {
    start();
    for round in 0..40 {
        let killed = spare();
        let end = end_of(killed);
        signal(killed, libc::SIGKILL);
        // Before its end is seen, or after it.
        if round % 2 == 0 {
            wait_for(&end);
        }
        assert_ne!(start(), killed);
    }
    nobody_is_left_behind();
}

/// What is sent to a whole group concerns who has been started by then; and all who have.
pub(crate) fn it_forgets_the_signals_of_its_wait() {
    start();
    for _ in 0..40 {
        let first = spare();
        for number in [libc::SIGTERM, libc::SIGINT, libc::SIGUSR1, libc::SIGTSTP, libc::SIGRTMIN(), libc::SIGRTMIN()] {
            signal(first, number);
        }
        assert_eq!(start(), first);
        let second = spare();
        let process = from_zygote().spawn(thread::park, ()).unwrap();
        assert_eq!(process.pid(), second);
        process.terminate().unwrap();
        assert_eq!(process.wait(), Exit::Signal(libc::SIGTERM));
    }
}

pub(crate) fn a_start_continues_whoever_was_stopped() {
    start();
    for _ in 0..4 {
        let stopped = spare();
        signal(stopped, libc::SIGSTOP);
        assert_eq!(start(), stopped);
        spare();
        signal(own_zygote(), libc::SIGSTOP);
        start();
        start();
    }
    signal(own_zygote(), libc::SIGSTOP); // the exit of this program does, too
}

/// Descriptors run out at each step of a start; the zygote is there for the next one.
pub(crate) fn a_start_without_a_descriptor_to_spare_loses_nobody() {
    start();
    let mut refused = 0;
    for free in 0..16 {
        let waiting = spare();
        let mut taken = fill();
        taken.truncate(taken.len() - free);
        let process = from_zygote().spawn(std::process::id, ());
        drop(taken);
        match process {
            Ok(process) => assert_eq!(process.join(), Ok(waiting)),
            Err(_) => refused += 1,
        }
        start();
    }
    assert!((1..16).contains(&refused), "{refused}");
    nobody_is_left_behind();
}

/// Opens files until no more can be.
fn fill() -> Vec<File> {
    let few = libc::rlimit { rlim_cur: 100, rlim_max: 100 };
    // SAFETY: the kernel reads a limit.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const few) }, 0);
    std::iter::from_fn(|| File::open("/dev/null").ok()).collect()
}

pub(crate) fn it_ends_with_its_zygote() {
    start();
    let end = end_of(spare());
    signal(own_zygote(), libc::SIGKILL);
    wait_for(&end);
}

/// Also if a copy of the parent has all the descriptors that the parent has.
pub(crate) fn it_ends_with_its_parent() {
    ends_with_its_parent("spare", false);
}

pub(crate) fn a_stopped_one_ends_with_its_parent() {
    ends_with_its_parent("spare", true);
}

/// Whose end then signals nobody who has the privileges that it had.
pub(crate) fn it_ends_with_a_parent_of_other_privileges() {
    ends_with_its_parent("other user", false);
}

fn ends_with_its_parent(role: &str, is_stopped: bool) {
    let mut parent = start_parent(role);
    let [spare, copied] = [(); 2].map(|()| {
        let mut line = String::new();
        parent.lines.read_line(&mut line).unwrap();
        line.trim().to_string()
    });
    assert_eq!(copied, "copied");
    let spare = spare.parse().unwrap();
    let end = end_of(spare);
    if is_stopped {
        signal(spare, libc::SIGSTOP);
    }
    parent.process.kill().unwrap();
    wait_for(&end);
    wait_for(&parent.zygote);
    drop(parent.process.stdin.take());
    parent.process.wait().unwrap();
}

pub(crate) fn threads_that_start_at_once_have_each_their_child() {
    const THREADS: usize = 8;
    let barrier = Barrier::new(THREADS);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                barrier.wait();
                for n in 0..20 {
                    assert_eq!(from_zygote().spawn(u32::pow, (n, 2)).unwrap().join(), Ok(n * n));
                }
            });
        }
    });
    nobody_is_left_behind();
}
