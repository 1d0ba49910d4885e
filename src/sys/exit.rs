//! The end of the process.

#![allow(unsafe_code)]

use crate::error::{Error, Result};

/// Has `handler` called when the process exits by returning from `main` or by `exit`; not if a signal ends it. Forked
/// copies inherit it.
pub(crate) fn at_exit(handler: extern "C" fn()) -> Result<()> {
    // SAFETY: the handler is code of this program, and it does not unwind: `extern "C"`.
    match unsafe { libc::atexit(handler) } {
        0 => Ok(()),
        _ => Err(Error::os("register an exit handler", std::io::Error::from_raw_os_error(libc::ENOMEM))),
    }
}

/// Ends the process at once: no exit handlers, no destructors.
pub(crate) fn now(code: i32) -> ! {
    // SAFETY: has no preconditions; other threads end wherever they are.
    unsafe { libc::_exit(code) }
}

/// Has the kernel kill this process when the thread that started it ends. An exec that raises capabilities has disarmed
/// what was armed before it (prctl(2)).
///
/// `parent` is the process of that thread; if it is not this one's any more, it ended too early for the signal, and this
/// process ends here, with code 1.
pub(crate) fn die_with_parent(parent: u32) {
    // SAFETY: sets an attribute of this process; no memory is involved.
    let armed = unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) } == 0;
    if !armed || std::os::unix::process::parent_id() != parent {
        now(1);
    }
}

/// Takes [`die_with_parent`] back.
pub(crate) fn outlive_parent() {
    // SAFETY: sets an attribute of this process; no memory is involved.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, 0) };
}

/// SIGKILL to this process, here and now.
#[cfg(crash_points)]
pub(crate) fn kill_self() -> ! {
    // SAFETY: kill has no memory arguments.
    unsafe { libc::kill(std::process::id().cast_signed(), libc::SIGKILL) };
    loop {
        std::thread::park();
    }
}
