//! What a process that was not heard for a lease goes on with.

use std::sync::Arc;

use redis::Value;

use super::proxy::Proxy;
use super::{Server, Two, end, until};
use crate::error::Kind;
use crate::remote::address::Address;
use crate::remote::client::Effect;
use crate::remote::event::Event;
use crate::remote::lua::{Lua, lua};
use crate::remote::semaphore::Semaphore;
use crate::remote::session::{Hold, Session};

fn number(server: &Server, words: &str) -> usize {
    redis::from_redis_value(server.ask(words)).unwrap()
}

fn refs(server: &Server, object: &str) -> usize {
    number(server, &format!("HGET crossproc:o:{object} refs"))
}

fn hold(session: &Arc<Session>, object: &str) -> Hold {
    session.hold(Kind::Event, object, None).unwrap().0
}

/// Each handle that there is holds its object once, and one that was dropped in between does not.
#[test]
fn who_goes_on_holds_what_it_has_handles_of() {
    let server = Server::start();
    let two = Two::with(&server, "lease_ms=100000", "lease_ms=100001");
    let event = Event::make(&two.other).unwrap();
    let object = event.hold().object();
    let (first, second, dropped) = (hold(&two.one, object), hold(&two.one, object), hold(&two.one, object));
    let lost = Event::make(&two.one).unwrap();
    assert_eq!(refs(&server, object), 4);
    let name = two.one.name().unwrap();
    end(&server, &two.one, &two.other);
    assert_eq!(refs(&server, object), 1, "the others take what it had");
    drop(dropped);
    let third = hold(&two.one, object);
    assert!(!two.one.is_called(&name));
    let present = two.one.name().unwrap();
    until("three holds", || refs(&server, object) == 4);
    until("no hold of what is no more", || number(&server, &format!("HLEN crossproc:s:{present}")) == 3);
    assert_eq!(server.ask(&format!("EXISTS crossproc:s:{name}")), Value::Int(0));
    drop((first, second, third));
    until("no holds", || refs(&server, object) == 1);
    drop(lost);
    assert_eq!(number(&server, &format!("HLEN crossproc:s:{present}")), 0);
}

/// Taken in the old one's name, and told of when there is a new one.
#[test]
fn a_hold_that_is_told_of_late_is_taken_anew() {
    let server = Server::start();
    let two = Two::with(&server, "lease_ms=100000", "lease_ms=100001");
    let event = Event::make(&two.other).unwrap();
    let object = event.hold().object();
    let (name, token) = (two.one.name().unwrap(), two.one.token());
    let script = lua!(frees "holding an object", "session/hold.lua");
    let held = two.one.run_as(&name, script, Effect::Repeatable, |request| {
        request.arg(&token).arg(object);
    });
    assert!(held.is_ok());
    end(&server, &two.one, &two.other);
    let other = hold(&two.one, object);
    assert_eq!(refs(&server, object), 2);
    let late = two.one.held(&name, token, object.to_owned());
    until("a hold of each", || refs(&server, object) == 3);
    drop((late, other));
    until("no holds", || refs(&server, object) == 1);
}

/// What was to be told in the old one's name concerns what that had, and others have it by now.
#[test]
fn what_was_to_be_told_for_a_session_that_has_ended_is_not_told() {
    let server = Server::start();
    let proxy = Proxy::start(&server.socket());
    let cut_off = Address::parse(&format!("{}?timeout_ms=200&lease_ms=1000", proxy.url())).unwrap();
    let (one, other) = (Session::at(&cut_off).unwrap(), Session::at(&server.address("")).unwrap());
    let semaphores = [(); 2].map(|()| Semaphore::make(&other, Kind::Semaphore, 0, 10).unwrap());
    let name = one.name().unwrap();
    let tell = |name: &Arc<str>, semaphore: &Semaphore| {
        let release: &Lua = lua!(frees "releasing permits", "line/line.lua", "object/parts.lua", "object/recent.lua", "semaphore/permits.lua", "semaphore/release.lua");
        let arguments = [semaphore.hold().object(), &one.token(), "1", "1000"].map(str::to_owned);
        one.run_later(name, release, arguments.into());
    };
    proxy.swallow_answers();
    end(&server, &one, &other);
    tell(&name, &semaphores[0]);
    assert!(one.is_called(&name), "it has heard nothing");
    proxy.heal();
    until("it to go on", || !one.is_called(&name));
    // Behind it.
    tell(&one.name().unwrap(), &semaphores[1]);
    until("a permit", || semaphores[1].value() == Ok(1));
    assert_eq!(semaphores[0].value(), Ok(0));
}
