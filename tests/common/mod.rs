//! What tests of several files need.

// Each test binary has its own copy and uses what it needs.
#![allow(dead_code, unused_imports, unused_macros)]

pub(crate) mod channel;
pub(crate) mod kills;
pub(crate) mod limits;
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
