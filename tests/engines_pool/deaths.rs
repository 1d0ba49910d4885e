//! What becomes of tasks when somebody dies.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::parent_id;
use std::thread;

use crossproc::{Process, Sender, TaskError, channel};

use super::{Place, common, has_begun, own_host, wait_for, wait_until};

/// The doomed host does twenty of them, and then begins others that it never ends.
fn never_on(doomed: u32, n: u32) -> u32 {
    while n >= 20 && parent_id() == doomed {
        thread::park();
    }
    n
}

#[test]
fn what_a_killed_host_had_in_hands_is_given_to_another_one() {
    let _watchdog = common::watchdog();
    let place = Place::new();
    let mut doomed = place.host(2);
    let pool = place.pool().workers(100).start().unwrap();
    let doomed_pid = doomed.pid();
    let mut outcomes = pool
        .chunk(1)
        .imap_unordered(move |(doomed, n): (u32, u32)| never_on(doomed, n), (0..200).map(move |n| (doomed_pid, n)));
    let mut found: Vec<u32> = outcomes.by_ref().take(20).map(Result::unwrap).collect();
    let _other = place.host(2);
    found.extend(outcomes.by_ref().take(178).map(Result::unwrap));
    doomed.kill();
    found.extend(outcomes.by_ref().map(Result::unwrap));
    assert_eq!(found.len(), 200);
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), (0..200).collect());
    assert_eq!(place.chunks(), 0);
}

fn submit_and_wait(url: String, mut ready: Sender<()>) {
    let pool = crossproc::Pool::builder().engine(url).start().unwrap();
    let _tasks: Vec<_> = (0..50).map(|_| pool.apply_async(own_host, ())).collect();
    ready.send(&()).unwrap();
    loop {
        thread::park();
    }
}

#[test]
fn the_tasks_of_a_killed_pool_go() {
    let _watchdog = common::watchdog();
    let place = Place::new();
    let (sender, mut ready) = channel().unwrap();
    let front = Process::spawn(submit_and_wait, (place.url(), sender)).unwrap();
    ready.recv().unwrap();
    wait_until(|| place.chunks() == 50);
    front.kill().unwrap();
    front.wait();
    let pool = place.pool().start().unwrap();
    let host = place.host(1);
    assert_eq!(pool.apply(own_host, ()), Ok(host.pid()));
    wait_until(|| place.chunks() == 0);
    // Its inbox goes with its session; the other one is this pool's.
    wait_until(|| place.inboxes() == 1);
}

#[test]
fn a_server_that_loses_everything_loses_what_had_begun() {
    let _watchdog = common::watchdog();
    let mut place = Place::new();
    let _host = place.host(1);
    let (pool, patient) = (place.pool().start().unwrap(), place.pool().retries(3).start().unwrap());
    let files = [place.file("a"), place.file("b")];
    let task = pool.apply_async(wait_for, (files[0].clone(),));
    wait_until(|| has_begun(&files[0]));
    let other = patient.apply_async(wait_for, (files[1].clone(),));
    wait_until(|| place.chunks() == 2);
    place.server.kill();
    place.server.start_again();
    assert_eq!(task.get(), Err(TaskError::Lost { task: 0 }));
    files.iter().for_each(|file| fs::write(file, "").unwrap());
    assert!(other.get().is_ok());
    assert!(pool.apply(own_host, ()).is_ok());
}

#[test]
fn a_pool_whose_server_does_not_come_back_is_broken() {
    let _watchdog = common::watchdog();
    let mut place = Place::new();
    let url = format!("{}?timeout_ms=500", place.server.url());
    let pool = crossproc::Pool::builder().engine(url).start().unwrap();
    let task = pool.apply_async(own_host, ());
    wait_until(|| place.chunks() == 1);
    place.server.kill();
    assert!(matches!(task.get(), Err(TaskError::BrokenPool { .. })));
    drop(pool);
    place.server.start_again();
}

#[test]
fn a_host_that_was_stopped_for_longer_than_its_lease_goes_on() {
    let _watchdog = common::watchdog();
    let place = Place::new();
    let stopped = place.host(1);
    let pool = place.pool().start().unwrap();
    let file = place.file("a");
    let task = pool.apply_async(wait_for, (file.clone(),));
    wait_until(|| has_begun(&file));
    stopped.stop();
    fs::write(&file, "").unwrap();
    let mut other = place.host(1);
    // The stopped one's worker has done it, but cannot say so.
    assert_eq!(task.get(), Ok(other.pid()));
    other.kill();
    stopped.signal("CONT");
    assert_eq!(pool.apply(own_host, ()), Ok(stopped.pid()));
}

#[test]
fn what_somebody_removes_is_lost_and_nothing_waits_for_it() {
    let _watchdog = common::watchdog();
    let place = Place::new();
    let pool = place.pool().start().unwrap();
    let patient = place.pool().retries(1).start().unwrap();
    let (task, other) = (pool.apply_async(own_host, ()), patient.apply_async(own_host, ()));
    wait_until(|| place.chunks() == 2);
    let stream = place.keys("o:tasks-*:d").remove(0);
    place.server.ask(&format!("XTRIM {stream} MAXLEN 0"));
    assert_eq!(task.get(), Err(TaskError::Lost { task: 0 }));
    wait_until(|| place.chunks() == 1);
    let host = place.host(1);
    assert_eq!(other.get(), Ok(host.pid()));
}
