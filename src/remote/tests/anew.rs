//! What a session that has come to another process of the server takes along.

use std::sync::Arc;

use redis::Value;

use super::{Server, until};
use crate::error::Kind;
use crate::remote::client::Effect;
use crate::remote::lua::lua;
use crate::remote::session::{Answer, Session};

/// A new object that the session's thread does not know of yet: its answer has just come.
fn made(session: &Session, token: &str, object: &str) -> Answer {
    let make = lua!("making an object", "object/make.lua");
    let made = session.run_holding(Kind::Manager, make, Effect::Repeatable, token, |request| {
        request.arg(object).arg("list").arg("7");
    });
    made.unwrap()
}

fn number(server: &Server, words: &str) -> Option<u64> {
    redis::from_redis_value(server.ask(words)).unwrap()
}

/// The session of the older state is ended, but not with what was granted in its name after the restart.
#[test]
fn what_is_granted_to_a_former_session_is_not_lost_with_it() {
    let mut server = Server::start();
    let session = Session::at(&server.address("lease_ms=2000&timeout_ms=20000")).unwrap();
    let (token, object) = (session.token(), Session::new_object());
    let known = session.held(&made(&session, &token, &object).session, token, object);
    // Until somebody asks before the session's thread has noticed the restart: it looks four times in a lease.
    let (answer, token, object) = loop {
        let name = session.name().unwrap();
        server.ask("SAVE");
        server.restart();
        let (token, object) = (session.token(), Session::new_object());
        let answer = made(&session, &token, &object);
        if answer.session == name {
            break (answer, token, object);
        }
        drop(session.held(&answer.session, token, object));
    };
    let former = Arc::clone(&answer.session);
    until("it to go on", || !session.is_called(&former));
    let present = session.name().unwrap();
    let ends = |name: &str| number(&server, &format!("ZSCORE crossproc:sessions {name}"));
    for _ in 0..2 {
        // What it does between two renewals it has done.
        let before = ends(&present);
        until("a renewal", || ends(&present) > before);
    }
    let hold = session.held(&answer.session, token, object);
    drop(answer);
    until("the former one to end", || ends(&former).is_none());
    for hold in [&hold, &known] {
        assert_eq!(number(&server, &format!("HGET crossproc:o:{} refs", hold.object())), Some(1));
    }
    assert_eq!(number(&server, &format!("HLEN crossproc:s:{present}")), Some(2));
    drop((hold, known));
    until("no objects", || server.ask("KEYS crossproc:o:*") == Value::Array(Vec::new()));
}
