use std::sync::Arc;

use loom::thread;

use super::{deaths, every_mutant_fails, explore, explore_deaths, victim};
use crate::sys::atomic::{
    AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed},
};
use crate::sys::clock::Deadline;
use crate::sys::futex::sleepers;
use crate::word::eventcount::EventCount;

/// Things that are made, and taken by those who wait for them.
struct Stock {
    things: AtomicU64,
    event: EventCount,
}

impl Stock {
    fn new() -> Arc<Self> {
        Arc::new(Stock { things: AtomicU64::new(0), event: EventCount::new() })
    }

    fn make(&self) {
        self.things.fetch_add(1, AcqRel);
        self.event.notify_one();
    }

    fn take(&self) -> Option<()> {
        let mut things = self.things.load(Relaxed);
        while things > 0 {
            match self.things.compare_exchange(things, things - 1, Acquire, Relaxed) {
                Ok(_) => return Some(()),
                Err(changed) => things = changed,
            }
        }
        None
    }

    fn wait_and_take(&self) {
        let took = self.event.wait(|glance| glance(), Deadline::Never, || None, || self.take());
        assert_eq!(took, Some(()));
    }

    fn wait_for(&self, things: u64) {
        let look = || (self.things.load(Acquire) >= things).then_some(());
        assert_eq!(self.event.wait(|glance| glance(), Deadline::Never, || None, look), Some(()));
    }
}

fn process(stock: &Arc<Stock>, id: u32, death: Option<usize>, body: fn(&Stock)) -> thread::JoinHandle<Option<()>> {
    let stock = Arc::clone(stock);
    thread::spawn(move || victim(id, death, || body(&stock)))
}

fn join(processes: [thread::JoinHandle<Option<()>>; 2]) {
    for process in processes {
        process.join().unwrap();
    }
}

/// Two wait, and each gets what the third makes.
fn two_wait_for_one_each() {
    let stock = Stock::new();
    let waiting = [1, 2].map(|id| process(&stock, id, None, Stock::wait_and_take));
    let making = process(&stock, 3, None, |stock| {
        stock.make();
        stock.make();
    });
    making.join().unwrap();
    join(waiting);
}

/// Two make, one waits twice.
fn one_waits_for_two() {
    let stock = Stock::new();
    let waiting = process(&stock, 1, None, |stock| {
        stock.wait_and_take();
        stock.wait_and_take();
    });
    let making = [2, 3].map(|id| process(&stock, id, None, Stock::make));
    join(making);
    waiting.join().unwrap();
}

/// One notification for all who wait.
fn all_are_woken() {
    let stock = Stock::new();
    let waiting = [1, 2].map(|id| process(&stock, id, None, |stock| stock.wait_for(1)));
    stock.things.fetch_add(1, AcqRel);
    stock.event.notify_all();
    join(waiting);
}

/// Of two that sleep, one notification wakes one.
fn one_is_woken() {
    let stock = Stock::new();
    let waiting = [1, 2].map(|id| process(&stock, id, None, Stock::wait_and_take));
    let both_sleep = sleepers() == 2;
    stock.make();
    assert!(!both_sleep || sleepers() >= 1, "a notification for one wakes both");
    stock.make();
    join(waiting);
}

/// A waiter that dies before its `step`-th step does not keep a wake-up from another one.
fn a_waiter_dies_at(step: usize) {
    let stock = Stock::new();
    let victim = process(&stock, 1, Some(step), Stock::wait_and_take);
    let waiting = process(&stock, 2, None, Stock::wait_and_take);
    stock.make();
    stock.make();
    waiting.join().unwrap();
    victim.join().unwrap();
}

/// A maker that dies before its `step`-th step; what it made is found all the same.
fn a_maker_dies_at(step: usize) {
    let stock = Stock::new();
    let victim = process(&stock, 1, Some(step), Stock::make);
    let waiting = process(&stock, 2, None, |stock| stock.wait_for(1));
    if victim.join().unwrap().is_none() && stock.things.load(Acquire) == 0 {
        stock.make();
    }
    waiting.join().unwrap();
}

const UNHARMED: [fn(); 4] = [two_wait_for_one_each, one_waits_for_two, all_are_woken, one_is_woken];
const WAITERS_DEATHS: [fn(); 13] = deaths!(a_waiter_dies_at: 0 1 2 3 4 5 6 7 8 9 10 11 12);
const MAKERS_DEATHS: [fn(); 8] = deaths!(a_maker_dies_at: 0 1 2 3 4 5 6 7);

#[test]
fn no_wake_up_is_lost() {
    for model in UNHARMED {
        explore(None, 3, model).unwrap();
    }
}

#[test]
fn waits_survive_a_death_before_any_step() {
    explore_deaths(2, &WAITERS_DEATHS);
    explore_deaths(2, &MAKERS_DEATHS);
}

#[test]
fn every_mutant_of_the_event_fails() {
    let models: Vec<fn()> = UNHARMED.into_iter().chain(WAITERS_DEATHS).chain(MAKERS_DEATHS).collect();
    every_mutant_fails(&["word/eventcount.rs"], 3, &models);
}
