use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::Value;

use super::{Server, Two, end};
use crate::error::{Error, Result};
use crate::remote::session::Session;
use crate::remote::tasks::{Claim, Fetched, Inbox, Tasks};

const BUILD: &str = "1234";

/// A front and a host.
fn two(server: &Server) -> (Two, Tasks, Inbox, Tasks) {
    let two = Two::at(server);
    let (tasks, inbox) = (Tasks::open(&two.one, BUILD).unwrap(), Inbox::make(&two.one).unwrap());
    let host = Tasks::open(&two.other, BUILD).unwrap();
    (two, tasks, inbox, host)
}

fn chunks(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

fn claim(tasks: &Tasks, token: &str) -> Claim {
    tasks.claim(token, || false).unwrap().unwrap()
}

/// Whether there is something to be claimed, without waiting for it.
fn is_empty(tasks: &Tasks, session: &Session) -> bool {
    let calls = std::cell::Cell::new(0);
    let is_over = || calls.replace(calls.get() + 1) > 0;
    tasks.claim(&session.token(), is_over).unwrap().is_none()
}

fn fetch(inbox: &Inbox, tasks: &Tasks, taken: u64, entries: &[String]) -> Result<Fetched> {
    let start = Instant::now();
    inbox.fetch(tasks, taken, || start.elapsed() > Duration::from_millis(500), || entries.to_vec())
}

fn entries_left(server: &Server) -> Value {
    server.ask(&format!("XLEN crossproc:o:tasks-{BUILD}:d"))
}

#[test]
fn what_is_asked_twice_happens_once() {
    let server = Server::start();
    let (two, tasks, inbox, host) = two(&server);
    let entries = tasks.push(&inbox, "x", &chunks(&["a", "b"])).unwrap();
    assert_eq!(tasks.push(&inbox, "x", &chunks(&["a", "b"])).unwrap(), entries);
    assert_eq!((entries.len(), entries_left(&server)), (2, Value::Int(2)));
    let token = two.other.token();
    let (first, again) = (claim(&host, &token), claim(&host, &token));
    assert_eq!((&*first.chunk, &*again.chunk), (&b"a"[..], &b"a"[..]));
    for _ in 0..2 {
        host.done(&first, b"A").unwrap();
    }
    let second = claim(&host, &two.other.token());
    host.give_back(&second).unwrap();
    let second = claim(&host, &two.other.token());
    host.done(&second, b"B").unwrap();
    for taken in [0, 0, 1, 1] {
        let fetched = fetch(&inbox, &tasks, taken, &entries).unwrap();
        assert_eq!(fetched.outcomes, chunks(&["A", "B"])[taken as usize..]);
        assert!(fetched.missing.is_empty());
    }
    assert_eq!(fetch(&inbox, &tasks, 2, &[]).unwrap().outcomes, chunks(&[]));
    assert_eq!(entries_left(&server), Value::Int(0));
}

#[test]
fn a_host_that_was_not_heard_has_nothing_to_say() {
    let server = Server::start();
    let (two, tasks, inbox, host) = two(&server);
    tasks.push(&inbox, "x", &chunks(&["a"])).unwrap();
    let lost = claim(&host, &two.other.token());
    end(&server, &two.other, &two.one);
    let found = claim(&tasks, &two.one.token());
    assert_eq!(found.chunk, b"a");
    host.done(&lost, b"too late").unwrap();
    host.give_back(&lost).unwrap();
    assert!(is_empty(&host, &two.other), "it is in somebody's hands");
    tasks.done(&found, b"A").unwrap();
    assert_eq!(fetch(&inbox, &tasks, 0, &[]).unwrap().outcomes, chunks(&["A"]));
}

#[test]
fn what_is_withdrawn_is_not_done() {
    let server = Server::start();
    let (two, tasks, inbox, host) = two(&server);
    let entries = tasks.push(&inbox, "x", &chunks(&["a", "b", "c"])).unwrap();
    let first = claim(&host, &two.other.token());
    tasks.withdraw(&entries[..2]).unwrap();
    host.done(&first, b"A").unwrap();
    let third = claim(&host, &two.other.token());
    assert_eq!(third.chunk, b"c");
    // Neither has an outcome; the third still may.
    assert_eq!(fetch(&inbox, &tasks, 0, &entries).unwrap().missing, entries[..2]);
    host.done(&third, b"C").unwrap();
    assert_eq!(fetch(&inbox, &tasks, 0, &entries).unwrap().outcomes, chunks(&["C"]));
}

#[test]
fn chunks_go_with_whoever_wanted_them() {
    let server = Server::start();
    let (two, tasks, inbox, host) = two(&server);
    let own = Inbox::make(&two.other).unwrap();
    tasks.push(&inbox, "x", &chunks(&["a"; 250])).unwrap();
    host.push(&own, "x", &chunks(&["b"])).unwrap();
    let begun = claim(&host, &two.other.token());
    end(&server, &two.one, &two.other);
    assert_eq!(claim(&host, &two.other.token()).chunk, b"b");
    host.done(&begun, b"A").unwrap();
    assert_eq!(entries_left(&server), Value::Int(1));
    assert!(matches!(fetch(&inbox, &tasks, 0, &[]), Err(Error::Gone { .. })));
    drop((tasks, inbox, host, own));
    let left =
        |session: &Arc<Session>| session.name().is_ok() && server.ask("KEYS crossproc:o:*") == Value::Array(vec![]);
    super::until("everything to go with the last holder", || left(&two.one));
}

#[test]
fn a_server_that_starts_anew_says_that_all_is_gone() {
    let mut server = Server::start();
    let (two, tasks, inbox, host) = two(&server);
    tasks.push(&inbox, "x", &chunks(&["a"])).unwrap();
    let claimed = claim(&host, &two.other.token());
    server.restart();
    assert!(matches!(fetch(&inbox, &tasks, 0, &[]), Err(Error::Gone { .. })));
    assert!(matches!(tasks.push(&inbox, "y", &chunks(&["b"])), Err(Error::Gone { .. })));
    assert!(matches!(host.claim(&two.other.token(), || false), Err(Error::Gone { .. })));
    host.done(&claimed, b"A").unwrap();
    let (tasks, inbox) = (Tasks::open(&two.one, BUILD).unwrap(), Inbox::make(&two.one).unwrap());
    tasks.push(&inbox, "z", &chunks(&["c"])).unwrap();
    assert_eq!(claim(&host, &two.other.token()).chunk, b"c");
}

#[test]
fn a_full_server_still_takes_outcomes() {
    let server = Server::start();
    let (two, tasks, inbox, host) = two(&server);
    tasks.push(&inbox, "x", &chunks(&["a"])).unwrap();
    server.fill();
    assert!(matches!(tasks.push(&inbox, "y", &chunks(&["b"])), Err(Error::ServerFull { .. })));
    let claimed = claim(&host, &two.other.token());
    host.done(&claimed, b"A").unwrap();
    assert_eq!(fetch(&inbox, &tasks, 0, &[]).unwrap().outcomes, chunks(&["A"]));
}

#[test]
fn long_outcomes_come_some_at_a_time() {
    let server = Server::start();
    let (two, tasks, inbox, host) = two(&server);
    let entries = tasks.push(&inbox, "x", &chunks(&["a"; 4])).unwrap();
    let long = vec![7; 3 << 20];
    for entry in 0..4 {
        let outcome = if entry == 2 { &[8][..] } else { &long };
        host.done(&claim(&host, &two.other.token()), outcome).unwrap();
    }
    let lengths = |taken| {
        let fetched = fetch(&inbox, &tasks, taken, &entries).unwrap();
        fetched.outcomes.iter().map(Vec::len).collect::<Vec<_>>()
    };
    assert_eq!(lengths(0), [long.len(), long.len()]);
    assert_eq!(lengths(2), [1, long.len()]);
}
