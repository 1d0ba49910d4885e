//! A process that was forked from a pool's, at whatever moment: it can do nothing with the pool, and learns so at once.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

use crossproc::{Pool, Task, TaskError};

use crate::common::watchdog;

/// Every way to ask, in a copy; no test harness is there to catch a panic.
fn ask(pool: &Pool, task: Task<u32>, done: Task<u32>) -> bool {
    let one = |number: u32| number;
    let is_refused = |outcome: &Result<u32, TaskError>| *outcome == Err(TaskError::ForkedCopy);
    let _ = format!("{pool:?} {task:?}");
    let is_empty = Task::wait_any(std::slice::from_ref(&done), None).is_empty();
    is_empty
        && !task.is_ready()
        && !task.cancel()
        && is_refused(&task.on_done(|_| ()).get())
        && is_refused(&done.get())
        && is_refused(&pool.apply(one, (1,)))
        && is_refused(&pool.apply_async(one, (1,)).get())
        && pool.map(one, 0..9) == Err(TaskError::ForkedCopy)
        && pool.chunk(1).map_async(one, 0..9).get() == Err(TaskError::ForkedCopy)
        && pool.imap(one, 0..9).collect::<Vec<_>>() == [Err(TaskError::ForkedCopy)]
        && pool.imap_unordered(one, 0..9).collect::<Vec<_>>() == [Err(TaskError::ForkedCopy)]
        && pool.workers().is_empty()
}

#[test]
fn a_copy_of_a_busy_pool_is_told_so() {
    let pool = Pool::builder().workers(2).queue_bound(50).start().unwrap();
    let is_over = AtomicBool::new(false);
    let work = || {
        while !is_over.load(Relaxed) {
            let tasks: Vec<_> = (0..20).map(|n: u32| pool.apply_async(|n: u32| n, (n,)).on_done(|_| ())).collect();
            tasks.into_iter().for_each(|task| drop(task.get()));
        }
    };
    thread::scope(|scope| {
        (0..3).for_each(|_| drop(scope.spawn(work)));
        for _ in 0..if cfg!(debug_assertions) { 50 } else { 200 } {
            let _watchdog = watchdog();
            let [task, done] = [7, 8].map(|number: u32| pool.apply_async(|number: u32| number, (number,)));
            done.wait();
            // SAFETY: the copy does what is promised to work there, and ends without any destructor.
            let copy = unsafe { libc::fork() };
            if copy == 0 {
                let code = i32::from(!ask(&pool, task, done));
                // SAFETY: ends this process, and touches no memory.
                unsafe { libc::_exit(code) };
            }
            let mut status = 0;
            // SAFETY: writes one integer, which outlives the call.
            assert_eq!(unsafe { libc::waitpid(copy, &raw mut status, 0) }, copy);
            assert_eq!(status, 0);
        }
        is_over.store(true, Relaxed);
    });
}

/// While its outcomes come: those that it has in hands it gives, then says why there are no more.
#[test]
fn a_copy_of_a_busy_lazy_map_is_at_its_end() {
    const LONG: usize = 60_000;
    let (pool, is_over) = (Pool::new(2).unwrap(), AtomicBool::new(false));
    let mut outcomes = pool.chunk(1).imap_unordered(|n: u64| vec![n as u8; LONG], 0..);
    thread::scope(|scope| {
        // Somebody else takes in what comes, at every moment.
        scope.spawn(|| {
            while !is_over.load(Relaxed) {
                pool.map(|n: u32| n, 0..1_000).unwrap();
            }
        });
        for _ in 0..if cfg!(debug_assertions) { 100 } else { 1_000 } {
            let _watchdog = watchdog();
            assert!(outcomes.by_ref().take(3).all(|outcome| outcome.is_ok()));
            // SAFETY: the copy does what is promised to work there, and ends without the destructors of others.
            let copy = unsafe { libc::fork() };
            if copy == 0 {
                let _ = outcomes.try_next();
                let rest: Vec<_> = outcomes.by_ref().take(100).collect();
                // `try_next` may have been told before.
                let is_told = rest.last().is_none_or(|last| *last == Err(TaskError::ForkedCopy));
                let ends = rest.len() < 100 && is_told && outcomes.try_next() == Ok(None);
                drop(outcomes);
                // SAFETY: ends this process, and touches no memory.
                unsafe { libc::_exit(i32::from(!ends)) };
            }
            let mut status = 0;
            // SAFETY: writes one integer, which outlives the call.
            while unsafe { libc::waitpid(copy, &raw mut status, libc::WNOHANG) } == 0 {
                assert!(outcomes.next().is_some_and(|outcome| outcome.is_ok()));
            }
            assert_eq!(status, 0);
        }
        is_over.store(true, Relaxed);
    });
}
