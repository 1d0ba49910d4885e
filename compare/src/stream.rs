//! Streams: one producer on core 1, one consumer on core 0, in two processes, or in two threads where that is all a rival
//! can do. Every message is checked, each for its number and all of its words.

use std::thread;
use std::time::{Duration, Instant};

use crossproc::Process;
use serde::{Deserialize, Serialize};

use crate::common::pin;
use crate::contest::Contest;
use crate::ours::{channel::Channel, ring};
use crate::plan::Plan;
use crate::report::Unit;
use crate::rivals::{crossbeam, iceoryx, ipc_channel, kernel_pipe, raw_sync, rtrb, unix_socket};
use crate::watchdog::Watchdog;
use crate::way::{Passage, Receiver, Sender, Shape, Waiting, Way};

const PRODUCER: usize = 1;
const CONSUMER: usize = 0;

/// What each contender sends at first, to see how fast it is.
const TRIAL: Amount = Amount { warm: 16, timed: 64 };

pub(crate) fn run(plan: &Plan, watchdog: &Watchdog) {
    small::<1>(plan, watchdog, "8 B", 1 << 14);
    small::<8>(plan, watchdog, "64 B", 1 << 14);
    small::<128>(plan, watchdog, "1 KiB", 512);
    large::<8_192>(plan, watchdog, "64 KiB", 8);
    large::<131_072>(plan, watchdog, "1 MiB", 4);
}

fn small<const N: usize>(plan: &Plan, watchdog: &Watchdog, size: &str, slots: usize) {
    let row = format!("stream, {size}");
    if !plan.wants_row(&row) {
        return;
    }
    let mut contest = Contest::new(plan, watchdog, row);
    let turn = plan.turn();
    contest.ours("channel", between_processes::<Channel, N>(turn, slots, Waiting::Blocking, messages));
    contest.ours("Ring", between_processes::<ring::Single, N>(turn, slots, Waiting::Blocking, messages));
    contest.ours("Ring, many", between_processes::<ring::Many, N>(turn, slots, Waiting::Blocking, messages));
    between_threads::<crossbeam::Crossbeam, N>(&mut contest, "crossbeam ArrayQueue, two threads", turn, slots);
    between_threads::<rtrb::Single, N>(&mut contest, "rtrb push/pop, two threads", turn, slots);
    between_threads::<rtrb::Chunks, N>(&mut contest, "rtrb chunks of 64, two threads", turn, slots);
    processes::<N>(&mut contest, turn, slots, messages);
    contest.run(Unit::Messages);
}

fn large<const N: usize>(plan: &Plan, watchdog: &Watchdog, size: &str, slots: usize) {
    let row = format!("stream, {size}");
    if !plan.wants_row(&row) {
        return;
    }
    let mut contest = Contest::new(plan, watchdog, row);
    let turn = plan.turn();
    contest.ours("channel", between_processes::<Channel, N>(turn, slots, Waiting::Blocking, gibibytes::<N>));
    contest.ours("Ring", between_processes::<ring::Single, N>(turn, slots, Waiting::Blocking, gibibytes::<N>));
    processes::<N>(&mut contest, turn, slots, gibibytes::<N>);
    contest.run(Unit::Bytes);
}

/// The rivals that work between processes.
fn processes<const N: usize>(contest: &mut Contest<'_>, turn: Duration, slots: usize, scale: fn(f64) -> f64) {
    use Waiting::{Blocking, Spinning};
    #[cfg(boost)]
    contest.rival(
        "Boost message_queue",
        between_processes::<crate::rivals::boost::Boost, N>(turn, slots, Blocking, scale),
    );
    #[cfg(not(boost))]
    contest.missing_rival("Boost message_queue", "no Boost headers");
    contest.rival("iceoryx2, spinning", between_processes::<iceoryx::Iceoryx, N>(turn, slots, Spinning, scale));
    contest.rival("iceoryx2, events", between_processes::<iceoryx::Iceoryx, N>(turn, slots, Blocking, scale));
    contest.rival("raw_sync BusyEvent", between_processes::<raw_sync::RawSync, N>(turn, slots, Spinning, scale));
    contest.rival("ipc-channel, bytes", between_processes::<ipc_channel::IpcChannel, N>(turn, slots, Blocking, scale));
    contest.rival("pipe, 1 MiB", between_processes::<kernel_pipe::KernelPipe, N>(turn, slots, Blocking, scale));
    contest.rival("Unix stream socket", between_processes::<unix_socket::UnixSocket, N>(turn, slots, Blocking, scale));
}

/// Million messages.
fn messages(rate: f64) -> f64 {
    rate / 1e6
}

fn gibibytes<const N: usize>(rate: f64) -> f64 {
    rate * size_of::<[u64; N]>() as f64 / f64::from(1 << 30)
}

/// How many messages go through before the time is taken, and then.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Amount {
    warm: u64,
    timed: u64,
}

impl Amount {
    /// What takes about so long at such a rate; at first, all memory is used twice.
    fn within(time: Duration, rate: f64, slots: usize) -> Self {
        Amount { warm: 2 * slots as u64, timed: ((rate * time.as_secs_f64()) as u64).max(TRIAL.timed) }
    }

    fn produce(self, mut sender: impl Sender) {
        let _pinned = pin(PRODUCER);
        (0..self.warm + self.timed).for_each(|number| sender.send(number));
        sender.flush();
    }

    /// How many of the timed messages came in a second.
    fn consume(self, mut receiver: impl Receiver) -> f64 {
        let mut check = |number| assert_eq!(receiver.receive(), number, "a message was lost or overtaken");
        (0..self.warm).for_each(&mut check);
        let start = Instant::now();
        (self.warm..self.warm + self.timed).for_each(check);
        self.timed as f64 / start.elapsed().as_secs_f64()
    }
}

/// Turns of about `time`: the first one only sees how many messages that is.
fn turns(
    time: Duration,
    slots: usize,
    scale: fn(f64) -> f64,
    rate: impl Fn(Amount) -> f64,
) -> impl FnMut() -> Vec<f64> {
    let mut amount = None;
    move || {
        let now = *amount.get_or_insert_with(|| {
            // Twice: the first few messages of all say more about the start of a process.
            let some = Amount::within(time / 20, rate(TRIAL), slots);
            Amount::within(time, rate(some), slots)
        });
        vec![scale(rate(now))]
    }
}

fn between_processes<W: Way<N>, const N: usize>(
    time: Duration,
    slots: usize,
    waiting: Waiting,
    scale: fn(f64) -> f64,
) -> impl FnMut() -> Vec<f64> {
    let shape = Shape { slots, waiting };
    turns(time, slots, scale, move |amount| {
        let _pinned = pin(CONSUMER);
        let (_way, sender, receiver) = W::new(shape);
        let produce = |sender: W::SenderTicket, shape: Shape, amount: Amount| amount.produce(W::sender(sender, shape));
        let producer = Process::builder().daemon(true).spawn(produce, (sender, shape, amount)).unwrap();
        let rate = amount.consume(W::receiver(receiver, shape));
        producer.join().unwrap();
        rate
    })
}

fn between_threads<P: Passage<N> + 'static, const N: usize>(
    contest: &mut Contest<'_>,
    name: &'static str,
    time: Duration,
    slots: usize,
) where
    P::Sender: 'static,
{
    let rate = move |amount: Amount| {
        let _pinned = pin(CONSUMER);
        let (sender, receiver) = P::new(slots);
        let producer = thread::spawn(move || amount.produce(sender));
        let rate = amount.consume(receiver);
        producer.join().unwrap();
        rate
    };
    contest.rival(name, turns(time, slots, messages, rate));
}
