//! What only a queue has: tasks to wait for, messages that do not decode.

use std::time::Duration;

use crossproc::{Arena, GetError, Queue};

use crate::common::channel::assert_all_slots_are_usable;
use crate::common::locking::{Stage, asleep};
use crate::common::processes::dies_at;
use crate::common::watchdog;
use crate::{CAPACITY, hold};

const MOMENT: Duration = Duration::from_millis(5);

#[test]
fn a_join_forgives_what_the_dead_had_got() {
    let _watchdog = watchdog();
    let get = |queue: Queue<u64>| queue.get().unwrap();
    for (point, is_got) in
        [("account.opening", false), ("account.opened", false), ("queue.got", false), ("ring.released", true)]
    {
        let queue = Queue::new(CAPACITY).unwrap();
        queue.put(1).unwrap();
        // It leaves an account in debt, in the place of the table that the next process gets.
        dies_at!("ring.released", get, (&queue,));
        assert!(queue.join_timeout(Duration::ZERO));
        queue.put(2).unwrap();
        assert!(!queue.join_timeout(MOMENT), "a message is there");
        dies_at!(point, get, (&queue,));
        if !is_got {
            assert!(!queue.join_timeout(MOMENT), "{point}: it has not been got");
            assert_eq!(queue.get(), Ok(2));
            assert!(!queue.join_timeout(MOMENT), "{point}: it is not done");
            queue.task_done().unwrap();
        }
        queue.join();
        assert!(queue.task_done().is_err(), "{point}: nothing is left to be done");
    }
}

/// Whoever joins sleeps; the one who was to wake it dies before it does.
#[test]
fn a_sleeping_join_learns_what_the_dead_had_done() {
    let _watchdog = watchdog();
    let join = |queue: Queue<u64>, stage: Stage| {
        stage.advance();
        queue.join();
    };
    let done = |queue: Queue<u64>| {
        queue.get().unwrap();
        queue.task_done().unwrap();
    };
    for point in ["queue.done", "event.notified"] {
        let queue = Queue::new(CAPACITY).unwrap();
        queue.put(1).unwrap();
        let joiner = asleep!(join, &queue);
        dies_at!(point, done, (&queue,));
        joiner.join().unwrap();
        assert_all_slots_are_usable(&queue);
    }
    for point in ["ring.released", "task.released", "event.notified"] {
        let queue = Queue::new(CAPACITY).unwrap();
        queue.put(1).unwrap();
        let joiner = asleep!(join, &queue);
        dies_at!(point, hold::<Queue<u64>>, (&queue,));
        joiner.join().unwrap();
        assert_all_slots_are_usable(&queue);
    }
}

/// Decodes like a number, but for one.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "u64", into = "u64")]
struct Fussy(u64);

impl TryFrom<u64> for Fussy {
    type Error = &'static str;

    fn try_from(number: u64) -> Result<Self, &'static str> {
        if number == 0 { Err("nothing") } else { Ok(Fussy(number)) }
    }
}

impl From<Fussy> for u64 {
    fn from(fussy: Fussy) -> u64 {
        fussy.0
    }
}

#[test]
fn a_message_that_does_not_decode_goes_with_whoever_died_of_it_or_with_the_next() {
    let _watchdog = watchdog();
    let get = |queue: Queue<Fussy>| drop(queue.get());
    for (point, is_gone) in
        [("ring.taken", false), ("ring.read", false), ("ring.released", true), ("queue.discarded", true)]
    {
        let queue = Queue::new(CAPACITY).unwrap();
        queue.put(Fussy(0)).unwrap();
        dies_at!(point, get, (&queue,));
        if !is_gone {
            assert!(matches!(queue.get(), Err(GetError::Failed(_))), "{point}");
        }
        assert!(queue.join_timeout(Duration::ZERO), "{point}");
        for number in 1..=3 {
            queue.try_put(Fussy(number)).unwrap();
        }
        assert_eq!([(); 3].map(|()| queue.get().unwrap().0), [1, 2, 3], "{point}");
    }
}

#[test]
fn a_queue_whose_maker_was_killed_costs_an_arena_only_its_room() {
    let _watchdog = watchdog();
    let arena = Arena::new(1 << 20).unwrap();
    let make = |arena: Arena| drop(Queue::<Vec<u8>>::builder().capacity(4).max_message(1 << 12).build_in(&arena));
    let before = arena.remaining();
    make(arena.clone());
    let size = before - arena.remaining();
    dies_at!("create.allocated", make, (&arena,));
    assert_eq!(before - arena.remaining(), 2 * size);
    let queue = Queue::builder().capacity(4).max_message(1 << 12).build_in(&arena).unwrap();
    queue.put(vec![7; 4_000]).unwrap();
    assert_eq!(queue.get().unwrap(), [7; 4_000]);
}
