//! Producers and consumers that are killed and started again, or stopped for a while, at random instants, while nothing that returned is lost,
//! doubled, torn or out of order, and nobody stops for long.

mod common;

use std::collections::HashMap;
use std::fs;
use std::io::{self, Write};
use std::process;
use std::sync::atomic::{
    AtomicU32, AtomicU64,
    Ordering::{Relaxed, SeqCst},
};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use common::channel::{Channel, Lines, Mixed, assert_all_slots_are_usable, drain};
use common::kills::{Kills, Random};
use common::locking::state_of;
use common::processes::signal;
use crossproc::{Exit, Process, ProcessError, Queue, RawArray, Ring};
use serde::{Deserialize, Serialize};

crossproc::test_support!();

/// Of each.
const USERS: usize = 4;

/// Kills between two looks at everything.
const ROUNDS_A_BATCH: usize = 20;

/// Messages of a batch at most: more than are put in so many rounds.
const MESSAGES: usize = 1 << 22;

/// Members of a batch at most, dead ones included.
const MEMBERS: usize = 2 * USERS * (ROUNDS_A_BATCH + 1);

/// Longer than anything takes on a slow machine under load, a guess.
const PATIENCE: Duration = Duration::from_secs(60);

/// The number that tells a consumer to end.
const LAST: u64 = u64::MAX;

/// Who has done what, written by those who may be killed at any instant, and read when they are.
#[derive(Clone, Serialize, Deserialize)]
struct Journal {
    /// One for each message: see [`Entry`].
    entries: RawArray<AtomicU32>,
    /// Some for each member: see [`Records`].
    records: RawArray<AtomicU64>,
    /// See the constants below.
    totals: RawArray<AtomicU64>,
}

/// The next message's number.
const NEXT: usize = 0;

/// Messages that have been got.
const GOT: usize = 1;

/// | bits | name   | meaning                                    |
/// |------|--------|--------------------------------------------|
/// | 0    | BEGUN  | somebody is about to put it                |
/// | 1    | PUT    | its put has returned                       |
/// | 2-7  | GOT    | how often it was got                       |
/// | 8-31 | MEMBER | who has put it                             |
#[derive(Clone, Copy)]
struct Entry(u32);

impl Entry {
    const BEGUN: u32 = 1;
    const PUT: u32 = 2;
    const ONE_GOT: u32 = 4;

    fn is_begun(self) -> bool {
        self.0 & Self::BEGUN != 0
    }

    fn is_put(self) -> bool {
        self.0 & Self::PUT != 0
    }

    fn gots(self) -> u32 {
        (self.0 >> 2) & 63
    }

    fn member(self) -> usize {
        (self.0 >> 8) as usize
    }
}

/// What a member is at, as it says itself.
struct Records<'a> {
    /// A consumer is between its call and the moment at which it has written down what it got.
    is_getting: &'a AtomicU64,
    /// The number of the message that a consumer has written down and not yet let go, and one.
    holds: &'a AtomicU64,
    /// Messages that came to a consumer behind later ones of the same producer.
    out_of_order: &'a AtomicU64,
    /// How many it has put or got.
    count: &'a AtomicU64,
}

impl Journal {
    fn new() -> Self {
        Journal {
            entries: RawArray::new(MESSAGES).unwrap(),
            records: RawArray::new(MEMBERS * 4).unwrap(),
            totals: RawArray::new(2).unwrap(),
        }
    }

    fn of(&self, member: usize) -> Records<'_> {
        let [is_getting, holds, out_of_order, count] = &self.records[member * 4..][..4] else { unreachable!() };
        Records { is_getting, holds, out_of_order, count }
    }

    fn entry(&self, number: u64) -> Entry {
        Entry(self.entries[number as usize].load(SeqCst))
    }
}

fn produce<C: Channel>(it: C, journal: Journal, member: usize) {
    let records = journal.of(member);
    loop {
        let number = journal.totals[NEXT].fetch_add(1, SeqCst);
        let Some(entry) = journal.entries.get(number as usize) else { return };
        entry.store(Entry::BEGUN | (member as u32) << 8, SeqCst);
        assert!(it.put(number), "nobody closes while there are producers");
        entry.fetch_or(Entry::PUT, SeqCst);
        records.count.fetch_add(1, Relaxed);
    }
}

/// What a consumer knows of the messages it has got.
struct Order<'a> {
    journal: &'a Journal,
    records: Records<'a>,
    last: HashMap<usize, u64>,
}

impl<'a> Order<'a> {
    fn new(journal: &'a Journal, member: usize) -> Self {
        Order { journal, records: journal.of(member), last: HashMap::new() }
    }

    /// Writes down that a message has been got.
    fn note(&mut self, number: u64) {
        let before = Entry(self.journal.entries[number as usize].fetch_add(Entry::ONE_GOT, SeqCst));
        assert!(before.is_begun(), "message {number} has never been put");
        let last = self.last.entry(before.member()).or_insert(number);
        if number < *last {
            self.records.out_of_order.fetch_add(1, Relaxed);
        }
        *last = number.max(*last);
        self.records.count.fetch_add(1, Relaxed);
        self.journal.totals[GOT].fetch_add(1, Relaxed);
    }
}

fn consume_copies<C: Channel>(it: C, journal: Journal, member: usize) {
    let mut order = Order::new(&journal, member);
    loop {
        order.records.is_getting.store(1, SeqCst);
        match it.get() {
            None | Some(LAST) => return,
            Some(number) => order.note(number),
        }
        order.records.is_getting.store(0, SeqCst);
    }
}

fn consume_in_place<C: Channel>(it: C, journal: Journal, member: usize) {
    let mut order = Order::new(&journal, member);
    let mut is_over = false;
    while !is_over {
        order.records.is_getting.store(1, SeqCst);
        let is_closed = !it.hold(|number| {
            is_over = number == LAST;
            if !is_over {
                order.records.holds.store(number + 1, SeqCst);
                order.note(number);
            }
        });
        is_over |= is_closed;
        order.records.holds.store(0, SeqCst);
        order.records.is_getting.store(0, SeqCst);
    }
}

/// How messages are got.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mode {
    Copies,
    InPlace,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Role {
    Producer,
    Consumer,
}

struct Member {
    role: Role,
    /// Its place in the journal.
    number: usize,
    process: Process<()>,
}

/// Ends the test with a word on where everybody is, if nothing has happened for long.
struct Watch {
    places: Arc<Mutex<Vec<(Role, usize, u32)>>>,
    last: Arc<Mutex<Instant>>,
    /// Ends the watching when it is dropped.
    _end: Sender<()>,
}

impl Watch {
    fn over(journal: Journal, what: impl Fn() -> String + Send + 'static) -> Self {
        let (end, ended) = mpsc::channel();
        let watch = Watch { places: Arc::default(), last: Arc::new(Mutex::new(Instant::now())), _end: end };
        let test = thread::current().name().unwrap_or("a test").to_string();
        let (places, last) = (watch.places.clone(), watch.last.clone());
        thread::spawn(move || {
            let remaining = || PATIENCE.saturating_sub(last.lock().unwrap().elapsed());
            while !remaining().is_zero() {
                if ended.recv_timeout(remaining()) == Err(RecvTimeoutError::Disconnected) {
                    return;
                }
            }
            let mut text = format!("{test}: nothing has happened for {PATIENCE:?}; {}\n", what());
            for &(role, number, pid) in places.lock().unwrap().iter() {
                let records = journal.of(number);
                let call = fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap_or_default();
                text += &format!(
                    "{role:?} {number}, process {pid}, state {}, is getting {}, holds {}, count {}, call {call}\n",
                    state_of(pid),
                    records.is_getting.load(SeqCst),
                    records.holds.load(SeqCst),
                    records.count.load(SeqCst),
                );
            }
            let _ = io::stderr().write_all(text.as_bytes());
            process::abort();
        });
        watch
    }

    /// Something has happened; how long nothing had.
    fn progress(&self) -> Duration {
        let mut last = self.last.lock().unwrap();
        let stall = last.elapsed();
        *last = Instant::now();
        stall
    }
}

struct Batch<C: Channel> {
    mode: Mode,
    it: C,
    journal: Journal,
    watch: Watch,
    alive: Vec<Member>,
    dead: Vec<(Role, usize)>,
    started: usize,
    stops: usize,
    longest_stall: Duration,
}

impl<C: Channel> Batch<C> {
    fn new(mode: Mode, capacity: usize) -> Self {
        let (it, journal) = (C::of(capacity), Journal::new());
        let watched = it.clone();
        let watch = Watch::over(journal.clone(), move || {
            format!("{}, {mode:?}, capacity {}, {} ready", C::NAME, watched.capacity(), watched.len())
        });
        let mut batch = Batch {
            mode,
            it,
            journal,
            watch,
            alive: Vec::new(),
            dead: Vec::new(),
            started: 0,
            stops: 0,
            longest_stall: Duration::ZERO,
        };
        for _ in 0..USERS {
            batch.start(Role::Producer);
            batch.start(Role::Consumer);
        }
        batch
    }

    fn start(&mut self, role: Role) {
        let number = self.started;
        self.started += 1;
        let arguments = (&self.it, &self.journal, number);
        let builder = Process::builder().daemon(true);
        let process = match (role, self.mode) {
            (Role::Producer, _) => builder.spawn(produce::<C>, arguments),
            (Role::Consumer, Mode::Copies) => builder.spawn(consume_copies::<C>, arguments),
            (Role::Consumer, Mode::InPlace) => builder.spawn(consume_in_place::<C>, arguments),
        };
        self.alive.push(Member { role, number, process: process.unwrap() });
        self.tell_the_watch();
    }

    fn tell_the_watch(&self) {
        let places = self.alive.iter().map(|member| (member.role, member.number, member.process.pid()));
        *self.watch.places.lock().unwrap() = places.collect();
    }

    fn got(&self) -> u64 {
        self.journal.totals[GOT].load(SeqCst)
    }

    fn is_used_up(&self) -> bool {
        self.journal.totals[NEXT].load(SeqCst) >= MESSAGES as u64
    }

    /// Looks until so many more messages have been got.
    fn wait_for_progress(&mut self, messages: u64) {
        self.watch.progress();
        let start = self.got();
        let mut seen = start;
        while seen < start + messages && !self.is_used_up() {
            thread::yield_now();
            let now = self.got();
            if now != seen {
                seen = now;
                self.longest_stall = self.longest_stall.max(self.watch.progress());
            }
        }
    }

    /// Stops some in the middle of whatever they are at, and has them go on after a while; or they are killed as they are.
    fn stop_some(&mut self, random: &mut Random) {
        let mut stopped: Vec<u32> = Vec::new();
        for _ in 0..=random.below(2) {
            let member = &self.alive[random.below(self.alive.len() as u64) as usize];
            let pid = member.process.pid();
            // SAFETY: involves no memory.
            if unsafe { libc::kill(pid.cast_signed(), libc::SIGSTOP) } == 0 {
                stopped.push(pid);
            } else {
                // There are no more numbers, and somebody has collected it.
                assert!(member.role == Role::Producer && self.is_used_up(), "a {:?} has ended", member.role);
            }
        }
        // Others may have to wait for whom we have stopped, but not for longer than they want to.
        let timeout = Duration::from_millis(random.below(20));
        let start = Instant::now();
        if self.it.get_timeout(timeout).map(|number| Order::new(&self.journal, 0).note(number)).is_none() {
            assert!(start.elapsed() >= timeout, "a wait has ended early");
        }
        self.stops += stopped.len();
        if random.below(3) > 0 {
            stopped.into_iter().for_each(|pid| signal(pid, libc::SIGCONT));
            self.wait_for_progress(1);
        } else {
            let is_stopped = |member: &Member| stopped.contains(&member.process.pid());
            let (killed, alive) = std::mem::take(&mut self.alive).into_iter().partition(is_stopped);
            self.alive = alive;
            self.replace(killed);
        }
    }

    /// Kills some at once, and starts as many again.
    fn round(&mut self, random: &mut Random) {
        let messages = 1 << random.below(11);
        self.wait_for_progress(random.below(messages) + 1);
        for _ in 0..random.below(300) {
            std::hint::spin_loop();
        }
        if random.below(4) == 0 {
            return self.stop_some(random);
        }
        let victims = if random.below(4) == 0 { 2 + random.below(2 * USERS as u64 - 1) } else { 1 };
        let mut killed: Vec<Member> = Vec::new();
        for _ in 0..victims {
            let victim = random.below(self.alive.len() as u64) as usize;
            killed.push(self.alive.swap_remove(victim));
        }
        self.replace(killed);
    }

    /// Kills these, and starts others in their places.
    fn replace(&mut self, killed: Vec<Member>) {
        killed.iter().for_each(|member| member.process.kill().unwrap());
        for member in killed {
            match member.process.join() {
                Err(ProcessError::Ended { exit: Exit::Signal(libc::SIGKILL), .. }) => {
                    self.dead.push((member.role, member.number));
                }
                Err(ProcessError::NeverStarted { exit: Exit::Signal(libc::SIGKILL), .. }) => {}
                // Before the kill came: there are no more numbers.
                Ok(()) => assert!(member.role == Role::Producer && self.is_used_up(), "a {:?} has ended", member.role),
                Err(other) => panic!("{other}"),
            }
            self.start(member.role);
        }
    }

    /// Waits for all of a role to end by themselves.
    fn join(&mut self, role: Role) {
        self.watch.progress();
        let (ending, alive) = std::mem::take(&mut self.alive).into_iter().partition(|member| member.role == role);
        self.alive = alive;
        for member in ending {
            let number = member.number;
            member.process.join().unwrap_or_else(|error| panic!("member {number}: {error}"));
            self.watch.progress();
        }
        self.tell_the_watch();
    }

    /// Lets everybody end, and looks at what they have written down.
    fn end(mut self, is_closed: bool) -> Duration {
        // No numbers any more: the producers end.
        self.journal.totals[NEXT].fetch_add(MESSAGES as u64, SeqCst);
        self.join(Role::Producer);
        if is_closed {
            self.it.close();
            self.join(Role::Consumer);
            // Nobody else is left: what a consumer that has ended would have left would be lost.
            assert_eq!(self.it.get(), None);
        } else {
            for _ in 0..USERS {
                assert!(self.it.put(LAST));
            }
            self.join(Role::Consumer);
            // A consumer that has been told to end does not look for what the dead have left.
            let left = drain(&self.it);
            let mut order = Order::new(&self.journal, 0);
            left.iter().for_each(|&number| order.note(number));
            assert!(left.len() <= self.dead.len(), "{left:?}");
        }
        self.check();
        if !is_closed {
            assert_all_slots_are_usable(&self.it);
        }
        self.longest_stall
    }

    fn check(&self) {
        let dead = |role| self.dead.iter().filter(move |(dead, _)| *dead == role).map(|&(_, number)| number);
        let dead_consumers = dead(Role::Consumer).count();
        let (mut lost, mut puts, mut gots) = (0, 0, 0);
        let mut cut_short = HashMap::<usize, u32>::new();
        for number in 0..MESSAGES as u64 {
            let entry = self.journal.entry(number);
            puts += u64::from(entry.is_put());
            gots += u64::from(entry.gots());
            assert!(entry.is_begun() || entry.gots() == 0);
            if entry.is_begun() && !entry.is_put() {
                *cut_short.entry(entry.member()).or_default() += 1;
            }
            if entry.is_put() && entry.gots() == 0 {
                lost += 1;
            }
            // Whoever died with it in hand had written it down, too.
            let in_dead_hands =
                dead(Role::Consumer).filter(|&dead| self.journal.of(dead).holds.load(SeqCst) == number + 1).count();
            let most = 1 + if self.mode == Mode::InPlace { in_dead_hands as u32 } else { 0 };
            assert!(entry.gots() <= most, "message {number} was got {} times", entry.gots());
        }
        // Each of the dead may have written down one message that it has not counted.
        let uncounted = gots - self.got();
        assert!(uncounted <= dead_consumers as u64, "{uncounted} uncounted, {dead_consumers} dead");
        let died_getting =
            dead(Role::Consumer).filter(|&dead| self.journal.of(dead).is_getting.load(SeqCst) != 0).count();
        match self.mode {
            // Got, by a consumer that died before it could write that down.
            Mode::Copies => assert!(lost <= died_getting, "{lost} lost, {died_getting} consumers died getting"),
            Mode::InPlace => assert_eq!(lost, 0, "lost of {puts}"),
        }
        for (member, messages) in cut_short {
            assert!(messages == 1 && dead(Role::Producer).any(|dead| dead == member), "{messages} of member {member}");
        }
        let out_of_order: u64 = (0..self.started).map(|member| self.journal.of(member).out_of_order.load(SeqCst)).sum();
        assert!(out_of_order <= dead_consumers as u64, "{out_of_order} out of order, {dead_consumers} dead");
        assert!(self.it.redelivered() <= dead_consumers as u64, "{} > {dead_consumers}", self.it.redelivered());
    }
}

/// Two of these at a time would measure each other.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn kill_loop<C: Channel>(mode: Mode) {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let kills = Kills::asked_for(if cfg!(debug_assertions) { 20 } else { 40 });
    let rounds = kills.rounds;
    let (mut round, mut batches, mut messages, mut stops, mut longest_stall) = (0, 0, 0, 0, Duration::ZERO);
    while round < rounds {
        let capacity = [64, 1, 5, 2, 1_000][batches % 5];
        let mut batch = Batch::<C>::new(mode, capacity);
        let last = rounds.min(round + ROUNDS_A_BATCH as u64);
        while round < last {
            batch.round(&mut kills.random(round));
            round += 1;
        }
        messages += batch.got();
        stops += batch.stops;
        longest_stall = longest_stall.max(batch.end(batches % 2 == 1));
        batches += 1;
    }
    println!("{rounds} rounds, {messages} messages, {stops} stops, longest stall {longest_stall:?}");
}

#[test]
fn a_ring_survives_kills() {
    kill_loop::<Ring<Lines>>(Mode::Copies);
}

#[test]
fn a_ring_of_messages_in_place_survives_kills() {
    kill_loop::<Ring<Lines>>(Mode::InPlace);
}

#[test]
fn a_queue_survives_kills() {
    kill_loop::<Queue<Mixed>>(Mode::Copies);
}

#[test]
fn a_queue_of_tasks_survives_kills() {
    kill_loop::<Queue<Mixed>>(Mode::InPlace);
}
