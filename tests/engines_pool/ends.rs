//! Pools that end with tasks that nobody has begun, and tasks that nobody wants.

use std::fs;

use crossproc::TaskError;

use super::{Place, common, has_begun, own_host, wait_for, wait_until};

#[test]
fn a_pool_that_is_dropped_leaves_nothing_at_the_server() {
    let _watchdog = common::watchdog();
    let place = Place::new();
    let pool = place.pool().start().unwrap();
    let tasks: Vec<_> = (0..300).map(|_| pool.apply_async(own_host, ())).collect();
    wait_until(|| place.chunks() > 0);
    drop(pool);
    tasks.into_iter().for_each(|task| assert_eq!(task.get(), Err(TaskError::Cancelled)));
    wait_until(|| place.chunks() == 0 && place.inboxes() == 0);
}

#[test]
fn a_cancelled_task_is_withdrawn() {
    let _watchdog = common::watchdog();
    let place = Place::new();
    let pool = place.pool().start().unwrap();
    let (task, other) = (pool.apply_async(own_host, ()), pool.apply_async(own_host, ()));
    wait_until(|| place.chunks() == 2);
    assert!(task.cancel());
    wait_until(|| place.chunks() == 1);
    let host = place.host(1);
    assert_eq!(other.get(), Ok(host.pid()));
    assert_eq!(task.get(), Err(TaskError::Cancelled));
}

#[test]
fn what_is_cancelled_while_it_runs_is_finished_for_nothing() {
    let _watchdog = common::watchdog();
    let place = Place::new();
    let host = place.host(1);
    let pool = place.pool().start().unwrap();
    let file = place.file("a");
    let task = pool.apply_async(wait_for, (file.clone(),));
    wait_until(|| has_begun(&file));
    assert!(task.cancel());
    fs::write(&file, "").unwrap();
    assert_eq!(pool.apply(own_host, ()), Ok(host.pid()));
    pool.join();
}

#[test]
fn a_pool_is_joined_when_all_is_done() {
    let _watchdog = common::watchdog();
    let place = Place::new();
    let _host = place.host(2);
    let pool = place.pool().queue_bound(3).start().unwrap();
    let tasks: Vec<_> = (0..200_u64).map(|n| pool.apply_async(u64::is_power_of_two, (n + 1,))).collect();
    pool.join();
    assert!(tasks.iter().all(|task| task.is_ready()));
    assert_eq!(tasks.into_iter().filter(|task| task.is_successful() == Some(true)).count(), 200);
}
