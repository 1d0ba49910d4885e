//! How the sessions' time moves.

use std::sync::Arc;

use super::Server;
use crate::remote::client::Effect;
use crate::remote::lua::{Lua, lua};
use crate::remote::session::Session;

fn number(server: &Server, words: &str) -> u64 {
    redis::from_redis_value(server.ask(words)).unwrap()
}

fn run(session: &Session, script: &'static Lua, name: &str, lease: Option<u64>) {
    let done = session.run_as(name, script, Effect::Nothing, |request| {
        request.arg(lease);
    });
    assert!(done.is_ok());
}

/// By how much time moves if nobody was heard for half a minute before this session is.
fn moves(server: &Server, session: &Arc<Session>, lease: u64) -> u64 {
    let now: (u64, u64) = redis::from_redis_value(server.ask("TIME")).unwrap();
    let before = number(server, "HGET crossproc:clock at");
    server.ask(&format!("HSET crossproc:clock seen {}", now.0 * 1000 - 30_000));
    run(
        session,
        lua!(frees "renewing a session", "session/grave.lua", "session/renew.lua"),
        &session.name().unwrap(),
        Some(lease),
    );
    number(server, "HGET crossproc:clock at") - before
}

/// Otherwise those who die after it would be found late, for ever.
#[test]
fn a_short_lease_slows_time_as_long_as_it_is_there() {
    let server = Server::start();
    let session = Session::at(&server.address("lease_ms=100000")).unwrap();
    let begin = lua!(frees "beginning a session", "session/begin.lua");
    let end = lua!(frees "ending a session", "session/grave.lua", "session/end.lua");
    assert!(moves(&server, &session, 100_000) >= 30_000);
    run(&session, begin, "ends", Some(400));
    assert_eq!(moves(&server, &session, 100_000), 200, "so that it has time to be heard");
    run(&session, end, "ends", None);
    assert!(moves(&server, &session, 100_000) >= 30_000);
    run(&session, begin, "dies", Some(400));
    assert_eq!([(); 2].map(|()| moves(&server, &session, 100_000)), [200; 2]);
    assert!(moves(&server, &session, 100_000) >= 30_000);
}

/// A session that comes back to a server that was stopped has not ended, and neither have the others.
#[test]
fn a_pause_ends_nobody() {
    let server = Server::start();
    let session = Session::at(&server.address("lease_ms=100000")).unwrap();
    run(&session, lua!(frees "beginning a session", "session/begin.lua"), "other", Some(20_000));
    assert_eq!(moves(&server, &session, 100_000), 10_000);
    run(&session, lua!(frees "renewing a session", "session/grave.lua", "session/renew.lua"), "other", Some(20_000));
}
