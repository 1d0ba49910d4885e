//! A hang is a failure, too.

// Each test binary has its own copy and uses what it needs.
#![allow(dead_code)]

use std::io::{self, Write};
use std::process;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

/// Longer than anything in a test takes on a slow machine under load, a guess.
const PATIENCE: Duration = Duration::from_secs(60);

/// Ends the test binary, naming the test, if it does not end in time.
pub(crate) struct Watchdog(Sender<()>);

/// Guards the calling test as long as the result lives.
pub(crate) fn watchdog() -> Watchdog {
    watchdog_of(PATIENCE)
}

/// As [`watchdog`], for a test that has more to do.
pub(crate) fn watchdog_of(patience: Duration) -> Watchdog {
    let test = thread::current().name().unwrap_or("a test").to_string();
    let (end, ended) = mpsc::channel();
    thread::spawn(move || {
        if ended.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
            let _ = writeln!(io::stderr(), "{test} has not ended after {patience:?}");
            process::abort();
        }
    });
    Watchdog(end)
}

/// Waits until something is so, and fails with `what` if it does not become so.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(20), "{what}: not within 20 s");
        thread::yield_now();
    }
}
