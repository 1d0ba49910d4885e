//! A process that executes one instruction at a time under this one's eyes.

use std::fs;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::panic::{self, AssertUnwindSafe};
use std::ptr;

use super::processes::signal;

/// One that executes one instruction at a time.
pub(crate) struct Stepped {
    pid: libc::pid_t,
}

impl Stepped {
    /// A child that has run `prepare` and is stopped before `operation`.
    pub(crate) fn start(prepare: impl FnOnce(), operation: impl FnOnce()) -> Self {
        // SAFETY: the child goes on with a copy of this thread alone: what it calls takes no locks but those that
        // `fork` keeps usable (malloc's, crossproc's).
        let pid = unsafe { libc::fork() };
        assert!(pid >= 0, "fork: {}", std::io::Error::last_os_error());
        if pid == 0 {
            let outcome = panic::catch_unwind(AssertUnwindSafe(|| {
                prepare();
                request(libc::PTRACE_TRACEME, 0, 0);
                stop_here();
                operation();
                stop_here();
            }));
            // SAFETY: ends the child at once, without the destructors of a test binary that it is a copy of.
            unsafe { libc::_exit(i32::from(outcome.is_err())) };
        }
        let stepped = Stepped { pid };
        assert_eq!(stepped.stopped_by(), Some(libc::SIGSTOP), "the child is ready");
        // Should this test fail, its children go, too.
        request(libc::PTRACE_SETOPTIONS, pid, libc::PTRACE_O_EXITKILL as usize);
        stepped
    }

    /// A child that runs already, and calls [`stop_here`] twice from now on: the result is stopped where it first does.
    pub(crate) fn seize(pid: u32, begin: impl FnOnce()) -> Self {
        let stepped = Stepped { pid: pid.cast_signed() };
        request(libc::PTRACE_SEIZE, stepped.pid, libc::PTRACE_O_EXITKILL as usize);
        begin();
        assert_eq!(stepped.stopped_by(), Some(libc::SIGSTOP), "the child is ready");
        stepped
    }

    /// Executes an instruction; false if the operation was over before.
    pub(crate) fn step(&self) -> bool {
        request(libc::PTRACE_SINGLESTEP, self.pid, 0);
        match self.stopped_by() {
            Some(libc::SIGTRAP) => true,
            Some(libc::SIGSTOP) => false,
            other => panic!("the child was stopped by {other:?}"),
        }
    }

    /// Steps until there have been so many effects; false if the operation was over before.
    pub(crate) fn has_effects(&self, effects: usize, image: &impl Fn() -> Vec<u8>) -> bool {
        let (mut seen, mut before) = (0, image());
        while seen < effects {
            let calls = self.is_before_system_call();
            if !self.step() {
                return false;
            }
            let now = image();
            seen += usize::from(calls || now != before);
            before = now;
        }
        true
    }

    /// Whether the next instruction is a system call.
    fn is_before_system_call(&self) -> bool {
        const SYSCALL: u16 = 0x050f;
        // SAFETY: integers only; all zeroes is a value.
        let mut registers: libc::user_regs_struct = unsafe { mem::zeroed() };
        request(libc::PTRACE_GETREGS, self.pid, ptr::from_mut(&mut registers).expose_provenance());
        // SAFETY: reads the memory of the child, not ours.
        let code = unsafe { libc::ptrace(libc::PTRACE_PEEKTEXT, self.pid, registers.rip, 0) };
        code as u16 == SYSCALL
    }

    /// The signal that has stopped the child, `None` if it has ended.
    fn stopped_by(&self) -> Option<i32> {
        let mut status = 0;
        // SAFETY: `status` outlives the call.
        assert_eq!(unsafe { libc::waitpid(self.pid, &raw mut status, 0) }, self.pid);
        libc::WIFSTOPPED(status).then(|| libc::WSTOPSIG(status))
    }

    /// Returns when the kernel has finished with the child.
    pub(crate) fn kill(self) {
        signal(self.pid.cast_unsigned(), libc::SIGKILL);
        assert_eq!(self.stopped_by(), None);
    }

    /// Kills a child that somebody else waits for.
    pub(crate) fn leave_dead(self) {
        signal(self.pid.cast_unsigned(), libc::SIGKILL);
    }
}

fn request(request: libc::c_uint, pid: libc::pid_t, data: usize) {
    // SAFETY: of the requests made here only GETREGS writes to memory of ours: to the registers that `data` points to.
    let answer = unsafe { libc::ptrace(request, pid, 0_usize, data) };
    assert_eq!(answer, 0, "ptrace: {}", std::io::Error::last_os_error());
}

pub(crate) fn stop_here() {
    // SAFETY: raising a signal involves no memory.
    unsafe { libc::raise(libc::SIGSTOP) };
}

/// Reads all bytes of a file.
pub(crate) fn image(file: BorrowedFd<'_>) -> impl Fn() -> Vec<u8> + use<> {
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    move || fs::read(&path).unwrap()
}
