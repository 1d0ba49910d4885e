//! Initializers that never return.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use crossproc::{Error, Pool, ProcessError, RawValue};

use crate::common::watchdog;

fn park() {
    loop {
        thread::park();
    }
}

#[test]
fn a_pool_whose_initializer_hangs_is_not_started() {
    let _watchdog = watchdog();
    let limit = Duration::from_millis(100);
    let builder = Pool::builder().workers(2).initializer(park, ()).initializer_timeout(limit);
    let start = Instant::now();
    match builder.start() {
        Err(Error::Process(ProcessError::InitializerTimedOut { limit: found, .. })) => assert_eq!(found, limit),
        other => panic!("{other:?}"),
    }
    assert!(start.elapsed() >= limit);
}

/// The second start hangs.
fn hang_once(starts: RawValue<AtomicU32>) {
    if starts.fetch_add(1, SeqCst) == 1 {
        park();
    }
}

#[test]
fn a_worker_whose_initializer_hangs_is_replaced() {
    let _watchdog = watchdog();
    let starts = RawValue::new(AtomicU32::new(0)).unwrap();
    let builder = Pool::builder().workers(1).initializer(hang_once, (&starts,));
    let pool = builder.initializer_timeout(Duration::from_secs(3)).start().unwrap();
    pool.workers()[0].kill().unwrap();
    assert_eq!(pool.apply(|| 7, ()), Ok(7));
    assert!(starts.load(SeqCst) >= 3);
}

/// What is slow but not too slow is none of its business, nor how long tasks take.
#[test]
fn the_time_of_an_initializer_ends_with_it() {
    let _watchdog = watchdog();
    let limit = Duration::from_secs(2);
    let pool = Pool::builder().workers(1).initializer_timeout(limit).start().unwrap();
    let wait = |time: Duration| {
        thread::sleep(time);
        std::process::id()
    };
    let pid = pool.workers()[0].pid();
    assert_eq!(pool.apply(wait, (limit + limit / 10,)), Ok(pid));
}
