use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::{Server, Two, end, until};
use crate::error::{Error, Kind};
use crate::remote::lock::{Lock, Locked, Turn};
use crate::sys::clock::Deadline;

const SOON: Duration = Duration::from_secs(20);

pub(super) fn ours(locked: Result<Locked, Error>) -> Turn {
    match locked.unwrap() {
        Locked::Ours(turn) => turn,
        Locked::Held => panic!("held"),
        Locked::AlreadyHeld => panic!("already held"),
    }
}

fn lock(lock: &Lock) -> Turn {
    ours(lock.lock(Deadline::after(SOON)))
}

fn is_held(lock: &Lock) -> bool {
    matches!(lock.lock(Deadline::after(Duration::ZERO)).unwrap(), Locked::Held)
}

/// A lock as both sessions have it.
pub(super) fn pair(two: &Two, kind: Kind) -> (Lock, Lock) {
    let one = Lock::make(&two.one, kind).unwrap();
    let (hold, found, _) = two.other.hold(kind, one.hold().object(), None).unwrap();
    assert_eq!(found, if kind == Kind::Lock { "lock" } else { "rlock" });
    (one, Lock::of(hold, kind))
}

#[test]
fn one_has_it_at_a_time() {
    let server = Server::start();
    let two = Two::at(&server);
    let (one, other) = pair(&two, Kind::Lock);
    let turn = lock(&one);
    assert!(!turn.owner_died());
    assert!(is_held(&other));
    assert!(matches!(one.lock(Deadline::NEVER).unwrap(), Locked::AlreadyHeld));
    thread::scope(|scope| {
        scope.spawn(|| assert!(is_held(&one)));
    });
    assert!(one.release(&turn).unwrap());
    assert!(one.release(&turn).unwrap()); // again, nothing happens
    let next = lock(&other);
    assert!(next.fence() > turn.fence());
    assert!(one.release(&turn).unwrap());
    assert!(is_held(&one));
    assert!(other.release(&next).unwrap());
}

#[test]
fn who_waits_gets_it_when_it_is_free() {
    let server = Server::start();
    let two = Two::at(&server);
    let (one, other) = pair(&two, Kind::Lock);
    let turn = lock(&one);
    thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            let turn = lock(&other);
            other.release(&turn).unwrap()
        });
        until("somebody to wait", || server.waits(one.hold()) == 1);
        assert!(one.release(&turn).unwrap());
        assert_eq!(server.waits(one.hold()), 0); // it is woken, and does not just look again
        assert!(waiter.join().unwrap());
    });
}

#[test]
fn a_wait_ends_in_time() {
    let server = Server::start();
    let two = Two::at(&server);
    let (one, other) = pair(&two, Kind::Lock);
    let _turn = lock(&one);
    let start = std::time::Instant::now();
    assert!(matches!(other.lock(Deadline::after(Duration::from_millis(30))).unwrap(), Locked::Held));
    assert!(start.elapsed() >= Duration::from_millis(30));
    assert_eq!(server.waits(one.hold()), 0);
}

#[test]
fn many_threads_count_to_the_sum() {
    let server = Server::start();
    let two = Two::at(&server);
    let (one, other) = pair(&two, Kind::Lock);
    let (sum, sent) = (std::sync::atomic::AtomicU32::new(0), std::sync::atomic::Ordering::Relaxed);
    let fences = std::sync::Mutex::new(Vec::new());
    thread::scope(|scope| {
        for of in [&one, &other, &one, &other] {
            let (sum, fences) = (&sum, &fences);
            scope.spawn(move || {
                for _ in 0..25 {
                    let turn = lock(of);
                    let seen = sum.load(sent);
                    fences.lock().unwrap().push(turn.fence());
                    thread::yield_now();
                    sum.store(seen + 1, sent);
                    assert!(of.release(&turn).unwrap());
                }
            });
        }
    });
    assert_eq!(sum.into_inner(), 100);
    assert!(fences.into_inner().unwrap().is_sorted_by(|first, second| first < second));
}

#[test]
fn next_owner_learns_of_a_death() {
    for kind in [Kind::Lock, Kind::RLock] {
        let server = Server::start();
        let two = Two::at(&server);
        let (one, other) = pair(&two, kind);
        let lost = lock(&one);
        end(&server, &two.one, &two.other);
        let turn = lock(&other);
        assert!(turn.owner_died() && turn.fence() > lost.fence());
        // The one that was not heard is told, and disturbs nobody.
        assert!(!one.release(&lost).unwrap());
        assert!(is_held(&one));
        assert!(other.release(&turn).unwrap());
        let mut turn = lock(&one);
        assert!(turn.owner_died());
        assert!(one.repair(&mut turn).unwrap() && !turn.owner_died());
        assert!(one.release(&turn).unwrap());
        let turn = lock(&other);
        assert!(!turn.owner_died());
        assert!(other.release(&turn).unwrap());
    }
}

/// Not heard for longer than its lease, and not ended yet: it is told all the same, and goes on as the same session.
#[test]
fn who_was_late_is_told() {
    let server = Server::start();
    let two = Two::at(&server);
    let (one, other) = pair(&two, Kind::RLock);
    let (lost, deeper) = (lock(&one), lock(&one));
    let name = two.one.name().unwrap();
    let turn = loop {
        server.ask(&format!("ZADD crossproc:sessions 0 {name}"));
        if let Locked::Ours(turn) = other.lock(Deadline::after(Duration::ZERO)).unwrap() {
            break turn;
        }
    };
    assert!(turn.owner_died());
    assert!(!one.release(&lost).unwrap());
    assert!(other.release(&turn).unwrap());
    let turn = lock(&one);
    assert!(!one.release(&deeper).unwrap());
    assert!(is_held(&other));
    assert!(one.release(&turn).unwrap());
    let turn = lock(&other);
    assert!(other.release(&turn).unwrap());
}

#[test]
fn an_rlock_is_free_with_its_last_level() {
    let server = Server::start();
    let two = Two::at(&server);
    let (one, other) = pair(&two, Kind::RLock);
    let turns: Vec<Turn> = (0..12).map(|_| lock(&one)).collect();
    assert!(turns.iter().all(|turn| turn.fence() == turns[0].fence()));
    for turn in turns[1..].iter().chain(&turns[..1]) {
        assert!(is_held(&other));
        assert!(one.release(turn).unwrap());
        assert!(one.release(turn).unwrap());
    }
    let turn = lock(&other);
    assert!(is_held(&one));
    assert!(other.release(&turn).unwrap());
}

#[test]
fn who_waits_learns_that_the_server_lost_the_lock() {
    let mut server = Server::start();
    let two = Two::at(&server);
    let (one, other) = pair(&two, Kind::Lock);
    let turn = lock(&one);
    let (send, answers) = mpsc::channel();
    let waiter = thread::spawn(move || send.send(other.lock(Deadline::after(SOON)).map(|_| ())).unwrap());
    until("somebody to wait", || server.waits(one.hold()) == 1);
    server.restart();
    assert_eq!(answers.recv_timeout(SOON).unwrap(), Err(Error::Gone { object: Kind::Lock }));
    waiter.join().unwrap();
    assert!(!one.release(&turn).unwrap());
    // Fences go on where they were.
    let lock_again = Lock::make(&two.one, Kind::Lock).unwrap();
    assert!(lock(&lock_again).fence() > turn.fence());
}

#[test]
fn a_full_server_takes_locks_back() {
    let server = Server::start();
    let two = Two::at(&server);
    let (one, other) = pair(&two, Kind::Lock);
    let turn = lock(&one);
    server.fill();
    assert!(matches!(other.lock(Deadline::after(SOON)), Err(Error::ServerFull { .. })));
    assert!(one.release(&turn).unwrap());
    server.ask("CONFIG SET maxmemory 0");
    let turn = lock(&other);
    assert!(other.release(&turn).unwrap());
}

/// A server that does not answer while a lock is given back has it given back later.
#[test]
fn what_could_not_be_given_back_is_given_back_later() {
    let server = Server::start();
    let two = Two::with(&server, "lease_ms=60000&timeout_ms=100", "lease_ms=60001");
    let (one, other) = pair(&two, Kind::Lock);
    let turn = lock(&one);
    server.stop();
    assert!(matches!(one.release(&turn), Err(Error::Unanswered { .. } | Error::Unreachable { .. })));
    server.go_on();
    let next = lock(&other);
    assert!(!next.owner_died());
    assert!(other.release(&next).unwrap());
    // Nor has anybody the lock who was not told so, whenever the server gets to it.
    server.stop();
    let failed = thread::scope(|scope| scope.spawn(|| one.lock(Deadline::NEVER).map(|_| ())).join().unwrap());
    assert!(matches!(failed, Err(Error::Unanswered { .. } | Error::Unreachable { .. })));
    server.go_on();
    let turn = lock(&other);
    assert!(!turn.owner_died());
    assert!(other.release(&turn).unwrap());
}

#[test]
fn what_somebody_else_has_written_is_an_error() {
    let server = Server::start();
    let two = Two::at(&server);
    let (one, _) = pair(&two, Kind::Lock);
    let object = one.hold().object();
    server.ask(&format!("SET crossproc:o:{object}:h nonsense"));
    assert!(matches!(one.lock(Deadline::NEVER), Err(Error::Refused { .. })));
    server.ask(&format!("DEL crossproc:o:{object}:h"));
    server.ask(&format!("HSET crossproc:o:{object} owner %%% fence x"));
    let turn = lock(&one);
    assert!(turn.owner_died());
    assert!(one.release(&turn).unwrap());
}
