//! Messages stay in the order of their producer, for every consumer, whatever others have given up.

mod common;

use std::time::Duration;

use common::channel::{Channel, Lines, assert_all_slots_are_usable, drain};
use common::watchdog;
use crossproc::{Process, Queue, Ring, TryGetError};

crossproc::test_support!();

/// Three slots: the first is two laps ahead of the second, since what was put there first has been got, and a second
/// message for it was never written.
fn given_up<C: Channel>(give_up: impl Fn(&C)) -> (C, C) {
    let it = C::of(3);
    let late = it.clone();
    assert!((0..3).all(|number| it.try_put(number)));
    assert_eq!(it.try_get(), Some(0));
    give_up(&it);
    (it, late)
}

/// `late`: a consumer that has got nothing yet, and finds that slot first.
fn a_late_consumer_finds_all_in_order<C: Channel>(give_up: impl Fn(&C)) {
    let (it, late) = given_up(&give_up);
    assert_eq!(late.len(), 2, "{}", C::NAME);
    assert_eq!(late.try_get(), Some(1));
    assert_eq!(late.len(), 1);
    assert!(it.try_put(3));
    assert_eq!((late.len(), drain(&late)), (2, vec![2, 3]), "{}", C::NAME);

    let (it, late) = given_up(&give_up);
    it.close();
    assert_eq!((late.get(), late.get(), late.get()), (Some(1), Some(2), None), "{}", C::NAME);
}

#[test]
fn a_slot_that_was_given_up_keeps_messages_in_order() {
    let _watchdog = watchdog();
    a_late_consumer_finds_all_in_order::<Ring<Lines>>(|ring| drop(ring.reserve()));
}

/// A message is being read; those behind it are done, and so is the dead producer's slot behind those.
#[test]
fn a_slot_of_a_dead_producer_hides_no_message_before_it() {
    let _watchdog = watchdog();
    let ring = Ring::<Lines>::of(3);
    let late = ring.clone();
    assert!((0..3).all(|number| Channel::try_put(&ring, number)));
    assert_eq!(Channel::try_get(&ring), Some(0));
    let reading = ring.take().unwrap();
    let die_in_a_slot = |ring: Ring<Lines>| std::mem::forget(ring.reserve());
    Process::spawn(die_in_a_slot, (&ring,)).unwrap().join().unwrap();
    assert_eq!(drain(&ring), [2], "and frees the slot of the dead");
    reading.give_back();
    assert_eq!((late.len(), drain(&late)), (1, vec![1]));
    assert_all_slots_are_usable(&late);
}

/// One look is enough to see the end, also for a handle that has missed what others got.
#[test]
fn a_drained_ring_is_closed_for_every_handle_at_once() {
    let _watchdog = watchdog();
    let ring = Ring::new(4).unwrap();
    let (late, later) = (ring.clone(), ring.clone());
    ring.put_many(&[1, 2, 3, 4]).unwrap();
    late.take().unwrap().give_back();
    assert_eq!(ring.get_many(4), Ok(vec![1, 2, 3, 4]));
    ring.close();
    for handle in [late, later, ring] {
        assert_eq!(handle.try_get(), Err(TryGetError::Closed));
    }
}

/// A join looks at everything that is there, through a handle that has got nothing.
#[test]
fn a_join_sees_messages_that_only_others_have_come_to() {
    let _watchdog = watchdog();
    let queue = Queue::new(3).unwrap();
    let late = queue.clone();
    (0..3).for_each(|number| queue.put(number).unwrap());
    assert_eq!(queue.get(), Ok(0));
    queue.task_done().unwrap();
    assert!(!late.join_timeout(Duration::ZERO), "two messages are there");
    drop(queue.get_task().unwrap());
    assert!(!late.join_timeout(Duration::ZERO), "one message is there");
    drop(queue.get_task().unwrap());
    assert!(late.join_timeout(Duration::ZERO));
}
