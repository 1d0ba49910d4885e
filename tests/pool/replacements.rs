//! Workers that cannot be replaced at once: starts that fail are tried again, after longer and longer pauses.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use crossproc::{Pool, RawValue};

use crate::common::watchdog;

type Count = RawValue<AtomicU32>;

/// Fails from start `from` on, as long as failures are left.
fn fail(starts: Count, from: u32, failures: Count) -> Result<(), String> {
    let is_late = starts.fetch_add(1, SeqCst) >= from;
    let fails = is_late && failures.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok();
    if fails { Err("worn out".into()) } else { Ok(()) }
}

fn count(n: u32) -> Count {
    RawValue::new(AtomicU32::new(n)).unwrap()
}

/// As `PAUSE` and `LONGEST_PAUSE` in `src/pool/keeper.rs` have it: what so many failures in a row take at least, with the pause
/// that follows the last.
fn pauses(failures: u32) -> Duration {
    (1..=failures).map(|failure| Duration::from_millis((10 << failure).min(1_000))).sum()
}

/// As many as make a pool give up if they come in a row, but for the one that succeeds between them.
#[test]
fn a_success_ends_a_row_of_failures() {
    let _watchdog = watchdog();
    let (starts, failures) = (count(0), count(0));
    let pool = Pool::builder().workers(1).initializer(fail, (&starts, 1, &failures)).start().unwrap();
    for round in 1..=2 {
        failures.store(5, SeqCst);
        let start = Instant::now();
        let worker = pool.workers().remove(0);
        worker.kill().unwrap();
        worker.wait();
        assert_eq!(pool.apply(|| 7, ()), Ok(7));
        assert!(start.elapsed() >= pauses(5), "five starts in a row failed in {:?}", start.elapsed());
        assert_eq!(starts.load(SeqCst), 1 + round * 6);
    }
}

/// However many fail, while one worker is left.
#[test]
fn a_pool_with_a_worker_left_goes_on_trying_ever_more_slowly() {
    let _watchdog = watchdog();
    const FAILURES: u32 = 9;
    let (starts, failures) = (count(0), count(FAILURES));
    let pool = Pool::builder().workers(2).initializer(fail, (&starts, 2, &failures)).start().unwrap();
    let start = Instant::now();
    pool.workers()[0].kill().unwrap();
    while starts.load(SeqCst) < 2 + FAILURES {
        assert_eq!(pool.apply(|| 7, ()), Ok(7));
    }
    assert!(start.elapsed() >= pauses(FAILURES - 1), "{FAILURES} starts in {:?}", start.elapsed());
    while pool.workers().len() < 2 || starts.load(SeqCst) < 3 + FAILURES {
        thread::yield_now();
    }
    assert_eq!(starts.load(SeqCst), 3 + FAILURES);
}
