//! Objects under names: making, opening and removing them; whose they are; races; deaths.

#[path = "../common/mod.rs"]
mod common;

mod access;
mod basics;
mod deaths;
mod races;

use std::ffi::CStr;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use crossproc::{Error, unlink};

crossproc::test_support!();

/// A name that nobody else uses; whatever still has it at the end of the test loses it.
struct TestName(String);

impl TestName {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        TestName(format!("test/{}-{}", std::process::id(), COUNT.fetch_add(1, Relaxed)))
    }

    fn as_str(&self) -> &str {
        &self.0
    }

    /// Its file.
    fn path(&self) -> String {
        format!("/dev/shm/crossproc-{}", self.0.replace('/', "%"))
    }

    fn exists(&self) -> bool {
        std::fs::symlink_metadata(self.path()).is_ok()
    }
}

impl Drop for TestName {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(self.path());
    }
}

fn is_missing<T>(outcome: &Result<T, Error>) -> bool {
    matches!(outcome, Err(Error::NoSuchName { .. }))
}

/// Gives the calling process, which has one thread, a directory of names that nobody else sees; false where this user may
/// not.
fn in_own_directory(options: &CStr) -> bool {
    // SAFETY: has no memory arguments.
    let is_alone = unsafe { libc::unshare(libc::CLONE_NEWNS) } == 0;
    let (none, private) = (std::ptr::null(), libc::MS_REC | libc::MS_PRIVATE);
    // SAFETY: null pointers are allowed where the flags need no argument.
    let is_private = is_alone && unsafe { libc::mount(none, c"/".as_ptr(), none, private, none.cast()) } == 0;
    let (target, kind) = (c"/dev/shm".as_ptr(), c"tmpfs".as_ptr());
    // SAFETY: C strings that outlive the call.
    is_private && unsafe { libc::mount(kind, target, kind, 0, options.as_ptr().cast()) } == 0
}

/// What is persistent and done with.
fn remove(name: &TestName) {
    unlink(name.as_str()).unwrap();
}
