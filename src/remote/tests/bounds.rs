//! What a script leaves to the next ones, so that the server is not kept by one for long.

use std::sync::Arc;

use redis::Value;

use super::{Server, Two, until};
use crate::error::Kind;
use crate::remote::client::Effect;
use crate::remote::lua::{Lua, lua};
use crate::remote::semaphore::Semaphore;
use crate::remote::session::{Hold, Session};
use crate::sys::clock::Deadline;

/// More than is done in one step.
const MANY: usize = 1_200;
/// What is done in one step, at most, as `session/grave.lua` says.
const STEP: usize = 250;

fn renew() -> &'static Lua {
    lua!(frees "renewing a session", "session/grave.lua", "session/renew.lua")
}

/// One renewal of a session; how much is left.
fn renew_once(session: &Session) -> i64 {
    let name = session.name().unwrap();
    let renewed = session.run_as(&name, renew(), Effect::Nothing, |request| {
        request.arg(100_000);
    });
    match renewed {
        Ok(Value::Int(left)) => left,
        Ok(other) => panic!("it answers {other:?}"),
        Err(_) => panic!("it is refused"),
    }
}

fn number(server: &Server, words: &str) -> usize {
    redis::from_redis_value(server.ask(words)).unwrap()
}

/// A session that nobody renews, and its holds of one object.
fn hold_often(session: &Arc<Session>, name: &str, object: &str, count: usize) {
    let begin = lua!(frees "beginning a session", "session/begin.lua");
    let begun = session.run_as(name, begin, Effect::Repeatable, |request| {
        request.arg(100_000);
    });
    assert!(begun.is_ok());
    let more = lua!(frees "holding objects", "session/hold_more.lua");
    let held = session.run_as(name, more, Effect::Repeatable, |request| {
        for token in 0..count {
            request.arg(token).arg(object);
        }
    });
    assert!(held.is_ok());
}

fn make(session: &Arc<Session>, kind: &str) -> Hold {
    let (token, object) = (session.token(), Session::new_object());
    let made =
        session.run_named(Kind::Manager, lua!("making an object", "object/make.lua"), Effect::Repeatable, |request| {
            request.arg(&token).arg(&object).arg(kind).arg("7");
        });
    session.held(&made.unwrap().session, token, object)
}

/// As far as these tests let anybody live.
fn patient(server: &Server) -> Arc<Session> {
    Session::at(&server.address("lease_ms=100000")).unwrap()
}

#[test]
fn a_dead_sessions_holds_go_some_at_a_time() {
    let server = Server::start();
    let session = patient(&server);
    let object = make(&session, "list");
    hold_often(&session, "dead", object.object(), MANY);
    server.ask("ZADD crossproc:sessions 1 dead");
    let mut left = MANY;
    while left > 0 {
        renew_once(&session);
        let now = number(&server, "HLEN crossproc:s:dead");
        assert!(now < left && left - now <= STEP, "{left}, {now}");
        left = now;
    }
    assert_eq!(number(&server, &format!("HGET crossproc:o:{} refs", object.object())), 1);
    assert_eq!(server.ask("ZSCORE crossproc:sessions dead"), Value::Nil);
}

#[test]
fn a_session_ends_some_of_its_holds_at_a_time() {
    let server = Server::start();
    let session = patient(&server);
    let object = make(&session, "list");
    hold_often(&session, "ending", object.object(), MANY);
    let end = lua!(frees "ending a session", "session/grave.lua", "session/end.lua");
    let mut left = MANY;
    while left > 0 {
        let is_more = session.run_as("ending", end, Effect::Repeatable, |_| {});
        let now = number(&server, "HLEN crossproc:s:ending");
        assert!(now < left && left - now <= STEP, "{left}, {now}");
        assert!(matches!(is_more, Ok(Value::Int(more)) if more == i64::from(now > 0)));
        left = now;
    }
    assert_eq!(server.ask("ZSCORE crossproc:sessions ending"), Value::Nil);
}

/// What is cleared is empty for all at once; what it referred to goes some at a time.
#[test]
fn what_is_cleared_is_given_up_some_at_a_time() {
    let server = Server::start();
    let session = patient(&server);
    let (table, row, other) = (make(&session, "table"), make(&session, "row"), make(&session, "list"));
    let value = [b"\x01", other.object().as_bytes()].concat();
    let name = session.name().unwrap();
    let operate = |script: &'static Lua, hold: &Hold, operation: &str, arguments: &[Vec<u8>]| {
        let done = session.run_as(&name, script, Effect::Once, |request| {
            request.arg(session.token()).arg(hold.object()).arg(operation).arg(arguments);
        });
        assert!(done.is_ok());
    };
    let table_script = lua!("an operation on a dictionary", "container/table.lua");
    let row_script = lua!("an operation on a list", "container/row.lua");
    let entries = (0..MANY).flat_map(|key| [key.to_string().into_bytes(), value.clone()]);
    operate(table_script, &table, "extend", &entries.collect::<Vec<_>>());
    let mut items = vec![b"-1".to_vec()];
    items.extend((0..MANY).map(|_| value.clone()));
    operate(row_script, &row, "add", &items);
    let refs = || number(&server, &format!("HGET crossproc:o:{} refs", other.object()));
    assert_eq!(refs(), 1 + 2 * MANY);
    operate(table_script, &table, "clear", &[]);
    operate(row_script, &row, "clear", &[]);
    for hold in [&table, &row] {
        assert_eq!(number(&server, &format!("EXISTS crossproc:o:{}:d", hold.object())), 0);
    }
    assert_eq!(refs(), 1 + 2 * MANY, "they are released later");
    let mut before = refs();
    while before > 1 {
        renew_once(&session);
        let now = refs();
        assert!(now < before && before - now <= STEP, "{before}, {now}");
        before = now;
    }
    until("empty graves", || {
        renew_once(&session);
        server.ask("KEYS crossproc:g*") == Value::Array(Vec::new())
    });
}

/// How long it takes to acquire does not depend on how many permits somebody has: each is a field of its own.
#[test]
fn permits_are_counted_by_their_owners() {
    let server = Server::start();
    let two = Two::at(&server);
    let semaphore = Semaphore::make(&two.one, Kind::Semaphore, 50, 50).unwrap();
    let now = || Deadline::after(std::time::Duration::ZERO);
    let permits: Vec<_> = (0..50).map(|_| semaphore.acquire(now()).unwrap().unwrap()).collect();
    let (name, object) = (two.one.name().unwrap(), semaphore.hold().object());
    assert_eq!(number(&server, &format!("HGET crossproc:o:{object}:h {name}")), 50);
    assert_eq!(number(&server, &format!("HLEN crossproc:o:{object}:p")), 50);
    for permit in &permits {
        assert!(semaphore.give_back(permit).unwrap());
    }
    for key in ["h", "p"] {
        assert_eq!(number(&server, &format!("EXISTS crossproc:o:{object}:{key}")), 0);
    }
}
