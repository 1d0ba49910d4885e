use std::panic::{self, AssertUnwindSafe};

/// Runs `copy` in a forked copy of this process and counts its system calls.
pub(crate) fn system_calls(copy: impl FnOnce() -> bool) -> u64 {
    // SAFETY: the copy does what other threads cannot have broken by disappearing, and ends with _exit.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        let none = std::ptr::null_mut::<libc::c_void>();
        // SAFETY: has no memory arguments.
        let traced = unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, none, none) } == 0;
        // SAFETY: the parent lets it go on.
        unsafe { libc::raise(libc::SIGSTOP) };
        let right = traced && panic::catch_unwind(AssertUnwindSafe(copy)).ok() == Some(true);
        // SAFETY: ends the copy at once.
        unsafe { libc::_exit(i32::from(!right)) };
    }
    let go_on = |request, data: usize| {
        // SAFETY: a child of this thread, stopped under its eyes; no memory arguments.
        assert_eq!(unsafe { libc::ptrace(request, pid, std::ptr::null_mut::<libc::c_void>(), data) }, 0);
    };
    let wait = || {
        let mut status = -1;
        // SAFETY: our child; `status` outlives the call.
        assert_eq!(unsafe { libc::waitpid(pid, &mut status, libc::__WALL) }, pid);
        status
    };
    assert!(libc::WIFSTOPPED(wait()));
    go_on(libc::PTRACE_SETOPTIONS, (libc::PTRACE_O_TRACESYSGOOD | libc::PTRACE_O_EXITKILL) as usize);
    let (mut stops, mut signal) = (0, 0);
    loop {
        go_on(libc::PTRACE_SYSCALL, signal);
        let status = wait();
        if libc::WIFEXITED(status) {
            assert_eq!(status, 0, "the copy did not do its work");
            return stops / 2; // each call stops it twice
        }
        assert!(libc::WIFSTOPPED(status), "{status:#x}");
        let stopped_by = libc::WSTOPSIG(status);
        stops += u64::from(stopped_by == libc::SIGTRAP | 0x80);
        signal = if stopped_by & 0x80 != 0 { 0 } else { stopped_by as usize };
    }
}
