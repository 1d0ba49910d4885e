//! `Ring`: within a process, across processes, after a death.

mod common;

use std::time::{Duration, Instant};

use common::locking::wait_for_state;
use common::processes::{Midway, forked};
use common::queueing::queueing_tests;
use common::watchdog;
use crossproc::{
    Arena, AttachError, Error, GetError, Kind, Process, PutError, Queue, Ring, Shared, TryGetError, TryPutError,
};
use zerocopy::{FromBytes, Immutable, IntoBytes};

crossproc::test_support!();

type Handle = Ring<u64>;
type Message = u64;

fn handle(capacity: usize) -> Handle {
    Ring::new(capacity).unwrap()
}

fn message(number: u64) -> Message {
    number
}

fn number(message: &Message) -> u64 {
    *message
}

fn put_midway(ring: Handle, message: u64, midway: Midway) {
    let mut slot = ring.reserve().unwrap();
    slot.write(message);
    midway.act();
    slot.commit();
}

fn give_up(ring: &Handle) {
    drop(ring.try_reserve().unwrap());
}

queueing_tests!(take, try_take, take_timeout);

const MOMENT: Duration = Duration::from_millis(20);

#[test]
fn what_is_reserved_is_put_by_commit_alone() {
    let ring = Ring::<u64>::new(2).unwrap();
    let mut slot = ring.reserve().unwrap();
    assert_eq!((ring.len(), ring.is_empty(), ring.is_full()), (0, true, false));
    *slot = 7;
    slot.write(8);
    *slot += 1;
    assert_eq!(ring.try_get(), Err(TryGetError::Empty));
    slot.commit();
    assert_eq!((ring.len(), ring.get()), (1, Ok(9)));
    drop(ring.reserve().unwrap());
    assert_eq!((ring.len(), ring.try_get()), (0, Err(TryGetError::Empty)));
    for _ in 0..10 {
        drop((ring.try_reserve().unwrap(), ring.try_reserve().unwrap()));
    }
    assert_eq!(ring.try_put_many(&[1, 2, 3]), Ok(2));
}

#[test]
fn what_is_reserved_counts_against_the_capacity() {
    let _watchdog = watchdog();
    for capacity in [1, 2, 6, 7] {
        let ring = Ring::<u32>::new(capacity).unwrap();
        let slots: Vec<_> = (0..capacity).map(|_| ring.try_reserve().unwrap()).collect();
        assert!(ring.is_full() && ring.is_empty());
        assert_eq!(ring.try_reserve().map(drop), Err(TryPutError::Full(())));
        let start = Instant::now();
        assert_eq!(ring.reserve_timeout(MOMENT).map(drop), Err(TryPutError::Full(())));
        assert!(start.elapsed() >= MOMENT);
        assert_eq!(ring.try_put(1), Err(TryPutError::Full(1)));
        drop(slots);
        assert_eq!(ring.try_put_many(&vec![5; capacity + 1]), Ok(capacity));
    }
}

#[test]
fn a_reserved_place_in_the_line_is_waited_for() {
    let _watchdog = watchdog();
    let ring = Ring::new(4).unwrap();
    let mut first = ring.reserve().unwrap();
    let second = ring.reserve().unwrap();
    ring.put(3).unwrap();
    assert_eq!(ring.try_get(), Err(TryGetError::Empty));
    drop(second);
    assert_eq!(ring.get_timeout(MOMENT), Err(TryGetError::Empty));
    first.write(1);
    first.commit();
    assert_eq!([ring.get(), ring.get()], [Ok(1), Ok(3)]);
    assert_eq!(ring.try_get(), Err(TryGetError::Empty));
}

#[test]
fn a_dropped_reservation_lets_sleepers_go_on() {
    let _watchdog = watchdog();
    let ring = Ring::new(2).unwrap();
    let slot = ring.reserve().unwrap();
    ring.put(2_u64).unwrap();
    let consumer = Process::spawn(|ring: Ring<u64>| ring.get().ok(), (&ring,)).unwrap();
    wait_for_state(consumer.pid(), 'S');
    drop(slot);
    assert_eq!(consumer.join().unwrap(), Some(2));
    let slots = [ring.reserve().unwrap(), ring.reserve().unwrap()];
    let producer = Process::spawn(|ring: Ring<u64>| ring.put(9).is_ok(), (&ring,)).unwrap();
    wait_for_state(producer.pid(), 'S');
    drop(slots);
    assert!(producer.join().unwrap());
    assert_eq!(ring.get(), Ok(9));
}

/// Whoever had claimed its slot before the close may still put; nobody is told of the end before that.
#[test]
fn what_is_reserved_before_a_close_may_be_put_after_it() {
    let _watchdog = watchdog();
    let ring = Ring::<u8>::new(2).unwrap();
    let mut slot = ring.reserve().unwrap();
    let given_up = ring.reserve().unwrap();
    ring.close();
    assert_eq!(ring.reserve().map(drop), Err(PutError::Closed(())));
    assert_eq!(ring.try_reserve().map(drop), Err(TryPutError::Closed(())));
    assert_eq!(ring.reserve_timeout(MOMENT).map(drop), Err(TryPutError::Closed(())));
    assert_eq!(ring.get_timeout(MOMENT), Err(TryGetError::Empty));
    slot.write(7);
    slot.commit();
    drop(given_up);
    assert_eq!([ring.get(), ring.get()], [Ok(7), Err(GetError::Closed)]);
}

#[test]
fn a_given_back_message_is_got_again() {
    let _watchdog = watchdog();
    let ring = Ring::new(3).unwrap();
    ring.put_many(&[1, 2, 3]).unwrap();
    let other = ring.clone();
    let (first, second) = (ring.take().unwrap(), other.take().unwrap());
    assert_eq!((*first, *second, ring.len()), (1, 2, 1));
    assert!(ring.is_full());
    second.give_back();
    first.give_back();
    assert_eq!(ring.len(), 3);
    let mut got = [ring.get().unwrap(), other.get().unwrap(), ring.get().unwrap()];
    got.sort_unstable();
    assert_eq!((got, ring.try_get(), ring.redelivered()), ([1, 2, 3], Err(TryGetError::Empty), 0));
    assert_eq!(ring.try_put_many(&[0; 9]), Ok(3));
}

#[test]
fn a_given_back_message_wakes_who_sleeps() {
    let _watchdog = watchdog();
    let ring = Ring::new(2).unwrap();
    ring.put(5_u64).unwrap();
    let taken = ring.take().unwrap();
    let consumer = Process::spawn(|ring: Ring<u64>| ring.get().ok(), (&ring,)).unwrap();
    wait_for_state(consumer.pid(), 'S');
    taken.give_back();
    assert_eq!(consumer.join().unwrap(), Some(5));
}

#[test]
fn batches_are_put_and_got_in_order() {
    let _watchdog = watchdog();
    for capacity in [1, 2, 6, 7] {
        let ring = Ring::new(capacity).unwrap();
        assert_eq!(ring.get_many(0), Ok(vec![]));
        ring.put_many(&[]).unwrap();
        assert_eq!(ring.try_put_many(&[]), Ok(0));
        let numbers: Vec<u32> = (0..1_000).collect();
        let put = |ring: Ring<u32>, numbers: Vec<u32>| ring.put_many(&numbers).is_ok();
        let producer = Process::spawn(put, (&ring, &numbers)).unwrap();
        let mut got = vec![];
        while got.len() < numbers.len() {
            let batch = ring.get_many(5).unwrap();
            assert!((1..=5).contains(&batch.len()));
            got.extend(batch);
        }
        assert!(producer.join().unwrap());
        assert_eq!(got, numbers);
        assert_eq!(ring.try_put_many(&numbers), Ok(capacity));
        assert_eq!(ring.try_put_many(&numbers), Ok(0));
        assert_eq!(ring.get_many(usize::MAX).unwrap(), numbers[..capacity]);
    }
}

#[test]
fn a_batch_that_a_close_interrupts_says_how_far_it_came() {
    let _watchdog = watchdog();
    let ring = Ring::new(3).unwrap();
    let put = |ring: Ring<u8>| match ring.put_many(&[1; 10]) {
        Err(PutError::Closed(put)) => put,
        other => panic!("{other:?}"),
    };
    let producer = Process::spawn(put, (&ring,)).unwrap();
    assert_eq!(ring.get(), Ok(1));
    while !ring.is_full() {
        std::thread::yield_now();
    }
    ring.close();
    assert_eq!(producer.join().unwrap(), 4);
    assert_eq!(ring.put_many(&[2]), Err(PutError::Closed(0)));
    assert_eq!(ring.try_put_many(&[2]), Err(TryPutError::Closed(())));
    assert_eq!(ring.get_many(9), Ok(vec![1; 3]));
    assert_eq!(ring.get_many(9), Err(GetError::Closed));
}

/// An element of this size and alignment, whose bytes all depend on a number.
#[derive(Clone, Copy, PartialEq, FromBytes, IntoBytes, Immutable)]
#[repr(C, align(128))]
struct Wide([u8; 128]);

impl Shared for Wide {}

#[derive(Clone, Copy, PartialEq, FromBytes, IntoBytes, Immutable)]
#[repr(C, align(64))]
struct Line([u64; 24]);

impl Shared for Line {}

/// Sends messages through a small ring by both ways, several times round, and to another process and back.
fn check_element<T: Shared + PartialEq>() {
    let make = |number: usize| {
        let bytes: Vec<u8> = (0..size_of::<T>()).map(|i| (i * 31 + i / 256 * 7 + number * 101 + 1) as u8).collect();
        T::read_from_bytes(&bytes).unwrap()
    };
    fn answer<T: Shared>(ring: Ring<T>, back: Ring<T>) {
        while let Ok(message) = ring.take() {
            back.put(*message).unwrap();
        }
    }
    let (ring, back) = (Ring::<T>::new(3).unwrap(), Ring::<T>::new(1).unwrap());
    let name = std::any::type_name::<T>();
    for number in 0..10 {
        ring.put(make(number)).unwrap();
        let mut slot = ring.reserve().unwrap();
        assert!((&raw const *slot).is_aligned() && (&raw const *slot).addr().is_multiple_of(align_of::<T>()));
        *slot = make(number + 1);
        slot.commit();
        assert!(ring.get().unwrap() == make(number), "{name}");
        let taken = ring.take().unwrap();
        assert!(*taken == make(number + 1) && (&raw const *taken).is_aligned(), "{name}");
    }
    let process = Process::spawn(answer::<T>, (&ring, &back)).unwrap();
    for number in 0..10 {
        ring.put(make(number)).unwrap();
        assert!(back.get().unwrap() == make(number), "{name} from another process");
    }
    ring.close();
    process.join().unwrap();
}

#[test]
fn elements_of_any_size_and_alignment_travel_whole() {
    let _watchdog = watchdog();
    check_element::<u8>();
    check_element::<[u8; 3]>();
    check_element::<u16>();
    check_element::<i32>();
    check_element::<u64>();
    check_element::<u128>();
    check_element::<[u128; 3]>();
    check_element::<[u8; 55]>();
    check_element::<[u8; 56]>();
    check_element::<[u8; 57]>();
    check_element::<[u8; 127]>();
    check_element::<[u64; 100]>();
    check_element::<Line>();
    check_element::<Wide>();
    check_element::<[Wide; 3]>();
    check_element::<[u8; 4096]>();
    check_element::<[u8; 65_535]>();
    check_element::<[u64; 8192]>();
    check_element::<[u8; 0]>();
}

#[test]
fn an_arena_holds_several() {
    let _watchdog = watchdog();
    let arena = Arena::new(1 << 16).unwrap();
    let (small, wide) = (Ring::<u8>::new_in(&arena, 3).unwrap(), Ring::<Wide>::new_in(&arena, 2).unwrap());
    let other = Ring::<u128>::new_in(&arena, 7).unwrap();
    assert!(small.try_put_many(&[1; 9]) == Ok(3) && wide.try_put_many(&[Wide([9; 128]); 3]) == Ok(2));
    let sum = |small: Ring<u8>, wide: Ring<Wide>, other: Ring<u128>| {
        other.put(1 << 100).unwrap();
        (small.get_many(9).unwrap(), wide.get_many(9).unwrap().iter().all(|wide| wide.0 == [9; 128]))
    };
    let process = Process::spawn(sum, (&small, &wide, &other)).unwrap();
    assert_eq!(process.join().unwrap(), (vec![1; 3], true));
    assert_eq!((other.get(), small.is_empty(), wide.is_empty()), (Ok(1 << 100), true, true));
    match Ring::<u64>::new_in(&arena, 2_000) {
        Err(Error::NoSpace { needed, available }) => assert!(needed > 16_000 && available < 1 << 16),
        other => panic!("{other:?}"),
    }
    small.put(5).unwrap();
    assert_eq!(small.get(), Ok(5));
}

#[test]
fn more_messages_than_there_is_memory_for_are_no_space() {
    assert!(matches!(Ring::<[u64; 8192]>::new(1 << 30), Err(Error::NoSpace { .. })));
    assert!(matches!(Ring::<[u64; 1 << 40]>::new(1 << 30), Err(Error::NoSpace { .. })));
}

#[test]
fn another_kind_or_type_is_refused_with_both_sides() {
    let ring = Ring::<u32>::new(4).unwrap();
    let fd = || ring.memory_fd().try_clone_to_owned().unwrap();
    let Err(Error::Attach(AttachError::WrongType { found, expected, .. })) = Ring::<i32>::from_fd(fd()) else {
        panic!("a ring of u32 is none of i32")
    };
    assert_eq!((found.name.as_str(), expected.name.as_str()), ("u32", "i32"));
    assert!(matches!(
        Queue::<u32>::from_fd(fd()),
        Err(Error::Attach(AttachError::WrongKind { found: Ok(Kind::Ring), expected: Kind::Queue }))
    ));
    let arena = Arena::new(1 << 12).unwrap();
    let _in_arena = Ring::<u32>::new_in(&arena, 1).unwrap();
    assert!(matches!(
        Ring::<u32>::from_fd(arena.memory_fd().try_clone_to_owned().unwrap()),
        Err(Error::Attach(AttachError::WrongKind { found: Ok(Kind::Arena), expected: Kind::Ring }))
    ));
    assert_eq!(Ring::<u32>::from_fd(fd()).unwrap().capacity(), 4);
}

#[test]
fn a_copied_slot_does_nothing() {
    let _watchdog = watchdog();
    let ring = Ring::<i64>::new(1).unwrap();
    for commit in [false, true] {
        let mut slot = Some(ring.reserve().unwrap());
        assert!(forked(|| {
            let copy = slot.take().unwrap();
            if commit {
                copy.commit();
            } else {
                drop(copy);
            }
            ring.is_full() && ring.try_put(9) == Err(TryPutError::Full(9))
        }));
        assert!(ring.is_full() && ring.is_empty());
        let mut slot = slot.unwrap();
        slot.write(4);
        slot.commit();
        assert_eq!(ring.get(), Ok(4));
    }
}

#[test]
fn guards_go_to_other_threads() {
    let ring = Ring::new(2).unwrap();
    let mut slot = ring.reserve().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            *slot = 6;
            slot.commit();
        });
    });
    let taken = ring.take().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || assert_eq!(*taken, 6));
    });
    assert_eq!((ring.len(), ring.try_put_many(&[1; 3])), (0, Ok(2)));
}
