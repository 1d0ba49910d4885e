use std::sync::atomic::Ordering::Relaxed;

use super::stream::{Stream, peer, process};
use crate::ring::bytes::Consumer;
use crate::word::models::{deaths, every_mutant_fails, explore};

fn all_arrive(count: u64, quick: bool) {
    let stream = Stream::new();
    let sending = process(&stream, 1, None, move |stream| stream.send_all(count));
    let receiving = process(&stream, 2, None, move |stream| stream.receive_all(quick));
    assert_eq!(sending.join().unwrap(), Some(true));
    assert_eq!(receiving.join().unwrap(), Some(count));
}

/// The ring is full in between, and its end is skipped.
fn three_arrive() {
    all_arrive(3, false);
}

fn three_arrive_quickly() {
    all_arrive(3, true);
}

/// Once around: what lay there before is not taken for something new.
fn four_arrive_quickly() {
    all_arrive(4, true);
}

/// The receiver takes one message and closes: the sender does not wait for ever.
fn the_receiver_leaves() {
    let stream = Stream::new();
    let sending = process(&stream, 1, None, |stream| stream.send_all(4));
    let receiving = process(&stream, 2, None, |stream| {
        let first = stream.receive(&mut Consumer::at(0), false);
        stream.track.receiver.close(peer(2));
        stream.track.receiver_closed();
        first
    });
    assert_eq!(receiving.join().unwrap(), Some(Some(1)));
    assert_eq!(sending.join().unwrap(), Some(false), "there is no room for four, and nobody to make it");
}

/// A sender that dies before its `step`-th step: what it had published arrives, nothing else does, and then the end.
fn the_sender_dies_at(step: usize) {
    let stream = Stream::new();
    let sending = process(&stream, 1, Some(step), |stream| stream.send_all(3));
    let receiving = process(&stream, 2, None, |stream| stream.receive_all(false));
    let died = sending.join().unwrap().is_none();
    let (received, published) = (receiving.join().unwrap().unwrap(), stream.published.load(Relaxed));
    // The last one may have been published although its sender did not get to say so.
    assert!(received == published || died && received == published + 1, "{received} of {published}");
}

/// A receiver that dies before its `step`-th step: the sender does not wait for ever.
fn the_receiver_dies_at(step: usize) {
    let stream = Stream::new();
    let receiving = process(&stream, 2, Some(step), |stream| stream.receive_all(false));
    let sending = process(&stream, 1, None, |stream| stream.send_all(3));
    let died = receiving.join().unwrap().is_none();
    assert!(sending.join().unwrap() == Some(true) || died);
}

const UNHARMED: [fn(); 4] = [three_arrive, three_arrive_quickly, four_arrive_quickly, the_receiver_leaves];
const SENDERS_DEATHS: [fn(); 16] = deaths!(the_sender_dies_at: 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
const RECEIVERS_DEATHS: [fn(); 16] = deaths!(the_receiver_dies_at: 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);

#[test]
fn records_arrive_once_in_order_and_whole() {
    for model in UNHARMED {
        explore(None, 2, model).unwrap();
    }
}

#[test]
fn streams_survive_a_death_before_any_step() {
    for model in SENDERS_DEATHS.into_iter().chain(RECEIVERS_DEATHS) {
        explore(None, 1, model).unwrap();
    }
}

#[test]
fn every_mutant_of_the_byte_ring_fails() {
    every_mutant_fails(&["ring/bytes.rs"], 2, &UNHARMED);
}
