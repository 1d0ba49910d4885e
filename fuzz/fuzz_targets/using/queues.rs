//! What holds messages.

use crossproc::{Queue, QueueTask, Ring, Slot, Taken};

use super::MOMENT;

/// Of the ring and of the queue.
pub const SLOTS: usize = 3;

/// Nothing is certain of what lies in it; but it answers, and in time.
pub fn use_ring(ring: &Ring<[u64; 9]>) {
    for number in 0..2 * SLOTS as u64 {
        let _ = ring.put_timeout([number; 9], MOMENT);
        let _ = ring.try_put([number; 9]);
        let _ = ring.try_reserve().map(Slot::commit);
    }
    let _ = (ring.len(), ring.is_empty(), ring.is_full(), ring.is_closed(), ring.redelivered());
    let _ = ring.try_take().map(Taken::give_back);
    for _ in 0..2 * SLOTS {
        let _ = ring.try_get();
    }
    let _ = ring.get_timeout(MOMENT);
}

pub fn use_queue(queue: &Queue<Vec<u8>>) {
    for length in [0, 50, 100, 200, 290, 400] {
        let _ = queue.put_timeout(vec![1; length], MOMENT);
        let _ = queue.try_put(vec![1; length]);
    }
    let _ = (queue.len(), queue.is_empty(), queue.is_full(), queue.is_closed(), queue.redelivered());
    let _ = queue.try_get_task().map(QueueTask::give_back);
    for _ in 0..2 * SLOTS {
        let _ = queue.try_get();
        let _ = queue.task_done();
    }
    let _ = queue.get_timeout(MOMENT);
    let _ = queue.join_timeout(MOMENT);
}
