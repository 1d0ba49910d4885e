//! Processes by descriptor: a pidfd means one process for ever, whatever becomes of its number (pidfd_open(2)).

#![allow(unsafe_code)]

use std::ffi::c_int;
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;
use std::thread;
use std::time::Duration;

use super::clock::Deadline;
use crate::error::Exit;

/// What a look at a process shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Running,
    Ended(Exit),
    /// It is not a child of this process, or not any more: somebody else collected its status.
    NotOurs,
}

/// A descriptor of the process that has this number now: the caller knows that it is the right one.
pub(crate) fn open(pid: u32) -> io::Result<OwnedFd> {
    // SAFETY: no memory is involved.
    let descriptor = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    if descriptor == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor as c_int) })
}

/// Sleeps until the process has ended, or until the deadline; whether it has ended.
///
/// Where the kernel refuses to sleep (ENOMEM, or EINVAL under a limit of no descriptors at all), or wakes us for the end
/// of a process whose tracer is to be told first, this looks at the process again and again.
pub(crate) fn wait(process: BorrowedFd<'_>, deadline: Deadline) -> bool {
    let mut pause = SHORTEST_PAUSE;
    loop {
        let mut entry = libc::pollfd { fd: process.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        let timeout = deadline.remaining().map(|left| libc::timespec {
            tv_sec: left.as_secs().try_into().unwrap_or(libc::time_t::MAX),
            tv_nsec: left.subsec_nanos().into(),
        });
        let timeout = timeout.as_ref().map_or(ptr::null(), ptr::from_ref);
        // SAFETY: one entry, and a timeout that is null or a valid timespec; both outlive the call.
        let ended = match unsafe { libc::ppoll(&raw mut entry, 1, timeout, ptr::null()) } {
            1 => look(process) != Seen::Running,
            // The timeout and the deadline are on the same clock, but only the deadline's own answer counts.
            0 if deadline.has_passed() => return false,
            0 => continue,
            _ if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => continue,
            _ => match look(process) {
                Seen::Running => false,
                Seen::Ended(_) => true,
                Seen::NotOurs => is_gone(process),
            },
        };
        if ended || deadline.has_passed() {
            return ended;
        }
        thread::sleep(deadline.remaining().map_or(pause, |left| left.min(pause)));
        pause = LONGEST_PAUSE.min(pause * 2);
    }
}

/// How long to sleep between two looks, at first and at last: guesses.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// Whether the process has ended and somebody has collected its status.
fn is_gone(process: BorrowedFd<'_>) -> bool {
    send_signal(process, 0).is_err_and(|error| error.raw_os_error() == Some(libc::ESRCH))
}

/// How the process ended, if it has; leaves it to [`reap`] to collect it.
pub(crate) fn look(process: BorrowedFd<'_>) -> Seen {
    // SAFETY: integers only; all zeroes is a value.
    let mut info: libc::siginfo_t = unsafe { mem::zeroed() };
    if waitid(process, &mut info, libc::WEXITED | libc::WNOHANG | libc::WNOWAIT).is_err() {
        return Seen::NotOurs;
    }
    // SAFETY: waitid(2) fills in the pid and the status, or leaves the zeroes if the process has not ended.
    if unsafe { info.si_pid() } == 0 {
        return Seen::Running;
    }
    // SAFETY: as above.
    let status = unsafe { info.si_status() };
    Seen::Ended(if info.si_code == libc::CLD_EXITED { Exit::Code(status) } else { Exit::Signal(status) })
}

/// Collects the status of a process that has ended, so that no zombie stays. If somebody else did, all is well, too.
pub(crate) fn reap(process: BorrowedFd<'_>) {
    // SAFETY: integers only; all zeroes is a value.
    let mut info: libc::siginfo_t = unsafe { mem::zeroed() };
    let _ = waitid(process, &mut info, libc::WEXITED | libc::WNOHANG);
}

/// Children whose end sends no signal, as those of a zygote, are waited for, too: `__WALL`.
fn waitid(process: BorrowedFd<'_>, info: &mut libc::siginfo_t, options: i32) -> io::Result<()> {
    let process = process.as_raw_fd() as libc::id_t;
    // SAFETY: `info` outlives the call.
    match unsafe { libc::waitid(libc::P_PIDFD, process, info, options | libc::__WALL) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// How a process ended whose status somebody else collected; `None` where the kernel does not tell: before Linux 6.15,
/// or before the status has been collected.
pub(crate) fn recorded_exit(process: BorrowedFd<'_>) -> Option<Exit> {
    // SAFETY: integers only; all zeroes is a value.
    let mut info: libc::pidfd_info = unsafe { mem::zeroed() };
    info.mask = libc::PIDFD_INFO_EXIT.into();
    // SAFETY: the kernel reads and writes one `pidfd_info`, whose size is part of the request's number.
    let answer = unsafe { libc::ioctl(process.as_raw_fd(), libc::PIDFD_GET_INFO as _, &raw mut info) };
    if answer != 0 || info.mask & u64::from(libc::PIDFD_INFO_EXIT) == 0 {
        return None;
    }
    let status = info.exit_code;
    Some(if libc::WIFSIGNALED(status) {
        Exit::Signal(libc::WTERMSIG(status))
    } else {
        Exit::Code(libc::WEXITSTATUS(status))
    })
}

/// Sends a signal. A process that has ended gets it no more, which is no error.
pub(crate) fn signal(process: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    match send_signal(process, signal) {
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(()),
        other => other,
    }
}

/// pidfd_send_signal(2); signal 0 is none, and only asks.
fn send_signal(process: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    // SAFETY: no information goes with the signal, hence the null pointer; no memory is involved.
    let answer = unsafe {
        libc::syscall(libc::SYS_pidfd_send_signal, process.as_raw_fd(), signal, ptr::null::<libc::siginfo_t>(), 0)
    };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
