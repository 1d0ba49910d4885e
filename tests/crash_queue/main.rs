//! SIGKILL at each crash point of a ring and of a queue: a child dies there, and what the survivors find is what the
//! table says.
//!
//! Only in builds with `--cfg crash_points`.

#![cfg(crash_points)]

#[path = "../common/mod.rs"]
mod common;

mod ends;
mod gets;
mod puts;
mod queues;
mod repairs;
mod sleepers;

use common::channel::{Channel, drain};
use common::locking::Stage;

crossproc::test_support!();

const CAPACITY: usize = 3;

/// Where in the row of slots something happens: at its beginning, in it, around its end, and laps later.
const PLACES: [u64; 4] = [0, 1, 2, 16];

/// Each of these holds for a ring, and for a queue with its messages in the slots or behind them.
macro_rules! for_each_channel {
    ($($test:ident)*) => {
        mod ring {
            $crate::tests_of! { crossproc::Ring<crate::common::channel::Lines>: $($test)* }
        }

        mod queue {
            $crate::tests_of! { crossproc::Queue<u64>: $($test)* }
        }

        mod queue_of_long {
            $crate::tests_of! { crossproc::Queue<crate::common::channel::Long>: $($test)* }
        }
    };
}
pub(crate) use for_each_channel;

macro_rules! tests_of {
    ($channel:ty: $($test:ident)*) => {
        $(#[test] fn $test() { let _watchdog = crate::common::watchdog(); super::$test::<$channel>(); })*
    };
}
pub(crate) use tests_of;

/// One that has been in use.
fn at_place<C: Channel>(place: u64) -> C {
    let it = C::of(CAPACITY);
    for number in 0..place {
        assert!(it.try_put(number));
        assert_eq!(it.try_get(), Some(number));
    }
    it
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
