//! Copies of this process that are not made by fork(3): a zygote, and the children that it makes for its parent.
//!
//! | | parent | the signal at its end |
//! |---|---|---|
//! | zygote | the process that makes it | none, so that a plain waitpid(2) neither finds it nor waits for it |
//! | child | the zygote's (`CLONE_PARENT`) | as the zygote's: the kernel leaves no choice |
//!
//! A raw clone(2) leaves the C library's notes of the thread as they were: its number, which the kernel corrects if it is
//! told where it stands (`CLONE_CHILD_SETTID`), and its list of robust mutexes, which the kernel forgets. All else that
//! fork(3) does is about other threads, of which there are none.

#![allow(unsafe_code)]

use std::ffi::{c_int, c_long, c_void};
use std::fs::File;
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::ptr::{self, NonNull};

use super::exec;
use super::exit;
use super::heritage::Heritage;
use super::pidfd;
use super::spawn::{self, Started};

/// Makes copies of this process, which has one thread only.
pub(crate) struct Cloner {
    /// Where the C library keeps the thread's number.
    thread_id: NonNull<libc::pid_t>,
    robust_list: (*mut c_void, usize),
}

pub(crate) enum Side {
    Original(Started),
    Copy,
}

impl Cloner {
    /// `None` where a copy would not be whole: it would not have this process's other threads, but all that these hold; and
    /// a C library may keep its thread's number elsewhere, or the kernel not say where. As long as it lives, nobody starts a
    /// thread.
    pub(crate) fn new(here: &Heritage) -> Option<Self> {
        if !here.is_only_thread {
            return None;
        }
        let mut place: *mut libc::pid_t = ptr::null_mut();
        // SAFETY: the kernel writes a pointer to `place`.
        let known = unsafe { libc::prctl(libc::PR_GET_TID_ADDRESS, &raw mut place) } == 0;
        let thread_id = NonNull::new(place).filter(|_| known)?;
        // SAFETY: the C library had the kernel clear an integer there when the thread ends; that is not before ours.
        let noted = unsafe { thread_id.read() };
        // SAFETY: has no preconditions.
        if noted != unsafe { libc::gettid() } {
            return None;
        }
        let (mut head, mut length) = (ptr::null_mut(), 0_usize);
        // SAFETY: the kernel writes a pointer and a length.
        let asked = unsafe { libc::syscall(libc::SYS_get_robust_list, 0, &raw mut head, &raw mut length) };
        (asked == 0).then_some(Cloner { thread_id, robust_list: (head, length) })
    }

    /// Makes a zygote; returns in both.
    pub(crate) fn zygote(&self) -> io::Result<Side> {
        self.clone(0)
    }

    /// Makes a child of this process's parent; returns in both.
    pub(crate) fn sibling(&self) -> io::Result<Side> {
        self.clone(libc::CLONE_PARENT)
    }

    fn clone(&self, parent: c_int) -> io::Result<Side> {
        let flags = parent | libc::CLONE_PIDFD | libc::CLONE_CHILD_SETTID | libc::CLONE_CHILD_CLEARTID;
        let flags = c_long::from(flags);
        let (stack, thread_local) = (ptr::null_mut::<c_void>(), ptr::null_mut::<c_void>());
        let mut pidfd: c_int = -1;
        let (place, thread_id) = (&raw mut pidfd, self.thread_id.as_ptr());
        // SAFETY: the copy has memory of its own (no CLONE_VM), and goes on here, on its copy of this stack; all that is
        // not copied are other threads, and there are none (`new`). The kernel writes the pidfd here, and the copy's number
        // where the copy's C library keeps it.
        #[cfg(target_arch = "x86_64")]
        let pid = unsafe { libc::syscall(libc::SYS_clone, flags, stack, place, thread_id, thread_local) };
        // SAFETY: as above; this architecture has the last two the other way round.
        #[cfg(target_arch = "aarch64")]
        let pid = unsafe { libc::syscall(libc::SYS_clone, flags, stack, place, thread_local, thread_id) };
        match pid {
            -1 => Err(io::Error::last_os_error()),
            0 => {
                let (head, length) = self.robust_list;
                // SAFETY: the copy of the list that the C library had told the kernel of.
                unsafe { libc::syscall(libc::SYS_set_robust_list, head, length) };
                Ok(Side::Copy)
            }
            pid => {
                // SAFETY: the kernel just made this descriptor for us.
                let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
                Ok(Side::Original(Started { pid: pid as u32, pidfd }))
            }
        }
    }
}

/// Makes this copy of `parent` one that keeps nothing of it in use: no descriptor but `socket`, no directory. No signal
/// but SIGKILL ends it, and that one comes when `parent` ends, if `parent` may send it then: hence a pidfd of it, too.
pub(crate) fn settle(socket: OwnedFd, parent: u32) -> io::Result<(OwnedFd, OwnedFd)> {
    spawn::block_signals();
    exit::die_with_parent(parent);
    // SAFETY: the path is a C string.
    unsafe { libc::chdir(c"/".as_ptr()) };
    // Where there is no such file, the streams are closed, and stay so in children whose parent has none.
    let null = File::options().read(true).write(true).open("/dev/null").ok().map(IntoRawFd::into_raw_fd);
    let socket = exec::keep_only([null; 3], socket.into_raw_fd())?;
    let process = pidfd::open(parent)?;
    // Otherwise it ended before, and the number may be another's.
    match std::os::unix::process::parent_id() == parent {
        true => Ok((socket, process)),
        false => Err(io::Error::from_raw_os_error(libc::ESRCH)),
    }
}

/// shutdown(2) of the receiving half: those at the other end see that nobody receives any more. What they had sent before can still be
/// received.
pub(crate) fn stop_receiving(socket: BorrowedFd<'_>) {
    // SAFETY: no memory is involved.
    unsafe { libc::shutdown(socket.as_raw_fd(), libc::SHUT_RD) };
}

/// shutdown(2) of both halves: those at the other end see that nobody is at this one any more, even if copies of this process have it open.
pub(crate) fn shut_down(socket: BorrowedFd<'_>) {
    // SAFETY: no memory is involved.
    unsafe { libc::shutdown(socket.as_raw_fd(), libc::SHUT_RDWR) };
}

/// Has this process, which blocks all signals, never receive those that it was sent until now.
pub(crate) fn forget_signals() {
    let (all, now) = (u64::MAX, libc::timespec { tv_sec: 0, tv_nsec: 0 });
    let nothing = ptr::null_mut::<libc::siginfo_t>();
    loop {
        // SAFETY: the kernel's set of signals is these 8 bytes, on both of our architectures; it reads them and the timeout.
        let taken = unsafe {
            libc::syscall(libc::SYS_rt_sigtimedwait, &raw const all, nothing, &raw const now, mem::size_of_val(&all))
        };
        if taken == -1 {
            return; // none is left: nothing interrupts a process that blocks all
        }
    }
}

/// Has this process, if it is scheduled as most are, not take a processor from who is at work when it wakes up (`SCHED_BATCH`,
/// sched(7)); whether it was so.
pub(crate) fn give_way() -> bool {
    reschedule(libc::SCHED_OTHER, libc::SCHED_BATCH)
}

/// Takes [`give_way`] back, which takes no privilege.
pub(crate) fn stop_giving_way() {
    reschedule(libc::SCHED_BATCH, libc::SCHED_OTHER);
}

/// Changes this process's scheduling class, if it is the first one; whether it did.
fn reschedule(from: c_int, to: c_int) -> bool {
    let no_priority = libc::sched_param { sched_priority: 0 };
    // SAFETY: asks for an attribute of this process.
    let is_so = unsafe { libc::sched_getscheduler(0) } == from;
    // SAFETY: the kernel reads a parameter.
    is_so && unsafe { libc::sched_setscheduler(0, to, &raw const no_priority) } == 0
}

/// Closes all but the standard streams and this socket, which gets its place. Whoever else owns a descriptor has forgotten it.
pub(crate) fn keep_only(socket: OwnedFd) -> io::Result<OwnedFd> {
    exec::keep_only([None; 3], socket.into_raw_fd())
}

/// Makes these the standard streams, and keeps nothing else open but the socket that has its place, and `last`; a stream that
/// is `None` is nothing, as the zygote's. Whoever else owns a descriptor has forgotten it.
pub(crate) fn take_streams(streams: [Option<OwnedFd>; 3], last: OwnedFd) -> io::Result<OwnedFd> {
    exec::take_streams(streams.map(|stream| stream.map(IntoRawFd::into_raw_fd)), last.into_raw_fd())
}

/// Makes a directory the current one.
pub(crate) fn enter(directory: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: no memory is involved.
    match unsafe { libc::fchdir(directory.as_raw_fd()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The standard streams of this process that its children inherit; `None` for one that is closed, or a file of its own by
/// now.
pub(crate) fn inherited_streams() -> [Option<BorrowedFd<'static>>; 3] {
    [0, 1, 2].map(inherited_stream)
}

fn inherited_stream(stream: RawFd) -> Option<BorrowedFd<'static>> {
    // SAFETY: asks for a flag; no memory is involved.
    let flags = unsafe { libc::fcntl(stream, libc::F_GETFD) };
    // SAFETY: open, and standard streams are nobody's to close.
    (flags != -1 && flags & libc::FD_CLOEXEC == 0).then(|| unsafe { BorrowedFd::borrow_raw(stream) })
}
