//! Starting this very program anew: clone and exec, with nothing in between that could go wrong unseen.
//!
//! The child borrows the parent's memory until its exec (`CLONE_VM`), and the calling thread sleeps so long
//! (`CLONE_VFORK`), so that the cost does not grow with the parent's memory and the child can report an error by
//! writing it down. What the child does meanwhile is in [`exec`](super::exec). `posix_spawn` is made the same way, but
//! cannot arm a parent-death signal, close every other descriptor, or return a pidfd.

#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_int};
use std::io;
use std::mem::{self, MaybeUninit};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use super::clock::Deadline;
use super::exec::{self, Plan};
use super::pidfd;
use super::stack::Stack;

/// The program that a child runs: the same file as its parent, be it renamed or deleted meanwhile.
pub(crate) const PROGRAM: &CStr = c"/proc/self/exe";

/// The descriptor at which a child finds its control socket.
pub(crate) const CONTROL: RawFd = 3;

pub(crate) struct Command<'a> {
    pub(crate) arguments: &'a Strings,
    pub(crate) environment: &'a Strings,
    /// `None`: the parent's.
    pub(crate) directory: Option<&'a CStr>,
    /// Standard input, output and error; `None`: the parent's.
    pub(crate) streams: [Option<BorrowedFd<'a>>; 3],
    pub(crate) control: BorrowedFd<'a>,
    /// Whether the kernel kills the child when the *thread* that calls [`spawn`] ends.
    pub(crate) dies_with_thread: bool,
    pub(crate) caller: &'a Caller,
}

/// C strings, one after the other: an allocation for each would cost as much as the rest of a start.
pub(crate) struct Strings {
    bytes: Vec<u8>,
    starts: Vec<usize>,
}

impl Strings {
    /// None yet; with room for a common environment (a guess).
    pub(crate) fn new() -> Self {
        Strings { bytes: Vec::with_capacity(8 << 10), starts: Vec::with_capacity(128) }
    }

    /// Adds the string made of `pieces`, without a zero byte in them.
    pub(crate) fn push(&mut self, pieces: &[&[u8]]) {
        self.starts.push(self.bytes.len());
        for piece in pieces {
            self.bytes.extend_from_slice(piece);
        }
        self.bytes.push(0);
    }

    /// All of them, each with the zero byte at its end.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// [`bytes`](Self::bytes), by value.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// The list that execve(2) takes; valid as long as nothing is added.
    fn pointers(&self) -> Vec<*const c_char> {
        let place = |&start: &usize| self.bytes[start..].as_ptr().cast();
        self.starts.iter().map(place).chain([ptr::null()]).collect()
    }
}

pub(crate) struct Started {
    pub(crate) pid: u32,
    pub(crate) pidfd: OwnedFd,
}

/// What failed, and how.
pub(crate) struct Failure {
    pub(crate) step: Step,
    pub(crate) error: io::Error,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub(crate) enum Step {
    Clone = 1,
    DeathSignal,
    Descriptors,
    Directory,
    Execute,
}

/// What a child inherits of the thread that wants it started.
pub(crate) struct Caller {
    pub(crate) mask: libc::sigset_t,
    /// `None`: that of the thread that calls [`spawn`].
    affinity: Option<libc::cpu_set_t>,
    /// The nice value; `None` as above.
    nice: Option<c_int>,
    /// Whether its execs may not add privileges; if not, what the thread that calls [`spawn`] has counts.
    no_new_privileges: bool,
}

impl Caller {
    /// Notes what the calling thread has, for a start that this thread makes itself.
    pub(crate) fn here() -> Self {
        let mut mask = MaybeUninit::zeroed();
        // SAFETY: asks for the mask only; all of it is written, and zeroes were a mask anyway.
        unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, ptr::null(), mask.as_mut_ptr()) };
        // SAFETY: initialised above.
        Caller { mask: unsafe { mask.assume_init() }, affinity: None, nice: None, no_new_privileges: false }
    }

    /// Notes what the calling thread has, for a start that another thread makes.
    pub(crate) fn elsewhere() -> Self {
        // SAFETY: integers only; all zeroes is a value.
        let mut affinity: libc::cpu_set_t = unsafe { mem::zeroed() };
        // SAFETY: the kernel writes at most the size of the set.
        let known = unsafe { libc::sched_getaffinity(0, mem::size_of::<libc::cpu_set_t>(), &mut affinity) } == 0;
        // It is not known where the kernel counts more processors than the C library's set has room for.
        let affinity = known.then_some(affinity);
        // SAFETY: has no preconditions. On Linux, this is an attribute of the thread.
        let nice = Some(unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) });
        // SAFETY: asks for an attribute; no memory is involved.
        let no_new_privileges = unsafe { libc::prctl(libc::PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) } == 1;
        Caller { affinity, nice, no_new_privileges, ..Caller::here() }
    }
}

/// Whether the calling thread is the process's first, which ends only with the process.
pub(crate) fn on_main_thread() -> bool {
    // SAFETY: has no preconditions.
    let thread = unsafe { libc::gettid() };
    thread as u32 == std::process::id()
}

/// Keeps signals away from the calling thread for good.
pub(crate) fn block_signals() {
    let all = every_signal();
    // SAFETY: `all` is an initialised set.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, ptr::null_mut()) };
}

fn every_signal() -> libc::sigset_t {
    let mut all = MaybeUninit::zeroed();
    // SAFETY: writes the set.
    unsafe { libc::sigfillset(all.as_mut_ptr()) };
    // SAFETY: just initialised.
    unsafe { all.assume_init() }
}

/// Blocks all signals of this thread as long as it lives.
pub(crate) struct Blocked(libc::sigset_t);

impl Blocked {
    pub(crate) fn new() -> Self {
        let before = Caller::here().mask;
        block_signals();
        Blocked(before)
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        // SAFETY: the mask that this thread had before.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.0, ptr::null_mut()) };
    }
}

/// Runs this process's program in a new process, whose descriptors are 0, 1, 2 and [`CONTROL`].
pub(crate) fn spawn(command: &Command<'_>) -> Result<Started, Failure> {
    let clone_failure = |error| Failure { step: Step::Clone, error };
    let stack = Stack::new().map_err(clone_failure)?;
    let arguments = command.arguments.pointers();
    let environment = command.environment.pointers();
    let plan = Plan {
        program: PROGRAM.as_ptr(),
        arguments: arguments.as_ptr(),
        environment: environment.as_ptr(),
        directory: command.directory.map_or(ptr::null(), CStr::as_ptr),
        descriptors: [
            command.streams[0].map(|stream| stream.as_raw_fd()),
            command.streams[1].map(|stream| stream.as_raw_fd()),
            command.streams[2].map(|stream| stream.as_raw_fd()),
            Some(command.control.as_raw_fd()),
        ],
        parent: command.dies_with_thread.then(std::process::id),
        mask: command.caller.mask,
        affinity: command.caller.affinity,
        nice: command.caller.nice,
        no_new_privileges: command.caller.no_new_privileges,
        failure: exec::Report::default(),
    };
    let mut pidfd: c_int = -1;
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | libc::SIGCHLD;
    let blocked = Blocked::new();
    // SAFETY: `run` fits the signature. It runs on a stack of its own, in this thread's place: until its exec or its
    // end, CLONE_VFORK keeps this thread from going on, so that `plan` and what it points to stay as they are. No
    // signal handler can run on that stack: all signals are blocked. The kernel writes the pidfd to `pidfd`.
    let pid = unsafe {
        libc::clone(
            exec::run,
            stack.top(),
            flags,
            ptr::from_ref(&plan).cast_mut().cast(),
            &raw mut pidfd,
            ptr::null_mut::<libc::c_void>(),
            ptr::null_mut::<libc::pid_t>(),
        )
    };
    let error = io::Error::last_os_error();
    drop(blocked);
    if pid == -1 {
        return Err(clone_failure(error));
    }
    // SAFETY: the kernel just made this descriptor for us.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    match plan.failure.take() {
        None => Ok(Started { pid: pid as u32, pidfd }),
        Some((step, error)) => {
            // It has written its report; all it does after that is end.
            pidfd::wait(pidfd.as_fd(), Deadline::NEVER);
            pidfd::reap(pidfd.as_fd());
            Err(Failure { step, error })
        }
    }
}
