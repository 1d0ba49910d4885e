//! What a stream and an idle wait cost: system calls and wake-ups.

use std::time::{Duration, Instant};

use crossproc::{Process, Queue, Ring};

use crate::common::locking::{Stage, wait_for_state};
use crate::common::queueing::many;
use crate::common::system_calls::system_calls;
use crate::common::watchdog;

/// How often a process has gone to sleep so far.
fn sleeps(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")).unwrap();
    line.trim().parse().unwrap()
}

#[test]
fn an_idle_get_costs_next_to_nothing() {
    let _watchdog = watchdog();
    let (queue, never, stage) = (Queue::new(2).unwrap(), Queue::<()>::new(1).unwrap(), Stage::new());
    let get = |queue: Queue<u8>, stage: Stage| {
        stage.advance();
        queue.get().unwrap()
    };
    let consumer = Process::spawn(get, (&queue, &stage)).unwrap();
    stage.wait_for(1);
    wait_for_state(consumer.pid(), 'S');
    let (start, before) = (Instant::now(), sleeps(consumer.pid()));
    assert!(never.get_timeout(Duration::from_millis(1_500)).is_err());
    let (sleeps, seconds) = (sleeps(consumer.pid()) - before, start.elapsed().as_secs_f64());
    // Twenty looks a second, and the short sleeps of the beginning.
    assert!(sleeps as f64 <= 25.0 * seconds + 20.0, "{sleeps} sleeps in {seconds} s");
    queue.put(5).unwrap();
    assert_eq!(consumer.join().unwrap(), 5);
}

#[test]
fn a_stream_makes_no_system_call_for_a_message() {
    let _watchdog = watchdog();
    const MESSAGES: u64 = many(100_000);
    let (queue, ring) = (Queue::new(8).unwrap(), Ring::new(8).unwrap());
    // More than fits into a slot, and so in memory that is taken once.
    let long = Queue::new(8).unwrap();
    let bytes = vec![7_u8; 500];
    let calls = system_calls(|| {
        (0..MESSAGES).all(|n| {
            queue.put(n).unwrap();
            ring.put(n).unwrap();
            long.put(&bytes).unwrap();
            let task = (n % 2 == 0).then(|| *queue.get_task().unwrap());
            task.unwrap_or_else(|| queue.get().unwrap()) == n
                && ring.get() == Ok(n)
                && long.get().as_ref() == Ok(&bytes)
        })
    });
    assert!(calls < 1_000, "{calls} system calls for {} messages", 3 * MESSAGES);
}

/// As above, each side in a process of its own that never has to wait for the other.
#[test]
fn putting_and_getting_apart_makes_no_system_call_for_a_message() {
    let _watchdog = watchdog();
    const MESSAGES: u64 = 10_000;
    let (queue, ring) = (Queue::new(MESSAGES as usize).unwrap(), Ring::new(MESSAGES as usize).unwrap());
    let putting = system_calls(|| (0..MESSAGES).all(|n| queue.put(n).is_ok() && ring.put(n).is_ok()));
    let getting = system_calls(|| (0..MESSAGES).all(|n| queue.get() == Ok(n) && ring.get() == Ok(n)));
    assert!(putting < 500 && getting < 500, "{putting} and {getting} system calls for {} messages", 2 * MESSAGES);
    assert!(queue.is_empty() && ring.is_empty());
}
