//! Which hosts serve a pool, and when.

use std::ffi::OsStr;
use std::fs;

use super::{Host, Place, common, has_begun, own_host, wait_for, wait_until};

#[test]
fn tasks_wait_for_a_host() {
    let _watchdog = common::watchdog();
    let place = Place::new();
    let pool = place.pool().start().unwrap();
    let tasks: Vec<_> = (0..20).map(|_| pool.apply_async(own_host, ())).collect();
    wait_until(|| place.chunks() == 20);
    let host = place.host(2);
    tasks.into_iter().for_each(|task| assert_eq!(task.get(), Ok(host.pid())));
    assert_eq!(place.chunks(), 0);
}

#[test]
fn two_hosts_share_the_work() {
    let _watchdog = common::watchdog();
    let place = Place::new();
    let pool = place.pool().start().unwrap();
    let hosts = [place.host(1), place.host(1)];
    let files = [place.file("a"), place.file("b")];
    let tasks: Vec<_> = files.iter().map(|file| pool.apply_async(wait_for, (file.clone(),))).collect();
    // Each has one worker, and neither task returns before both have begun.
    wait_until(|| files.iter().all(|file| has_begun(file)));
    files.iter().for_each(|file| fs::write(file, "").unwrap());
    let mut found: Vec<u32> = tasks.into_iter().map(|task| task.get().unwrap()).collect();
    let mut expected = hosts.each_ref().map(Host::pid);
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
}

#[test]
fn another_build_does_not_serve() {
    let _watchdog = common::watchdog();
    let place = Place::new();
    let _other = Host::of(&place, OsStr::new(env!("CARGO_BIN_EXE_crossproc")), 1);
    wait_until(|| place.keys("o:tasks-*:w").len() == 1);
    let pool = place.pool().start().unwrap();
    let task = pool.apply_async(own_host, ());
    wait_until(|| place.chunks() == 1);
    let own = place.host(1);
    assert_eq!(task.get(), Ok(own.pid()));
}

#[test]
fn a_host_that_is_asked_to_end_finishes_what_it_has_in_hands() {
    let _watchdog = common::watchdog();
    let place = Place::new();
    let mut host = place.host(1);
    let pool = place.pool().start().unwrap();
    let (file, other) = (place.file("a"), place.file("b"));
    let task = pool.apply_async(wait_for, (file.clone(),));
    wait_until(|| has_begun(&file));
    host.signal("TERM");
    fs::write(&file, "").unwrap();
    assert_eq!(task.get(), Ok(host.pid()));
    assert!(host.wait().success());
    fs::write(&other, "").unwrap();
    let next = pool.apply_async(wait_for, (other,));
    let second = place.host(1);
    assert_eq!(next.get(), Ok(second.pid()));
}
