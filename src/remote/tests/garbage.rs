//! What is left of sessions that have ended does not add up.

use redis::Value;

use super::{Server, Two, until};
use crate::error::Kind;
use crate::remote::client::{Effect, Failed};
use crate::remote::event::Event;
use crate::remote::lua::{Lua, lua};
use crate::remote::queue::Queue;
use crate::remote::semaphore::Semaphore;
use crate::remote::session::Session;
use crate::remote::tasks::{Inbox, Tasks};
use crate::sys::clock::Deadline;

const MANY: usize = 40;

fn number(server: &Server, words: &str) -> usize {
    redis::from_redis_value(server.ask(words)).unwrap()
}

fn run(session: &Session, script: &'static Lua, name: &str, arguments: &[&str]) -> Value {
    let done = session.run_as(name, script, Effect::Repeatable, |request| {
        request.arg(arguments);
    });
    match done {
        Ok(answer) => answer,
        Err(Failed::Other(error)) => panic!("{error}"),
        Err(_) => panic!("gone, or lost"),
    }
}

/// Runs something in the name of a session that begins before and ends after it; so often.
fn in_short_sessions(session: &Session, mut work: impl FnMut(&str)) {
    for number in 0..MANY {
        let name = format!("short{number}");
        run(session, lua!(frees "beginning a session", "session/begin.lua"), &name, &["100000"]);
        work(&name);
        run(session, lua!(frees "ending a session", "session/grave.lua", "session/end.lua"), &name, &[]);
    }
}

#[test]
fn who_got_messages_is_forgotten() {
    let server = Server::start();
    let two = Two::at(&server);
    let queue = Queue::make(&two.one, "7", MANY).unwrap();
    let object = queue.hold().object();
    let get = lua!(frees "getting a message", "line/line.lua", "queue/queue.lua", "queue/get.lua");
    let done = lua!(frees "finishing a message", "line/line.lua", "queue/queue.lua", "queue/done.lua");
    in_short_sessions(&two.one, |name| {
        queue.put(b"\0text", Deadline::NEVER).unwrap();
        assert_eq!(run(&two.one, get, name, &[object, "token"]), Value::BulkString(b"\0text".to_vec()));
        run(&two.one, done, name, &[object, "token", "got"]);
    });
    let left = number(&server, &format!("HLEN crossproc:o:{object}:h"));
    assert_eq!(left, 1);
}

#[test]
fn who_waited_is_forgotten() {
    let server = Server::start();
    let two = Two::at(&server);
    let event = Event::make(&two.one).unwrap();
    let object = event.hold().object();
    let wait = lua!(frees "waiting for an event", "line/line.lua", "event/wait.lua");
    in_short_sessions(&two.one, |name| {
        let looked = two.one.run(Kind::Event, wait, Effect::Repeatable, |request| {
            request.arg(object).arg("").arg(format!("{name}/1"));
        });
        assert!(looked.is_ok());
    });
    let left = server.waits(event.hold());
    assert_eq!(left, 1);
}

#[test]
fn what_was_given_up_is_forgotten() {
    let server = Server::start();
    let two = Two::at(&server);
    let semaphore = Semaphore::make(&two.one, Kind::Semaphore, 1, 1).unwrap();
    let object = semaphore.hold().object();
    let give_up = lua!(frees "giving a permit back", "line/line.lua", "object/parts.lua", "semaphore/give_back.lua");
    in_short_sessions(&two.one, |name| {
        run(&two.one, give_up, name, &[object, "token", "not"]);
    });
    let left = number(&server, &format!("HLEN crossproc:o:{object}:p"));
    assert_eq!(left, 1);
}

/// Parts that were taken from the dead, too.
#[test]
fn what_the_dead_had_is_forgotten() {
    let server = Server::start();
    let two = Two::at(&server);
    let semaphore = Semaphore::make(&two.one, Kind::Semaphore, 1, 1).unwrap();
    let object = semaphore.hold().object();
    let acquire = lua!(
        "acquiring a permit",
        "line/line.lua",
        "object/parts.lua",
        "semaphore/permits.lua",
        "semaphore/acquire.lua"
    );
    let begin = lua!(frees "beginning a session", "session/begin.lua");
    for number in 0..MANY {
        let name = format!("dies{number}");
        run(&two.one, begin, &name, &["100000"]);
        assert_eq!(run(&two.one, acquire, &name, &[object, "token"]), Value::Int(1), "{number}");
        server.ask(&format!("ZADD crossproc:sessions 1 {name}"));
    }
    let left = number(&server, &format!("HLEN crossproc:o:{object}:p"));
    assert_eq!(left, 1);
}

/// As it is documented: nobody looks for circles.
#[test]
fn what_refers_to_itself_stays_until_it_is_cleared() {
    let server = Server::start();
    let session = Session::at(&server.address("lease_ms=100000")).unwrap();
    let (token, object) = (session.token(), Session::new_object());
    let name = session.name().unwrap();
    run(&session, lua!("making a container", "container/make.lua"), &name, &[&token, &object, "table", "7"]);
    let hold = session.held(&name, token, object.clone());
    let table = lua!(frees "an operation on a dictionary", "container/table.lua");
    run(&session, table, &name, &["token", &object, "insert", "itself", &format!("\x01{object}")]);
    drop(hold);
    let refs = format!("HGET crossproc:o:{object} refs");
    until("only itself", || server.ask(&refs) == Value::BulkString(b"1".to_vec()));
    run(&session, table, &name, &["another", &object, "clear"]);
    run(&session, lua!(frees "renewing a session", "session/grave.lua", "session/renew.lua"), &name, &["100000"]);
    assert_eq!(server.ask("KEYS crossproc:[og]*"), Value::Array(Vec::new()));
}

/// Each consumer of a group is one message in somebody's hands.
#[test]
fn consumers_go_with_what_they_had() {
    let server = Server::start();
    let two = Two::at(&server);
    let (tasks, inbox) = (Tasks::open(&two.one, "7").unwrap(), Inbox::make(&two.one).unwrap());
    let count = || match server.ask("KEYS crossproc:o:*") {
        Value::Array(keys) => keys.len(),
        other => panic!("{other:?}"),
    };
    // So many that nobody wants are looked at in one step.
    tasks.push(&inbox, "batch", &vec![b"a".to_vec(); 100]).unwrap();
    drop(inbox);
    until("nobody to want them", || count() == 2);
    let asked = std::cell::Cell::new(0);
    assert!(tasks.claim("token", || asked.replace(asked.get() + 1) > 0).unwrap().is_none());
    let Value::Array(keys) = server.ask("KEYS crossproc:o:*:d") else { panic!("no stream") };
    let stream: String = redis::from_redis_value(keys[0].clone()).unwrap();
    assert_eq!(number(&server, &format!("XLEN {stream}")), 0);
    assert_eq!(server.ask(&format!("XINFO CONSUMERS {stream} all")), Value::Array(Vec::new()));
}
