//! One message at a time, there and back.

use std::hint;
use std::slice;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::{Duration, Instant};

use crossproc::{Process, ProcessBuilder, Ring, TryGetError};
use serde::{Deserialize, Serialize};

use super::common::mapping::{APART, Mapping};
use super::common::wire::{self, Wire};
use super::common::{Plan, Samples, Table, Target, is_asked_for, pin};
use super::{PRODUCER, RIVALS, are_all, check};

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

pub(crate) fn measure<const N: usize>(plan: Plan, table: &Table, size: &str, targets: [f64; 3]) {
    if !is_asked_for(&format!("round trip, {size}")) {
        return;
    }
    for (waiting, text, unit, scale, rounds, target) in [
        (Waiting::Spinning, "spinning", "ns", 1.0, 4_000, targets[0]),
        (Waiting::Default, "default", "ns", 1.0, 4_000, targets[1]),
        (Waiting::Asleep, "asleep", "us", 1e-3, 500, targets[2]),
    ] {
        let rounds = Rounds { waiting, rounds: plan.of(rounds, rounds / 50) };
        let mut samples = [const { Vec::new() }; 4];
        for round in 0..plan.turns() {
            for turn in 0..4 {
                let index = (round + turn) % 4;
                let took = match index {
                    0 => there_and_back::<N>(rounds),
                    3 => there_and_back_bare::<N>(rounds),
                    rival => there_and_back_through::<N>(Wire::ALL[rival - 1], rounds),
                };
                // The first tenth warms up.
                samples[index].extend(took.iter().skip(took.len() / 10).map(|nanoseconds| nanoseconds * scale));
            }
        }
        let [ours, pipe, socket, bare] = samples.map(Samples::from);
        let targets = [Target::AtMost(target)];
        for (percent, text_of_percent, targets) in
            [(50.0, "p50", &targets[..]), (99.0, "p99", &[]), (99.9, "p99.9", &[])]
        {
            let name = format!("round trip, {size}, {text}, {text_of_percent}");
            table.percentile_row(&name, unit, percent, &ours, (RIVALS[0], &pipe), targets);
            table.percentile_row(&name, unit, percent, &ours, (RIVALS[1], &socket), &[]);
            let bare_name = if waiting == Waiting::Asleep { "bare words, futex" } else { "bare words, no safety" };
            table.percentile_row(&name, unit, percent, &ours, (bare_name, &bare), &[]);
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

/// Where a message of `N` words stands in bare memory: its number, from 1 on, and the words.
struct Place<'a, const N: usize> {
    words: &'a [AtomicU64],
}

impl<'a, const N: usize> Place<'a, N> {
    /// How many parts of a mapping it takes.
    const PARTS: usize = ((N + 1) * size_of::<u64>()).div_ceil(APART);

    fn of(field: &'a Mapping, nth: usize) -> Self {
        let _last = field.part((nth + 1) * Self::PARTS - 1); // or it panics
        // SAFETY: the parts lie within the mapping, one after the other; any bytes are AtomicU64s.
        Place { words: unsafe { slice::from_raw_parts(field.part(nth * Self::PARTS).cast().as_ptr(), N + 1) } }
    }

    fn write(&self, number: u64, message: [u64; N], waiting: Waiting) {
        self.words[1..].iter().zip(message).for_each(|(word, value)| word.store(value, Relaxed));
        self.words[0].store(number, Release);
        if waiting == Waiting::Asleep {
            self.futex(libc::FUTEX_WAKE, 1);
        }
    }

    fn read(&self, number: u64, waiting: Waiting) -> [u64; N] {
        loop {
            let present = self.words[0].load(Acquire);
            match waiting {
                _ if present == number => break,
                Waiting::Asleep => self.futex(libc::FUTEX_WAIT, present as u32),
                _ => hint::spin_loop(),
            }
        }
        std::array::from_fn(|n| self.words[n + 1].load(Relaxed))
    }

    /// On the low half of the number.
    fn futex(&self, operation: i32, value: u32) {
        let no_limit = std::ptr::null::<libc::timespec>();
        // SAFETY: the word is alive.
        unsafe { libc::syscall(libc::SYS_futex, self.words[0].as_ptr(), operation, value, no_limit) };
    }
}

fn there_and_back_bare<const N: usize>(rounds: Rounds) -> Vec<f64> {
    let field = Mapping::allocated(2 * Place::<N>::PARTS * APART);
    let echo = |path: String, rounds: Rounds| {
        let field = Mapping::open(&path);
        let (there, back) = (Place::<N>::of(&field, 0), Place::<N>::of(&field, 1));
        let (mut sent, mut received) = (1.., 1..);
        rounds.echo(
            |message| back.write(sent.next().unwrap(), message, rounds.waiting),
            || there.read(received.next().unwrap(), rounds.waiting),
        )
    };
    let other = Process::spawn(echo, (field.path(), rounds)).unwrap();
    let (there, back) = (Place::<N>::of(&field, 0), Place::<N>::of(&field, 1));
    let (mut sent, mut received) = (1.., 1..);
    let took = rounds.ping(
        |message| there.write(sent.next().unwrap(), message, rounds.waiting),
        || back.read(received.next().unwrap(), rounds.waiting),
    );
    added(other.join().unwrap(), took)
}
