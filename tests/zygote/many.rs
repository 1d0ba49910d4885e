//! Starts among other threads.

use std::fs::File;
use std::os::fd::{FromRawFd, IntoRawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crossproc::ProcessBuilder;

use crate::facts::descriptors;
use crate::zygotes::{executed, from_zygote};

/// Allocates, prints, and opens files that are not close-on-exec.
fn disturb(stop: &AtomicBool) {
    let mut held = Vec::new();
    for round in 1_usize.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        // SAFETY: the path is a C string.
        let descriptor = unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDONLY) };
        held.push((vec![round; round % 1000], String::from("x").repeat(round % 100)));
        println!("{round} {}", held.len());
        if held.len() > 50 {
            held.clear();
        }
        if descriptor >= 0 {
            // SAFETY: just opened, and nobody else's.
            drop(unsafe { File::from_raw_fd(descriptor) });
        }
    }
}

pub(crate) fn children_start_among_threads_that_allocate_print_and_open() {
    const CHILDREN: usize = 500;
    // Nobody reads all that.
    let null = File::options().write(true).open("/dev/null").unwrap().into_raw_fd();
    // SAFETY: replaces this process's standard output.
    assert_eq!(unsafe { libc::dup2(null, 1) }, 1);
    let stop = AtomicBool::new(false);
    let start = |builder: ProcessBuilder, n: usize| {
        let work = |n: usize| {
            println!("child {n}");
            (vec![n; n % 1000].len(), descriptors())
        };
        let process = builder.spawn(work, (n,)).unwrap();
        assert_eq!(process.join().unwrap(), (n % 1000, vec![0, 1, 2, 3]));
    };
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| disturb(&stop));
        }
        for number in 0..CHILDREN {
            start(executed(), number);
            start(from_zygote(), number);
        }
        stop.store(true, Ordering::Relaxed);
    });
}
