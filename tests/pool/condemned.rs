//! Workers that are to be killed, and that their pool may not kill (C3 in `word/errand.rs`).

use std::process;
use std::thread;
use std::time::Duration;

use crossproc::{Exit, Pool, Process, TaskError};

use crate::common::locking::Stage;
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

fn wait(stage: Stage) {
    stage.advance();
    stage.wait_for(2);
}

#[test]
fn a_condemned_worker_starts_nothing_more_and_its_cell_comes_back() {
    let _watchdog = watchdog();
    let (pool, stage) = (Pool::new(1).unwrap(), Stage::new());
    let worker = pool.workers().remove(0);
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
    // It lives, and when its task has ended, so does it.
    stage.advance();
    assert_eq!(worker.wait(), Exit::Code(0));
    assert_ne!(next.get().unwrap(), worker.pid());
    pool.join(); // until no cell is in use
    assert_eq!((pool.progress().queued(), pool.progress().running()), (0, 0));
}

/// As of a process that has changed its user since it started the workers.
#[test]
fn a_task_that_may_not_be_ended_is_out_of_time_all_the_same() {
    let _watchdog = watchdog();
    let run_out = || {
        forbid_kills();
        let pool = Pool::builder().workers(1).task_timeout(Duration::from_millis(50)).start().unwrap();
        let (worker, stage) = (pool.workers().remove(0), Stage::new());
        let long = pool.apply_async(wait, (&stage,));
        let next = pool.apply_async(process::id, ());
        assert_eq!(long.get(), Err(TaskError::TimedOut { task: 0 }));
        assert_eq!(worker.exit(), None);
        stage.advance();
        assert_eq!(worker.wait(), Exit::Code(0));
        assert_ne!(next.get().unwrap(), worker.pid());
        pool.join();
        assert_eq!((pool.progress().queued(), pool.progress().done(), pool.progress().failed()), (0, 2, 1));
    };
    Process::spawn(run_out, ()).unwrap().join().unwrap();
}

#[test]
fn idle_workers_that_may_not_be_killed_end_with_their_pool() {
    let _watchdog = watchdog();
    let end = || {
        forbid_kills();
        let pool = Pool::new(2).unwrap();
        assert_eq!(pool.apply(|| 7, ()), Ok(7));
        let workers = pool.workers();
        drop(pool);
        assert!(workers.iter().all(|worker| worker.exit() == Some(Exit::Code(0))), "{workers:?}");
    };
    Process::spawn(end, ()).unwrap().join().unwrap();
}
