//! A death in the middle of a repair, and rings full of what the dead have left.

use crossproc::{Queue, Ring};

use crate::common::channel::{Channel, Lines, Long, assert_all_slots_are_usable, drain};
use crate::common::watchdog;
use crate::{PLACES, assert_has_all, at_place, dies_at, get, hold, put, try_get, try_put};

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
