//! A zygote that dies between clone and answer.

use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::thread;

use crossproc::{Process, RawValue};

use crate::common::processes::signal;
use crate::zygotes::{from_zygote, own_zygote, spare};

/// Kills the zygote when it has cloned, and lets the child go; how that ended. Where tracing is forbidden nobody can do that, and the test fails.
fn kill_after_clone(zygote: u32, ready: mpsc::Sender<()>) -> i32 {
    let zygote = zygote.cast_signed();
    let none = ptr::null_mut::<libc::c_void>();
    let options = libc::PTRACE_O_TRACECLONE | libc::PTRACE_O_TRACEFORK;
    // SAFETY: attaches to a child of this process; no memory is involved.
    let seized = unsafe { libc::ptrace(libc::PTRACE_SEIZE, zygote, none, options as usize) };
    assert_eq!(seized, 0, "ptrace: {}", std::io::Error::last_os_error());
    ready.send(()).unwrap();
    let wait = |pid| {
        let mut status = -1;
        // SAFETY: `status` outlives the call.
        assert_eq!(unsafe { libc::waitpid(pid, &mut status, libc::__WALL) }, pid);
        status
    };
    assert!(libc::WIFSTOPPED(wait(zygote)));
    let mut child = 0_u64;
    // SAFETY: the zygote is stopped under this thread's eyes; the kernel writes one word.
    assert_eq!(unsafe { libc::ptrace(libc::PTRACE_GETEVENTMSG, zygote, none, &raw mut child) }, 0);
    let child = child as i32;
    assert!(libc::WIFSTOPPED(wait(child)));
    signal(zygote as u32, libc::SIGKILL);
    // SAFETY: as above; no memory is involved.
    assert_eq!(unsafe { libc::ptrace(libc::PTRACE_DETACH, child, none, none) }, 0);
    wait(child)
}

/// Counts how often a function runs that is started while the zygote is killed so.
fn start_while_it_dies() -> u32 {
    let count = RawValue::new(AtomicU32::new(0)).unwrap();
    let zygote = own_zygote();
    let (ready, is_ready) = mpsc::channel();
    let tracer = thread::spawn(move || kill_after_clone(zygote, ready));
    is_ready.recv().unwrap();
    let add = |count: RawValue<AtomicU32>| count.fetch_add(1, Ordering::Relaxed);
    Process::spawn(add, (&count,)).unwrap().join().unwrap();
    assert_eq!(tracer.join().unwrap(), 0);
    count.load(Ordering::Relaxed)
}

pub(crate) fn a_child_that_its_parent_does_not_know_runs_nothing() {
    assert_eq!(start_while_it_dies(), 1);
}

/// As the zygote dies over the next child, when this one has been told what to do.
pub(crate) fn a_spare_that_its_parent_does_not_know_ends() {
    from_zygote().spawn(|| (), ()).unwrap().join().unwrap();
    let first = spare();
    assert_eq!(start_while_it_dies(), 1);
    assert!(from_zygote().spawn(|| (), ()).is_err());
    assert_ne!(Process::spawn(std::process::id, ()).unwrap().join().unwrap(), first);
}
