//! More processes than processors, and one that waits.

use std::mem;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::thread;
use std::time::{Duration, Instant};

use crossproc::{Process, ProcessBuilder, Ring};
use serde::{Deserialize, Serialize};

use super::PRODUCER;
use super::common::mapping::Mapping;
use super::common::wire::{self, Wire};
use super::common::{Pinned, Plan, Samples, Table, Target, alternate, is_asked_for, pin};

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

pub(crate) fn measure(plan: Plan, table: &Table, pairs: usize, name: &str, targets: &[Target]) {
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

pub(crate) fn blocked(plan: Plan, table: &Table) {
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
    let bare = Process::spawn(wake_up_for, (time,)).unwrap().join().unwrap();
    table.alone("blocked get: voluntary context switches a second", "/s", switches, &[]);
    let (ours, bare) = (Samples::from(vec![100.0 * cores]), Samples::from(vec![100.0 * bare]));
    table.row("blocked get: of a core", "%", &ours, ("bare FUTEX_WAIT, 20 /s", &bare), &[Target::AtMost(0.1)]);
}

/// What it costs this machine to wake a process up twenty times a second: processors a second.
fn wake_up_for(time: Duration) -> f64 {
    let _pinned = pin(PRODUCER);
    let (start, seconds) = (Instant::now(), used().1);
    let bound = libc::timespec { tv_sec: 0, tv_nsec: 50_000_000 };
    let word = 0_u32;
    while start.elapsed() < time {
        // SAFETY: four aligned bytes and a timespec, both alive.
        unsafe { libc::syscall(libc::SYS_futex, &raw const word, libc::FUTEX_WAIT, 0, &raw const bound) };
    }
    (used().1 - seconds) / start.elapsed().as_secs_f64()
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
