use std::sync::Arc;

use redis::Value;

use super::{Server, until};
use crate::error::{Error, Kind};
use crate::remote::client::Effect;
use crate::remote::lua::lua;
use crate::remote::session::{Hold, Session};

fn make(session: &Arc<Session>) -> Hold {
    let (token, object) = (session.token(), Session::new_object());
    let made =
        session.run_named(Kind::Manager, lua!("making an object", "object/make.lua"), Effect::Repeatable, |request| {
            request.arg(&token).arg(&object).arg("list").arg("7");
        });
    session.held(&made.unwrap().session, token, object)
}

fn exists(server: &Server, object: &str) -> bool {
    server.ask(&format!("EXISTS crossproc:o:{object}")) == Value::Int(1)
}

#[test]
fn an_object_goes_with_its_last_hold() {
    let server = Server::start();
    let session = Session::at(&server.address("")).unwrap();
    let first = make(&session);
    let object = first.object().to_owned();
    let (second, kind, of) = session.hold(Kind::Manager, &object, None).unwrap();
    assert_eq!((&*kind, &*of), ("list", "7"));
    drop(first);
    until("one hold", || server.ask(&format!("HGET crossproc:o:{object} refs")) == Value::BulkString(b"1".to_vec()));
    drop(second);
    until("no object", || !exists(&server, &object));
    let gone = session.hold(Kind::Manager, &object, None).map(drop);
    assert_eq!(gone, Err(Error::Gone { object: Kind::Manager }));
    until("an empty grave", || server.ask("LLEN crossproc:grave") == Value::Int(0));
}

#[test]
fn a_session_ends_with_its_last_handle() {
    let server = Server::start();
    let session = Session::at(&server.address("")).unwrap();
    let hold = make(&session);
    drop(session);
    assert_eq!(server.ask("ZCARD crossproc:sessions"), Value::Int(1));
    drop(hold);
    until("no session", || server.ask("ZCARD crossproc:sessions") == Value::Int(0));
    until("nothing but the clock", || {
        server.ask("KEYS *") == Value::Array(vec![Value::BulkString(b"crossproc:clock".to_vec())])
    });
}

#[test]
fn who_is_not_heard_holds_nothing_and_goes_on() {
    let server = Server::start();
    let session = Session::at(&server.address("lease_ms=400")).unwrap();
    let (kept, lost) = (make(&session), make(&session));
    let named = Session::at(&server.address("lease_ms=401")).unwrap();
    let (_elsewhere, _, _) = named.hold(Kind::Manager, kept.object(), None).unwrap();
    let name = session.name().unwrap();
    // As if nobody had heard of it for long: whoever comes next ends it.
    until("it to be ended", || {
        server.ask(&format!("ZADD crossproc:sessions 0 {name}"));
        let renew = lua!(frees "renewing a session", "session/grave.lua", "session/renew.lua");
        let renewed = named.run_as(&named.name().unwrap(), renew, Effect::Nothing, |request| {
            request.arg(400);
        });
        assert!(renewed.is_ok());
        server.ask(&format!("ZSCORE crossproc:sessions {name}")) == Value::Nil
    });
    until("it to go on", || !session.is_called(&name));
    let is_held = |object: &str| session.hold(Kind::Manager, object, None).is_ok();
    assert!(is_held(kept.object()));
    assert!(!exists(&server, lost.object()) && !is_held(lost.object()));
}

#[test]
fn a_ticket_ends_with_its_arrival() {
    let server = Server::start();
    let sender = Session::at(&server.address("")).unwrap();
    let hold = make(&sender);
    let object = hold.object().to_owned();
    let (session, ticket) = sender.ticket(Kind::Manager, &object).unwrap();
    drop(hold);
    let receiver = Session::at(&server.address("timeout_ms=4000")).unwrap();
    let (landed, _, _) = receiver.hold(Kind::Manager, &object, Some((&session, &ticket))).unwrap();
    until("one hold", || server.ask(&format!("HGET crossproc:o:{object} refs")) == Value::BulkString(b"1".to_vec()));
    drop(landed);
    until("no object", || !exists(&server, &object));
}

#[test]
fn a_restarted_server_is_found_again() {
    let mut server = Server::start();
    let session = Session::at(&server.address("")).unwrap();
    let lost = make(&session);
    server.restart();
    let made = make(&session);
    assert!(exists(&server, made.object()));
    let gone = session.hold(Kind::Manager, lost.object(), None).map(drop);
    assert_eq!(gone, Err(Error::Gone { object: Kind::Manager }));
}

#[test]
fn a_session_that_has_ended_does_not_begin_again() {
    let server = Server::start();
    let session = Session::at(&server.address("")).unwrap();
    let hold = make(&session);
    let name = session.name().unwrap();
    server.ask(&format!("ZREM crossproc:sessions {name}"));
    // As if it had been taken in the name of an earlier one, so that it is to be taken in this one's.
    let _more = session.held("another", session.token(), hold.object().to_owned());
    until("it to go on", || !session.is_called(&name));
    assert_eq!(server.ask(&format!("ZSCORE crossproc:sessions {name}")), Value::Nil);
}
