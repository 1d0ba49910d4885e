//! Names that this run gives to things, and the removal of whatever still has one at its end.
//!
//! Rivals put files into `/dev/shm` and the folder for temporary files. All of ours there begin with [`prefix`], which
//! holds the number of the first process, so that nobody else's are touched. A run that a signal ends leaves them.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Where named shared memory lies (shm_overview(7)).
const SHARED_MEMORY: &str = "/dev/shm";

/// What all names of a run begin with; to be called in its first process.
pub(crate) fn prefix() -> String {
    format!("crossproc-compare-{}-", process::id())
}

/// A name that nothing else has; to be called in the first process of a run.
pub(crate) fn name() -> String {
    // Relaxed: numbers only need to differ.
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("{}{}", prefix(), NEXT.fetch_add(1, Relaxed))
}

/// The folder for files of this run; to be called in its first process.
pub(crate) fn folder() -> PathBuf {
    env::temp_dir().join(prefix())
}

/// Dropped at the end of a run, removes what it has left.
pub(crate) struct Sweep;

impl Drop for Sweep {
    fn drop(&mut self) {
        remove();
    }
}

/// Removes everything with a name of this run. What is gone already is no matter.
pub(crate) fn remove() {
    let _ = fs::remove_dir_all(folder());
    let prefix = prefix();
    for entry in fs::read_dir(Path::new(SHARED_MEMORY)).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(&prefix) {
            let _ = fs::remove_file(entry.path());
        }
    }
}
