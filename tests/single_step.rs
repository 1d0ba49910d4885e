//! SIGKILL after any instruction: a child is stepped through an operation and killed on the way, and whoever survives
//! it finds all or nothing of the operation, and every lock free to take.
//!
//! Unlike the crash points, this needs no special build and names no places: it is the compiled code that is cut short.

#![cfg(target_arch = "x86_64")]

mod common;

use std::mem;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use common::channel::{Channel, Lines, Message, assert_all_slots_are_usable, drain};
use common::locking::Told::{Nothing, OwnerDied};
use common::locking::told;
use common::stepped::{Stepped, image};
use common::watchdog;
use crossproc::{
    Arena, Array, Barrier, BarrierError, BrokenBy, Event, Lock, Queue, Ring, Semaphore, ShareableList, SharedMemory,
    Value,
};

/// What `look` sees of an object whose peer was killed within `operation`: before it, after each of its instructions
/// that had an effect, and after it. Equal sights in a row are one.
///
/// An effect is a change of the object's file, or a system call. Between two of them no survivor can tell where the
/// peer died, so this stands for a death after any instruction.
fn after_each_effect<S: Memory, R: PartialEq>(
    make: impl Fn() -> S,
    prepare: impl Fn(&S),
    operation: impl Fn(&S),
    look: impl Fn(S) -> R,
) -> Vec<R> {
    let mut sights = Vec::new();
    for effects in 0.. {
        let subject = make();
        let stepped = Stepped::start(|| prepare(&subject), || operation(&subject));
        let is_over = !stepped.has_effects(effects, &image(subject.memory()));
        stepped.kill();
        sights.push(look(subject));
        if is_over {
            break;
        }
    }
    assert!(sights.len() > 3, "an operation has effects: {} sights", sights.len());
    sights.dedup();
    sights
}

/// What has a file in which an operation's effects are seen.
trait Memory {
    fn memory(&self) -> BorrowedFd<'_>;
}

impl Memory for OwnedFd {
    fn memory(&self) -> BorrowedFd<'_> {
        self.as_fd()
    }
}

macro_rules! impl_memory {
    ($($handle:ty),*) => {
        $(impl Memory for $handle {
            fn memory(&self) -> BorrowedFd<'_> {
                self.memory_fd()
            }
        })*
    };
}

impl_memory!(Arena, Array<[u64; 3]>, Barrier, Event, Lock, Semaphore, ShareableList, SharedMemory, Value<[u64; 3]>);

const OLD: [u64; 3] = [1; 3];
const NEW: [u64; 3] = [2; 3];

#[test]
fn a_lock_whose_owner_was_killed_is_taken_and_the_death_told() {
    let _watchdog = watchdog();
    let sights = after_each_effect(
        || Lock::new().unwrap(),
        |lock| drop(lock.lock()),
        |lock| drop(lock.lock()),
        |lock| told(lock.try_lock()),
    );
    assert_eq!(sights, [Nothing, OwnerDied, Nothing]);
}

#[test]
fn a_lock_taken_over_from_one_dead_owner_by_another_stays_marked() {
    let _watchdog = watchdog();
    let abandoned = || {
        let lock = Lock::new().unwrap();
        Stepped::start(|| mem::forget(lock.lock()), || ()).kill();
        lock
    };
    let sights = after_each_effect(abandoned, |_| (), |lock| drop(lock.lock()), |lock| told(lock.try_lock()));
    assert_eq!(sights, [OwnerDied]);
}

#[test]
fn permits_of_who_was_killed_are_back_forgotten_or_released() {
    let _watchdog = watchdog();
    let use_one = |semaphore: &Semaphore| drop(semaphore.acquire());
    let values_after = |operation: fn(&Semaphore)| {
        let of_two = || Semaphore::builder().permits(2).max(4).build().unwrap();
        after_each_effect(of_two, use_one, operation, |semaphore| semaphore.value())
    };
    assert_eq!(values_after(use_one), [2]);
    assert_eq!(values_after(|semaphore| semaphore.acquire().unwrap().forget()), [2, 1]);
    assert_eq!(values_after(|semaphore| semaphore.release(1).unwrap()), [2, 3]);
    assert_eq!(values_after(|semaphore| semaphore.release(2).unwrap()), [2, 3, 4]);
    let refused = values_after(|semaphore| assert!(semaphore.release(3).is_err()));
    assert_eq!(refused, [2, 3, 4, 3, 2]);
}

#[test]
fn a_value_whose_setter_was_killed_is_old_or_new_and_nobody_is_told() {
    let _watchdog = watchdog();
    let sights = after_each_effect(
        || Value::new(OLD).unwrap(),
        |value| value.set(OLD),
        |value| value.set(NEW),
        |value| (value.get(), told(value.try_lock()), value.get()),
    );
    assert_eq!(sights, [(OLD, Nothing, OLD), (NEW, Nothing, NEW)]);
}

#[test]
fn a_value_whose_guard_was_killed_is_old_or_new_and_the_death_told() {
    let _watchdog = watchdog();
    let sights = after_each_effect(
        || Value::new(OLD).unwrap(),
        |value| value.set(OLD),
        |value| *value.lock().unwrap() = NEW,
        |value| (value.get(), told(value.try_lock())),
    );
    assert_eq!(sights, [(OLD, Nothing), (OLD, OwnerDied), (NEW, OwnerDied), (NEW, Nothing)]);
}

#[test]
fn an_item_whose_setter_was_killed_is_old_or_new_and_its_neighbours_stay() {
    let _watchdog = watchdog();
    let items = |item: &str| crossproc::Result::Ok(vec![1.into(), item.into(), 2.into()]);
    let sights = after_each_effect(
        || ShareableList::new(items("old, and longer").unwrap()).unwrap(),
        |list| list.set(1, "older").unwrap(),
        |list| list.set(1, "new").unwrap(),
        |list| (list.to_vec(), list.try_set(0, 3), list.to_vec().map(|items| items.len())),
    );
    assert_eq!(sights, [(items("older"), Ok(()), Ok(3)), (items("new"), Ok(()), Ok(3))]);
}

#[test]
fn bytes_whose_writer_was_killed_are_told_of() {
    let _watchdog = watchdog();
    let [old, new] = [[1; 8], [2; 8]];
    let sights = after_each_effect(
        || SharedMemory::create(8).unwrap(),
        |memory| memory.write_at(0, &old).unwrap(),
        |memory| memory.write_at(0, &new).unwrap(),
        |memory| (memory.to_vec(), told(memory.try_lock())),
    );
    let expected = [(old, Nothing), (old, OwnerDied), (new, OwnerDied), (new, Nothing)];
    assert_eq!(sights, expected.map(|(bytes, told)| (bytes.to_vec(), told)));
}

#[test]
fn an_element_whose_setter_was_killed_is_old_or_new_and_nobody_is_told() {
    let _watchdog = watchdog();
    let sights = after_each_effect(
        || Array::from_iter([OLD; 3]).unwrap(),
        |array| array.set(0, OLD).unwrap(),
        |array| array.set(1, NEW).unwrap(),
        |array| (told(array.try_lock()), array.to_vec()),
    );
    assert_eq!(sights, [(Nothing, vec![OLD; 3]), (Nothing, vec![OLD, NEW, OLD])]);
}

/// Whoever puts the old value back may be killed at it, too.
#[test]
fn a_half_set_element_is_put_back_by_the_last_survivor() {
    let _watchdog = watchdog();
    const MARK: u64 = 0x5a5a_5a5a_5a5a_5a5a;
    let half_set = || {
        let array = Array::from_iter([OLD; 2]).unwrap();
        let image = image(array.memory_fd());
        let has_begun = || image().chunks(8).any(|word| word == MARK.to_ne_bytes());
        let setter = Stepped::start(|| array.set(1, OLD).unwrap(), || array.set(1, [MARK; 3]).unwrap());
        while !has_begun() {
            assert!(setter.step(), "a set element is in the file");
        }
        setter.kill();
        array
    };
    let sights = after_each_effect(
        half_set,
        |_| (),
        |array| assert_eq!(array.get(1), Ok(OLD)),
        |array| (told(array.try_lock()), array.to_vec()),
    );
    assert_eq!(sights, [(Nothing, vec![OLD; 2])]);
}

#[test]
fn an_event_whose_setter_was_killed_is_set_or_not() {
    let _watchdog = watchdog();
    let sights = after_each_effect(
        || Event::new().unwrap(),
        |event| event.clear(),
        |event| event.set(),
        |event| (event.is_set(), event.wait_timeout(Duration::ZERO)),
    );
    assert_eq!(sights, [(false, false), (true, true)]);
}

/// It has not come, or was killed in its action, or has passed.
#[test]
fn a_barrier_whose_last_party_was_killed_is_whole_or_broken_by_the_death() {
    let _watchdog = watchdog();
    let sights = after_each_effect(
        || Barrier::new(1).unwrap(),
        |barrier| drop(barrier.wait()),
        |barrier| drop(barrier.wait_with(|| ())),
        |barrier| barrier.wait_timeout(Duration::ZERO).map(|turn| turn.index()),
    );
    assert_eq!(sights, [Ok(0), Err(BarrierError::Broken(BrokenBy::Death)), Ok(0)]);
}

/// The survivors attach, too: a forked child would know its parent's attachment.
#[test]
fn a_peer_killed_while_it_attaches_or_detaches_costs_nobody_a_place() {
    let _watchdog = watchdog();
    let file = Value::new(7_u64).unwrap().memory_fd().try_clone_to_owned().unwrap();
    let attach = |file: &OwnedFd| Value::<u64>::from_fd(file.try_clone().unwrap()).unwrap();
    let come_and_go = || {
        let sights = after_each_effect(
            || file.try_clone().unwrap(),
            |_| (),
            |file| drop(attach(file)),
            |file| attach(&file).try_update(|n| n),
        );
        assert_eq!(sights, [Ok(7)]);
    };
    come_and_go();
    // From now on every place was somebody's who died.
    for _ in 0..256 {
        Stepped::start(|| mem::forget(attach(&file)), || ()).kill();
    }
    come_and_go();
}

#[test]
fn an_object_whose_maker_was_killed_costs_an_arena_only_its_room() {
    let _watchdog = watchdog();
    let arena = Arena::new(1 << 16).unwrap();
    let sights = after_each_effect(
        || arena.clone(),
        |_| (),
        |arena| drop(Value::new_in(arena, OLD)),
        |arena| Value::new_in(&arena, NEW).unwrap().get(),
    );
    assert_eq!(sights, [NEW]);
}

/// Just longer than a slot, and encoded in one piece: fewer steps.
#[derive(Clone, serde::Serialize, serde::Deserialize)]
struct Text(String);

impl Message for Text {
    const NAME: &str = "a queue of texts";

    fn of(number: u64) -> Self {
        Text(format!("{number:0120}"))
    }

    fn number(self) -> u64 {
        assert_eq!(self.0.len(), 120);
        self.0.parse().unwrap()
    }
}

/// A ring or a queue.
struct InMemory<C>(C);

impl<C: Channel> Memory for InMemory<C> {
    fn memory(&self) -> BorrowedFd<'_> {
        self.0.memory_fd()
    }
}

/// Some laps old, with room for three; the first message of a process takes more steps than the others.
fn used<C: Channel>() -> InMemory<C> {
    let it = C::of(3);
    for number in 0..4 {
        assert!(it.try_put(number));
        assert_eq!(it.try_get(), Some(number));
    }
    InMemory(it)
}

/// What a survivor gets, without regard to its order, and how much of it was taken from the dead.
fn survive<C: Channel>(InMemory(it): InMemory<C>) -> (Vec<u64>, u64) {
    assert!(it.try_put(9), "there is room for one more");
    let mut found = drain(&it);
    found.sort_unstable();
    let redelivered = it.redelivered();
    assert_all_slots_are_usable(&it);
    (found, redelivered)
}

fn put_is_atomic<C: Channel>(put: impl Fn(&C)) {
    let prepare = |it: &InMemory<C>| assert!(it.0.try_put(1));
    let sights = after_each_effect(used::<C>, prepare, |it| put(&it.0), survive);
    assert_eq!(sights, [(vec![1, 9], 0), (vec![1, 2, 9], 0)], "{}", C::NAME);
}

fn get_is_atomic<C: Channel>(get: impl Fn(&C)) {
    let prepare = |InMemory(it): &InMemory<C>| {
        assert!((0..3).all(|number| it.try_put(number)));
        assert_eq!(it.try_get(), Some(0));
    };
    let sights = after_each_effect(used::<C>, prepare, |it| get(&it.0), survive);
    let (there, gone) = (vec![1, 2, 9], vec![2, 9]);
    assert_eq!(sights, [(there.clone(), 0), (there, 1), (gone, 0)], "{}", C::NAME);
}

#[test]
fn a_message_whose_producer_was_killed_arrives_whole_or_not_at_all() {
    let _watchdog = watchdog();
    put_is_atomic::<Ring<Lines>>(|ring| assert!(Channel::put(ring, 2)));
    put_is_atomic::<Queue<u64>>(|queue| assert!(Channel::put(queue, 2)));
}

#[test]
fn a_message_in_place_whose_producer_was_killed_arrives_whole_or_not_at_all() {
    let _watchdog = watchdog();
    put_is_atomic::<Ring<Lines>>(|ring| {
        let mut slot = ring.reserve().unwrap();
        slot.fill(2);
        slot.commit();
    });
}

#[test]
fn a_long_message_whose_producer_was_killed_arrives_whole_or_not_at_all() {
    let _watchdog = watchdog();
    put_is_atomic::<Queue<Text>>(|queue| assert!(Channel::put(queue, 2)));
}

#[test]
fn a_message_whose_consumer_was_killed_is_got_or_delivered_again() {
    let _watchdog = watchdog();
    get_is_atomic::<Ring<Lines>>(|ring| assert_eq!(Channel::get(ring), Some(1)));
    get_is_atomic::<Queue<u64>>(|queue| assert_eq!(Channel::get(queue), Some(1)));
}

#[test]
fn a_message_in_place_whose_consumer_was_killed_is_got_or_delivered_again() {
    let _watchdog = watchdog();
    get_is_atomic::<Ring<Lines>>(|ring| assert!(ring.hold(|number| assert_eq!(number, 1))));
    get_is_atomic::<Queue<u64>>(|queue| assert!(queue.hold(|number| assert_eq!(number, 1))));
}

#[test]
fn a_long_message_whose_consumer_was_killed_is_got_or_delivered_again() {
    let _watchdog = watchdog();
    get_is_atomic::<Queue<Text>>(|queue| assert_eq!(Channel::get(queue), Some(1)));
}
