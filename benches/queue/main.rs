//! `Ring` and `Queue` against the kernel's pipes (of 1 MiB) and Unix stream sockets.
//!
//! | rows | processes, where | waits |
//! |---|---|---|
//! | stream | one producer on core 1, one consumer on core 0 | spin, then asleep; the kernel's asleep; the bare ring spins |
//! | round trip, spinning | two, on two cores | never: looks again and again (try_get; O_NONBLOCK) |
//! | round trip, default | two, on two cores | spin, then asleep; the kernel's asleep |
//! | round trip, asleep | two, on two cores | asleep: messages come to whoever has waited for 30 us |
//! | many | worker i on core i mod 2, the producers first | spin, then asleep; the kernel's asleep |
//! | blocked | one, on core 1 | asleep; the bare one wakes up as often, for nothing |
//!
//! The bare words of round trips are as many in bare shared memory, with a number before them, and safe from nothing. They never sleep:
//! what two processors need to hand cache lines to each other; in the rows "asleep" they always do: what the kernel needs to wake a
//! process up.
//!
//! Messages are rows of 64-bit words, all equal to the number of the message. Before the time is taken, a few times the
//! capacity go through and are compared word by word; afterwards the first and the last word are, and of messages in
//! place all of them.
//!
//! `cargo bench --bench queue -- "stream, 8 B" many` measures the rows that begin so.

#![allow(clippy::needless_pass_by_value, reason = "what a process is given is its own")]

#[path = "../common/mod.rs"]
mod common;

mod many;
mod round_trips;
mod streams;

use std::time::Instant;

use common::{Plan, Table, Target, pin};
use serde::{Deserialize, Serialize};
use streams::Order;

const PRODUCER: usize = 1;
const CONSUMER: usize = 0;

const RIVALS: [&str; 2] = ["pipe", "Unix stream socket"];

fn main() {
    crossproc::init();
    let plan = Plan::from_args();
    let table = Table::new(plan, "queue");
    {
        let _pinned = pin(CONSUMER);
        streams::of_copies::<1>(plan, &table, "stream, 8 B, Ring<[u64; 1]> of 16,384", 1 << 14, 2_000_000, 50.0);
        streams::of_copies::<8>(plan, &table, "stream, 64 B, Ring<[u64; 8]> of 16,384", 1 << 14, 1_500_000, 35.0);
        streams::of_copies::<128>(plan, &table, "stream, 1 KiB, Ring<[u64; 128]> of 2,048", 1 << 11, 400_000, 8.0);
        for whole in [false, true] {
            streams::in_place::<8_192>(plan, &table, "stream, 64 KiB in place, Ring of 8", whole, 8, 20_000, 27.0);
            streams::in_place::<131_072>(plan, &table, "stream, 1 MiB in place, Ring of 4", whole, 4, 1_000, 17.0);
        }
        streams::of_values(plan, &table, "stream, u64, Queue<u64> of 4,096", &[], |n| n);
        let small = [Target::AtLeast(10.0)];
        streams::of_values(plan, &table, "stream, struct of 5 fields, Queue<Order> of 4,096", &small, Order::nth);
        round_trips::measure::<1>(plan, &table, "8 B", [480.0, 600.0, 10.5]);
        round_trips::measure::<128>(plan, &table, "1 KiB", [1_300.0, 1_300.0, 12.0]);
    }
    many::measure(plan, &table, 2, "many, 8 B, 2 producers, 2 consumers", &[Target::AtLeast(20.0)]);
    many::measure(plan, &table, 4, "many, 8 B, 4 producers, 4 consumers", &[Target::RatioAtLeast(1.0)]);
    many::blocked(plan, &table);
}

/// How many messages go through before the time is taken, and then.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Amount {
    warm: u64,
    timed: u64,
}

impl Amount {
    fn of(plan: Plan, capacity: usize, timed: u64) -> Self {
        Amount { warm: 2 * capacity as u64, timed: plan.of(timed, timed / 100) }
    }

    fn all(self) -> std::ops::Range<u64> {
        0..self.warm + self.timed
    }

    /// Gets all messages; how many of the timed ones came in a second. `get`: the number that the message should have,
    /// and whether all of it is to be checked.
    fn consume(self, mut get: impl FnMut(u64, bool)) -> f64 {
        (0..self.warm).for_each(|n| get(n, true));
        let start = Instant::now();
        (self.warm..self.warm + self.timed).for_each(|n| get(n, false));
        self.timed as f64 / start.elapsed().as_secs_f64()
    }
}

/// Reads all words.
pub(crate) fn are_all(words: &[u64], n: u64) -> bool {
    words.iter().fold(0, |differences, word| differences | (word ^ n)) == 0
}

pub(crate) fn check(words: &[u64], n: u64, whole: bool) {
    let is_right = if whole { are_all(words, n) } else { words[0] == n && words[words.len() - 1] == n };
    assert!(is_right, "{n} was lost, torn or overtaken: {words:?}");
}
