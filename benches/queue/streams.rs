//! One producer, one consumer, as much as goes through.

use std::io::{BufReader, Read, Write};

use crossproc::{Process, ProcessBuilder, Queue, Ring};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::common::bare::BareRing;
use super::common::wire::{self, Wire};
use super::common::{Plan, Table, Target, alternate, is_asked_for, pin};
use super::{Amount, PRODUCER, RIVALS, check};

pub(crate) fn of_copies<const N: usize>(
    plan: Plan,
    table: &Table,
    name: &str,
    capacity: usize,
    timed: u64,
    target: f64,
) {
    if !is_asked_for(name) {
        return;
    }
    let amount = Amount::of(plan, capacity, timed);
    let rival_amount = Amount { warm: 100, timed: amount.timed / 20 };
    let [ours, pipe, socket] = alternate(
        plan.turns(),
        [
            &mut || {
                let ring = Ring::<[u64; N]>::new(capacity).unwrap();
                let produce = |ring: Ring<[u64; N]>, amount: Amount| {
                    let _pinned = pin(PRODUCER);
                    amount.all().for_each(|n| ring.put([n; N]).unwrap());
                };
                let producer = Process::spawn(produce, (&ring, amount)).unwrap();
                let rate = amount.consume(|n, whole| check(&ring.get().unwrap(), n, whole));
                producer.join().unwrap();
                rate / 1e6
            },
            &mut || stream_through::<N>(Wire::Pipe, rival_amount, false) / 1e6,
            &mut || stream_through::<N>(Wire::Socket, rival_amount, false) / 1e6,
        ],
    );
    table.row(name, "M/s", &ours, (RIVALS[0], &pipe), &[Target::AtLeast(target)]);
    table.row(name, "M/s", &ours, (RIVALS[1], &socket), &[]);
}

/// `whole`: whether the consumer reads all of each message, or its first and last words.
pub(crate) fn in_place<const N: usize>(
    plan: Plan,
    table: &Table,
    name: &str,
    whole: bool,
    capacity: usize,
    timed: u64,
    target: f64,
) {
    if !is_asked_for(name) {
        return;
    }
    let name = &format!("{name}{}", if whole { ", all read" } else { "" });
    let targets = if whole { vec![] } else { vec![Target::AtLeast(target)] };
    let amount = Amount::of(plan, capacity, timed);
    let rival_amount = Amount { warm: 4, timed: amount.timed / 5 };
    let gibibytes = size_of::<[u64; N]>() as f64 / f64::from(1 << 30);
    let [ours, bare, pipe, socket] = alternate(
        plan.turns(),
        [
            &mut || {
                let ring = Ring::<[u64; N]>::new(capacity).unwrap();
                let produce = |ring: Ring<[u64; N]>, amount: Amount| {
                    let _pinned = pin(PRODUCER);
                    for n in amount.all() {
                        let mut slot = ring.reserve().unwrap();
                        slot.fill(n);
                        slot.commit();
                    }
                };
                let producer = Process::spawn(produce, (&ring, amount)).unwrap();
                let rate = amount.consume(|n, warm| check(&ring.take().unwrap()[..], n, whole || warm));
                producer.join().unwrap();
                rate * gibibytes
            },
            &mut || {
                let ring = BareRing::<N>::new(capacity);
                let produce = |path: String, capacity: usize, amount: Amount| {
                    let _pinned = pin(PRODUCER);
                    let ring = BareRing::<N>::open(&path, capacity);
                    amount.all().for_each(|n| ring.write(n, |words| words.fill(n)));
                };
                let producer = Process::spawn(produce, (ring.path(), capacity, amount)).unwrap();
                let rate = amount.consume(|n, warm| ring.read(n, |words| check(words, n, whole || warm)));
                producer.join().unwrap();
                rate * gibibytes
            },
            &mut || stream_through::<N>(Wire::Pipe, rival_amount, whole) * gibibytes,
            &mut || stream_through::<N>(Wire::Socket, rival_amount, whole) * gibibytes,
        ],
    );
    table.row(name, "GiB/s", &ours, ("bare ring, no safety", &bare), &[Target::RatioAtLeast(0.95)]);
    table.row(name, "GiB/s", &ours, (RIVALS[0], &pipe), &targets);
    table.row(name, "GiB/s", &ours, (RIVALS[1], &socket), &[]);
}

/// Messages a second through the kernel, one call for each on either side.
fn stream_through<const N: usize>(wire: Wire, amount: Amount, whole: bool) -> f64 {
    let (writer, reader) = wire.open();
    let produce = |amount: Amount| {
        let _pinned = pin(PRODUCER);
        let output = wire::output();
        let mut words = vec![0; N];
        for n in amount.all() {
            words.fill(n);
            wire::send(&output, &words);
        }
    };
    let producer = ProcessBuilder::new().stdout(writer).spawn(produce, (amount,)).unwrap();
    let mut words = vec![0; N];
    let rate = amount.consume(|n, checked| {
        assert!(wire::receive(&reader, &mut words), "the producer has ended early");
        check(&words, n, whole || checked);
    });
    producer.join().unwrap();
    rate
}

/// A message as programs have them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Order {
    id: u64,
    side: Side,
    price: f64,
    quantity: u32,
    limit: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Side {
    Buy,
    Sell,
}

impl Order {
    pub(crate) fn nth(n: u64) -> Self {
        let side = if n.is_multiple_of(2) { Side::Buy } else { Side::Sell };
        Order { id: n, side, price: n as f64, quantity: n as u32, limit: None }
    }
}

/// Values that are encoded and decoded: by the queue, or by hand (postcard, its length before it) for the pipe, whose
/// reader reads as much as is there at a time.
pub(crate) fn of_values<T>(
    plan: Plan,
    table: &Table,
    name: &str,
    targets: &[Target],
    nth: impl Fn(u64) -> T + Copy + Send + 'static,
) where
    T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug + 'static,
{
    if !is_asked_for(name) {
        return;
    }
    let capacity = 1 << 12;
    let amount = Amount::of(plan, capacity, 500_000);
    let rival_amount = Amount { warm: 100, timed: amount.timed / 5 };
    let [ours, pipe] = alternate(
        plan.turns(),
        [
            &mut || {
                let queue = Queue::<T>::new(capacity).unwrap();
                let produce = move |queue: Queue<T>, amount: Amount| {
                    let _pinned = pin(PRODUCER);
                    amount.all().for_each(|n| queue.put(nth(n)).unwrap());
                };
                let producer = Process::spawn(produce, (&queue, amount)).unwrap();
                let rate = amount.consume(|n, _| assert_eq!(queue.get().unwrap(), nth(n)));
                producer.join().unwrap();
                rate / 1e6
            },
            &mut || {
                let (writer, reader) = Wire::Pipe.open();
                let produce = move |amount: Amount| {
                    let _pinned = pin(PRODUCER);
                    let mut output = wire::output();
                    let mut bytes = [0; 64];
                    for n in amount.all() {
                        let length = postcard::to_slice(&nth(n), &mut bytes[1..]).unwrap().len();
                        bytes[0] = length as u8;
                        output.write_all(&bytes[..=length]).unwrap();
                    }
                };
                let producer = ProcessBuilder::new().stdout(writer).spawn(produce, (rival_amount,)).unwrap();
                let mut input = BufReader::with_capacity(1 << 16, reader);
                let mut bytes = [0; 64];
                let rate = rival_amount.consume(|n, _| {
                    input.read_exact(&mut bytes[..1]).unwrap();
                    let length = usize::from(bytes[0]);
                    input.read_exact(&mut bytes[..length]).unwrap();
                    assert_eq!(postcard::from_bytes::<T>(&bytes[..length]).unwrap(), nth(n));
                });
                producer.join().unwrap();
                rate / 1e6
            },
        ],
    );
    table.row(name, "M/s", &ours, ("pipe, postcard", &pipe), targets);
}
