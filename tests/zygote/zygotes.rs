//! This program's zygote.

use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::time::Duration;

use crossproc::{Process, ProcessBuilder, StartMethod, active_children, wait_any};

use crate::facts::{children_of, exec_number};

pub(crate) const LONG: Duration = Duration::from_secs(50);

/// A start that succeeds from the zygote or not at all.
pub(crate) fn from_zygote() -> ProcessBuilder {
    Process::builder().start_method(StartMethod::Zygote)
}

pub(crate) fn executed() -> ProcessBuilder {
    Process::builder().start_method(StartMethod::Exec)
}

/// Whether children are executed if nothing else is said.
pub(crate) fn exec_is_the_default() -> bool {
    Process::spawn(exec_number, ()).unwrap().join().unwrap() != exec_number()
}

/// The child that crossproc does not know.
pub(crate) fn own_zygote() -> u32 {
    let known: Vec<_> = active_children().iter().map(|child| child.pid()).collect();
    let others: Vec<_> = children_of(std::process::id()).into_iter().filter(|pid| !known.contains(pid)).collect();
    assert_eq!(others.len(), 1, "{others:?} besides {known:?}");
    others[0]
}

/// A descriptor that says when the process has ended.
pub(crate) fn end_of(pid: u32) -> OwnedFd {
    // SAFETY: no memory is involved.
    let descriptor = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    assert!(descriptor >= 0, "{}", std::io::Error::last_os_error());
    // SAFETY: just made for us.
    unsafe { OwnedFd::from_raw_fd(descriptor as i32) }
}

pub(crate) fn wait_for(end: &OwnedFd) {
    assert_eq!(wait_any(&[&end.as_fd()], Some(LONG)).unwrap(), [0]);
}
