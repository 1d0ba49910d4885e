//! For how long connections last that nobody uses.

use std::sync::{Arc, Barrier, mpsc};
use std::thread;

use redis::Value;

use super::{Server, until};
use crate::remote::event::Event;
use crate::remote::session::Session;

/// How many connections the server has, but for the one that asks.
fn clients(server: &Server) -> usize {
    let Value::BulkString(text) = server.ask("CLIENT LIST") else { panic!("no text") };
    String::from_utf8(text).unwrap().lines().count() - 1
}

const THREADS: usize = 4;

/// Threads that have asked something, and ask for nothing more, have them no longer than anybody has a handle.
#[test]
fn connections_end_with_the_last_handle() {
    let server = Server::start();
    let asked = Barrier::new(THREADS + 1);
    let session = Session::at(&server.address("")).unwrap();
    let event = Arc::new(Event::make(&session).unwrap());
    drop(session);
    thread::scope(|scope| {
        let mut threads = Vec::new();
        for _ in 0..THREADS {
            let (event, asked) = (Arc::clone(&event), &asked);
            let (thread, end) = mpsc::channel::<()>();
            threads.push(thread);
            scope.spawn(move || {
                assert_eq!(event.is_set(), Ok(false));
                drop(event);
                asked.wait();
                let _ = end.recv();
            });
        }
        asked.wait();
        // The threads' and this one's; the session's thread may have one.
        assert!(clients(&server) > THREADS);
        drop(event);
        until("no connections", || clients(&server) == 0);
    });
}

#[test]
fn a_connection_ends_with_its_thread() {
    let server = Server::start();
    let session = Session::at(&server.address("")).unwrap();
    let event = Event::make(&session).unwrap();
    for _ in 0..THREADS {
        thread::scope(|scope| scope.spawn(|| assert_eq!(event.is_set(), Ok(false))).join().unwrap());
    }
    until("this thread's and the session's", || clients(&server) <= 2);
}

#[test]
fn who_asks_again_uses_the_same_connection() {
    let server = Server::start();
    let session = Session::at(&server.address("lease_ms=100000")).unwrap();
    let event = Event::make(&session).unwrap();
    let connections = || {
        let Value::BulkString(text) = server.ask("INFO stats") else { panic!("no text") };
        let text = String::from_utf8(text).unwrap();
        let count = text.lines().find_map(|line| line.strip_prefix("total_connections_received:"));
        count.unwrap().parse::<u32>().unwrap()
    };
    let before = connections();
    for _ in 0..50 {
        assert_eq!(event.is_set(), Ok(false));
    }
    assert_eq!(connections(), before + 1, "the one that asks is new each time");
}
