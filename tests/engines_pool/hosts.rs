//! Which hosts serve a pool, and when.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

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

/// A host that runs the command line, of another build than this program; and what it says.
fn talking_host(place: &Place) -> (Host, impl Iterator<Item = String>) {
    let url = format!("{}&user=default&pass=hidden", place.url());
    let mut command = Host::command(&url, OsStr::new(env!("CARGO_BIN_EXE_crossproc")), 2);
    let mut host = Host(command.stderr(Stdio::piped()).spawn().unwrap());
    let lines = BufReader::new(host.0.stderr.take().unwrap()).lines();
    (host, lines.map(Result::unwrap))
}

/// The builds that pools and hosts have named at the server.
fn builds(place: &Place) -> Vec<String> {
    let of = |key: String| key.trim_end_matches(":d").rsplit('-').next().unwrap().to_owned();
    place.keys("o:tasks-*:d").into_iter().map(of).collect()
}

/// Otherwise the pool and the host would wait for each other, and nobody would know why.
#[test]
fn a_host_says_what_it_does_and_what_nobody_does() {
    let _watchdog = common::watchdog();
    let place = Place::new();
    let pool = place.pool().start().unwrap();
    let task = pool.apply_async(own_host, ());
    wait_until(|| place.chunks() == 1);
    assert_eq!(pool.hosts(), Ok(0));
    let own = builds(&place).remove(0);

    let (mut other, mut lines) = talking_host(&place);
    let first = lines.next().unwrap();
    let program = fs::canonicalize(env!("CARGO_BIN_EXE_crossproc")).unwrap().display().to_string();
    for said in [&program, "2 workers", &place.server.url(), "prefix crossproc"] {
        assert!(first.contains(said), "{said:?} in {first:?}");
    }
    assert!(!first.contains("hidden") && !first.contains(&own), "{first}");
    let its = builds(&place).into_iter().find(|build| *build != own).unwrap();
    assert!(first.contains(&its), "{its} in {first:?}");
    // It waits until that is said.
    let second = lines.next().unwrap();
    assert!([&own, &its, "nobody"].iter().all(|said| second.contains(*said)), "{second}");
    assert!(!second.contains("hidden"), "{second}");

    let host = place.host(1);
    assert_eq!(task.get(), Ok(host.pid()));
    wait_until(|| pool.hosts() == Ok(1));
    other.kill();
    assert_eq!(lines.next(), None);
}

#[test]
fn a_host_says_nothing_of_tasks_that_another_one_does() {
    let _watchdog = common::watchdog();
    let place = Place::new();
    let (pool, host, file) = (place.pool().start().unwrap(), place.host(1), place.file("a"));
    let task = pool.apply_async(wait_for, (file.clone(),));
    wait_until(|| has_begun(&file));
    // Behind that one.
    let next = pool.apply_async(own_host, ());
    wait_until(|| place.chunks() == 2);
    assert_eq!(pool.hosts(), Ok(1));

    let looks = || {
        let facts = place.server.ask("INFO commandstats");
        let calls = facts.lines().find_map(|line| line.strip_prefix("cmdstat_scan:calls="));
        calls.and_then(|calls| calls.split(',').next()?.parse::<u32>().ok()).unwrap_or(0)
    };
    // The one that is busy does not look.
    let before = looks();
    let (mut other, mut lines) = talking_host(&place);
    assert!(lines.next().unwrap().contains("2 workers"));
    // It would say at the second.
    wait_until(|| looks() >= before + 3);
    other.kill();
    assert_eq!(lines.next(), None);
    fs::write(&file, "").unwrap();
    assert_eq!([task.get(), next.get()], [Ok(host.pid()), Ok(host.pid())]);
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
