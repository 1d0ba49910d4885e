//! The end, when those who bring it about or wait for it die.

use crossproc::{GetError, Process, Producer, Queue, TryGetError};

use crate::common::channel::Channel;
use crate::common::locking::{Stage, asleep};
use crate::common::processes::{dies_at, is_killed};
use crate::common::watchdog;
use crate::{CAPACITY, PLACES, at_place, close, for_each_channel, get, get_asleep, put, put_asleep};

for_each_channel! {
    sleepers_learn_that_a_dead_process_has_closed
    the_end_comes_after_what_the_dead_have_left
}

fn sleepers_learn_that_a_dead_process_has_closed<C: Channel>() {
    for point in ["ring.closed", "event.notified"] {
        let it = C::of(CAPACITY);
        let consumer = asleep!(get_asleep::<C>, &it);
        dies_at!(point, close::<C>, (&it,));
        assert_eq!(consumer.join().unwrap(), None, "{}, {point}", C::NAME);

        let it = C::of(CAPACITY);
        assert!((1..=3).all(|number| it.try_put(number)));
        let producer = asleep!(put_asleep::<C>, &it);
        dies_at!(point, close::<C>, (&it,));
        assert!(!producer.join().unwrap(), "{}, {point}", C::NAME);
        assert_eq!([(); 4].map(|()| it.get()), [Some(1), Some(2), Some(3), None]);
    }
}

/// What the dead were about when it was closed, and after.
fn the_end_comes_after_what_the_dead_have_left<C: Channel>() {
    for place in PLACES {
        for point in ["ring.claimed", "ring.written"] {
            let it: C = at_place(place);
            dies_at!(point, put::<C>, (&it, 1));
            assert!(it.try_put(2));
            it.close();
            assert_eq!((it.get(), it.get()), (Some(2), None), "{}, {point}, place {place}", C::NAME);
        }

        // Claimed before it looked whether it may.
        let it: C = at_place(place);
        assert!(it.try_put(1));
        it.close();
        dies_at!("ring.claimed", put::<C>, (&it, 2));
        dies_at!("ring.abandoned", put::<C>, (&it, 3));
        assert_eq!((it.get(), it.get()), (Some(1), None), "{}, place {place}", C::NAME);

        let it: C = at_place(place);
        assert!(it.try_put(1));
        dies_at!("ring.taken", get::<C>, (&it,));
        it.close();
        assert_eq!((it.get(), it.get()), (Some(1), None), "{}: what the dead had comes before the end", C::NAME);

        // The last message is in the hands of somebody who dies of it while another waits for the end.
        let it: C = at_place(place);
        assert!(it.try_put(1));
        let work = |it: C, stage: Stage| {
            it.hold(|_| {
                stage.advance();
                stage.wait_for(2);
            })
        };
        let stage = Stage::new();
        let worker = Process::builder().crash_at("ring.read").spawn(work, (&it, &stage)).unwrap();
        stage.wait_for(1);
        it.close();
        let waiter = asleep!(get_asleep::<C>, &it);
        stage.advance();
        is_killed("ring.read", worker);
        assert_eq!(waiter.join().unwrap(), Some(1), "{}", C::NAME);
        assert_eq!(it.get(), None);
    }
}

fn hold_producer(_producer: Producer<u64>) {}

fn pass_producer_on(producer: Producer<u64>) {
    let _ = Process::spawn(hold_producer, (producer,));
}

/// Whoever dies while a handle goes from one process to another takes it along.
#[test]
fn a_queue_ends_with_a_producer_that_dies_on_its_way() {
    let _watchdog = watchdog();
    // A child enters its own when it unpacks it, and the next one's when it packs it.
    for passes in 0..2 {
        let queue = Queue::builder().end_with_producers(true).build().unwrap();
        let (producer, consumer) = (queue.producer(), queue.consumer());
        drop(queue);
        dies_at!("account.entered", passes, pass_producer_on, (&producer,));
        assert_eq!(consumer.try_get(), Err(TryGetError::Empty), "one is left");
        drop(producer);
        assert_eq!(consumer.get(), Err(GetError::Disconnected));
    }
}
