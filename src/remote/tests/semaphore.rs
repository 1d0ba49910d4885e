use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::{Server, Two, end, until};
use crate::error::{Error, Kind};
use crate::remote::client::Effect;
use crate::remote::lua::lua;
use crate::remote::semaphore::{Permit, Semaphore};
use crate::sys::clock::Deadline;

const SOON: Duration = Duration::from_secs(20);

fn pair(two: &Two, permits: usize, most: usize) -> (Semaphore, Semaphore) {
    let one = Semaphore::make(&two.one, Kind::Semaphore, permits, most).unwrap();
    let (hold, found, _) = two.other.hold(Kind::Semaphore, one.hold().object(), None).unwrap();
    assert_eq!(found, "semaphore");
    (one, Semaphore::of(hold, Kind::Semaphore))
}

fn acquire(semaphore: &Semaphore) -> Permit {
    semaphore.acquire(Deadline::after(SOON)).unwrap().expect("a permit")
}

fn try_acquire(semaphore: &Semaphore) -> Option<Permit> {
    semaphore.acquire(Deadline::after(Duration::ZERO)).unwrap()
}

#[test]
fn there_are_so_many_permits() {
    let server = Server::start();
    let two = Two::at(&server);
    let (one, other) = pair(&two, 2, 3);
    let (first, second) = (acquire(&one), acquire(&other));
    assert!(try_acquire(&one).is_none() && try_acquire(&other).is_none());
    assert_eq!(one.value(), Ok(0));
    assert!(one.give_back(&first).unwrap());
    assert!(one.give_back(&first).unwrap()); // again, nothing happens
    assert_eq!(other.value(), Ok(1));
    assert!(other.forget(&second).unwrap());
    assert!(other.give_back(&second).unwrap()); // nobody's any more
    assert_eq!(other.value(), Ok(1));
    let refused = other.release(3);
    assert_eq!(refused, Err(Error::TooManyPermits { object: Kind::Semaphore, permits: 3, room: 2 }));
    one.release(2).unwrap();
    assert_eq!(other.value(), Ok(3));
}

#[test]
fn it_cannot_be_made_for_any_number() {
    let server = Server::start();
    let two = Two::at(&server);
    let make = |permits, most| Semaphore::make(&two.one, Kind::BoundedSemaphore, permits, most).map(drop);
    let object = Kind::BoundedSemaphore;
    assert_eq!(make(0, 0), Err(Error::Capacity { object, capacity: 0, most: 1 << 30 }));
    assert_eq!(make(3, 2), Err(Error::TooManyPermits { object, permits: 3, room: 2 }));
}

#[test]
fn who_waits_gets_what_comes_back() {
    let server = Server::start();
    let two = Two::at(&server);
    let (one, other) = pair(&two, 1, 9);
    let permit = acquire(&one);
    thread::scope(|scope| {
        let waiters = [0; 3].map(|_| scope.spawn(|| drop(acquire(&other))));
        until("three to wait", || server.waits(one.hold()) == 3);
        assert!(one.give_back(&permit).unwrap());
        one.release(2).unwrap();
        assert_eq!(server.waits(one.hold()), 0); // they are woken, and do not just look again
        waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
    });
    assert_eq!((one.value(), server.waits(one.hold())), (Ok(0), 0));
}

#[test]
fn a_wait_ends_in_time() {
    let server = Server::start();
    let two = Two::at(&server);
    let (one, _) = pair(&two, 0, 1);
    assert!(one.acquire(Deadline::after(Duration::from_millis(30))).unwrap().is_none());
    assert_eq!(server.waits(one.hold()), 0);
}

#[test]
fn permits_of_the_dead_come_back() {
    let server = Server::start();
    let two = Two::at(&server);
    let (one, other) = pair(&two, 3, 3);
    let lost = [acquire(&one), acquire(&one)];
    let forgotten = acquire(&one);
    assert!(one.forget(&forgotten).unwrap());
    end(&server, &two.one, &two.other);
    assert_eq!(other.value(), Ok(2));
    assert!(!one.give_back(&lost[0]).unwrap());
    assert!(!one.forget(&lost[1]).unwrap());
    assert_eq!(other.value(), Ok(2));
    assert_eq!(one.release(2), Err(Error::TooManyPermits { object: Kind::Semaphore, permits: 2, room: 1 }));
    drop((acquire(&one), acquire(&other)));
    assert!(try_acquire(&one).is_none());
}

#[test]
fn who_waits_gets_what_the_dead_had() {
    let server = Server::start();
    let two = Two::at(&server);
    let (one, other) = pair(&two, 1, 1);
    let lost = acquire(&one);
    thread::scope(|scope| {
        let waiter = scope.spawn(|| acquire(&other));
        until("somebody to wait", || server.waits(one.hold()) == 1);
        // Not heard, and not ended: it is told all the same.
        let name = two.one.name().unwrap();
        until("it to be given up", || {
            server.ask(&format!("ZADD crossproc:sessions 0 {name}"));
            waiter.is_finished()
        });
    });
    assert!(!one.give_back(&lost).unwrap());
    assert!(try_acquire(&one).is_none());
}

#[test]
fn who_waits_learns_that_the_server_lost_it() {
    let mut server = Server::start();
    let two = Two::at(&server);
    let (one, other) = pair(&two, 1, 1);
    let permit = acquire(&one);
    let (send, answers) = mpsc::channel();
    let waiter = thread::spawn(move || send.send(other.acquire(Deadline::after(SOON)).map(drop)).unwrap());
    until("somebody to wait", || server.waits(one.hold()) == 1);
    server.restart();
    let gone = Error::Gone { object: Kind::Semaphore };
    assert_eq!(answers.recv_timeout(SOON).unwrap(), Err(gone.clone()));
    waiter.join().unwrap();
    assert!(!one.give_back(&permit).unwrap());
    assert_eq!((one.release(1), one.value()), (Err(gone.clone()), Err(gone)));
}

#[test]
fn a_full_server_takes_permits_back() {
    let server = Server::start();
    let two = Two::at(&server);
    let (one, other) = pair(&two, 1, 2);
    let permit = acquire(&one);
    server.fill();
    assert!(matches!(other.acquire(Deadline::after(SOON)), Err(Error::ServerFull { .. })));
    assert!(one.give_back(&permit).unwrap());
    other.release(1).unwrap();
    assert_eq!(one.value(), Ok(2));
}

#[test]
fn what_could_not_be_given_back_is_given_back_later() {
    let server = Server::start();
    let two = Two::with(&server, "lease_ms=60000&timeout_ms=100", "lease_ms=60001");
    let (one, other) = pair(&two, 2, 2);
    let permit = acquire(&one);
    server.stop();
    assert!(one.give_back(&permit).is_err());
    assert!(thread::scope(|scope| scope.spawn(|| one.acquire(Deadline::NEVER).is_err()).join().unwrap()));
    server.go_on();
    drop((acquire(&other), acquire(&other)));
}

/// A request that is carried out after its caller has given it up gets nothing.
#[test]
fn what_was_given_up_is_not_granted_later() {
    let server = Server::start();
    let two = Two::at(&server);
    let (one, _) = pair(&two, 1, 1);
    let next = u64::from_str_radix(&two.one.token(), 16).unwrap() + 1;
    let script = lua!(frees "giving a permit back", "line/line.lua", "object/parts.lua", "semaphore/give_back.lua");
    let given_up = two.one.run_as(&two.one.name().unwrap(), script, Effect::Repeatable, |request| {
        request.arg(one.hold().object()).arg(format!("{next:x}")).arg("not");
    });
    assert!(given_up.is_ok());
    assert!(try_acquire(&one).is_none());
    assert_eq!(one.value(), Ok(1));
    assert!(try_acquire(&one).is_some());
}
