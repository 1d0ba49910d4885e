//! `Ring` and `Queue` against the kernel's pipes (of 1 MiB) and Unix stream sockets.
//!
//! | rows | processes, where | waits |
//! |---|---|---|
//! | stream | one producer on core 1, one consumer on core 0 | spin, then asleep; the kernel's asleep; the bare ring spins |
//! | round trip, spinning | two, on two cores | never: looks again and again (try_get; O_NONBLOCK) |
//! | round trip, default | two, on two cores | spin, then asleep; the kernel's asleep |
//! | round trip, asleep | two, on two cores | asleep: messages come to whoever has waited for 30 us |
//! | many | worker i on core i mod 2, the producers first | spin, then asleep; the kernel's asleep |
//! | blocked | one, on core 1 | asleep |
//!
//! Messages are rows of 64-bit words, all equal to the number of the message. Before the time is taken, a few times the
//! capacity go through and are compared word by word; afterwards the first and the last word are, and of messages in
//! place all of them.
//!
//! `cargo bench --bench queue -- "stream, 8 B" many` measures the rows that begin so.

#![allow(clippy::needless_pass_by_value, reason = "what a process is given is its own")]

mod common;

use std::hint;
use std::io::{BufReader, Read, Write};
use std::mem;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::thread;
use std::time::{Duration, Instant};

use common::bare::BareRing;
use common::mapping::Mapping;
use common::wire::{self, Wire};
use common::{Pinned, Plan, Samples, Table, Target, alternate, is_asked_for, pin};
use crossproc::{Process, ProcessBuilder, Queue, Ring, TryGetError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

const PRODUCER: usize = 1;
const CONSUMER: usize = 0;

const RIVALS: [&str; 2] = ["pipe", "Unix stream socket"];

fn main() {
    crossproc::init();
    let plan = Plan::from_args();
    let table = Table::new(plan, "queue");
    {
        let _pinned = pin(CONSUMER);
        stream_of_copies::<1>(plan, &table, "stream, 8 B, Ring<[u64; 1]> of 16,384", 1 << 14, 2_000_000, 50.0);
        stream_of_copies::<8>(plan, &table, "stream, 64 B, Ring<[u64; 8]> of 16,384", 1 << 14, 1_500_000, 35.0);
        stream_of_copies::<128>(plan, &table, "stream, 1 KiB, Ring<[u64; 128]> of 512", 512, 400_000, 8.0);
        for whole in [false, true] {
            stream_in_place::<8_192>(plan, &table, "stream, 64 KiB in place, Ring of 8", whole, 8, 20_000, 27.0);
            stream_in_place::<131_072>(plan, &table, "stream, 1 MiB in place, Ring of 4", whole, 4, 1_000, 17.0);
        }
        stream_of_values(plan, &table, "stream, u64, Queue<u64> of 4,096", &[], |n| n);
        let small = [Target::AtLeast(10.0)];
        stream_of_values(plan, &table, "stream, struct of 5 fields, Queue<Order> of 4,096", &small, Order::nth);
        round_trips::<1>(plan, &table, "8 B", [480.0, 600.0, 10.5]);
        round_trips::<128>(plan, &table, "1 KiB", [1_300.0, 1_300.0, 12.0]);
    }
    many(plan, &table, 2, "many, 8 B, 2 producers, 2 consumers", &[Target::AtLeast(20.0)]);
    many(plan, &table, 4, "many, 8 B, 4 producers, 4 consumers", &[Target::RatioAtLeast(1.0)]);
    blocked(plan, &table);
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
fn are_all(words: &[u64], n: u64) -> bool {
    words.iter().fold(0, |differences, word| differences | (word ^ n)) == 0
}

fn check(words: &[u64], n: u64, whole: bool) {
    let is_right = if whole { are_all(words, n) } else { words[0] == n && words[words.len() - 1] == n };
    assert!(is_right, "{n} was lost, torn or overtaken: {words:?}");
}

fn stream_of_copies<const N: usize>(plan: Plan, table: &Table, name: &str, capacity: usize, timed: u64, target: f64) {
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
fn stream_in_place<const N: usize>(
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
struct Order {
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
    fn nth(n: u64) -> Self {
        let side = if n.is_multiple_of(2) { Side::Buy } else { Side::Sell };
        Order { id: n, side, price: n as f64, quantity: n as u32, limit: None }
    }
}

/// Values that are encoded and decoded: by the queue, or by hand (postcard, its length before it) for the pipe, whose
/// reader reads as much as is there at a time.
fn stream_of_values<T>(
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

/// How the two sides of a round trip wait.
#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
enum Waiting {
    Spinning,
    Default,
    Asleep,
}

/// Longer than anybody spins: after this, whoever waits sleeps.
const UNTIL_ASLEEP: Duration = Duration::from_micros(30);

/// How often a message goes there and back.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Rounds {
    waiting: Waiting,
    rounds: u64,
}

/// Nanoseconds of the monotonic clock, which is the same in all processes.
fn now() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a writable timespec.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

impl Rounds {
    /// Nanoseconds of each round trip; where the other side sleeps, of the ways there.
    fn ping<const N: usize>(self, mut send: impl FnMut([u64; N]), mut receive: impl FnMut() -> [u64; N]) -> Vec<f64> {
        let round = |n| match self.waiting {
            Waiting::Asleep => {
                wait_until_asleep();
                send([now(); N]);
                let message = receive();
                (now() - message[0]) as f64
            }
            _ => {
                let start = Instant::now();
                send([n; N]);
                let message = receive();
                let took = start.elapsed();
                check(&message, n, true);
                took.as_nanos() as f64
            }
        };
        (0..self.rounds).map(round).collect()
    }

    /// The other side; nanoseconds of the ways there, if they are to be measured.
    fn echo<const N: usize>(self, mut send: impl FnMut([u64; N]), mut receive: impl FnMut() -> [u64; N]) -> Vec<f64> {
        let _pinned = pin(PRODUCER);
        let mut ways = Vec::new();
        for _ in 0..self.rounds {
            let mut message = receive();
            if self.waiting == Waiting::Asleep {
                ways.push((now() - message[0]) as f64);
                assert!(are_all(&message, message[0]));
                wait_until_asleep();
                message = [now(); N];
            }
            send(message);
        }
        ways
    }
}

fn wait_until_asleep() {
    let start = Instant::now();
    while start.elapsed() < UNTIL_ASLEEP {
        hint::spin_loop();
    }
}

fn round_trips<const N: usize>(plan: Plan, table: &Table, size: &str, targets: [f64; 3]) {
    if !is_asked_for(&format!("round trip, {size}")) {
        return;
    }
    for (waiting, text, unit, scale, rounds, target) in [
        (Waiting::Spinning, "spinning", "ns", 1.0, 4_000, targets[0]),
        (Waiting::Default, "default", "ns", 1.0, 4_000, targets[1]),
        (Waiting::Asleep, "asleep", "us", 1e-3, 500, targets[2]),
    ] {
        let rounds = Rounds { waiting, rounds: plan.of(rounds, rounds / 50) };
        let mut samples = [const { Vec::new() }; 3];
        for round in 0..plan.turns() {
            for turn in 0..3 {
                let index = (round + turn) % 3;
                let took = match index {
                    0 => there_and_back::<N>(rounds),
                    rival => there_and_back_through::<N>(Wire::ALL[rival - 1], rounds),
                };
                // The first tenth warms up.
                samples[index].extend(took.iter().skip(took.len() / 10).map(|nanoseconds| nanoseconds * scale));
            }
        }
        let [ours, pipe, socket] = samples.map(Samples::from);
        let targets = [Target::AtMost(target)];
        for (percent, text_of_percent, targets) in
            [(50.0, "p50", &targets[..]), (99.0, "p99", &[]), (99.9, "p99.9", &[])]
        {
            let name = format!("round trip, {size}, {text}, {text_of_percent}");
            table.percentile_row(&name, unit, percent, &ours, (RIVALS[0], &pipe), targets);
            table.percentile_row(&name, unit, percent, &ours, (RIVALS[1], &socket), &[]);
        }
    }
}

/// The ways there and those back make round trips.
fn added(there: Vec<f64>, back: Vec<f64>) -> Vec<f64> {
    if there.is_empty() { back } else { there.iter().zip(back).map(|(there, back)| there + back).collect() }
}

fn there_and_back<const N: usize>(rounds: Rounds) -> Vec<f64> {
    type Way<const N: usize> = Ring<[u64; N]>;
    fn receive<const N: usize>(way: &Way<N>, rounds: Rounds) -> [u64; N] {
        if rounds.waiting != Waiting::Spinning {
            return way.get().unwrap();
        }
        loop {
            match way.try_get() {
                Ok(message) => return message,
                Err(TryGetError::Empty) => hint::spin_loop(),
                Err(error) => panic!("{error}"),
            }
        }
    }
    let (there, back) = (Way::<N>::new(64).unwrap(), Way::<N>::new(64).unwrap());
    let echo = |there: Way<N>, back: Way<N>, rounds: Rounds| {
        rounds.echo(|message| back.put(message).unwrap(), || receive(&there, rounds))
    };
    let other = Process::spawn(echo, (&there, &back, rounds)).unwrap();
    let took = rounds.ping(|message| there.put(message).unwrap(), || receive(&back, rounds));
    added(other.join().unwrap(), took)
}

fn there_and_back_through<const N: usize>(wire: Wire, rounds: Rounds) -> Vec<f64> {
    fn receive<const N: usize>(wire: &std::fs::File, rounds: Rounds) -> [u64; N] {
        let mut message = [0; N];
        match rounds.waiting {
            Waiting::Spinning => wire::receive_spinning(wire, &mut message),
            _ => assert!(wire::receive(wire, &mut message)),
        }
        message
    }
    let (there, far_end) = wire.open();
    let (from_there, back) = wire.open();
    let echo = |rounds: Rounds| {
        let (input, output) = (wire::input(), wire::output());
        rounds.echo::<N>(|message| wire::send(&output, &message), || receive(&input, rounds))
    };
    if rounds.waiting == Waiting::Spinning {
        wire::never_wait(&far_end);
        wire::never_wait(&back);
    }
    let other = ProcessBuilder::new().stdin(far_end).stdout(from_there).spawn(echo, (rounds,)).unwrap();
    let took = rounds.ping::<N>(|message| wire::send(&there, &message), || receive(&back, rounds));
    added(other.join().unwrap(), took)
}

/// Parts of the field that many processes share: how many have come, and whether it is over.
const READY: usize = 0;
const STOP: usize = 1;
const FIELD: usize = 4096;

/// Who produced a message stands above its number.
const PRODUCER_SHIFT: u32 = 48;

/// What one of many has done: messages and their sum, and how many there were a second before it was told to stop.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
struct Share {
    count: u64,
    sum: u64,
    rate: f64,
}

/// One of many processes, each of which starts when all have come.
struct Worker {
    field: Mapping,
    _pinned: Pinned,
}

impl Worker {
    fn start(path: &str, worker: usize, workers: usize) -> Self {
        let field = Mapping::open(path);
        let pinned = pin(worker);
        field.word(READY).fetch_add(1, AcqRel);
        while field.word(READY).load(Acquire) < workers as u64 {
            thread::yield_now();
        }
        Worker { field, _pinned: pinned }
    }

    fn is_over(&self) -> bool {
        self.field.word(STOP).load(Relaxed) != 0
    }

    /// Puts messages until it is over.
    fn produce(&self, producer: usize, mut put: impl FnMut(u64)) -> Share {
        let mut share = Share::default();
        while !self.is_over() {
            // Some at a time: looking at the word shall not be part of the row.
            for _ in 0..64 {
                let message = (producer as u64) << PRODUCER_SHIFT | share.count;
                put(message);
                share.count += 1;
                share.sum = share.sum.wrapping_add(message);
            }
        }
        share
    }

    /// Gets messages until there are no more. Those of each producer come in its order.
    fn consume(&self, mut get: impl FnMut() -> Option<u64>) -> Share {
        let mut share = Share::default();
        let mut next = [0; 16];
        let start = Instant::now();
        while let Some(message) = get() {
            let (producer, number) = (message >> PRODUCER_SHIFT, message & ((1 << PRODUCER_SHIFT) - 1));
            let next = &mut next[producer as usize % 16];
            assert!(*next <= number, "message {number} of producer {producer} came behind {next}");
            *next = number + 1;
            share.count += 1;
            share.sum = share.sum.wrapping_add(message);
            if share.rate == 0.0 && share.count.is_multiple_of(64) && self.is_over() {
                share.rate = share.count as f64 / start.elapsed().as_secs_f64();
            }
        }
        if share.rate == 0.0 {
            share.rate = share.count as f64 / start.elapsed().as_secs_f64();
        }
        share
    }
}

fn many(plan: Plan, table: &Table, pairs: usize, name: &str, targets: &[Target]) {
    if !is_asked_for(name) {
        return;
    }
    let time = plan.of(Duration::from_millis(100), Duration::from_millis(10));
    let workers = 2 * pairs;
    let [ours, pipe] = alternate(
        plan.turns(),
        [
            &mut || {
                let (ring, field) = (Ring::<u64>::new(1 << 14).unwrap(), Mapping::new(FIELD));
                let produce = |ring: Ring<u64>, path: String, worker: usize, workers: usize| {
                    Worker::start(&path, worker, workers).produce(worker, |message| ring.put(message).unwrap())
                };
                let consume = |ring: Ring<u64>, path: String, worker: usize, workers: usize| {
                    Worker::start(&path, worker, workers).consume(|| ring.get().ok())
                };
                let spawn_producer = |worker| Process::spawn(produce, (&ring, field.path(), worker, workers)).unwrap();
                let spawn_consumer = |worker| Process::spawn(consume, (&ring, field.path(), worker, workers)).unwrap();
                let producers = (0..pairs).map(spawn_producer).collect();
                let consumers = (pairs..workers).map(spawn_consumer).collect();
                let end = || ring.close();
                measure_many(&field, time, producers, end, consumers)
            },
            &mut || {
                let ((writer, reader), field) = (Wire::Pipe.open(), Mapping::new(FIELD));
                // Eight bytes go through a pipe in one piece (pipe(7), PIPE_BUF).
                let produce = |path: String, worker: usize, workers: usize| {
                    let output = wire::output();
                    let put = |message| wire::send(&output, &[message]);
                    Worker::start(&path, worker, workers).produce(worker, put)
                };
                let consume = |path: String, worker: usize, workers: usize| {
                    let input = wire::input();
                    let mut message = [0];
                    let get = || wire::receive(&input, &mut message).then_some(message[0]);
                    Worker::start(&path, worker, workers).consume(get)
                };
                let spawn_producer = |worker| {
                    let writer = writer.try_clone().unwrap();
                    ProcessBuilder::new().stdout(writer).spawn(produce, (field.path(), worker, workers)).unwrap()
                };
                let spawn_consumer = |worker| {
                    let reader = reader.try_clone().unwrap();
                    ProcessBuilder::new().stdin(reader).spawn(consume, (field.path(), worker, workers)).unwrap()
                };
                let producers = (0..pairs).map(spawn_producer).collect();
                let consumers = (pairs..workers).map(spawn_consumer).collect();
                let end = || drop(writer);
                measure_many(&field, time, producers, end, consumers)
            },
        ],
    );
    table.row(name, "M/s", &ours, ("pipe", &pipe), targets);
}

/// Million messages a second that arrived at all consumers together.
fn measure_many(
    field: &Mapping,
    time: Duration,
    producers: Vec<Process<Share>>,
    end: impl FnOnce(),
    consumers: Vec<Process<Share>>,
) -> f64 {
    let workers = (producers.len() + consumers.len()) as u64;
    while field.word(READY).load(Acquire) < workers {
        thread::sleep(Duration::from_micros(100));
    }
    thread::sleep(time);
    field.word(STOP).store(1, Release);
    let total = |workers: Vec<Process<Share>>| {
        workers.into_iter().map(|worker| worker.join().unwrap()).fold(Share::default(), |all, share| Share {
            count: all.count + share.count,
            sum: all.sum.wrapping_add(share.sum),
            rate: all.rate + share.rate,
        })
    };
    let put = total(producers);
    end();
    let got = total(consumers);
    assert_eq!((put.count, put.sum), (got.count, got.sum), "a message was lost or came twice");
    got.rate / 1e6
}

fn blocked(plan: Plan, table: &Table) {
    if !is_asked_for("blocked") {
        return;
    }
    let time = plan.of(Duration::from_secs(3), Duration::from_millis(200));
    let wait = |ring: Ring<u64>| {
        let _pinned = pin(PRODUCER);
        ring.put(0).unwrap(); // whatever the first use costs
        assert_eq!(ring.get(), Ok(0));
        let (switches, seconds) = used();
        let start = Instant::now();
        assert_eq!(ring.get(), Ok(7));
        let (elapsed, (switches_then, seconds_then)) = (start.elapsed().as_secs_f64(), used());
        ((switches_then - switches) / elapsed, (seconds_then - seconds) / elapsed)
    };
    let ring = Ring::<u64>::new(1).unwrap();
    let process = Process::spawn(wait, (&ring,)).unwrap();
    thread::sleep(time);
    ring.put(7).unwrap();
    let (switches, cores) = process.join().unwrap();
    table.alone("blocked get: voluntary context switches a second", "/s", switches, &[]);
    table.alone("blocked get: of a core", "%", 100.0 * cores, &[Target::AtMost(0.1)]);
}

/// Voluntary context switches and seconds of processor time of this process.
fn used() -> (f64, f64) {
    // SAFETY: plain numbers.
    let mut usage: libc::rusage = unsafe { mem::zeroed() };
    // SAFETY: a writable rusage.
    unsafe { libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    (usage.ru_nvcsw as f64, seconds(usage.ru_utime) + seconds(usage.ru_stime))
}
