//! The child that the zygote has forked before anybody wants it.

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

pub(crate) fn it_ends_with_its_zygote() {
    start();
    let end = end_of(spare());
    signal(own_zygote(), libc::SIGKILL);
    wait_for(&end);
}

/// Also if a copy of the parent has all the descriptors that the parent has.
pub(crate) fn it_ends_with_its_parent() {
    let mut parent = start_parent("spare");
    let [spare, copied] = [(); 2].map(|()| {
        let mut line = String::new();
        parent.lines.read_line(&mut line).unwrap();
        line.trim().to_string()
    });
    assert_eq!(copied, "copied");
    let end = end_of(spare.parse().unwrap());
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
