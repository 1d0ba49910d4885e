//! This program's zygote.

use std::fs;
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::sync::OnceLock;
use std::thread;
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

static ZYGOTE: OnceLock<u32> = OnceLock::new();

/// Notes who the zygote is, before there can be any other child.
pub(crate) fn note_zygote() {
    if let [zygote] = children_of(std::process::id())[..] {
        ZYGOTE.set(zygote).unwrap();
    }
}

/// Children that crossproc does not know, besides the zygote: one at most, the zygote's spare.
pub(crate) fn spares() -> Vec<u32> {
    let known: Vec<_> = active_children().iter().map(|child| child.pid()).collect();
    let mut others = children_of(std::process::id());
    others.retain(|pid| !known.contains(pid));
    let (zygotes, spares): (Vec<_>, Vec<_>) = others.into_iter().partition(|pid| Some(pid) == ZYGOTE.get());
    assert!(zygotes.len() == 1 && spares.len() <= 1, "{zygotes:?}, {spares:?} besides {known:?}");
    spares
}

/// Waits for the spare that is made behind a start, and until the zygote, which has nothing of it open then, has told this
/// process.
pub(crate) fn spare() -> u32 {
    loop {
        let spares = spares();
        let open = fs::read_dir(format!("/proc/{}/fd", own_zygote())).unwrap().count();
        if let ([spare], 5) = (&spares[..], open) {
            return *spare;
        }
        thread::yield_now();
    }
}

pub(crate) fn own_zygote() -> u32 {
    spares();
    ZYGOTE.get().copied().unwrap()
}

/// Whoever is there besides the zygote is not left behind by anybody: it is the next child.
pub(crate) fn nobody_is_left_behind() {
    let before = spares();
    let next = from_zygote().spawn(std::process::id, ()).unwrap().join().unwrap();
    assert!(before.is_empty() || before == [next], "{before:?}, not {next}");
    spares();
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
