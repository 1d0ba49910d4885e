//! A death in the middle of a repair, and rings full of what the dead have left.

use crate::common::channel::{Channel, assert_all_slots_are_usable, drain};
use crate::common::processes::dies_at;
use crate::{PLACES, assert_has_all, at_place, for_each_channel, get, hold, put, try_get, try_put};

for_each_channel! {
    a_repair_that_is_cut_short_is_repaired
    more_dead_producers_than_slots_leave_all_slots_usable
    a_ring_full_of_dead_consumers_is_emptied_by_the_living
}

fn a_repair_that_is_cut_short_is_repaired<C: Channel>() {
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

fn more_dead_producers_than_slots_leave_all_slots_usable<C: Channel>() {
    for place in PLACES {
        let it: C = at_place(place);
        for point in ["ring.claimed", "ring.written", "ring.claimed", "ring.written", "ring.claimed"] {
            dies_at!(point, put::<C>, (&it, 1));
        }
        assert_all_slots_are_usable(&it);
    }
}

fn a_ring_full_of_dead_consumers_is_emptied_by_the_living<C: Channel>() {
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
