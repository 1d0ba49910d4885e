//! What is told to the server later.

use std::time::{Duration, Instant};

use redis::Value;

use super::{Server, until};
use crate::error::Kind;
use crate::remote::lua::{Lua, lua};
use crate::remote::semaphore::Semaphore;
use crate::remote::session::Session;

/// No server runs it: it calls what there is not.
fn broken() -> &'static Lua {
    lua!("nothing", "semaphore/give_back.lua")
}

/// How often the server has answered ERR, which nothing else here makes it do.
fn refusals(server: &Server) -> u64 {
    let Value::BulkString(text) = server.ask("INFO errorstats") else { panic!("no text") };
    let text = String::from_utf8(text).unwrap();
    let counts = text.lines().filter_map(|line| line.strip_prefix("errorstat_ERR:count="));
    counts.map(|count| count.parse::<u64>().unwrap()).sum()
}

#[test]
fn what_is_refused_for_ever_holds_nothing_up() {
    const REFUSED: u64 = 40;
    const LEASE: Duration = Duration::from_millis(800);
    let server = Server::start();
    let session = Session::at(&server.address("lease_ms=800")).unwrap();
    let semaphore = Semaphore::make(&session, Kind::Semaphore, 1, 2).unwrap();
    let name = session.name().unwrap();
    let (object, start) = (semaphore.hold().object().to_owned(), Instant::now());
    for _ in 0..REFUSED {
        session.run_later(&name, broken(), vec![object.clone(), "none".to_owned(), "free".to_owned()]);
    }
    // Behind them a permit is made free, and a hold is given up.
    let release = lua!(frees "releasing permits", "line/line.lua", "object/parts.lua", "object/recent.lua", "semaphore/permits.lua", "semaphore/release.lua");
    let (token, count, time) = (session.token(), "1".to_owned(), "1000".to_owned());
    session.run_later(&name, release, vec![object.clone(), token, count, time]);
    until("the permit to be free", || semaphore.value() == Ok(2));
    let (extra, ..) = session.hold(Kind::Semaphore, &object, None).unwrap();
    drop(extra);
    until("one hold", || server.ask(&format!("HGET crossproc:o:{object} refs")) == Value::BulkString(b"1".to_vec()));
    // All are tried again, and again, while the lease is renewed.
    until("the third round", || refusals(&server) >= 3 * REFUSED);
    until("some renewals", || start.elapsed() > 2 * LEASE);
    let rounds = refusals(&server).div_ceil(REFUSED);
    let most = start.elapsed().as_millis() / (LEASE / 8).as_millis() + 2;
    assert!(u128::from(rounds) <= most, "{rounds} rounds, {most} at most");
    assert!(session.is_called(&name), "the lease was not renewed");
}
