//! What is asked twice under a token, as nobody has heard the first answer, and finds something else the second time.

use std::iter;
use std::sync::Arc;

use redis::Value;

use super::Server;
use crate::error::Kind;
use crate::remote::client::Effect;
use crate::remote::lua::{Lua, lua};
use crate::remote::session::Session;

/// The answer of a script that is asked under `token`.
fn ask(session: &Arc<Session>, script: &'static Lua, token: &str, arguments: &[&[u8]]) -> Value {
    let asked = session.run_named(Kind::Manager, script, Effect::Repeatable, |request| {
        request.arg(token).arg(arguments);
    });
    asked.unwrap().value
}

fn make(session: &Arc<Session>, kind: &str) -> String {
    let object = Session::new_object();
    ask(
        session,
        lua!("making an object", "object/make.lua"),
        &session.token(),
        &[object.as_bytes(), kind.as_bytes(), b"7"],
    );
    object
}

/// A value that refers to these.
fn value(objects: &[String]) -> Vec<u8> {
    iter::once(objects.len() as u8).chain(objects.iter().flat_map(|object| object.bytes())).collect()
}

fn held(server: &Server, session: &Session, token: &str) -> Vec<String> {
    let name = session.name().unwrap();
    let tokens: Vec<String> = redis::from_redis_value(server.ask(&format!("HKEYS crossproc:s:{name}"))).unwrap();
    let behind = |held: String| held.strip_prefix(token).map(str::to_owned);
    let mut found: Vec<String> = tokens.into_iter().filter_map(behind).collect();
    found.sort();
    found
}

#[test]
fn only_what_the_last_answer_refers_to_is_held() {
    let server = Server::start();
    let session = Session::at(&server.address("")).unwrap();
    let table = make(&session, "table");
    let objects: Vec<String> = (0..3).map(|_| make(&session, "row")).collect();
    let (object, token) = (table.as_bytes(), session.token());
    let script = || lua!("an operation on a dictionary", "container/table.lua");
    let insert = |objects| ask(&session, script(), &session.token(), &[object, b"insert", b"key", &value(objects)]);
    let get = || ask(&session, script(), &token, &[object, b"get", b"key"]);
    insert(&objects);
    get();
    assert_eq!(held(&server, &session, &token), [".1", ".2", ".3"]);
    insert(&objects[1..2]);
    get();
    assert_eq!(held(&server, &session, &token), [".1"]);
    ask(&session, script(), &session.token(), &[object, b"take", b"key"]);
    assert_eq!(get(), Value::Nil);
    assert!(held(&server, &session, &token).is_empty());
}

#[test]
fn only_what_the_last_answer_has_of_many_is_held() {
    let server = Server::start();
    let session = Session::at(&server.address("")).unwrap();
    let row = make(&session, "row");
    let objects: Vec<String> = (0..3).map(|_| make(&session, "row")).collect();
    let (object, token) = (row.as_bytes(), session.token());
    let script = || lua!("an operation on a list", "container/row.lua");
    let items = |most: &str| ask(&session, script(), &token, &[object, b"items", b"0", b"-1", most.as_bytes()]);
    let take = || ask(&session, script(), &session.token(), &[object, b"take", b"-1"]);
    let [two, one] = [value(&objects[..2]), value(&objects[2..])];
    ask(&session, script(), &session.token(), &[object, b"add", b"-1", &two, &one, &one]);
    items("9");
    assert_eq!(held(&server, &session, &token), [".1.1", ".1.2", ".2.1", ".3.1"]);
    take();
    items("9");
    assert_eq!(held(&server, &session, &token), [".1.1", ".1.2", ".2.1"]);
    assert_eq!(items("2"), Value::Int(3));
    assert!(held(&server, &session, &token).is_empty());
}
