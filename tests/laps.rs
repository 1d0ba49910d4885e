//! Handles that have not been used for so many laps of a ring that the lap in its slots has wrapped, or nearly so.
//!
//! The words are set as they would stand then: to go there takes from minutes (capacity 1) to months.

mod common;

use std::fs::File;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use crossproc::{Queue, Ring};

crossproc::test_support!();

const LAPS: [u64; 8] = [
    (1 << 28) + 5,
    (1 << 29) + 5,
    (1 << 30) - 3,
    (1 << 30) + 5,
    (1 << 31) + 5,
    (1 << 31) + (1 << 29) + 5,
    (1 << 32) - 3,
    (1 << 32) - 1,
];

/// Where a ring's control words are in a segment of its own: behind the header, the peers, and the object's header.
const CONTROL: u64 = 128 + 256 * 8 + 128;

/// Sets all slots, which lie so many bytes apart, to FREE in this lap, and the hints to its beginning.
fn go_to(lap: u64, file: BorrowedFd<'_>, slots: u64, capacity: u64, stride: u64) {
    let file = File::from(file.try_clone_to_owned().unwrap());
    for slot in 0..capacity {
        file.write_at(&(lap << 34).to_le_bytes(), slots + stride * slot).unwrap();
    }
    for hint in [128, 192] {
        file.write_at(&(lap << 32).to_le_bytes(), CONTROL + hint).unwrap();
    }
}

/// A ring in this lap, and a handle that was there at its beginning.
fn ring_at(lap: u64, capacity: u64) -> (Ring<u64>, Ring<u64>) {
    let idle = Ring::new(capacity as usize).unwrap();
    go_to(lap, idle.memory_fd(), CONTROL + 256, capacity, 64);
    let busy = Ring::from_fd(idle.memory_fd().try_clone_to_owned().unwrap()).unwrap();
    (idle, busy)
}

#[test]
fn a_consumer_that_was_away_for_long_gets_what_is_there_in_order() {
    for (lap, capacity) in LAPS.into_iter().flat_map(|lap| [1, 2, 16, 40].map(|capacity| (lap, capacity))) {
        let (idle, busy) = ring_at(lap, capacity);
        (0..capacity).for_each(|n| busy.try_put(n).unwrap());
        assert_eq!((idle.len() as u64, idle.is_full()), (capacity, true), "lap {lap}");
        for n in 0..capacity {
            assert_eq!(idle.try_get(), Ok(n), "lap {lap}, capacity {capacity}");
        }
        assert!(idle.is_empty());
        busy.close();
        assert_eq!(idle.get_timeout(Duration::from_secs(20)), Err(crossproc::TryGetError::Closed), "lap {lap}");
    }
}

#[test]
fn a_producer_that_was_away_for_long_finds_room() {
    for (lap, capacity) in LAPS.into_iter().flat_map(|lap| [1, 2, 16].map(|capacity| (lap, capacity))) {
        let (idle, busy) = ring_at(lap, capacity);
        assert!(!idle.is_full(), "lap {lap}, capacity {capacity}");
        (0..capacity).for_each(|n| idle.try_put(n).unwrap());
        assert!(idle.try_put(9).is_err());
        (0..capacity).for_each(|n| assert_eq!(busy.try_get(), Ok(n), "lap {lap}, capacity {capacity}"));
    }
}

#[test]
fn a_handle_made_as_the_laps_begin_anew_gets_what_is_there_in_order() {
    let (_idle, busy) = ring_at((1 << 32) - 1, 32);
    (0..32).for_each(|n| busy.try_put(n).unwrap());
    (0..17).for_each(|n| assert_eq!(busy.try_get(), Ok(n)));
    (32..49).for_each(|n| busy.try_put(n).unwrap());
    let new = Ring::<u64>::from_fd(busy.memory_fd().try_clone_to_owned().unwrap()).unwrap();
    (17..49).for_each(|n| assert_eq!(new.try_get(), Ok(n)));
}

#[test]
fn who_only_puts_and_joins_sees_what_is_not_done() {
    for lap in LAPS {
        let parent = Queue::<u64>::new(2).unwrap();
        // A queue has more between its control words and its slots.
        let slots = CONTROL + 384 + 256 * 64;
        go_to(lap, parent.memory_fd(), slots, 2, 128);
        (0..2).for_each(|n| parent.try_put(n).unwrap());
        assert_eq!((parent.len(), parent.is_full()), (2, true), "lap {lap}");
        assert!(!parent.join_timeout(Duration::ZERO), "lap {lap}");
        let worker = Queue::<u64>::from_fd(parent.memory_fd().try_clone_to_owned().unwrap()).unwrap();
        (0..2).for_each(|n| assert_eq!(*worker.try_get_task().unwrap(), n));
        assert!(parent.join_timeout(Duration::from_secs(20)), "lap {lap}");
    }
}
