//! What becomes of messages when a session, or a server, ends between two requests.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use redis::Value;

use super::queue::{get, now, put, soon, task, two, until_in_line, value};
use super::{Server, until};
use crate::error::{Error, Kind};
use crate::remote::client::{Effect, Failed};
use crate::remote::lua::{Lua, lua};
use crate::remote::queue::{Get, GetTask, Put, Queue, Taken};
use crate::remote::session::{Answer, Session};
use crate::sys::clock::Deadline;

fn reading() -> &'static Lua {
    lua!(frees "getting a message", "line/line.lua", "queue/queue.lua", "queue/get.lua")
}

fn finishing() -> &'static Lua {
    lua!(frees "finishing a message", "line/line.lua", "queue/queue.lua", "queue/done.lua")
}

/// The first half of a get.
fn read(queue: &Queue, token: &str) -> Answer {
    let session = queue.hold().session();
    let read = session.run_named(Kind::Queue, reading(), Effect::Repeatable, |request| {
        request.arg(queue.hold().object()).arg(token);
    });
    read.unwrap()
}

/// The second half.
fn finish(queue: &Queue, session: &str, token: &str) -> Result<Value, Failed> {
    queue.hold().session().run_as(session, finishing(), Effect::Repeatable, |request| {
        request.arg(queue.hold().object()).arg(token).arg("got");
    })
}

/// As if it had not been heard for long. Who looks for the dead does so once in a millisecond.
fn end(server: &Server, session: &Arc<Session>) {
    let name = session.name().unwrap();
    assert_eq!(server.ask(&format!("ZADD crossproc:sessions 1 {name}")), Value::Int(0));
    next_moment(server);
}

fn next_moment(server: &Server) {
    let time = || redis::from_redis_value::<(u64, u64)>(server.ask("TIME")).unwrap();
    let milliseconds = || time().0 * 1000 + time().1 / 1000;
    let start = milliseconds();
    until("the next moment", || milliseconds() > start);
}

fn bytes(text: &str) -> Value {
    Value::BulkString(value(text))
}

#[test]
fn who_asks_again_gets_the_same() {
    let server = Server::start();
    let (one, two) = two(&server, 8);
    put(&one, "a");
    put(&one, "b");
    let first = read(&one, "t");
    assert_eq!(first.value, bytes("a"));
    assert_eq!(read(&one, "t").value, bytes("a"));
    assert_eq!(get(&two, now()), "b");
    for _ in 0..2 {
        assert!(finish(&one, &first.session, "t").is_ok());
    }
    assert_eq!(one.state().unwrap().places, 0);
    one.task_done().unwrap();
    assert_eq!(one.task_done(), Err(Error::NothingToBeDone { object: Kind::Queue }), "counted once");
}

#[test]
fn tasks_of_the_dead_come_before_later_messages() {
    let server = Server::start();
    let (one, two) = two(&server, 8);
    for text in ["a", "b", "c", "d"] {
        put(&one, text);
    }
    let (first, _) = task(&two);
    let (second, text) = task(&two);
    assert_eq!(text, "b");
    end(&server, two.hold().session());
    assert_eq!((get(&one, now()), get(&one, now()), get(&one, now())), ("a".into(), "b".into(), "c".into()));
    assert_eq!(one.state().unwrap().redelivered, 2);
    assert_eq!(first.done(), Err(Error::OwnerDied { object: Kind::Queue }));
    drop(second);
    assert_eq!(get(&two, now()), "d", "as a new session");
    assert_eq!(one.state().unwrap().places, 0);
}

#[test]
fn who_waits_gets_a_dead_ones_task() {
    let server = Server::start();
    let (one, two) = two(&server, 8);
    put(&one, "a");
    let (_lost, _) = task(&two);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| get(&one, soon()));
        until_in_line(&server, &one, 1);
        end(&server, two.hold().session());
        assert_eq!(waiting.join().unwrap(), "a");
    });
}

/// A session that ends of its own accord is looked for, too: not only those that are not heard.
#[test]
fn tasks_of_a_session_that_has_gone_are_delivered_again() {
    let server = Server::start();
    let (one, two) = two(&server, 300);
    (0..250).for_each(|number| put(&one, &number.to_string()));
    let open: Vec<_> = (0..250).map(|_| task(&two).0).collect();
    let name = two.hold().session().name().unwrap();
    let ended = lua!(frees "ending a session", "session/grave.lua", "session/end.lua");
    assert!(two.hold().session().run_as(&name, ended, Effect::Repeatable, |_| {}).is_ok());
    next_moment(&server);
    put(&one, "later");
    let got: BTreeSet<_> = (0..251).map(|_| get(&one, soon())).collect();
    assert_eq!(got.len(), 251);
    assert_eq!(one.state().unwrap().redelivered, 250);
    open.into_iter().for_each(|task| assert_eq!(task.done(), Err(Error::OwnerDied { object: Kind::Queue })));
}

#[test]
fn a_message_is_not_lost_between_read_and_answer() {
    let server = Server::start();
    let (one, two) = two(&server, 8);
    put(&one, "a");
    let read = read(&two, "t");
    assert_eq!(read.value, bytes("a"));
    end(&server, two.hold().session());
    assert_eq!(get(&one, now()), "a");
    // Also a moment before it is renewed, it is not told that the message was its own.
    assert!(matches!(finish(&two, &read.session, "t"), Err(Failed::Lost)));
    assert!(!two.hold().session().is_called(&read.session) || two.put(&value("b"), now()) == Ok(Put::Done));
    assert!(!two.hold().session().is_called(&read.session));
    assert_eq!(one.task_done(), Ok(()));
    assert_eq!(two.task_done(), Err(Error::NothingToBeDone { object: Kind::Queue }));
}

#[test]
fn what_the_dead_had_got_is_not_waited_for() {
    let server = Server::start();
    let (one, two) = two(&server, 8);
    put(&one, "a");
    assert_eq!(get(&two, now()), "a");
    assert_eq!(one.join(now()), Ok(false));
    thread::scope(|scope| {
        let waiting = scope.spawn(|| one.join(soon()));
        until_in_line(&server, &one, 1);
        end(&server, two.hold().session());
        assert_eq!(waiting.join().unwrap(), Ok(true));
    });
}

/// The server gets the request, and answers too late; whether it has carried it out is settled before anything is given back.
#[test]
fn a_read_that_was_given_up_is_given_back() {
    let server = Server::start();
    let (one, _) = two(&server, 8);
    let hasty = Session::at(&server.address("lease_ms=60003&timeout_ms=200")).unwrap();
    let hasty = Queue::of(hasty.hold(Kind::Queue, one.hold().object(), None).unwrap().0);
    for number in 0..5 {
        assert_eq!(get(&hasty, now()), "(empty)", "it is connected");
        put(&one, &number.to_string());
        server.stop();
        let failed = hasty.get(now(), Ok).err();
        server.go_on();
        assert!(matches!(failed, Some(Error::Unanswered { .. })), "{failed:?}");
        assert_eq!(get(&one, soon()), number.to_string());
        let state = one.state().unwrap();
        assert_eq!((state.places, state.redelivered), (0, 0));
    }
}

/// The same for a task that is done while the server does not answer.
#[test]
fn a_task_is_done_later() {
    let server = Server::start();
    let (one, _) = two(&server, 8);
    let hasty = Session::at(&server.address("lease_ms=60003&timeout_ms=200")).unwrap();
    let hasty = Queue::of(hasty.hold(Kind::Queue, one.hold().object(), None).unwrap().0);
    put(&one, "a");
    let (task, _) = task(&hasty);
    server.stop();
    let failed = task.done();
    server.go_on();
    assert!(matches!(failed, Err(Error::Unanswered { .. })), "{failed:?}");
    assert_eq!(one.join(soon()), Ok(true));
}

#[test]
fn who_waits_learns_that_the_server_has_lost_the_queue() {
    let mut server = Server::start();
    let (one, two) = two(&server, 1);
    put(&one, "a");
    let (task, _) = task(&one);
    let gone = Error::Gone { object: Kind::Queue };
    thread::scope(|scope| {
        let getter = scope.spawn(|| two.get(soon(), Ok).err());
        let putter = scope.spawn(|| one.put(&value("b"), soon()).err());
        let joiner = scope.spawn(|| one.join(soon()).err());
        until_in_line(&server, &one, 3);
        server.restart();
        for waiting in [getter, putter, joiner] {
            assert_eq!(waiting.join().unwrap(), Some(gone.clone()));
        }
    });
    assert!(task.done().is_err());
    assert_eq!(one.state().err(), Some(gone.clone()));
    assert_eq!(one.task_done(), Err(gone.clone()));
    assert_eq!(one.close(), Err(gone));
}

#[test]
fn a_full_server_gives_what_it_has() {
    let server = Server::start();
    let (one, two) = two(&server, 8);
    for text in ["a", "b", "c"] {
        put(&one, text);
    }
    server.ask("CONFIG SET maxmemory 1");
    assert!(matches!(one.put(&value("d"), now()), Err(Error::ServerFull { .. })));
    assert_eq!(get(&two, now()), "a");
    two.task_done().unwrap();
    let (first, text) = task(&two);
    assert_eq!(text, "b");
    first.give_back().unwrap();
    drop(task(&one));
    assert_eq!(one.join(now()), Ok(false));
    assert_eq!(
        (get(&one, now()), get(&one, Deadline::after(Duration::from_millis(20)))),
        ("c".into(), "(empty)".into())
    );
    one.close().unwrap();
    assert_eq!(get(&one, now()), "(closed)");
    server.ask("CONFIG SET maxmemory 0");
}

/// What others have written into the keys is an error, or is ignored: it does not make anybody panic or hang.
#[test]
fn hostile_contents_are_survived() {
    let server = Server::start();
    let (one, two) = two(&server, 8);
    let object = one.hold().object().to_owned();
    let key = format!("crossproc:o:{object}:d");
    // A message that says it refers to 200 objects, an empty one, and one that is removed behind the queue's back.
    assert_eq!(one.put(&[0], now()), Ok(Put::Done));
    server.ask(&format!("XADD {key} * v \u{c8}zz"));
    server.ask(&format!("XADD {key} * v "));
    put(&one, "a");
    assert_eq!(get(&one, now()), "");
    let mut seen = 0;
    while let Ok(GetTask::Task(task, _)) = one.get_task(now()) {
        let _ = task.done();
        seen += 1;
    }
    assert_eq!(seen, 3);
    put(&one, "b");
    let (first, _) = task(&one);
    server.ask(&format!("XTRIM {key} MAXLEN 0"));
    first.give_back().unwrap();
    assert_eq!(get(&two, now()), "(empty)");
    server.ask(&format!("DEL {key}"));
    assert!(matches!(two.get(soon(), Ok), Err(Error::Refused { .. })));
    server.ask(&format!("SET {key} text"));
    assert!(matches!(two.get(soon(), Ok), Err(Error::Refused { .. })));
    assert!(matches!(two.put(&value("c"), soon()), Err(Error::Refused { .. })));
    assert!(matches!(two.state(), Err(Error::Refused { .. })));
}

/// Where nobody can know whether the message was got, its getter is told so, and it is not stuck.
#[test]
fn an_unanswered_get_hands_the_message_over_with_the_doubt() {
    let server = Server::start();
    let (one, _) = two(&server, 8);
    let hasty = Session::at(&server.address("lease_ms=60004&timeout_ms=200")).unwrap();
    let hasty = Queue::of(hasty.hold(Kind::Queue, one.hold().object(), None).unwrap().0);
    for _ in 0..5 {
        put(&one, "a");
        let Some(Taken::Message(read, message)) = hasty.take(now()).unwrap() else { panic!("no message") };
        server.stop();
        let got = hasty.got(read, message);
        server.go_on();
        let Ok(Some(Get::Unsure(message, Error::Unanswered { .. }))) = got else { panic!("no doubt") };
        assert_eq!(message.value, value("a"));
        // It has been got, or it is there again.
        until("nothing in hands", || {
            let state = one.state().unwrap();
            state.length == state.places
        });
        let again = get(&one, now());
        assert!(again == "a" || again == "(empty)", "{again}");
        assert_eq!(one.state().unwrap().places, 0);
    }
}

/// It has got a message, was not heard, and what it got is not waited for: it does not go on as if it still were.
#[test]
fn who_is_not_waited_for_is_told_so() {
    let server = Server::start();
    let (one, other) = two(&server, 8);
    let session = other.hold().session();
    put(&one, "a");
    assert_eq!(get(&other, now()), "a");
    let name = session.name().unwrap();
    end(&server, session);
    assert_eq!(one.join(now()), Ok(true));
    let renew = lua!(frees "renewing a session", "session/grave.lua", "session/renew.lua");
    let renewed = session.run_as(&name, renew, Effect::Nothing, |request| {
        request.arg(10_001);
    });
    assert!(matches!(renewed, Err(Failed::Lost)));
}
