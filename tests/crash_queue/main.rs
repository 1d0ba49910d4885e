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

use std::fs;
use std::path::Path;

use common::channel::{Channel, drain};
use common::locking::Stage;
use common::rust_files;

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

/// The names in `crash_point!`s of a file.
fn points_in(text: &str) -> impl Iterator<Item = &str> {
    text.split("crash_point!(\"").skip(1).filter_map(|rest| rest.split('"').next())
}

#[test]
fn somebody_dies_at_every_point() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = package.join("tests");
    let mut tests = rust_files(&folder);
    tests.retain(|test| test.strip_prefix(&folder).unwrap().to_string_lossy().starts_with("crash"));
    let code: String = tests.iter().map(|test| fs::read_to_string(test).unwrap()).collect();
    let mut found = 0;
    for file in rust_files(&package.join("src")) {
        for point in points_in(&fs::read_to_string(&file).unwrap()) {
            let is_used = code.contains(&format!("\"{point}\""));
            assert!(is_used, "{}: nobody dies at {point}", file.display());
            found += 1;
        }
    }
    assert!(found > 30, "only {found} points: the reader of this test is broken");
}
