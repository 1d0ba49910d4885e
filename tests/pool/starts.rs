//! A pool that cannot be started.

use std::thread;
use std::time::{Duration, Instant};

use crossproc::{Error, Pool, Process};

use crate::common::watchdog;

/// From now on this thread cannot start others.
fn forbid_threads() {
    let step = |code: u32, jt, jf, k| libc::sock_filter { code: code as u16, jt, jf, k };
    let steps = [
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0), // the number of the call
        step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 1, 0, libc::SYS_clone3 as u32),
        step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, libc::SYS_clone as u32),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ERRNO | libc::EAGAIN as u32),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: steps.len() as u16, filter: steps.as_ptr().cast_mut() };
    // SAFETY: sets an attribute of this thread.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }, 0);
    // SAFETY: the kernel reads as many steps as there are.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) }, 0);
}

/// How long a pool waits at its end for workers that are killed.
const LAST_WAIT: Duration = Duration::from_secs(5);

/// Workers are started by a thread of the library's, unless it is the main thread that starts them: it is there already.
fn start_without_threads() {
    thread::spawn(|| drop(Pool::new(1).unwrap())).join().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            forbid_threads();
            let start = Instant::now();
            let pool = Pool::new(2);
            assert!(matches!(pool, Err(Error::Os { .. })), "{pool:?}");
            // Nobody would have seen the workers off.
            assert!(start.elapsed() < LAST_WAIT, "{:?}", start.elapsed());
        });
    });
}

#[test]
fn a_pool_that_gets_no_thread_fails_at_once() {
    let _watchdog = watchdog();
    Process::spawn(start_without_threads, ()).unwrap().join().unwrap();
}
