//! Contents of many handles that nobody sees any more, and what a snapshot and a restart in the midst of their removal leave of them.

use std::sync::Arc;

use redis::Value;

use super::{Server, until};
use crate::error::Kind;
use crate::remote::client::Effect;
use crate::remote::lua::{Lua, lua};
use crate::remote::session::{Hold, Session};

/// In each container.
const MANY: usize = 100_000;
/// So many are put there in one step.
const SOME: usize = 5_000;
/// What is done in one step, at most, as `session/grave.lua` says.
const STEP: usize = 250;

fn number(server: &Server, words: &str) -> usize {
    redis::from_redis_value(server.ask(words)).unwrap()
}

fn make(session: &Arc<Session>, kind: &str) -> Hold {
    let (token, object) = (session.token(), Session::new_object());
    let make = lua!("making an object", "object/make.lua");
    let made = session.run_named(Kind::Manager, make, Effect::Repeatable, |request| {
        request.arg(&token).arg(&object).arg(kind).arg("7");
    });
    session.held(&made.unwrap().session, token, object)
}

/// A container that is full of handles of one object.
fn full(session: &Arc<Session>, kind: &str, of: &str) -> Hold {
    let hold = make(session, kind);
    let (script, operation): (&'static Lua, _) = match kind {
        "table" => (lua!("an operation on a dictionary", "container/table.lua"), "extend"),
        _ => (lua!("an operation on a list", "container/row.lua"), "add"),
    };
    for first in (0..MANY).step_by(SOME) {
        let token = session.token();
        let done = session.run_named(Kind::Manager, script, Effect::Once, |request| {
            request.arg(&token).arg(hold.object()).arg(operation);
            if kind == "row" {
                request.arg(-1);
            }
            for number in first..first + SOME {
                if kind == "table" {
                    request.arg(number);
                }
                request.arg(format!("\x01{of}"));
            }
        });
        assert!(done.is_ok());
    }
    hold
}

/// A renewal in the name of a session that goes on.
fn renew(session: &Session) {
    let renew = lua!(frees "renewing a session", "session/grave.lua", "session/renew.lua");
    let renewed = session.run_named(Kind::Manager, renew, Effect::Nothing, |request| {
        request.arg(1_000_000);
    });
    assert!(renewed.is_ok());
}

#[test]
fn a_restart_in_the_midst_of_a_burial_loses_nothing_of_it() {
    let mut server = Server::start();
    let session = Session::at(&server.address("lease_ms=1000000&timeout_ms=20000")).unwrap();
    let one = make(&session, "list");
    let refs = |server: &Server| number(server, &format!("HGET crossproc:o:{} refs", one.object()));
    let (table, row) = (full(&session, "table", one.object()), full(&session, "row", one.object()));
    assert_eq!(refs(&server), 1 + 2 * MANY);
    drop((table, row));
    until("two graves", || number(&server, "LLEN crossproc:grave") == 2);
    let step = |server: &Server| {
        let before = refs(server);
        renew(&session);
        let now = refs(server);
        assert!(before - now <= STEP, "{before}, {now}");
        now
    };
    while step(&server) > 1 + 2 * MANY - 10 * STEP {}
    // A table that has a child does not shrink.
    server.ask("BGSAVE");
    let is_saving = |server: &Server| {
        let Value::BulkString(text) = server.ask("INFO persistence") else { panic!("no text") };
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains("rdb_last_bgsave_status:ok"), "{text}");
        text.contains("rdb_bgsave_in_progress:1")
    };
    let mut steps = 0;
    while is_saving(&server) || steps < 10 {
        step(&server);
        steps += 1;
    }
    let before = refs(&server);
    server.restart();
    assert!(refs(&server) > before, "what was removed since the snapshot is there again");
    until("all to be removed", || step(&server) == 1);
    until("no graves", || {
        renew(&session);
        server.ask("KEYS crossproc:g*") == Value::Array(Vec::new())
    });
    assert_eq!(server.ask("HEXISTS crossproc:clock buried"), Value::Int(0));
}
