//! Tasks that close what is not theirs, as `closefrom` does: others do not suffer for it.

use crossproc::{Pool, Queue};

use crate::common::locking::Stage;
use crate::common::watchdog;

fn close_all() {
    // SAFETY: not ours to close, which is the point; no memory is involved.
    assert_eq!(unsafe { libc::close_range(3, libc::c_uint::MAX, 0) }, 0);
}

/// Longer than what goes through the queue.
const LONG: usize = 100 << 10;

#[test]
fn the_task_behind_one_that_has_closed_all_descriptors_is_done() {
    let _watchdog = watchdog();
    let pool = Pool::new(1).unwrap();
    for round in 0..20 {
        assert_eq!(pool.apply(close_all, ()), Ok(()));
        let outcome = match round % 3 {
            0 => pool.apply(|n: usize| n, (round,)),
            1 => pool.apply(|bytes: Vec<u8>| bytes.len(), (vec![0; LONG],)),
            _ => pool.apply(|queue: Queue<u8>| queue.capacity(), (&Queue::new(round).unwrap(),)),
        };
        assert_eq!(outcome, Ok(if round % 3 == 1 { LONG } else { round }));
    }
}

/// What waits behind it, waits no longer than until it is done.
#[test]
fn a_task_that_cannot_be_supplied_is_left_to_another_worker() {
    let _watchdog = watchdog();
    let (pool, stage) = (Pool::new(1).unwrap(), Stage::new());
    let closing = |stage: Stage| {
        stage.wait_for(1);
        close_all();
    };
    let closer = pool.apply_async(closing, (&stage,));
    let long = pool.apply_async(|bytes: Vec<u8>| bytes.len(), (vec![0; LONG],));
    let queue = Queue::<u8>::new(7).unwrap();
    let handle = pool.apply_async(|queue: Queue<u8>| queue.capacity(), (&queue,));
    let short = pool.apply_async(|n: usize| n, (5,));
    stage.advance();
    assert_eq!((closer.get(), long.get(), handle.get(), short.get()), (Ok(()), Ok(LONG), Ok(7), Ok(5)));
}
