//! Objects under names, seen from their directory.

use std::ffi::CStr;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// A name that nobody else uses; whatever still has it at the end of the test loses it.
pub(crate) struct TestName(String);

impl TestName {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        TestName(format!("test/{}-{}", std::process::id(), COUNT.fetch_add(1, Relaxed)))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Its file.
    pub(crate) fn path(&self) -> String {
        format!("/dev/shm/crossproc-{}", self.0.replace('/', "%"))
    }

    pub(crate) fn exists(&self) -> bool {
        std::fs::symlink_metadata(self.path()).is_ok()
    }
}

impl Drop for TestName {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(self.path());
    }
}

/// Gives the calling process, which has one thread, a directory of names that nobody else sees; false where this user may
/// not.
pub(crate) fn in_own_directory(options: &CStr) -> bool {
    // SAFETY: has no memory arguments.
    let is_alone = unsafe { libc::unshare(libc::CLONE_NEWNS) } == 0;
    let (none, private) = (std::ptr::null(), libc::MS_REC | libc::MS_PRIVATE);
    // SAFETY: null pointers are allowed where the flags need no argument.
    let is_private = is_alone && unsafe { libc::mount(none, c"/".as_ptr(), none, private, none.cast()) } == 0;
    let (target, kind) = (c"/dev/shm".as_ptr(), c"tmpfs".as_ptr());
    // SAFETY: C strings that outlive the call.
    is_private && unsafe { libc::mount(kind, target, kind, 0, options.as_ptr().cast()) } == 0
}

/// The lock that somebody who removes the name of this file has, until this is dropped.
pub(crate) fn remover(path: impl AsRef<Path>) -> File {
    let file = File::options().read(true).write(true).open(path).unwrap();
    let lock = libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: (1 << 40) - 1,
        l_len: 1,
        l_pid: 0,
    };
    // SAFETY: `lock` is a live flock.
    assert_eq!(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw const lock) }, 0);
    file
}
