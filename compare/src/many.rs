//! Many producers and many consumers: two and two processes, worker i on core i mod 2, the producers first. Everybody waits
//! as its blocking calls do.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::thread;
use std::time::{Duration, Instant};

use crossproc::Process;
use serde::{Deserialize, Serialize};

use crate::common::mapping::{APART, Mapping};
use crate::common::pin;
use crate::contest::Contest;
use crate::ours::ring;
use crate::plan::Plan;
use crate::report::Unit;
use crate::rivals::kernel_pipe;
use crate::watchdog::Watchdog;
use crate::way::{Receiver, Sender, Shape, Waiting, Way};

const PAIRS: usize = 2;

const SLOTS: usize = 1 << 14;

/// Parts of the field that the processes share: how many have come, whether it is over, and from there on how many messages
/// each consumer has received.
const READY: usize = 0;
const STOP: usize = 1;
const RECEIVED: usize = 2;
const PARTS: usize = RECEIVED + PAIRS;

/// Who produced a message stands above its number.
const PRODUCER_SHIFT: u32 = 48;

/// Sent once for each consumer, behind all other messages.
const END: u64 = u64::MAX;

/// How many messages pass between two looks at the field, so that it is no part of the row.
const STRIDE: u64 = 64;

pub(crate) fn run(plan: &Plan, watchdog: &Watchdog) {
    let row = "many, 8 B, 2 producers, 2 consumers".to_string();
    if !plan.wants_row(&row) {
        return;
    }
    let mut contest = Contest::new(plan, watchdog, row);
    // Long enough for the scheduler to have had its say: two processes on a core take turns of a few milliseconds.
    let time = 2 * plan.turn();
    contest.ours("Ring", move || vec![rate::<ring::Single>(time)]);
    #[cfg(boost)]
    contest.rival("Boost message_queue", move || vec![rate::<crate::rivals::boost::Boost>(time)]);
    #[cfg(not(boost))]
    contest.missing_rival("Boost message_queue", "no Boost headers");
    contest.rival("pipe, 1 MiB", move || vec![rate::<kernel_pipe::KernelPipe>(time)]);
    contest.run(Unit::Messages);
}

/// What one process has sent or received.
#[derive(Clone, Copy, Default, PartialEq, Debug, Serialize, Deserialize)]
struct Share {
    count: u64,
    sum: u64,
}

impl Share {
    fn add(&mut self, message: u64) {
        self.count += 1;
        self.sum = self.sum.wrapping_add(message);
    }

    fn total(workers: Vec<Process<Share>>) -> Self {
        workers.into_iter().map(|worker| worker.join().unwrap()).fold(Share::default(), |all, share| Share {
            count: all.count + share.count,
            sum: all.sum.wrapping_add(share.sum),
        })
    }
}

/// Million messages a second that arrive at all consumers together.
fn rate<W: Way<1>>(time: Duration) -> f64
where
    W::SenderTicket: Clone,
    W::ReceiverTicket: Clone,
{
    let shape = Shape { slots: SLOTS, waiting: Waiting::Blocking };
    let (_way, sender, receiver) = W::new(shape);
    let field = Mapping::new(PARTS * APART);
    let produce = |ticket: W::SenderTicket, path: String, worker: usize, shape: Shape| {
        let _pinned = pin(worker);
        let field = Mapping::open(&path);
        let mut sender = W::sender(ticket, shape);
        come(&field);
        let mut share = Share::default();
        // Relaxed: nothing is published with it.
        while field.word(STOP).load(Relaxed) == 0 {
            for _ in 0..STRIDE {
                let message = (worker as u64) << PRODUCER_SHIFT | share.count;
                sender.send(message);
                share.add(message);
            }
        }
        share
    };
    let consume = |ticket: W::ReceiverTicket, path: String, worker: usize, shape: Shape| {
        let _pinned = pin(worker);
        let field = Mapping::open(&path);
        let mut receiver = W::receiver(ticket, shape);
        come(&field);
        consume_all(&mut receiver, &field, RECEIVED + worker - PAIRS)
    };
    let builder = || Process::builder().daemon(true);
    let producers: Vec<_> = (0..PAIRS)
        .map(|worker| builder().spawn(produce, (sender.clone(), field.path(), worker, shape)).unwrap())
        .collect();
    let consumers: Vec<_> = (PAIRS..2 * PAIRS)
        .map(|worker| builder().spawn(consume, (receiver.clone(), field.path(), worker, shape)).unwrap())
        .collect();
    let rate = measure(&field, time);
    field.word(STOP).store(1, Release);
    let sent = Share::total(producers);
    let mut sender = W::sender(sender, shape);
    (0..PAIRS).for_each(|_| sender.send(END));
    assert_eq!(sent, Share::total(consumers), "a message was lost or came twice");
    rate / 1e6
}

/// Waits for everybody else.
fn come(field: &Mapping) {
    field.word(READY).fetch_add(1, Release);
    while field.word(READY).load(Acquire) < 2 * PAIRS as u64 {
        thread::yield_now();
    }
}

/// Receives until the end. The messages of each producer come in its order.
fn consume_all(receiver: &mut impl Receiver, field: &Mapping, part: usize) -> Share {
    let mut share = Share::default();
    let mut next = [0; PAIRS];
    loop {
        let message = receiver.receive();
        if message == END {
            return share;
        }
        let (producer, number) = ((message >> PRODUCER_SHIFT) as usize, message & ((1 << PRODUCER_SHIFT) - 1));
        assert!(next[producer] <= number, "message {number} of producer {producer} came behind {}", next[producer]);
        next[producer] = number + 1;
        share.add(message);
        if share.count.is_multiple_of(STRIDE) {
            field.word(part).store(share.count, Relaxed);
        }
    }
}

/// Messages a second, as the consumers count them.
fn measure(field: &Mapping, time: Duration) -> f64 {
    while field.word(READY).load(Acquire) < 2 * PAIRS as u64 {
        thread::sleep(Duration::from_micros(100));
    }
    let received = || (0..PAIRS).map(|consumer| field.word(RECEIVED + consumer).load(Relaxed)).sum::<u64>();
    thread::sleep(time / 4);
    let (start, before) = (Instant::now(), received());
    thread::sleep(time);
    let (elapsed, after) = (start.elapsed(), received());
    (after - before) as f64 / elapsed.as_secs_f64()
}
