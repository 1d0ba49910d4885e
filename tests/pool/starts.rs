//! A pool that cannot be started.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;

use crossproc::{Error, Pool, Process, RawValue};

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

/// Workers are started by a thread of the library's, unless it is the main thread that starts them: it is there already.
fn start_without_threads() {
    thread::spawn(|| drop(Pool::new(1).unwrap())).join().unwrap();
    let started = RawValue::new(AtomicU32::new(0)).unwrap();
    let count = |started: RawValue<AtomicU32>| started.store(1, SeqCst);
    thread::scope(|scope| {
        scope.spawn(|| {
            forbid_threads();
            let pool = Pool::builder().workers(2).initializer(count, (&started,)).start();
            assert!(matches!(pool, Err(Error::Os { .. })), "{pool:?}");
            // Nobody would have seen the workers off.
            assert_eq!(started.load(SeqCst), 0);
        });
    });
}

#[test]
fn a_pool_that_gets_no_thread_starts_no_worker() {
    let _watchdog = watchdog();
    Process::spawn(start_without_threads, ()).unwrap().join().unwrap();
}
