//! Workers whose pool's process is gone, or has become another program, and that no signal tells of it: they end.

use std::ffi::CString;
use std::process;
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use crossproc::{Pool, Process, RawArray};

use crate::common::locking::state_of;
use crate::common::{until, watchdog};

const WORKERS: usize = 2;

/// What changes a process's user does, too.
fn disarm() {
    // SAFETY: sets an attribute of this process; no memory is involved.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, 0) }, 0);
}

/// A pool whose workers are idle, after a task or before their first.
fn start(workers: &RawArray<AtomicU32>, has_worked: bool) -> Pool {
    let pool = Pool::builder().workers(WORKERS).initializer(disarm, ()).start().unwrap();
    if has_worked {
        pool.map(|n: u32| n, 0..100).unwrap();
    }
    for (number, worker) in workers.iter().zip(pool.workers()) {
        number.store(worker.pid(), SeqCst);
    }
    pool
}

/// Starts a pool, and ends without a word to it.
fn live(workers: RawArray<AtomicU32>, has_worked: bool, becomes_another: bool) {
    let _pool = start(&workers, has_worked);
    if becomes_another {
        let arguments = ["/bin/sleep", "1000"].map(|argument| CString::new(argument).unwrap());
        let pointers = [arguments[0].as_ptr(), arguments[1].as_ptr(), ptr::null()];
        // SAFETY: texts and an array with an end, all of which outlive the call.
        unsafe { libc::execv(pointers[0], pointers.as_ptr()) };
    }
    process::abort();
}

/// Nobody of this test is their parent, and may see their end.
fn are_gone(workers: &RawArray<AtomicU32>) -> bool {
    let numbers = workers.iter().map(|number| number.load(SeqCst));
    numbers.clone().all(|number| number > 0) && numbers.into_iter().all(|number| matches!(state_of(number), 'Z' | '?'))
}

#[test]
fn idle_workers_end_with_their_pools_process() {
    let _watchdog = watchdog();
    for has_worked in [false, true] {
        for becomes_another in [false, true] {
            let workers = RawArray::new(WORKERS).unwrap();
            let process = Process::spawn(live, (&workers, has_worked, becomes_another)).unwrap();
            until("the end of idle workers", || are_gone(&workers));
            assert_eq!(process.is_alive(), becomes_another);
            let _ = process.kill();
            process.wait();
        }
    }
}
