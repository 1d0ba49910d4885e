//! SIGKILL at each crash point of a ring and of a queue: a child dies there, and what the survivors find is what the
//! table says.
//!
//! Only in builds with `--cfg crash_points`.

#![cfg(crash_points)]

mod common;

use std::fs;
use std::path::Path;
use std::time::Duration;

use common::channel::{Channel, Lines, Long, assert_all_slots_are_usable, drain};
use common::locking::{Stage, wait_for_state};
use common::{rust_files, watchdog};
use crossproc::{Arena, Exit, GetError, Process, ProcessError, Producer, Queue, Ring, TryGetError};
use serde::de::DeserializeOwned;

crossproc::test_support!();

const CAPACITY: usize = 3;

/// Where in the row of slots something happens: at its beginning, in it, around its end, and laps later.
const PLACES: [u64; 4] = [0, 1, 2, 16];

/// One that has been in use.
fn at_place<C: Channel>(place: u64) -> C {
    let it = C::of(CAPACITY);
    for number in 0..place {
        assert!(it.try_put(number));
        assert_eq!(it.try_get(), Some(number));
    }
    it
}

/// Runs `$f` in a process that dies at `$point`, after `$passes` unharmed passes.
macro_rules! dies_at {
    ($point:expr, $passes:expr, $f:expr, $args:expr) => {
        is_killed($point, Process::builder().crash_at_nth($point, $passes).spawn($f, $args).unwrap())
    };
    ($point:expr, $f:expr, $args:expr) => {
        dies_at!($point, 0, $f, $args)
    };
}

fn is_killed<R: DeserializeOwned>(point: &str, process: Process<R>) {
    match process.join() {
        Err(ProcessError::Ended { exit: Exit::Signal(libc::SIGKILL), .. }) => {}
        Err(other) => panic!("{point} was not reached: {other:?}"),
        Ok(_) => panic!("{point} was not reached"),
    }
}

/// A process that is about to wait in `f`, and whom the kernel has found asleep there.
macro_rules! asleep {
    ($f:expr, $it:expr) => {{
        let stage = Stage::new();
        let process = Process::spawn($f, ($it, &stage)).unwrap();
        stage.wait_for(1);
        wait_for_state(process.pid(), 'S');
        process
    }};
}

fn put<C: Channel>(it: C, number: u64) -> bool {
    it.put(number)
}

fn get<C: Channel>(it: C) -> Option<u64> {
    it.get()
}

fn try_put<C: Channel>(it: C) -> bool {
    it.try_put(99)
}

fn try_get<C: Channel>(it: C) -> Option<u64> {
    it.try_get()
}

fn hold<C: Channel>(it: C) -> bool {
    it.hold(|_| ())
}

fn give_back<C: Channel>(it: C) {
    it.give_back();
}

fn close<C: Channel>(it: C) {
    it.close();
}

fn get_asleep<C: Channel>(it: C, stage: Stage) -> Option<u64> {
    stage.advance();
    it.get()
}

fn put_asleep<C: Channel>(it: C, stage: Stage) -> bool {
    stage.advance();
    it.put(99)
}

/// Everything that is there, in order, but for one that may be anywhere.
fn assert_has_all<C: Channel>(it: &C, expected: &[u64], anywhere: u64, situation: &str) {
    let mut found = drain(it);
    let in_order: Vec<u64> = found.iter().copied().filter(|&number| number != anywhere).collect();
    assert!(in_order.is_sorted(), "{situation}: {found:?}");
    found.sort_unstable();
    assert_eq!(found, expected, "{situation}");
}

fn a_message_after_a_death_at_each_point_of_a_put<C: Channel>(points: &[(&str, bool)]) {
    for place in PLACES {
        for &(point, arrives) in points {
            let situation = format!("{}, {point}, place {place}", C::NAME);
            let it: C = at_place(place);
            assert!(it.try_put(101));
            dies_at!(point, put::<C>, (&it, 102));
            assert!(it.try_put(103), "{situation}");
            let expected: &[u64] = if arrives { &[101, 102, 103] } else { &[101, 103] };
            assert_eq!(drain(&it), expected, "{situation}");
            assert_eq!(it.redelivered(), 0, "{situation}");
            assert_all_slots_are_usable(&it);
        }
    }
}

#[test]
fn all_or_nothing_arrives_after_a_death_at_each_point_of_a_put() {
    let _watchdog = watchdog();
    let points = [("ring.claimed", false), ("ring.written", false), ("ring.published", true)];
    a_message_after_a_death_at_each_point_of_a_put::<Ring<Lines>>(&points);
    a_message_after_a_death_at_each_point_of_a_put::<Queue<u64>>(&points);
    let points = [
        ("ring.claimed", false),
        ("queue.backed", false),
        ("queue.extended", false),
        ("ring.written", false),
        ("ring.published", true),
    ];
    a_message_after_a_death_at_each_point_of_a_put::<Queue<Long>>(&points);
}

#[test]
fn all_or_nothing_arrives_after_a_death_at_each_point_of_a_message_in_place() {
    let _watchdog = watchdog();
    let commit = |ring: Ring<Lines>| {
        let mut slot = ring.reserve().unwrap();
        slot.fill(102);
        slot.commit();
    };
    let abandon = |ring: Ring<Lines>| ring.reserve().unwrap().fill(102);
    for place in PLACES {
        for (point, arrives) in
            [("ring.claimed", false), ("ring.written", false), ("ring.published", true), ("ring.abandoned", false)]
        {
            let ring: Ring<Lines> = at_place(place);
            assert!(Channel::try_put(&ring, 101));
            if point == "ring.abandoned" {
                dies_at!(point, abandon, (&ring,));
            } else {
                dies_at!(point, commit, (&ring,));
            }
            assert!(Channel::try_put(&ring, 103));
            let expected: &[u64] = if arrives { &[101, 102, 103] } else { &[101, 103] };
            assert_eq!(drain(&ring), expected, "{point}, place {place}");
            assert_all_slots_are_usable(&ring);
        }
    }
}

/// Nobody gets anything meanwhile: it is a producer that finds the dead one's slot in its way.
fn a_producer_after_a_death_at_each_point_of_a_put<C: Channel>() {
    for place in PLACES {
        for (point, fits) in [("ring.claimed", CAPACITY), ("ring.written", CAPACITY), ("ring.published", CAPACITY - 1)]
        {
            let it: C = at_place(place);
            dies_at!(point, put::<C>, (&it, 0));
            let puts = (1..=CAPACITY as u64).take_while(|&number| it.try_put(number)).count();
            assert_eq!((puts, it.len()), (fits, CAPACITY), "{}, {point}, place {place}", C::NAME);
            let first = (CAPACITY - fits) as u64;
            assert_eq!(drain(&it), (1 - first..=fits as u64).collect::<Vec<_>>(), "{point}");
            assert_all_slots_are_usable(&it);
        }
    }
}

#[test]
fn a_producer_takes_the_slot_of_a_dead_one() {
    let _watchdog = watchdog();
    a_producer_after_a_death_at_each_point_of_a_put::<Ring<Lines>>();
    a_producer_after_a_death_at_each_point_of_a_put::<Queue<u64>>();
    a_producer_after_a_death_at_each_point_of_a_put::<Queue<Long>>();
}

fn a_message_after_a_death_at_each_point_of_its_get<C: Channel, R>(
    get: impl crossproc::Function<(C,), (C,), Output = R>,
    points: &[(&str, bool)],
) where
    R: DeserializeOwned,
{
    for place in PLACES {
        for &(point, returns) in points {
            let situation = format!("{}, {point}, place {place}", C::NAME);
            let it: C = at_place(place);
            assert!((101..=103).all(|number| it.try_put(number)));
            dies_at!(point, get, (it.clone(),));
            let expected: &[u64] = if returns { &[101, 102, 103] } else { &[102, 103] };
            assert_has_all(&it, expected, 101, &situation);
            assert_eq!(it.redelivered(), u64::from(returns), "{situation}");
            assert_all_slots_are_usable(&it);
        }
    }
}

#[test]
fn a_message_is_delivered_again_after_a_death_at_each_point_of_its_get() {
    let _watchdog = watchdog();
    let points = [("ring.taken", true), ("ring.read", true), ("ring.released", false)];
    a_message_after_a_death_at_each_point_of_its_get(get::<Ring<Lines>>, &points);
    a_message_after_a_death_at_each_point_of_its_get(hold::<Ring<Lines>>, &points);
    let points = [
        ("ring.taken", true),
        ("account.opening", true),
        ("account.opened", true),
        ("queue.got", true),
        ("ring.read", true),
        ("ring.released", false),
    ];
    a_message_after_a_death_at_each_point_of_its_get(get::<Queue<u64>>, &points);
    a_message_after_a_death_at_each_point_of_its_get(get::<Queue<Long>>, &points);
    let points = [("ring.taken", true), ("ring.read", true), ("ring.released", false), ("task.released", false)];
    a_message_after_a_death_at_each_point_of_its_get(hold::<Queue<u64>>, &points);
    a_message_after_a_death_at_each_point_of_its_get(hold::<Queue<Long>>, &points);
}

fn a_message_in_the_hands_of_the_dead<C: Channel>() {
    for place in PLACES {
        let it: C = at_place(place);
        assert!((101..=103).all(|number| it.try_put(number)));
        let die = |it: C| {
            it.hold(|_| {
                // SAFETY: a signal involves no memory.
                unsafe { libc::raise(libc::SIGKILL) };
            })
        };
        is_killed("the kill", Process::spawn(die, (&it,)).unwrap());
        assert_has_all(&it, &[101, 102, 103], 101, C::NAME);
        assert_eq!(it.redelivered(), 1);
        assert_all_slots_are_usable(&it);
    }
}

#[test]
fn a_message_is_delivered_again_after_a_death_while_it_was_worked_on() {
    let _watchdog = watchdog();
    a_message_in_the_hands_of_the_dead::<Ring<Lines>>();
    a_message_in_the_hands_of_the_dead::<Queue<u64>>();
    a_message_in_the_hands_of_the_dead::<Queue<Long>>();
}

fn a_message_after_a_death_while_it_is_given_back<C: Channel>() {
    for place in PLACES {
        let it: C = at_place(place);
        assert!((101..=103).all(|number| it.try_put(number)));
        dies_at!("ring.given_back", give_back::<C>, (&it,));
        assert_has_all(&it, &[101, 102, 103], 101, C::NAME);
        assert_eq!(it.redelivered(), 0, "it was not taken from the dead");
        assert_all_slots_are_usable(&it);
    }
}

#[test]
fn a_message_that_was_given_back_by_the_dead_is_there() {
    let _watchdog = watchdog();
    a_message_after_a_death_while_it_is_given_back::<Ring<Lines>>();
    a_message_after_a_death_while_it_is_given_back::<Queue<u64>>();
    a_message_after_a_death_while_it_is_given_back::<Queue<Long>>();
}

/// Each successor dies of taking what its predecessor has left.
fn one_message_and_many_dead_consumers<C: Channel>() {
    for place in PLACES {
        let it: C = at_place(place);
        assert!(it.try_put(101));
        dies_at!("ring.taken", get::<C>, (&it,));
        dies_at!("ring.retaken", get::<C>, (&it,));
        assert_eq!(it.redelivered(), 0, "killed before it could count");
        dies_at!("ring.read", get::<C>, (&it,));
        assert_eq!(it.redelivered(), 1);
        for deaths in 2..5 {
            dies_at!("ring.taken", get::<C>, (&it,));
            assert_eq!(it.redelivered(), deaths);
        }
        assert_eq!(drain(&it), [101], "{}, place {place}", C::NAME);
        assert_eq!(it.redelivered(), 5);
        assert_all_slots_are_usable(&it);
    }
}

#[test]
fn a_message_outlives_all_who_die_of_it() {
    let _watchdog = watchdog();
    one_message_and_many_dead_consumers::<Ring<Lines>>();
    one_message_and_many_dead_consumers::<Queue<u64>>();
    one_message_and_many_dead_consumers::<Queue<Long>>();
}

/// A producer dies behind a slot that it has passed: nobody puts anything there, and everything arrives.
#[test]
fn a_death_behind_a_passed_slot_costs_a_look() {
    let _watchdog = watchdog();
    for place in PLACES {
        let ring: Ring<Lines> = at_place(place);
        assert!((101..104).all(|number| Channel::try_put(&ring, number)));
        let held = ring.take().unwrap();
        assert_eq!(Channel::try_get(&ring), Some(102));
        dies_at!("ring.passed", put::<Ring<Lines>>, (&ring, 104));
        assert!(Channel::try_put(&ring, 105));
        assert_eq!(drain(&ring), [103, 105], "place {place}");
        assert_eq!(held[0], 101);
        drop(held);
        assert_all_slots_are_usable(&ring);
    }
}

fn a_death_in_the_middle_of_each_repair<C: Channel>() {
    for place in PLACES {
        let situation = format!("{}, place {place}", C::NAME);

        // A consumer frees the slot of a dead producer.
        let it: C = at_place(place);
        dies_at!("ring.claimed", put::<C>, (&it, 101));
        dies_at!("ring.mended", try_get::<C>, (&it,));
        assert!(it.try_put(102));
        assert_eq!(drain(&it), [102], "{situation}");
        assert_all_slots_are_usable(&it);

        // A producer does.
        let it: C = at_place(place);
        dies_at!("ring.written", put::<C>, (&it, 101));
        assert!((102..104).all(|number| it.try_put(number)));
        dies_at!("ring.mended", try_put::<C>, (&it,));
        assert!(it.try_put(104), "{situation}");
        assert_eq!(drain(&it), [102, 103, 104], "{situation}");
        assert_all_slots_are_usable(&it);

        // A producer gives back what a dead consumer has taken.
        let it: C = at_place(place);
        assert!((101..104).all(|number| it.try_put(number)));
        dies_at!("ring.taken", get::<C>, (&it,));
        dies_at!("ring.mended", try_put::<C>, (&it,));
        assert_has_all(&it, &[101, 102, 103], 101, &situation);
        assert_eq!(it.redelivered(), 0, "killed before it could count");
        assert_all_slots_are_usable(&it);

        // A producer claims what it has just mended.
        let it: C = at_place(place);
        dies_at!("ring.claimed", put::<C>, (&it, 101));
        assert!((102..104).all(|number| it.try_put(number)));
        dies_at!("ring.claimed", try_put::<C>, (&it,));
        assert_eq!(drain(&it), [102, 103], "{situation}");
        assert_all_slots_are_usable(&it);
    }
}

#[test]
fn a_repair_that_is_cut_short_is_repaired() {
    let _watchdog = watchdog();
    a_death_in_the_middle_of_each_repair::<Ring<Lines>>();
    a_death_in_the_middle_of_each_repair::<Queue<u64>>();
    a_death_in_the_middle_of_each_repair::<Queue<Long>>();
}

fn a_ring_full_of_dead_producers<C: Channel>() {
    for place in PLACES {
        let it: C = at_place(place);
        for point in ["ring.claimed", "ring.written", "ring.claimed", "ring.written", "ring.claimed"] {
            dies_at!(point, put::<C>, (&it, 1));
        }
        assert_all_slots_are_usable(&it);
    }
}

#[test]
fn more_dead_producers_than_slots_leave_all_slots_usable() {
    let _watchdog = watchdog();
    a_ring_full_of_dead_producers::<Ring<Lines>>();
    a_ring_full_of_dead_producers::<Queue<u64>>();
    a_ring_full_of_dead_producers::<Queue<Long>>();
}

fn every_message_of_a_full_ring_taken_by_the_dead<C: Channel>() {
    for place in PLACES {
        let it: C = at_place(place);
        assert!((101..104).all(|number| it.try_put(number)));
        for _ in 101..104 {
            dies_at!("ring.taken", hold::<C>, (&it,));
        }
        assert!(!it.try_put(104), "nothing is finished");
        assert_has_all(&it, &[101, 102, 103], 0, C::NAME);
        assert_eq!(it.redelivered(), 3);
        assert_all_slots_are_usable(&it);
    }
}

#[test]
fn a_ring_full_of_dead_consumers_is_emptied_by_the_living() {
    let _watchdog = watchdog();
    every_message_of_a_full_ring_taken_by_the_dead::<Ring<Lines>>();
    every_message_of_a_full_ring_taken_by_the_dead::<Queue<u64>>();
    every_message_of_a_full_ring_taken_by_the_dead::<Queue<Long>>();
}

/// A consumer sleeps; the one who was to wake it dies before it does.
fn a_sleeping_consumer_after_a_death_at_each_point_of_a_put<C: Channel>() {
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

#[test]
fn a_sleeping_consumer_learns_what_a_dead_producer_did() {
    let _watchdog = watchdog();
    a_sleeping_consumer_after_a_death_at_each_point_of_a_put::<Ring<Lines>>();
    a_sleeping_consumer_after_a_death_at_each_point_of_a_put::<Queue<u64>>();
    a_sleeping_consumer_after_a_death_at_each_point_of_a_put::<Queue<Long>>();
}

/// A producer sleeps before a full ring; the one who made room dies before it says so.
fn a_sleeping_producer_after_a_death_at_each_point_of_a_get<C: Channel>() {
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

#[test]
fn a_sleeping_producer_learns_what_a_dead_consumer_did() {
    let _watchdog = watchdog();
    a_sleeping_producer_after_a_death_at_each_point_of_a_get::<Ring<Lines>>();
    a_sleeping_producer_after_a_death_at_each_point_of_a_get::<Queue<u64>>();
    a_sleeping_producer_after_a_death_at_each_point_of_a_get::<Queue<Long>>();
}

/// Dead waiters: one that has just announced itself, one that slept; and the first who finds nobody to wake.
fn dead_waiters<C: Channel>() {
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

#[test]
fn dead_waiters_swallow_no_wake_up() {
    let _watchdog = watchdog();
    dead_waiters::<Ring<Lines>>();
    dead_waiters::<Queue<u64>>();
    dead_waiters::<Queue<Long>>();
}

fn a_death_at_each_point_of_a_close<C: Channel>() {
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

#[test]
fn sleepers_learn_that_a_dead_process_has_closed() {
    let _watchdog = watchdog();
    a_death_at_each_point_of_a_close::<Ring<Lines>>();
    a_death_at_each_point_of_a_close::<Queue<u64>>();
    a_death_at_each_point_of_a_close::<Queue<Long>>();
}

/// What the dead were about when it was closed, and after.
fn the_end_with_dead_users<C: Channel>() {
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

#[test]
fn the_end_comes_after_what_the_dead_have_left() {
    let _watchdog = watchdog();
    the_end_with_dead_users::<Ring<Lines>>();
    the_end_with_dead_users::<Queue<u64>>();
    the_end_with_dead_users::<Queue<Long>>();
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

/// The names in `crash_point!`s of a file.
fn points_in(text: &str) -> impl Iterator<Item = &str> {
    text.split("crash_point!(\"").skip(1).filter_map(|rest| rest.split('"').next())
}

#[test]
fn somebody_dies_at_every_point() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |test: &str| fs::read_to_string(package.join(test)).unwrap();
    let code = ["tests/crash.rs", "tests/crash_queue.rs", "tests/crash_pipe.rs"].map(read).concat();
    let mut found = 0;
    for folder in ["src/ring", "src/queue", "src/pipe"] {
        for file in rust_files(&package.join(folder)) {
            for point in points_in(&fs::read_to_string(&file).unwrap()) {
                let is_used = code.contains(&format!("\"{point}\""));
                assert!(is_used, "{}: nobody dies at {point}", file.display());
                found += 1;
            }
        }
    }
    assert!(found > 30, "only {found} points: the reader of this test is broken");
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
