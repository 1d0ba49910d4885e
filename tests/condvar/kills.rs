//! Kills at random among those who wait and those who notify.
//!
//! `KILL_ROUNDS` says how many, `KILL_SEED` which: the seed that the test prints replays its schedule.

use std::env;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::SystemTime;

use crossproc::{Condvar, Guard, Lock, LockError, Process, RawValue};

use crate::common::watchdog;

/// What the kill loop counts: the low half things made, the high half things taken. One word, so that it is whole at any
/// instruction.
#[derive(Clone, serde::Serialize, serde::Deserialize)]
struct Stock {
    lock: Lock,
    numbers: RawValue<AtomicU64>,
    /// How many things to make before the next pause.
    target: RawValue<AtomicU64>,
    is_there: Condvar,
    goes_on: Condvar,
}

const ONE_MADE: u64 = 1;
const ONE_TAKEN: u64 = 1 << 32;

impl Stock {
    fn made(&self) -> u64 {
        self.numbers.load(SeqCst) & 0xffff_ffff
    }

    fn taken(&self) -> u64 {
        self.numbers.load(SeqCst) >> 32
    }

    /// A guard that says nothing of the dead: whoever is told of one looks after what it may not have done.
    fn mended<G: Guard>(&self, locked: Result<G, LockError<G>>) -> G {
        locked.unwrap_or_else(|error| {
            self.is_there.notify_one();
            LockError::repair(error).unwrap()
        })
    }
}

fn make(stock: Stock) {
    loop {
        let mut guard = stock.mended(stock.lock.lock());
        while stock.made() >= stock.target.load(SeqCst) {
            guard = stock.mended(stock.goes_on.wait(guard));
        }
        stock.numbers.fetch_add(ONE_MADE, SeqCst);
        drop(guard);
        stock.is_there.notify_one();
    }
}

fn take(stock: Stock) {
    loop {
        let mut guard = stock.mended(stock.lock.lock());
        while stock.made() == stock.taken() {
            guard = stock.mended(stock.is_there.wait(guard));
        }
        stock.numbers.fetch_add(ONE_TAKEN, SeqCst);
        drop(guard);
    }
}

fn number_from(variable: &str) -> Option<u64> {
    env::var(variable).ok().map(|text| text.parse().unwrap())
}

/// Four make and four take; in each round one of the eight is killed and started again. Then all that was made is taken
/// without a further notification: nobody sleeps who should have been woken.
#[test]
fn everything_is_taken_though_makers_and_takers_are_killed() {
    let rounds = number_from("KILL_ROUNDS").unwrap_or(if cfg!(debug_assertions) { 30 } else { 150 });
    let seed = number_from("KILL_SEED")
        .unwrap_or_else(|| SystemTime::UNIX_EPOCH.elapsed().map_or(1, |time| time.as_nanos() as u64));
    println!("KILL_SEED={seed} KILL_ROUNDS={rounds}");
    let mut random = seed | 1;
    let mut below = |limit: u64| {
        random ^= random >> 12;
        random ^= random << 25;
        random ^= random >> 27;
        (random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) % limit
    };
    let number = || RawValue::new(AtomicU64::new(0)).unwrap();
    let condvar = || Condvar::new().unwrap();
    let (numbers, target) = (number(), number());
    let stock = Stock { lock: Lock::new().unwrap(), numbers, target, is_there: condvar(), goes_on: condvar() };
    let start = |place: usize| {
        let builder = Process::builder().daemon(true);
        if place < 4 { builder.spawn(make, (&stock,)) } else { builder.spawn(take, (&stock,)) }.unwrap()
    };
    let mut processes: Vec<_> = (0..8).map(start).collect();
    for _ in 0..rounds {
        let _watchdog = watchdog();
        let target = stock.made() + 500;
        stock.target.store(target, SeqCst);
        drop(stock.mended(stock.lock.lock())); // whoever has looked at the old target waits now
        stock.goes_on.notify_all();
        let (place, moment) = (below(8) as usize, target - below(500));
        while stock.made() < moment {
            thread::yield_now();
        }
        let victim = &processes[place];
        victim.kill().unwrap();
        victim.wait();
        // A maker may not have got as far as its notification.
        drop(stock.mended(stock.lock.lock()));
        if place < 4 {
            stock.is_there.notify_one();
        }
        while stock.taken() < target {
            thread::yield_now();
        }
        assert_eq!((stock.made(), stock.taken()), (target, target));
        processes[place] = start(place);
    }
}
