//! What Python's `multiprocessing` promises for its `Semaphore` and `BoundedSemaphore`. Its `acquire` is
//! `acquire()?.forget()` here: whoever calls `release` need not be the one who has acquired.

use std::time::{Duration, Instant};

use crossproc::{BoundedSemaphore, Error, Kind, Process, Semaphore, TryAcquireError};

use crate::common::locking::Stage;
use crate::common::watchdog;

const MOMENT: Duration = Duration::from_millis(20);

macro_rules! counts_down_and_up {
    ($semaphore:expr) => {
        let semaphore = $semaphore;
        assert_eq!(semaphore.value(), 2);
        semaphore.acquire().unwrap().forget();
        assert_eq!(semaphore.value(), 1);
        semaphore.acquire().unwrap().forget();
        assert_eq!(semaphore.value(), 0);
        assert!(semaphore.try_acquire().is_err());
        assert_eq!(semaphore.value(), 0);
        semaphore.release(1).unwrap();
        assert_eq!(semaphore.value(), 1);
        semaphore.release(1).unwrap();
        assert_eq!(semaphore.value(), 2);
    };
}

/// A semaphore counts down to 0, refuses, and counts up again, also beyond where it began.
#[test]
fn a_semaphore_counts_and_may_be_released_beyond_its_beginning() {
    let semaphore = Semaphore::new(2).unwrap();
    counts_down_and_up!(&semaphore);
    semaphore.release(1).unwrap();
    assert_eq!(semaphore.value(), 3);
    semaphore.release(1).unwrap();
    assert_eq!(semaphore.value(), 4);
}

/// A bounded one may not: `ValueError`.
#[test]
fn a_bounded_semaphore_counts_and_may_not_be_released_beyond_its_beginning() {
    let semaphore = BoundedSemaphore::new(2).unwrap();
    counts_down_and_up!(&semaphore);
    let refused = Error::TooManyPermits { object: Kind::BoundedSemaphore, permits: 1, room: 0 };
    assert_eq!(semaphore.release(1), Err(refused));
    assert_eq!(semaphore.value(), 2);
}

/// `acquire` with `block=False` is `False` at once, whatever the timeout; with a timeout, after it.
#[test]
fn acquire_on_an_empty_semaphore_is_refused_at_once_or_after_the_timeout() {
    let _watchdog = watchdog();
    let semaphore = Semaphore::new(0).unwrap();
    assert!(matches!(semaphore.try_acquire(), Err(TryAcquireError::NoPermit)));
    for wait in [Duration::ZERO, MOMENT, MOMENT * 3] {
        let start = Instant::now();
        assert!(matches!(semaphore.acquire_timeout(wait), Err(TryAcquireError::NoPermit)));
        assert!(start.elapsed() >= wait);
    }
}

/// A semaphore of 0 as a signal: a child that waits goes on when somebody else releases.
#[test]
fn a_child_waits_until_it_is_released() {
    let _watchdog = watchdog();
    let (sleeping, woken, stage) = (Semaphore::new(0).unwrap(), Semaphore::new(0).unwrap(), Stage::new());
    let wait = |sleeping: Semaphore, woken: Semaphore, stage: Stage| {
        sleeping.release(1).unwrap();
        woken.acquire().unwrap().forget();
        stage.advance();
    };
    let children = [(); 3].map(|()| Process::spawn(wait, (&sleeping, &woken, &stage)).unwrap());
    (0..3).for_each(|_| sleeping.acquire().unwrap().forget());
    assert!(!stage.has_reached(1) && sleeping.value() == 0);
    woken.release(1).unwrap();
    stage.wait_for(1);
    woken.release(2).unwrap();
    for child in children {
        child.join().unwrap();
    }
    assert!(stage.has_reached(3) && woken.value() == 0);
}

/// `with semaphore:` gives back what it has taken, also in another process.
#[test]
fn with_gives_back_in_a_child() {
    let _watchdog = watchdog();
    let semaphore = BoundedSemaphore::new(1).unwrap();
    let with = |semaphore: BoundedSemaphore| {
        let _permit = semaphore.acquire().unwrap();
        semaphore.value()
    };
    assert_eq!(Process::spawn(with, (&semaphore,)).unwrap().join().unwrap(), 0);
    assert_eq!(semaphore.value(), 1);
}
