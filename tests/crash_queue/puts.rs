//! A death in the middle of a put.

use crossproc::{Queue, Ring};

use crate::common::channel::{Channel, Lines, Long, assert_all_slots_are_usable, drain};
use crate::common::processes::dies_at;
use crate::common::watchdog;
use crate::{CAPACITY, PLACES, at_place, for_each_channel, put};

for_each_channel! {
    a_producer_takes_the_slot_of_a_dead_one
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
fn a_producer_takes_the_slot_of_a_dead_one<C: Channel>() {
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
