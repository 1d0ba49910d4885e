//! What tests of several files need.

// Each test binary has its own copy and uses what it needs.
#![allow(dead_code, unused_imports, unused_macros)]

pub(crate) mod channel;
pub(crate) mod kills;
pub(crate) mod locking;
pub(crate) mod naming;
pub(crate) mod piping;
pub(crate) mod processes;
pub(crate) mod queueing;
pub(crate) mod starting;
#[cfg(target_arch = "x86_64")]
pub(crate) mod stepped;
pub(crate) mod system_calls;
mod watchdog;

pub(crate) use self::watchdog::{Watchdog, until, watchdog, watchdog_of};

use std::fs;
use std::path::{Path, PathBuf};
<<<<<<< HEAD
use std::process;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

/// Longer than anything in a test takes on a slow machine under load, a guess.
const PATIENCE: Duration = Duration::from_secs(60);

/// Ends the test binary, naming the test, if it does not end in time: a hang is a failure, too.
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
=======
>>>>>>> lives

/// All files of Rust below a folder.
pub(crate) fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}
