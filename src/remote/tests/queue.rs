use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use redis::Value;

use super::{Server, until};
use crate::error::{Error, Kind};
use crate::remote::client::Effect;
use crate::remote::lua::lua;
use crate::remote::queue::{Get, GetTask, Put, Queue, Task};
use crate::remote::session::{Hold, Session};
use crate::sys::clock::Deadline;

/// No wait of a test is meant to last so long.
pub(super) fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(20))
}

pub(super) fn now() -> Deadline {
    Deadline::after(Duration::ZERO)
}

/// A value that refers to nothing.
pub(super) fn value(text: &str) -> Vec<u8> {
    [&[0], text.as_bytes()].concat()
}

pub(super) fn put(queue: &Queue, text: &str) {
    assert_eq!(queue.put(&value(text), soon()), Ok(Put::Done));
}

/// What the next get gets, within the time.
pub(super) fn get(queue: &Queue, deadline: Deadline) -> String {
    match queue.get(deadline, Ok).unwrap() {
        Get::Message(message) => String::from_utf8(message.value[1..].to_vec()).unwrap(),
        Get::Empty => "(empty)".to_owned(),
        Get::Closed => "(closed)".to_owned(),
        Get::Unsure(_, error) => panic!("{error}"),
    }
}

pub(super) fn task(queue: &Queue) -> (Task<'_>, String) {
    match queue.get_task(soon()).unwrap() {
        GetTask::Task(task, message) => (task, String::from_utf8(message.value[1..].to_vec()).unwrap()),
        GetTask::Empty => panic!("nothing to be got"),
        GetTask::Closed => panic!("closed"),
    }
}

/// The same queue in two sessions.
pub(super) fn two(server: &Server, capacity: usize) -> (Queue, Queue) {
    let one = Session::at(&server.address("lease_ms=60001")).unwrap();
    let two = Session::at(&server.address("lease_ms=60002")).unwrap();
    let queue = Queue::make(&one, "7", capacity).unwrap();
    let (hold, kind, of) = two.hold(Kind::Queue, queue.hold().object(), None).unwrap();
    assert_eq!((&*kind, &*of), ("queue", "7"));
    (queue, Queue::of(hold))
}

/// Waits until so many wait for the queue.
pub(super) fn until_in_line(server: &Server, queue: &Queue, count: i64) {
    let line = format!("ZCARD crossproc:o:{}:w", queue.hold().object());
    until("somebody in the line", || server.ask(&line) == Value::Int(count));
}

#[test]
fn messages_come_in_their_order() {
    let server = Server::start();
    let (one, two) = two(&server, 4);
    for text in ["a", "b", "c", "d"] {
        put(&one, text);
    }
    assert_eq!(one.put(&value("e"), now()), Ok(Put::Full));
    assert_eq!(two.put(&value("e"), Deadline::after(Duration::from_millis(20))), Ok(Put::Full));
    let state = two.state().unwrap();
    assert_eq!((state.length, state.places, state.capacity), (4, 4, 4));
    assert_eq!((get(&two, now()), get(&one, now())), ("a".into(), "b".into()));
    put(&two, "e");
    let left: Vec<_> = (0..4).map(|_| get(&two, now())).collect();
    assert_eq!(left, ["c", "d", "e", "(empty)"]);
    assert_eq!(get(&one, Deadline::after(Duration::from_millis(20))), "(empty)");
    let state = one.state().unwrap();
    assert_eq!((state.length, state.places, state.redelivered), (0, 0, 0));
    let object = one.hold().object();
    assert_eq!(server.ask(&format!("XINFO CONSUMERS crossproc:o:{object}:d all")), Value::Array(Vec::new()));
}

/// Whoever is not woken waits for a second: 40 hand-overs would take longer than this test may.
#[test]
fn who_waits_is_woken() {
    let server = Server::start();
    let ((here, there), (back, forth)) = (two(&server, 1), two(&server, 1));
    // Who is woken has been taken out of the line by the one who wakes; of its own accord it would leave it a round later.
    let waits = || server.waits(here.hold());
    thread::scope(|scope| {
        let waiter = scope.spawn(|| get(&there, soon()));
        until("a getter to wait", || waits() == 1);
        put(&here, "first");
        assert_eq!(waits(), 0);
        assert_eq!(waiter.join().unwrap(), "first");
        put(&here, "second");
        let waiter = scope.spawn(|| put(&here, "third"));
        until("a putter to wait", || waits() == 1);
        assert_eq!(get(&there, soon()), "second");
        assert_eq!(waits(), 0);
        waiter.join().unwrap();
        assert_eq!(get(&there, soon()), "third");
    });
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..20 {
                put(&forth, &get(&there, soon()));
            }
        });
        for number in 0..20 {
            put(&here, &number.to_string());
            assert_eq!(get(&back, soon()), number.to_string());
        }
        // The same for who waits for room.
        put(&here, "full");
        scope.spawn(|| (0..20).for_each(|number| put(&here, &number.to_string())));
        for text in std::iter::once("full".to_owned()).chain((0..20).map(|number| number.to_string())) {
            assert_eq!(get(&there, soon()), text);
        }
    });
}

#[test]
fn a_closed_queue_is_drained() {
    let server = Server::start();
    let (one, two) = two(&server, 1);
    put(&one, "a");
    thread::scope(|scope| {
        let waiting = scope.spawn(|| two.put(&value("b"), soon()));
        until_in_line(&server, &one, 1);
        one.close().unwrap();
        assert_eq!(waiting.join().unwrap(), Ok(Put::Closed));
    });
    assert_eq!(one.put(&value("b"), soon()), Ok(Put::Closed));
    assert!(two.state().unwrap().is_closed);
    let (task, text) = task(&one);
    assert_eq!(text, "a");
    assert_eq!(get(&two, now()), "(empty)", "it may come back");
    thread::scope(|scope| {
        let waiting = scope.spawn(|| get(&two, soon()));
        until_in_line(&server, &one, 1);
        task.done().unwrap();
        assert_eq!(waiting.join().unwrap(), "(closed)");
    });
    assert_eq!(get(&one, now()), "(closed)");
}

#[test]
fn a_task_keeps_its_place_until_it_is_done() {
    let server = Server::start();
    let (one, two) = two(&server, 2);
    put(&one, "a");
    put(&one, "b");
    let (first, text) = task(&two);
    assert_eq!(text, "a");
    let state = one.state().unwrap();
    assert_eq!((state.length, state.places), (1, 2));
    assert_eq!(one.put(&value("c"), now()), Ok(Put::Full));
    first.give_back().unwrap();
    assert_eq!(one.state().unwrap().length, 2);
    let (first, text) = task(&one);
    assert_eq!(text, "a", "before later ones");
    drop(first);
    put(&two, "c");
    assert_eq!((get(&one, now()), get(&one, now())), ("b".into(), "c".into()));
    assert_eq!(one.state().unwrap().redelivered, 0);
}

#[test]
fn a_panic_gives_a_task_back() {
    let server = Server::start();
    let (one, _two) = two(&server, 2);
    put(&one, "a");
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _task = task(&one);
        std::panic::resume_unwind(Box::new(()));
    }));
    assert!(panicked.is_err());
    assert_eq!(get(&one, now()), "a");
}

#[test]
fn join_waits_for_what_was_got() {
    let server = Server::start();
    let (one, two) = two(&server, 8);
    assert_eq!(one.join(now()), Ok(true));
    put(&one, "a");
    put(&one, "b");
    assert_eq!(one.task_done(), Err(Error::NothingToBeDone { object: Kind::Queue }));
    assert_eq!(one.join(now()), Ok(false));
    assert_eq!(get(&two, now()), "a");
    let (task, _) = task(&two);
    assert_eq!(one.task_done(), Err(Error::NothingToBeDone { object: Kind::Queue }), "it is the other's");
    thread::scope(|scope| {
        let waiting = scope.spawn(|| one.join(soon()));
        until_in_line(&server, &one, 1);
        task.done().unwrap();
        assert_eq!(one.join(now()), Ok(false));
        two.task_done().unwrap();
        assert_eq!(waiting.join().unwrap(), Ok(true));
    });
    assert_eq!(two.task_done(), Err(Error::NothingToBeDone { object: Kind::Queue }));
}

fn refs(server: &Server, object: &str) -> Value {
    server.ask(&format!("HGET crossproc:o:{object} refs"))
}

/// An object that this session holds.
fn make(session: &Arc<Session>) -> Hold {
    let (token, object) = (session.token(), Session::new_object());
    let made =
        session.run_named(Kind::Manager, lua!("making an object", "object/make.lua"), Effect::Repeatable, |request| {
            request.arg(&token).arg(&object).arg("list").arg("7");
        });
    session.held(&made.unwrap().session, token, object)
}

#[test]
fn messages_keep_what_they_refer_to() {
    let server = Server::start();
    let (one, two) = two(&server, 8);
    let hold = make(one.hold().session());
    let object = hold.object().to_owned();
    let message = [&[1], object.as_bytes(), b"text"].concat();
    assert_eq!(one.put(&message, now()), Ok(Put::Done));
    drop(hold);
    until("the queue's only", || refs(&server, &object) == Value::BulkString(b"1".to_vec()));
    // Its reader's, also if it gives the message back and another one gets it.
    let GetTask::Task(task, seen) = one.get_task(now()).unwrap() else { panic!("no task") };
    assert_eq!(refs(&server, &object), Value::BulkString(b"2".to_vec()));
    task.give_back().unwrap();
    let Get::Message(got) = two.get(now(), Ok).unwrap() else { panic!("no message") };
    assert_eq!((&*got.value, got.holds.len(), got.holds[0].object()), (&*message, 1, &*object));
    assert_eq!(refs(&server, &object), Value::BulkString(b"2".to_vec()));
    drop(seen);
    until("the getter's only", || refs(&server, &object) == Value::BulkString(b"1".to_vec()));
    drop(got);
    until("nobody's", || refs(&server, &object) == Value::Nil);
    assert_eq!(one.put(&message, now()), Err(Error::Gone { object: Kind::Queue }));
    assert_eq!(one.state().unwrap().places, 0);
}

#[test]
fn each_message_is_got_once() {
    const EACH: usize = 1000;
    let server = Server::start();
    let (one, two) = two(&server, 16);
    let all = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for putter in 0..4 {
            let queue = if putter % 2 == 0 { &one } else { &two };
            scope.spawn(move || (0..EACH).for_each(|number| put(queue, &format!("{putter} {number}"))));
        }
        for getter in 0..4 {
            let (queue, all) = (if getter % 2 == 0 { &one } else { &two }, &all);
            scope.spawn(move || {
                let mut last = [None; 4];
                for _ in 0..EACH {
                    let text = get(queue, soon());
                    let (putter, number) = text.split_once(' ').expect(&text);
                    let (putter, number): (usize, usize) = (putter.parse().unwrap(), number.parse().unwrap());
                    assert!(last[putter].replace(number) < Some(number), "{text} after {last:?}");
                    all.lock().unwrap().push((putter, number));
                }
            });
        }
    });
    let all = all.into_inner().unwrap();
    assert_eq!((all.len(), all.iter().collect::<BTreeSet<_>>().len()), (4 * EACH, 4 * EACH));
    assert_eq!(one.state().unwrap().places, 0);
}
