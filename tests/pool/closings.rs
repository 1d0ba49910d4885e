//! Tasks that close what is not theirs, as `closefrom` does: others do not suffer for it.

use crossproc::{Pool, Queue};

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
