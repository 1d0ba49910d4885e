//! A death in the middle of a get, or with a message in hand.

use crossproc::{Process, Queue, Ring};
use serde::de::DeserializeOwned;

use crate::common::channel::{Channel, Lines, Long, assert_all_slots_are_usable, drain};
use crate::common::processes::{dies_at, is_killed};
use crate::common::watchdog;
use crate::{PLACES, assert_has_all, at_place, for_each_channel, get, give_back, hold};

for_each_channel! {
    a_message_is_delivered_again_after_a_death_while_it_was_worked_on
    a_message_that_was_given_back_by_the_dead_is_there
    a_message_outlives_all_who_die_of_it
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

fn a_message_is_delivered_again_after_a_death_while_it_was_worked_on<C: Channel>() {
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

fn a_message_that_was_given_back_by_the_dead_is_there<C: Channel>() {
    for place in PLACES {
        let it: C = at_place(place);
        assert!((101..=103).all(|number| it.try_put(number)));
        dies_at!("ring.given_back", give_back::<C>, (&it,));
        assert_has_all(&it, &[101, 102, 103], 101, C::NAME);
        assert_eq!(it.redelivered(), 0, "it was not taken from the dead");
        assert_all_slots_are_usable(&it);
    }
}

/// Each successor dies of taking what its predecessor has left.
fn a_message_outlives_all_who_die_of_it<C: Channel>() {
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
