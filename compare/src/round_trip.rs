//! Round trips: a message there and one back, between two processes on two cores.
//!
//! | row | how the two sides wait |
//! |---|---|
//! | spinning | never: they look again and again |
//! | default | as each contender's blocking call does: ours spins for a moment, then sleeps |
//! | asleep | messages come only to who has waited for 30 us, and so sleeps |

use std::hint;
use std::mem;
use std::time::{Duration, Instant};

use crossproc::Process;
use serde::{Deserialize, Serialize};

use crate::common::pin;
use crate::contest::Contest;
use crate::ours::{channel::Channel, ring};
use crate::plan::Plan;
use crate::report::Unit;
use crate::rivals::{iceoryx, ipc_channel, kernel_pipe, raw_sync, unix_socket};
use crate::watchdog::Watchdog;
use crate::way::{Receiver, Sender, Shape, Waiting, Way};

const HERE: usize = 0;
const THERE: usize = 1;

/// Longer than anybody spins: after this, whoever waits sleeps.
const UNTIL_ASLEEP: Duration = Duration::from_micros(30);

const SLOTS: usize = 64;

#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
enum Mode {
    Spinning,
    Default,
    Asleep,
}

impl Mode {
    fn waiting(self) -> Waiting {
        if self == Mode::Spinning { Waiting::Spinning } else { Waiting::Blocking }
    }
}

pub(crate) fn run(plan: &Plan, watchdog: &Watchdog) {
    for (mode, text, count) in
        [(Mode::Spinning, "spinning", 4_000), (Mode::Default, "default", 4_000), (Mode::Asleep, "asleep", 500)]
    {
        let rounds = Rounds { mode, count: plan.of(count, count / 50) };
        row::<1>(plan, watchdog, format!("round trip, 8 B, {text}"), rounds);
        row::<128>(plan, watchdog, format!("round trip, 1 KiB, {text}"), rounds);
    }
}

fn row<const N: usize>(plan: &Plan, watchdog: &Watchdog, row: String, rounds: Rounds) {
    if !plan.wants_row(&row) {
        return;
    }
    let mut contest = Contest::new(plan, watchdog, row);
    contest.ours("channel", move || there_and_back::<Channel, N>(rounds));
    contest.ours("Ring", move || there_and_back::<ring::Single, N>(rounds));
    #[cfg(boost)]
    contest.rival("Boost message_queue", move || there_and_back::<crate::rivals::boost::Boost, N>(rounds));
    #[cfg(not(boost))]
    contest.missing_rival("Boost message_queue", "no Boost headers");
    let (iceoryx, raw_sync) = match rounds.mode {
        Mode::Spinning => ("iceoryx2, spinning", "raw_sync BusyEvent"),
        _ => ("iceoryx2, events", "raw_sync Event"),
    };
    contest.rival(iceoryx, move || there_and_back::<iceoryx::Iceoryx, N>(rounds));
    contest.rival(raw_sync, move || there_and_back::<raw_sync::RawSync, N>(rounds));
    if rounds.mode != Mode::Spinning {
        contest.rival("ipc-channel, bytes", move || there_and_back::<ipc_channel::IpcChannel, N>(rounds));
    }
    contest.rival("pipe, 1 MiB", move || there_and_back::<kernel_pipe::KernelPipe, N>(rounds));
    contest.rival("Unix stream socket", move || there_and_back::<unix_socket::UnixSocket, N>(rounds));
    contest.run(Unit::Trips);
}

/// How often a message goes there and back.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Rounds {
    mode: Mode,
    count: u64,
}

impl Rounds {
    /// Nanoseconds of each round trip; where the other side sleeps, of the ways back.
    fn ping(self, mut sender: impl Sender, mut receiver: impl Receiver) -> Vec<f64> {
        let round = |number| {
            if self.mode == Mode::Asleep {
                wait_until_asleep();
                sender.send(now());
                let sent = receiver.receive();
                return (now() - sent) as f64;
            }
            let start = Instant::now();
            sender.send(number);
            let answer = receiver.receive();
            let took = start.elapsed();
            assert_eq!(answer, number);
            took.as_nanos() as f64
        };
        (0..self.count).map(round).collect()
    }

    /// The other side; where it sleeps, nanoseconds of the ways there.
    fn echo(self, mut sender: impl Sender, mut receiver: impl Receiver) -> Vec<f64> {
        let mut ways = Vec::new();
        for _ in 0..self.count {
            let mut number = receiver.receive();
            if self.mode == Mode::Asleep {
                ways.push((now() - number) as f64);
                wait_until_asleep();
                number = now();
            }
            sender.send(number);
        }
        ways
    }
}

fn there_and_back<W: Way<N>, const N: usize>(rounds: Rounds) -> Vec<f64> {
    let _pinned = pin(HERE);
    let shape = Shape { slots: SLOTS, waiting: rounds.mode.waiting() };
    let (_way_there, sender, receiver_there) = W::new(shape);
    let (_way_back, sender_there, receiver) = W::new(shape);
    let echo = |receiver: W::ReceiverTicket, sender: W::SenderTicket, shape: Shape, rounds: Rounds| {
        let _pinned = pin(THERE);
        // The way there first, on both sides: some wait for the other side to come.
        let receiver = W::receiver(receiver, shape);
        rounds.echo(W::sender(sender, shape), receiver)
    };
    let other = Process::builder().daemon(true).spawn(echo, (receiver_there, sender_there, shape, rounds)).unwrap();
    let sender = W::sender(sender, shape);
    let back = rounds.ping(sender, W::receiver(receiver, shape));
    let there = other.join().unwrap();
    // The first tenth warms up.
    let warm = back.len() / 10;
    match rounds.mode {
        Mode::Asleep => there.iter().zip(back).skip(warm).map(|(there, back)| there + back).collect(),
        _ => back.into_iter().skip(warm).collect(),
    }
}

/// Nanoseconds of the monotonic clock, which is the same in all processes.
fn now() -> u64 {
    // SAFETY: plain numbers.
    let mut now: libc::timespec = unsafe { mem::zeroed() };
    // SAFETY: a writable timespec.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

fn wait_until_asleep() {
    let start = Instant::now();
    while start.elapsed() < UNTIL_ASLEEP {
        hint::spin_loop();
    }
}
