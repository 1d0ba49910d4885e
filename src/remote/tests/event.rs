use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::{Server, Two, end, until};
use crate::error::{Error, Kind};
use crate::remote::event::Event;
use crate::sys::clock::Deadline;

const SOON: Duration = Duration::from_secs(20);

fn pair(two: &Two) -> (Event, Event) {
    let one = Event::make(&two.one).unwrap();
    let (hold, found, _) = two.other.hold(Kind::Event, one.hold().object(), None).unwrap();
    assert_eq!(found, "event");
    (one, Event::of(hold))
}

#[test]
fn it_is_set_and_taken_back() {
    let server = Server::start();
    let two = Two::at(&server);
    let (one, other) = pair(&two);
    assert_eq!(other.is_set(), Ok(false));
    assert_eq!(other.wait(Deadline::after(Duration::from_millis(20))), Ok(false));
    assert_eq!(server.waits(one.hold()), 0);
    one.set().unwrap();
    one.set().unwrap();
    assert_eq!((other.is_set(), other.wait(Deadline::NEVER)), (Ok(true), Ok(true)));
    assert_eq!(other.wait(Deadline::after(Duration::ZERO)), Ok(true));
    other.clear().unwrap();
    assert_eq!((one.is_set(), one.wait(Deadline::after(Duration::ZERO))), (Ok(false), Ok(false)));
}

#[test]
fn all_who_wait_see_a_flag_that_is_taken_back_at_once() {
    let server = Server::start();
    let two = Two::at(&server);
    let (one, other) = pair(&two);
    thread::scope(|scope| {
        let waiters: Vec<_> = (0..8)
            .map(|index| {
                let event = if index % 2 == 0 { &one } else { &other };
                scope.spawn(move || event.wait(Deadline::after(SOON)))
            })
            .collect();
        until("all to wait", || server.waits(one.hold()) == 8);
        one.set().unwrap();
        one.clear().unwrap();
        for waiter in waiters {
            assert_eq!(waiter.join().unwrap(), Ok(true));
        }
    });
    assert_eq!(one.is_set(), Ok(false));
}

#[test]
fn who_waits_goes_on_after_its_session_has_ended() {
    let server = Server::start();
    let two = Two::at(&server);
    let (one, other) = pair(&two);
    thread::scope(|scope| {
        let waiter = scope.spawn(|| one.wait(Deadline::after(SOON)));
        until("somebody to wait", || server.waits(one.hold()) == 1);
        end(&server, &two.one, &two.other);
        other.set().unwrap();
        assert_eq!(waiter.join().unwrap(), Ok(true));
    });
}

#[test]
fn who_waits_learns_that_the_server_lost_it() {
    let mut server = Server::start();
    let two = Two::at(&server);
    let (one, other) = pair(&two);
    let (send, answers) = mpsc::channel();
    let waiter = thread::spawn(move || send.send(other.wait(Deadline::after(SOON))).unwrap());
    until("somebody to wait", || server.waits(one.hold()) == 1);
    server.restart();
    let gone = Error::Gone { object: Kind::Event };
    assert_eq!(answers.recv_timeout(SOON).unwrap(), Err(gone.clone()));
    waiter.join().unwrap();
    assert_eq!((one.set(), one.clear()), (Err(gone.clone()), Err(gone)));
}

#[test]
fn a_full_server_wakes() {
    let server = Server::start();
    let two = Two::at(&server);
    let (one, other) = pair(&two);
    thread::scope(|scope| {
        let waiter = scope.spawn(|| other.wait(Deadline::after(SOON)));
        until("somebody to wait", || server.waits(one.hold()) == 1);
        server.fill();
        one.set().unwrap();
        assert_eq!(waiter.join().unwrap(), Ok(true));
        one.clear().unwrap();
        assert_eq!(other.is_set(), Ok(false));
    });
}

#[test]
fn more_are_woken_than_one_step_wakes() {
    let server = Server::start();
    let two = Two::at(&server);
    let (one, _other) = pair(&two);
    let name = two.one.name().unwrap();
    for number in 0..1_200 {
        server.ask(&format!("ZADD crossproc:o:{}:w {number} {name}/fake{number}", one.hold().object()));
    }
    one.set().unwrap();
    assert_eq!(server.waits(one.hold()), 0);
}
