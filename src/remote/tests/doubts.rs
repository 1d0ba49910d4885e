//! What was given up is not carried out later, whoever gave it up.

use std::sync::{Arc, Barrier};
use std::thread;

use redis::Value;

use super::proxy::Proxy;
use super::{Server, until};
use crate::error::{Error, Kind};
use crate::remote::address::Address;
use crate::remote::event::Event;
use crate::remote::session::Session;

/// A server, somebody who keeps requests back, and an event that was made through him.
struct Held {
    session: Arc<Session>,
    event: Event,
    proxy: Proxy,
    server: Server,
}

impl Held {
    /// No connection of this thread's is there.
    fn new(options: &str) -> Self {
        let server = Server::start();
        let proxy = Proxy::start(&server.socket());
        let address = Address::parse(&format!("{}?{options}", proxy.url())).unwrap();
        let (session, event) = elsewhere(|| {
            let session = Session::at(&address).unwrap();
            let event = Event::make(&session).unwrap();
            // From now on the server knows the script.
            event.clear().unwrap();
            (session, event)
        });
        Held { session, event, proxy, server }
    }

    /// Somebody tries to set the event, who is not there any more afterwards. The request is still on its way. Connections that were
    /// opened by `meanwhile`, which is called before, work.
    fn give_up(&self, meanwhile: impl FnOnce() + Send) {
        elsewhere(|| {
            assert_eq!(self.event.is_set(), Ok(false));
            self.proxy.hold_requests();
            meanwhile();
            let told = self.event.set();
            assert!(matches!(told, Err(Error::Unanswered { .. })), "{told:?}");
        });
    }

    fn is_set_late(&self) -> bool {
        self.proxy.release();
        // What came before this over another connection has been looked at by then.
        for _ in 0..3 {
            self.server.ask("PING");
        }
        self.server.ask(&format!("HGET crossproc:o:{} set", self.event.hold().object())) != Value::Nil
    }
}

/// In a thread that has ended when this returns.
fn elsewhere<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    thread::scope(|scope| scope.spawn(work).join().unwrap())
}

#[test]
fn another_thread_settles_what_an_ended_one_gave_up() {
    let held = Held::new("timeout_ms=300&lease_ms=60000");
    held.give_up(|| {});
    assert!(held.session.is_in_doubt());
    assert_eq!(held.event.is_set(), Ok(false));
    assert!(!held.session.is_in_doubt());
    assert!(!held.is_set_late(), "it was carried out after all");
}

/// Over a connection that it has had since before, and that works.
#[test]
fn a_thread_with_a_connection_settles_what_another_one_gave_up() {
    let held = Held::new("timeout_ms=300&lease_ms=60000");
    let (connected, given_up) = (Barrier::new(2), Barrier::new(2));
    thread::scope(|scope| {
        let other = scope.spawn(|| {
            connected.wait();
            assert_eq!(held.event.is_set(), Ok(false));
            connected.wait();
            given_up.wait();
            assert_eq!(held.event.is_set(), Ok(false));
        });
        held.give_up(|| {
            connected.wait();
            connected.wait();
        });
        given_up.wait();
        other.join().unwrap();
    });
    assert!(!held.session.is_in_doubt());
    assert!(!held.is_set_late(), "it was carried out after all");
}

#[test]
fn the_session_settles_what_nobody_asks_after() {
    let held = Held::new("timeout_ms=300&lease_ms=400");
    held.give_up(|| {});
    until("the session to settle it", || !held.session.is_in_doubt());
    assert!(!held.is_set_late(), "it was carried out after all");
}

/// Neither an object that may have been made, nor a hold of one, nor one for a handle on its way.
#[test]
fn what_nobody_was_told_of_is_held_by_nobody() {
    let server = Server::start();
    let proxy = Proxy::start(&server.socket());
    let address = Address::parse(&format!("{}?timeout_ms=200&lease_ms=2000", proxy.url())).unwrap();
    let session = Session::at(&address).unwrap();
    let event = Event::make(&session).unwrap();
    let object = event.hold().object().to_owned();
    let name = session.name().unwrap();
    let held = || server.ask(&format!("HLEN crossproc:s:{name}"));
    let asks: [&dyn Fn() -> Result<(), Error>; 3] =
        [&|| Event::make(&session).map(drop), &|| session.hold(Kind::Event, &object, None).map(drop), &|| {
            let (session_of, ticket) = session.ticket(Kind::Event, &object)?;
            session.hold(Kind::Event, &object, Some((&session_of, &ticket))).map(drop)
        }];
    for ask in asks {
        // From now on the server knows the script.
        ask().unwrap();
        until("one hold", || held() == Value::Int(1));
        proxy.swallow_answers();
        let told = ask();
        assert!(matches!(told, Err(Error::Unanswered { .. })), "{told:?}");
        proxy.heal();
        until("one hold again", || held() == Value::Int(1));
    }
    assert!(session.is_called(&name));
}
