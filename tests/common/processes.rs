//! What a process does to itself, to its children, and in a copy of itself.

use std::panic::{self, AssertUnwindSafe};
use std::process;

use crossproc::{Exit, Process, ProcessError};
use serde::de::DeserializeOwned;

/// What a process does to itself in the middle of a put: its slot is claimed, and the message not yet there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) enum Midway {
    #[default]
    Nothing,
    Stop,
    Die,
}

impl Midway {
    pub(crate) fn act(self) {
        match self {
            Midway::Nothing => {}
            Midway::Stop => signal(process::id(), libc::SIGSTOP),
            Midway::Die => signal(process::id(), libc::SIGKILL),
        }
    }
}

/// kill(2), to a process that nobody has waited for.
pub(crate) fn signal(pid: u32, signal: i32) {
    // SAFETY: involves no memory.
    assert_eq!(unsafe { libc::kill(pid.cast_signed(), signal) }, 0);
}

/// Whether `copy` says yes in a forked copy of this process, which then ends.
pub(crate) fn forked(copy: impl FnOnce() -> bool) -> bool {
    // SAFETY: the copy does what other threads cannot have broken by disappearing, and ends with _exit.
    match unsafe { libc::fork() } {
        0 => {
            let answer = panic::catch_unwind(AssertUnwindSafe(copy));
            // SAFETY: ends the copy at once, without destructors.
            unsafe { libc::_exit(i32::from(answer.ok() != Some(true))) }
        }
        copy => {
            let mut status = -1;
            // SAFETY: our child; `status` outlives the call.
            assert_eq!(unsafe { libc::waitpid(copy, &mut status, 0) }, copy);
            status == 0
        }
    }
}

/// Runs `$f` in a process that dies at `$point`, after `$passes` unharmed passes.
macro_rules! dies_at {
    ($point:expr, $passes:expr, $f:expr, $args:expr) => {
        $crate::common::processes::is_killed(
            $point,
            crossproc::Process::builder().crash_at_nth($point, $passes).spawn($f, $args).unwrap(),
        )
    };
    ($point:expr, $f:expr, $args:expr) => {
        $crate::common::processes::dies_at!($point, 0, $f, $args)
    };
}
pub(crate) use dies_at;

/// Fails unless the process has been, by SIGKILL; `point` is where it was to be.
pub(crate) fn is_killed<R: DeserializeOwned>(point: &str, process: Process<R>) {
    match process.join() {
        Err(ProcessError::Ended { exit: Exit::Signal(libc::SIGKILL), .. }) => {}
        Err(other) => panic!("{point} was not reached: {other:?}"),
        Ok(_) => panic!("{point} was not reached"),
    }
}
