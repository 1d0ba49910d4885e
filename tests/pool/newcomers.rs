//! Workers that begin a task before their pool has entered them in its books.

use std::thread;

use serde::de::DeserializeOwned;

use crossproc::{Pool, Task, TaskError};

use crate::common::{until, watchdog};

/// Where workers that are not in the books are not told to end, it fails within the first few. A guess.
const ROUNDS: usize = if cfg!(debug_assertions) { 30 } else { 300 };

fn park() {
    loop {
        thread::park();
    }
}

/// Submits tasks while workers are being started, and cancels them as soon as one is seen to run: what was cancelled does not go on.
fn cancel_what_newcomers_do<R: DeserializeOwned>(submit: impl Fn(&Pool) -> Vec<Task<R>>) {
    let pool = Pool::new(3).unwrap();
    let running = || pool.progress().running();
    for round in 0..ROUNDS {
        let tasks = submit(&pool);
        until("a task runs", || running() > 0);
        assert!(tasks.iter().all(Task::cancel));
        until(&format!("round {round}: what was cancelled has ended"), || running() == 0);
        assert!(tasks.into_iter().all(|task| matches!(task.get(), Err(TaskError::Cancelled))));
    }
    assert_eq!(pool.apply(|| 7, ()), Ok(7));
    pool.join(); // until no cell is in use
    assert_eq!((pool.progress().queued(), pool.progress().running()), (0, 0));
}

#[test]
fn a_cancelled_task_ends_also_in_a_worker_that_is_just_being_started() {
    let _watchdog = watchdog();
    cancel_what_newcomers_do(|pool| (0..3).map(|_| pool.apply_async(park, ())).collect());
}

#[test]
fn a_cancelled_map_ends_also_in_a_worker_that_is_just_being_started() {
    let _watchdog = watchdog();
    cancel_what_newcomers_do(|pool| vec![pool.map_async(|_: u32| park(), 0..3)]);
}
