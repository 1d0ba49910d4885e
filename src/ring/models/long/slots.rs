use std::sync::Arc;

use shuttle::thread;

use super::super::cells::Ring;
use super::account::{Account, messages};
use super::{any_below, executions, lives};
use crate::ring::slot::Phase;
use crate::ring::{Consumer, GetRefused, Hold, Producer, Slots};
use crate::sys::Process;
use crate::sys::liveness::Liveness;
use crate::word::PeerId;
use crate::word::models::{every_mutant_fails, explore, survivors};

/// A ring, and what becomes of the messages in it.
#[derive(Clone)]
pub(super) struct Life {
    pub(super) ring: Arc<Ring>,
    pub(super) account: Arc<Account>,
}

/// Whatever befalls the others, somebody takes to the end.
pub(super) const FIRST_CONSUMER: usize = 4;

/// Waits for a slot as a queue does.
fn put(ring: &Ring, producer: &Producer, me: PeerId, message: u32) -> bool {
    let ticket = match producer.claim(ring, me) {
        Ok(ticket) => ticket,
        Err(_) => {
            let Some(ticket) = ring.claim(producer, me) else { return false };
            if producer.has_room(ring) {
                ring.control.space.notify_one(); // passes the wake-up on
            }
            ticket
        }
    };
    ring.write(ticket, message);
    true
}

/// Waits for a message as a queue does.
fn get(ring: &Ring, consumer: &Consumer, me: PeerId) -> Option<u32> {
    let hold = if any_below(2) == 0 { Hold::Briefly } else { Hold::Long };
    let ticket = match consumer.take(ring, me, hold) {
        Some(ticket) => ticket,
        None => {
            let ticket = ring.take(consumer, me, hold)?;
            if consumer.has_more(ring) {
                ring.control.items.notify_one(); // passes the wake-up on
            }
            ticket
        }
    };
    Some(ring.read(consumer, ticket))
}

impl Life {
    pub(super) fn new(capacity: usize) -> Self {
        Life { ring: Ring::new(capacity), account: Arc::default() }
    }

    /// Puts so many messages in a life.
    pub(super) fn producing(&self, slot: usize, kills: u32, count: usize) -> thread::JoinHandle<u32> {
        let Life { ring, account } = self.clone();
        let survives = any_below(4) > 0;
        thread::spawn(move || {
            lives(slot, kills, survives, |me| {
                let producer = Producer::new(&*ring);
                for message in messages(me, count as u32) {
                    account.begin(message);
                    if !put(&ring, &producer, me, message) {
                        return;
                    }
                    account.put(message);
                }
            })
        })
    }

    /// Gets messages until the end; closes the ring after so many. The first consumer survives.
    pub(super) fn consuming(&self, slot: usize, kills: u32, closes_after: Option<usize>) -> thread::JoinHandle<u32> {
        let survives = slot == FIRST_CONSUMER || kills == 0 || any_below(2) == 0;
        let Life { ring, account } = self.clone();
        thread::spawn(move || {
            let mut count = 0;
            lives(slot, kills, survives, |me| {
                let consumer = Consumer::new(&*ring);
                while let Some(message) = get(&ring, &consumer, me) {
                    account.got(me, message);
                    count += 1;
                    if Some(count) == closes_after {
                        ring.control.close();
                    }
                }
            })
        })
    }

    /// Waits for the producers, closes the ring, waits for the consumers, and settles the account.
    pub(super) fn end(self, producers: Vec<thread::JoinHandle<u32>>, consumers: Vec<thread::JoinHandle<u32>>) {
        for producer in producers {
            producer.join().unwrap();
        }
        self.ring.control.close();
        let killed = consumers.into_iter().map(|consumer| consumer.join().unwrap()).sum();
        self.account.check(killed, self.ring.control.redelivered());
        let newcomer = PeerId::new(9, 1);
        Process::run(newcomer.get(), None, || {
            let consumer = Consumer::new(&*self.ring);
            assert!(consumer.is_ready(&*self.ring, newcomer, &Liveness, || false), "the end is there to be got");
            assert_eq!(self.ring.sweep(&consumer, newcomer, Hold::Briefly), Err(GetRefused::Ended));
        });
        assert!(self.ring.words.iter().all(|word| word.load().phase() == Phase::Free), "a slot is lost");
    }
}

/// Up to four producers and four consumers, some of whom stop or are killed, and 1 to 4 slots. Each producer has so many
/// messages at most in a life.
fn a_life(kills: u32, most: usize, closes_after: Option<usize>) {
    let life = Life::new(1 + any_below(4));
    let most = any_below(most) + 1;
    let producers = (0..=any_below(4)).map(|slot| life.producing(slot, kills, any_below(most) + 1)).collect();
    let consumers = (0..=any_below(4)).map(|slot| life.consuming(FIRST_CONSUMER + slot, kills, closes_after)).collect();
    life.end(producers, consumers);
}

fn nobody_dies() {
    a_life(0, 50, None);
}

fn some_die() {
    a_life(2, 20, None);
}

fn somebody_closes() {
    a_life(1, 20, Some(1 + any_below(10)));
}

#[test]
fn streams_of_many_arrive_and_all_sleepers_wake() {
    explore(None, executions(200), nobody_dies).unwrap();
}

#[test]
fn streams_of_many_survive_deaths() {
    explore(None, executions(200), some_die).unwrap();
}

#[test]
fn streams_of_many_end_when_somebody_closes() {
    explore(None, executions(200), somebody_closes).unwrap();
}

const MODELS: [fn(); 3] = [nobody_dies, some_die, somebody_closes];

#[test]
fn a_blind_claim_is_found() {
    every_mutant_fails(&["ring/slot.rs"], executions(100), &MODELS);
}

/// The other three of the event's mutants wake more than they should, or need so rare a schedule that only loom finds them.
#[test]
fn a_missing_wake_up_is_found() {
    let survivors = survivors(&["word/eventcount.rs"], executions(100), &MODELS);
    assert!(survivors.len() <= 3, "{survivors:#?}");
}
