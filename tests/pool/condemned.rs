//! A worker that is to be killed for one task, and is still there (C3 in `word/errand.rs`).

use std::process;
use std::thread;

use crossproc::{Exit, Pool, TaskError};

use crate::common::locking::{Stage, wait_for_state};
use crate::common::processes::signal;
use crate::common::watchdog;

/// From now on this thread cannot send signals by process descriptors, as `Pool` does.
fn forbid_kills() {
    let step = |code: u32, jt, jf, k| libc::sock_filter { code: code as u16, jt, jf, k };
    let steps = [
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0), // the number of the call
        step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, libc::SYS_pidfd_send_signal as u32),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: steps.len() as u16, filter: steps.as_ptr().cast_mut() };
    // SAFETY: sets an attribute of this thread.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }, 0);
    // SAFETY: the kernel reads as many steps as there are.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) }, 0);
}

#[test]
fn a_condemned_worker_starts_nothing_more_and_its_cell_comes_back() {
    let _watchdog = watchdog();
    let (pool, stage) = (Pool::new(1).unwrap(), Stage::new());
    let worker = pool.workers().remove(0);
    let wait = |stage: Stage| {
        stage.advance();
        stage.wait_for(2);
    };
    let cancelled = pool.apply_async(wait, (&stage,));
    stage.wait_for(1);
    let next = pool.apply_async(process::id, ());
    thread::scope(|scope| {
        scope.spawn(|| {
            forbid_kills();
            assert!(cancelled.cancel());
        });
    });
    assert_eq!(cancelled.get(), Err(TaskError::Cancelled));
    // It lives, ends its task, and sleeps: for work, or for its death.
    stage.advance();
    wait_for_state(worker.pid(), 'S');
    signal(worker.pid(), libc::SIGKILL);
    assert_eq!(worker.wait(), Exit::Signal(libc::SIGKILL));
    assert_ne!(next.get().unwrap(), worker.pid());
    pool.join(); // until no cell is in use
    assert_eq!((pool.progress().queued(), pool.progress().running()), (0, 0));
}
