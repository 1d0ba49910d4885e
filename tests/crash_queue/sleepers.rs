//! Those who sleep while somebody dies, and those who die asleep.

use crossproc::{Process, Ring};

use crate::common::channel::{Channel, Lines, assert_all_slots_are_usable, drain};
use crate::common::locking::{Stage, asleep};
use crate::common::processes::{dies_at, is_killed};
use crate::common::watchdog;
use crate::{CAPACITY, PLACES, at_place, for_each_channel, get, get_asleep, put, put_asleep};

for_each_channel! {
    a_sleeping_consumer_learns_what_a_dead_producer_did
    a_sleeping_producer_learns_what_a_dead_consumer_did
    dead_waiters_swallow_no_wake_up
}

/// A consumer sleeps; the one who was to wake it dies before it does.
fn a_sleeping_consumer_learns_what_a_dead_producer_did<C: Channel>() {
    for point in ["ring.published", "event.notified"] {
        let it = C::of(CAPACITY);
        let consumer = asleep!(get_asleep::<C>, &it);
        dies_at!(point, put::<C>, (&it, 1));
        assert_eq!(consumer.join().unwrap(), Some(1), "{}, {point}", C::NAME);
        assert_all_slots_are_usable(&it);
    }
    for point in ["ring.claimed", "ring.written"] {
        let it = C::of(CAPACITY);
        let consumer = asleep!(get_asleep::<C>, &it);
        dies_at!(point, put::<C>, (&it, 1));
        assert!(it.try_put(2));
        assert_eq!(consumer.join().unwrap(), Some(2), "{}, {point}: not held up by the dead", C::NAME);
        assert_all_slots_are_usable(&it);
    }
}

/// A producer sleeps before a full ring; the one who made room dies before it says so.
fn a_sleeping_producer_learns_what_a_dead_consumer_did<C: Channel>() {
    for point in ["ring.released", "event.notified"] {
        let it = C::of(CAPACITY);
        assert!((1..=3).all(|number| it.try_put(number)));
        let producer = asleep!(put_asleep::<C>, &it);
        dies_at!(point, get::<C>, (&it,));
        assert!(producer.join().unwrap(), "{}, {point}", C::NAME);
        assert_eq!(drain(&it), [2, 3, 99], "{point}");
        assert_all_slots_are_usable(&it);
    }
}

/// Dead waiters: one that has just announced itself, one that slept; and the first who finds nobody to wake.
fn dead_waiters_swallow_no_wake_up<C: Channel>() {
    let it = C::of(1);
    dies_at!("event.announced", get::<C>, (&it,));
    dies_at!("event.cleared", put::<C>, (&it, 1));
    let consumer = asleep!(get_asleep::<C>, &C::of(1));
    consumer.kill().unwrap();
    assert!(consumer.join().is_err());

    dies_at!("event.announced", put::<C>, (&it, 2));
    assert_eq!(it.try_get(), Some(1));
    assert_eq!(drain(&it), [], "{}: a producer that waited has put nothing", C::NAME);

    assert!(it.try_put(3));
    let (first, second) = (asleep!(put_asleep::<C>, &it), asleep!(put_asleep::<C>, &it));
    first.kill().unwrap();
    assert!(first.join().is_err());
    assert_eq!(it.try_get(), Some(3));
    assert!(second.join().unwrap(), "{}: a dead sleeper swallows no wake-up", C::NAME);
    assert_eq!(drain(&it), [99]);
    assert_all_slots_are_usable(&it);

    let (first, second) = (asleep!(get_asleep::<C>, &it), asleep!(get_asleep::<C>, &it));
    first.kill().unwrap();
    assert!(first.join().is_err());
    // Nobody sleeps but one; whoever has found nobody and dies of it leaves it asleep.
    dies_at!("event.notified", put::<C>, (&it, 4));
    assert_eq!(second.join().unwrap(), Some(4), "{}", C::NAME);
    assert_all_slots_are_usable(&it);
}

/// A consumer sleeps behind a message that is being written, with messages behind it; then the writer dies.
#[test]
fn a_consumer_asleep_behind_a_dead_producer_goes_on() {
    let _watchdog = watchdog();
    for place in PLACES {
        let (ring, stage) = (at_place::<Ring<Lines>>(place), Stage::new());
        let reserve = |ring: Ring<Lines>, stage: Stage| {
            let slot = ring.reserve().unwrap();
            stage.advance();
            stage.wait_for(2);
            slot.commit();
        };
        let writer = Process::builder().crash_at("ring.written").spawn(reserve, (&ring, &stage)).unwrap();
        stage.wait_for(1);
        assert!(Channel::try_put(&ring, 2));
        let consumer = asleep!(get_asleep::<Ring<Lines>>, &ring);
        assert_eq!(Channel::try_get(&ring), None, "messages stay in order");
        stage.advance();
        is_killed("ring.written", writer);
        assert_eq!(consumer.join().unwrap(), Some(2), "place {place}");
        assert_all_slots_are_usable(&ring);
    }
}
