use std::mem;
use std::sync::{Arc, Mutex};

use loom::thread::JoinHandle;

use super::cells::{Ring, peer, process};
use crate::ring::{Consumer, Hold, Producer};
use crate::sys::Process;
use crate::sys::liveness::Liveness;
use crate::word::models::{deaths, every_mutant_fails, explore, with_deaths};

/// What a process got before it ended or died.
type Got = Arc<Mutex<Vec<u32>>>;

fn producing(ring: &Arc<Ring>, slot: usize, death: Option<usize>, messages: &'static [u32]) -> JoinHandle<bool> {
    process(ring, slot, death, move |ring, me| {
        let producer = Producer::new(ring);
        for &message in messages {
            ring.put(&producer, me, message);
        }
    })
}

fn consuming(ring: &Arc<Ring>, slot: usize, death: Option<usize>, count: usize) -> (JoinHandle<bool>, Got) {
    let got = Got::default();
    let process = process(ring, slot, death, {
        let got = Arc::clone(&got);
        move |ring, me| {
            let consumer = Consumer::new(ring);
            for _ in 0..count {
                match ring.get(&consumer, me) {
                    Some(message) => got.lock().unwrap().push(message),
                    None => break,
                }
            }
        }
    });
    (process, got)
}

/// One consumer gets what two producers put.
fn two_producers() {
    let ring = Ring::new(2);
    let producers = [producing(&ring, 1, None, &[1]), producing(&ring, 2, None, &[2])];
    let consumer = Consumer::new(&*ring);
    let mut got = Process::run(peer(3).get(), None, || {
        [ring.get(&consumer, peer(3)).unwrap(), ring.get(&consumer, peer(3)).unwrap()]
    })
    .unwrap();
    for producer in producers {
        producer.join().unwrap();
    }
    got.sort_unstable();
    assert_eq!(got, [1, 2]);
}

/// Two consumers get what one producer puts, through a single slot; each one in order.
fn two_consumers() {
    let ring = Ring::new(1);
    let consumers = [consuming(&ring, 1, None, 1), consuming(&ring, 2, None, 1)];
    let producer = producing(&ring, 3, None, &[1, 2]);
    producer.join().unwrap();
    let [first, second] = consumers.map(|(consumer, got)| {
        consumer.join().unwrap();
        mem::take(&mut *got.lock().unwrap())
    });
    assert!((first == [1] && second == [2]) || (first == [2] && second == [1]), "{first:?} {second:?}");
}

/// One of each, and more messages than slots: order, and waiting on both sides.
fn a_stream() {
    let ring = Ring::new(1);
    let producer = producing(&ring, 1, None, &[1, 2, 3]);
    let (consumer, got) = consuming(&ring, 2, None, 3);
    producer.join().unwrap();
    consumer.join().unwrap();
    assert_eq!(mem::take(&mut *got.lock().unwrap()), [1, 2, 3]);
}

/// Somebody closes the ring: every message whose put returned is got, none after the end.
fn a_close() {
    let ring = Ring::new(2);
    let put = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let producer = process(&ring, 1, None, {
        let put = Arc::clone(&put);
        move |ring, me| put.store(ring.put(&Producer::new(ring), me, 7), std::sync::atomic::Ordering::Relaxed)
    });
    let (consumer, got) = consuming(&ring, 2, None, 2);
    ring.control.close();
    producer.join().unwrap();
    consumer.join().unwrap();
    assert_eq!(mem::take(&mut *got.lock().unwrap()).len(), usize::from(put.load(std::sync::atomic::Ordering::Relaxed)));
}

/// A producer that dies before its `step`-th step; another one's messages arrive in order, and so does the dead one's
/// if it was published.
fn a_producer_dies_at(step: usize) {
    let ring = Ring::new(1);
    let victim = producing(&ring, 1, Some(step), &[9]);
    let producer = producing(&ring, 2, None, &[1]);
    let consumer = Consumer::new(&*ring);
    let got = Process::run(peer(3).get(), None, || {
        let mut got = Vec::new();
        while got.last() != Some(&1) {
            got.push(ring.get(&consumer, peer(3)).unwrap());
        }
        got
    })
    .unwrap();
    let lived = victim.join().unwrap();
    producer.join().unwrap();
    let others: Vec<u32> = got.iter().copied().filter(|&message| message != 9).collect();
    assert_eq!(others, [1]);
    assert!(got.len() <= 2);
    // All slots are still there.
    let last = Process::run(peer(4).get(), None, || {
        let rest = ring.sweep(&consumer, peer(4), Hold::Briefly);
        if let Ok(ticket) = rest {
            consumer.release(&*ring, ticket);
        }
        let is_late = rest.is_ok();
        let ticket = Producer::new(&*ring).claim_or_mend(&*ring, peer(4), &Liveness).unwrap();
        ticket.publish(&*ring);
        is_late
    })
    .unwrap();
    let arrived = got.contains(&9) || last;
    assert!(arrived || !lived, "a message whose put returned is lost");
}

/// A consumer that dies before its `step`-th step: what it had not finished, another one gets.
fn a_consumer_dies_at(step: usize) {
    let ring = Ring::new(1);
    let (victim, got) = consuming(&ring, 1, Some(step), 1);
    let producer = producing(&ring, 2, None, &[1, 2]);
    let consumer = Consumer::new(&*ring);
    let rest = Process::run(peer(3).get(), None, || {
        let mut rest = vec![ring.get(&consumer, peer(3)).unwrap()];
        if rest[0] == 1 && got.lock().unwrap().is_empty() && ring.control.redelivered() == 0 {
            // The other message is either the victim's or ours: whoever is alive.
            rest.extend(ring.drain(&consumer, peer(3)));
        }
        rest
    })
    .unwrap();
    let lived = victim.join().unwrap();
    producer.join().unwrap();
    let mut all = rest;
    Process::run(peer(4).get(), None, || all.extend(ring.drain(&consumer, peer(4))));
    let got = mem::take(&mut *got.lock().unwrap());
    let mut arrived: Vec<u32> = all.iter().chain(&got).copied().collect();
    arrived.sort_unstable();
    // A victim that had released the slot, but not yet told of it, has got the message.
    assert!(arrived == [1, 2] || (!lived && arrived.len() == 1), "{arrived:?}");
    assert!(got.len() + all.len() == 2 || !lived);
}

/// A producer, or the consumer, dies before its `step`-th step with one other process about.
fn one_of_two_dies_at(step: usize) {
    let ring = Ring::new(1);
    let victim = producing(&ring, 1, Some(step), &[9]);
    let me = peer(2);
    let (consumer, producer) = (Consumer::new(&*ring), Producer::new(&*ring));
    let got = Process::run(me.get(), None, || {
        assert!(ring.put(&producer, me, 1));
        let mut got = vec![ring.get(&consumer, me).unwrap()];
        while got.last() != Some(&1) {
            got.push(ring.get(&consumer, me).unwrap());
        }
        got
    });
    victim.join().unwrap();
    assert!(got.unwrap().len() <= 2);
}

/// Somebody works on a message for long, and dies before its `step`-th step if there is one, while another one gets and puts
/// past it.
fn a_hold(step: Option<usize>) {
    let ring = Ring::new(2);
    let (producer, consumer) = (Producer::new(&*ring), Consumer::new(&*ring));
    Process::run(peer(4).get(), None, || assert!([1, 2].into_iter().all(|n| ring.put(&producer, peer(4), n))));
    let held = Got::default();
    let holder = process(&ring, 1, step, {
        let held = Arc::clone(&held);
        move |ring, me| {
            let consumer = Consumer::new(ring);
            let ticket = ring.take(&consumer, me, Hold::Long).unwrap();
            let message = ring.read(&consumer, ticket);
            held.lock().unwrap().push(message);
        }
    });
    let mut got = Process::run(peer(3).get(), None, || {
        let got = vec![ring.get(&consumer, peer(3)).unwrap()];
        assert!(ring.put(&producer, peer(3), 3));
        got
    })
    .unwrap();
    let lived = holder.join().unwrap();
    Process::run(peer(4).get(), None, || {
        got.extend(ring.drain(&consumer, peer(4)));
        assert!(got.is_sorted() || !lived, "{got:?}");
        // All slots are still there.
        assert!([4, 5].into_iter().all(|n| ring.put(&producer, peer(4), n)));
        assert_eq!(ring.drain(&consumer, peer(4)), [4, 5]);
    });
    got.extend(mem::take(&mut *held.lock().unwrap()));
    got.sort_unstable();
    // A holder that had released the slot, but not yet told of it, has got the message.
    assert!(got == [1, 2, 3] || (!lived && got.len() == 2), "{got:?}");
}

fn a_hold_that_ends() {
    a_hold(None);
}

fn a_holder_dies_at(step: usize) {
    a_hold(Some(step));
}

const UNHARMED: [fn(); 5] = [two_producers, two_consumers, a_stream, a_close, a_hold_that_ends];
const HOLDERS_DEATHS: [fn(); 8] = deaths!(a_holder_dies_at: 2 3 4 5 6 7 8 9);
const PRODUCERS_DEATHS: [fn(); 10] = deaths!(a_producer_dies_at: 0 1 2 3 4 5 6 7 8 9);
const CONSUMERS_DEATHS: [fn(); 14] = deaths!(a_consumer_dies_at: 0 1 2 3 4 5 6 7 8 9 10 11 12 13);
const SMALL_DEATHS: [fn(); 5] = deaths!(one_of_two_dies_at: 1 2 3 4 5);

#[test]
fn tickets_are_exclusive_and_messages_stay_in_order() {
    for model in UNHARMED {
        explore(None, 2, model).unwrap();
    }
}

#[test]
fn the_ring_survives_a_producers_death_before_any_step() {
    for model in PRODUCERS_DEATHS {
        explore(None, 2, model).unwrap();
    }
}

#[test]
fn the_ring_survives_a_consumers_death_before_any_step() {
    for model in CONSUMERS_DEATHS {
        explore(None, with_deaths(2), model).unwrap();
    }
}

#[test]
fn the_ring_survives_a_holders_death() {
    for model in HOLDERS_DEATHS {
        explore(None, 2, model).unwrap();
    }
}

#[test]
fn every_mutant_of_the_ring_fails() {
    let models: Vec<fn()> =
        SMALL_DEATHS.into_iter().chain([two_producers as fn(), a_close, two_consumers, a_hold_that_ends]).collect();
    every_mutant_fails(&["ring/slot.rs", "ring/producer.rs", "ring/sweep.rs"], 2, &models);
}
