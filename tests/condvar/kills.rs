//! Kills at random among those who wait and those who notify.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;

use crossproc::{Condvar, Guard, Lock, LockError, Process, RawValue};

use crate::common::kills::Kills;

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

/// Four make and four take; in each round one of the eight is killed and started again. Then all that was made is taken
/// without a further notification: nobody sleeps who should have been woken. The seed that it prints replays its schedule:
/// `common/kills.rs`.
#[test]
fn everything_is_taken_though_makers_and_takers_are_killed() {
    let number = || RawValue::new(AtomicU64::new(0)).unwrap();
    let condvar = || Condvar::new().unwrap();
    let (numbers, target) = (number(), number());
    let stock = Stock { lock: Lock::new().unwrap(), numbers, target, is_there: condvar(), goes_on: condvar() };
    let start = |place: usize| {
        let builder = Process::builder().daemon(true);
        if place < 4 { builder.spawn(make, (&stock,)) } else { builder.spawn(take, (&stock,)) }.unwrap()
    };
    let mut processes: Vec<_> = (0..8).map(start).collect();
    Kills::asked_for(if cfg!(debug_assertions) { 30 } else { 150 }).each_round(|_, random| {
        let target = stock.made() + 500;
        stock.target.store(target, SeqCst);
        drop(stock.mended(stock.lock.lock())); // whoever has looked at the old target waits now
        stock.goes_on.notify_all();
        let (place, moment) = (random.index(8), target - random.below(500));
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
    });
}
