//! What becomes of operations that fail while the server is away, or has come back older.

use std::thread;
use std::time::{Duration, Instant};

use super::lock::ours;
use super::proxy::Proxy;
use super::{Server, Two, until};
use crate::error::{Error, Kind};
use crate::remote::address::Address;
use crate::remote::barrier::Barrier;
use crate::remote::condvar::Condvar;
use crate::remote::lock::Lock;
use crate::remote::lua::lua;
use crate::remote::semaphore::Semaphore;
use crate::remote::session::Session;
use crate::sys::clock::Deadline;

const SOON: Duration = Duration::from_secs(20);

/// The session still goes by the name that the older state knows, since its lease is long.
#[test]
fn what_an_older_server_does_not_know_is_lost() {
    let mut server = Server::start();
    let session = Session::at(&server.address("lease_ms=120000")).unwrap();
    let lock = Lock::make(&session, Kind::Lock).unwrap();
    let semaphore = Semaphore::make(&session, Kind::Semaphore, 1, 1).unwrap();
    server.ask("SAVE");
    let turn = ours(lock.lock(Deadline::after(SOON)));
    let permit = semaphore.acquire(Deadline::after(SOON)).unwrap().expect("a permit");
    server.restart();
    assert_eq!(semaphore.value(), Ok(1), "the older state is not there");
    assert_eq!(lock.release(&turn), Ok(false));
    assert_eq!(semaphore.give_back(&permit), Ok(false));
    // What the server that is there now has granted is no concern of this.
    let turn = ours(lock.lock(Deadline::after(SOON)));
    assert_eq!((lock.release(&turn), lock.release(&turn)), (Ok(true), Ok(true)));
}

/// The older state has the lock as its owner had it: nobody could tell from that whether somebody else had it since.
#[test]
fn who_waits_with_a_lock_of_another_server_has_lost_it() {
    let mut server = Server::start();
    let session = Session::at(&server.address("lease_ms=120000")).unwrap();
    let (lock, condvar) = (Lock::make(&session, Kind::Lock).unwrap(), Condvar::make(&session).unwrap());
    let turn = ours(lock.lock(Deadline::after(SOON)));
    server.ask("SAVE");
    server.restart();
    let told = condvar.wait(&lock, turn, Deadline::after(SOON)).map(drop);
    assert_eq!(told, Err(Error::OwnerDied { object: Kind::Lock }));
    assert_eq!(server.waits(condvar.hold()), 0);
    // Of the server that is there now it is of use.
    let turn = ours(lock.lock(Deadline::after(SOON)));
    let relocked = condvar.wait(&lock, turn, Deadline::after(Duration::from_millis(10))).unwrap();
    assert!(!relocked.is_notified);
    assert_eq!(lock.release(&relocked.turn), Ok(true));
}

/// The session's thread has much time until it tries again: it is told to do so now.
#[test]
fn who_could_not_give_a_lock_back_waits_until_it_is() {
    let server = Server::start();
    let proxy = Proxy::start(&server.socket());
    let address = Address::parse(&format!("{}?lease_ms=400000&timeout_ms=300", proxy.url())).unwrap();
    let session = Session::at(&address).unwrap();
    let lock = Lock::make(&session, Kind::Lock).unwrap();
    let turn = ours(lock.lock(Deadline::after(SOON)));
    proxy.hold_requests();
    server.stop();
    assert!(matches!(lock.release(&turn), Err(Error::Unanswered { .. })));
    // As long as it takes the session's thread to try in vain.
    for _ in 0..3 {
        assert!(matches!(lock.lock(Deadline::NEVER).map(drop), Err(Error::Unreachable { .. })));
    }
    server.go_on();
    let turn = ours(lock.lock(Deadline::after(SOON)));
    assert_eq!(lock.release(&turn), Ok(true));
}

#[test]
fn an_abort_that_has_failed_breaks_nothing_later() {
    let server = Server::start();
    let two = Two::with(&server, "lease_ms=1000&timeout_ms=200", "lease_ms=1001");
    let barrier = Barrier::make(&two.one, 2).unwrap();
    let semaphore = Semaphore::make(&two.one, Kind::Semaphore, 0, 1).unwrap();
    let name = two.one.name().unwrap();
    server.stop();
    assert!(matches!(barrier.abort(), Err(Error::Unreachable { .. })));
    // What is told later comes behind the abort, if that is.
    let release = lua!(frees "releasing permits", "line/line.lua", "object/parts.lua", "object/recent.lua", "semaphore/permits.lua", "semaphore/release.lua");
    let arguments = [semaphore.hold().object(), &two.one.token(), "1", "1000"].map(str::to_owned);
    two.one.run_later(&name, release, arguments.into());
    server.go_on();
    until("the permit", || semaphore.value() == Ok(1));
    assert_eq!(barrier.is_broken(), Ok(false));
    barrier.abort().unwrap();
    assert_eq!(barrier.is_broken(), Ok(true));
}

/// As many as ask for the first session wait for one of them.
#[test]
fn who_connects_to_a_silent_server_waits_once() {
    const PATIENCE: Duration = Duration::from_secs(1);
    let server = Server::start();
    server.stop();
    let (address, start) = (server.address("timeout_ms=1000"), Instant::now());
    thread::scope(|scope| {
        for _ in 0..10 {
            scope.spawn(|| {
                assert!(matches!(Session::at(&address), Err(Error::Unreachable { .. } | Error::Unanswered { .. })));
            });
        }
    });
    let took = start.elapsed();
    server.go_on();
    assert!(took < 6 * PATIENCE, "{took:?}");
}
