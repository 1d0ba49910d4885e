//! What a cloned child does until its exec.
//!
//! It shares all memory with its parent, where other threads are in the middle of anything: it must not allocate, take
//! a lock, or panic. Nothing but system calls and async-signal-safe functions (signal-safety(7)) may be called here.
//! Order matters: handlers go before signals are let in, and the descriptors that are passed on are in their places
//! before all others are closed.

#![allow(unsafe_code)]

use std::ffi::{c_char, c_int, c_void};
use std::io;
use std::mem;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering};

use super::spawn::{CONTROL, Step};

/// Everything the child needs, made ready by the parent. Strings and lists end with a null.
pub(crate) struct Plan {
    pub(crate) program: *const c_char,
    pub(crate) arguments: *const *const c_char,
    pub(crate) environment: *const *const c_char,
    /// Null: stay.
    pub(crate) directory: *const c_char,
    /// What is to be descriptor 0, 1, 2 and 3; `None` leaves what is there.
    pub(crate) descriptors: [Option<RawFd>; 4],
    /// The process whose end, or whose calling thread's end, is to kill the child.
    pub(crate) parent: Option<u32>,
    pub(crate) mask: libc::sigset_t,
    pub(crate) affinity: Option<libc::cpu_set_t>,
    pub(crate) nice: Option<c_int>,
    pub(crate) no_new_privileges: bool,
    pub(crate) failure: Report,
}

/// Which step failed, and its error number; zeroes if none did.
///
/// Relaxed suffices: the parent reads it only after the kernel has woken it, which orders both.
#[derive(Default)]
pub(crate) struct Report {
    step: AtomicI32,
    error: AtomicI32,
}

impl Report {
    fn write(&self, Failed { step, error }: Failed) {
        self.error.store(error, Ordering::Relaxed);
        self.step.store(step as i32, Ordering::Relaxed);
    }

    pub(crate) fn take(&self) -> Option<(Step, io::Error)> {
        let steps = [Step::DeathSignal, Step::Descriptors, Step::Directory, Step::Execute];
        let step = self.step.load(Ordering::Relaxed);
        let error = io::Error::from_raw_os_error(self.error.load(Ordering::Relaxed));
        steps.into_iter().find(|&known| known as i32 == step).map(|step| (step, error))
    }
}

struct Failed {
    step: Step,
    error: c_int,
}

/// The child's first function. It returns, which ends the child, only if a step failed.
pub(crate) extern "C" fn run(plan: *mut c_void) -> c_int {
    // SAFETY: `spawn` passed its `Plan`, which stays in place, and is only read, until this process has ended or
    // executed.
    let plan = unsafe { &*plan.cast_const().cast::<Plan>() };
    let Err(failed) = execute(plan);
    plan.failure.write(failed);
    127
}

enum Never {}

fn execute(plan: &Plan) -> Result<Never, Failed> {
    forget_handlers();
    if let Some(parent) = plan.parent {
        die_with(parent)?;
    }
    place_descriptors(&plan.descriptors)?;
    if !plan.directory.is_null() {
        // SAFETY: a C string of the parent's.
        check(unsafe { libc::chdir(plan.directory) }, Step::Directory)?;
    }
    if let Some(affinity) = &plan.affinity {
        // A mask that has become impossible meanwhile is no reason to fail.
        // SAFETY: the set has the size that is passed.
        unsafe { libc::sched_setaffinity(0, mem::size_of::<libc::cpu_set_t>(), affinity) };
    }
    if let Some(nice) = plan.nice {
        // One that it takes a privilege to reach is no reason to fail, either.
        // SAFETY: sets an attribute of this process's only thread; no memory is involved.
        unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice) };
    }
    if plan.no_new_privileges {
        // SAFETY: as above.
        check(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }, Step::Execute)?;
    }
    // SAFETY: an initialised mask.
    unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const plan.mask, ptr::null_mut()) };
    // SAFETY: a C string and two null-terminated lists of C strings, all of the parent's.
    let answer = unsafe { libc::execve(plan.program, plan.arguments, plan.environment) };
    check(answer, Step::Execute)?;
    Err(Failed { step: Step::Execute, error: libc::EIO })
}

/// A handler of the parent's must not run here. Exec resets handlers, too, but signals are let in before it.
fn forget_handlers() {
    // The kernel's _NSIG on both of our architectures.
    for signal in 1..=64 {
        // SAFETY: integers and a pointer; all zeroes is a value: the default action, no flags.
        let mut action: libc::sigaction = unsafe { mem::zeroed() };
        // SAFETY: asks for the action only. The C library's own two signals are refused, as is any that is not there.
        let known = unsafe { libc::sigaction(signal, ptr::null(), &raw mut action) } == 0;
        if known && action.sa_sigaction != libc::SIG_DFL && action.sa_sigaction != libc::SIG_IGN {
            action.sa_sigaction = libc::SIG_DFL;
            // SAFETY: sets the default action, in this process only: handlers are not shared (no CLONE_SIGHAND).
            unsafe { libc::sigaction(signal, &raw const action, ptr::null_mut()) };
        }
    }
}

/// Has the kernel kill this process when the parent's thread ends. If it ended before the signal was armed, the parent
/// is another now; its number proves nothing, as 1 is a good parent in a container.
fn die_with(parent: u32) -> Result<(), Failed> {
    // SAFETY: sets an attribute of this process; no memory is involved.
    check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) }, Step::DeathSignal)?;
    // SAFETY: has no preconditions.
    let now = unsafe { libc::getppid() };
    if now as u32 == parent { Ok(()) } else { Err(Failed { step: Step::DeathSignal, error: libc::ESRCH }) }
}

/// [`place_descriptors`], for a copy of a process that executes nothing: 0, 1, 2 and [`CONTROL`], which is close-on-exec
/// and comes back, are all that is open then. Whoever owned any other descriptor has forgotten it.
pub(super) fn keep_only(streams: [Option<RawFd>; 3], control: RawFd) -> io::Result<OwnedFd> {
    let [input, output, errors] = streams;
    place_descriptors(&[input, output, errors, Some(control)])
        .map_err(|failed| io::Error::from_raw_os_error(failed.error))?;
    // SAFETY: sets a flag of a descriptor; no memory is involved.
    unsafe { libc::fcntl(CONTROL, libc::F_SETFD, libc::FD_CLOEXEC) };
    // SAFETY: just put there, and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(CONTROL) })
}

/// As [`keep_only`], where the control socket is in its place already; `last` gets the place behind it, and is not close-on-exec.
pub(super) fn take_streams([input, output, errors]: [Option<RawFd>; 3], last: RawFd) -> io::Result<OwnedFd> {
    place_descriptors(&[input, output, errors, None, Some(last)])
        .map_err(|failed| io::Error::from_raw_os_error(failed.error))?;
    // SAFETY: just put there, and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(CONTROL + 1) })
}

/// Puts them in their places, from 0 on, and closes all behind.
fn place_descriptors<const N: usize>(descriptors: &[Option<RawFd>; N]) -> Result<(), Failed> {
    // First out of each other's way, as the descriptor that is to be 1 may be 2 now, and the other way round.
    let mut above = [None; N];
    for (above, descriptor) in above.iter_mut().zip(descriptors) {
        if let Some(descriptor) = *descriptor {
            // SAFETY: copies a descriptor; no memory is involved.
            let copy = unsafe { libc::fcntl(descriptor, libc::F_DUPFD, N as c_int) };
            check(copy, Step::Descriptors)?;
            *above = Some(copy);
        }
    }
    for (place, above) in (0..).zip(above) {
        if let Some(above) = above {
            // SAFETY: copies a descriptor; the copy survives exec.
            check(unsafe { libc::dup2(above, place) }, Step::Descriptors)?;
        }
    }
    for (stream, _) in (0..CONTROL).zip(descriptors).filter(|(_, descriptor)| descriptor.is_none()) {
        occupy(stream);
    }
    // A system call of its own, as older C libraries lack the function.
    // SAFETY: closes descriptors of this process only: they are not shared (no CLONE_FILES).
    let closed = unsafe { libc::syscall(libc::SYS_close_range, N as c_int, libc::c_uint::MAX, 0) };
    check(closed as c_int, Step::Descriptors)
}

/// Opens `/dev/null` in place of a standard stream that the parent has closed, or that is a file of its own by now:
/// or else the child's first file would be that stream. Lower streams are open already.
fn occupy(stream: RawFd) {
    // SAFETY: asks for a flag; no memory is involved.
    let flags = unsafe { libc::fcntl(stream, libc::F_GETFD) };
    if flags != -1 && flags & libc::FD_CLOEXEC == 0 {
        return;
    }
    // SAFETY: exec would close this process's copy of it anyway.
    unsafe { libc::close(stream) };
    // The kernel takes the lowest number that is free, which is `stream`. Where there is no such file, the stream stays
    // closed.
    // SAFETY: the path is a C string.
    unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDWR) };
}

/// Makes -1, which is how every function used here fails, an error of `step`.
fn check(answer: c_int, step: Step) -> Result<(), Failed> {
    match answer {
        -1 => Err(Failed { step, error: io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO) }),
        _ => Ok(()),
    }
}
