use std::sync::atomic::Ordering::Relaxed;

use super::super::stream::{Stream, peer, process};
use super::{any_below, executions, may_stop, some_steps};
use crate::ring::bytes::Consumer;
use crate::word::models::explore;

fn all_arrive() {
    let (stream, messages) = (Stream::new(), 1 + any_below(60) as u64);
    let quick = any_below(2) == 0;
    let sending = process(&stream, 1, None, move |stream| {
        may_stop();
        stream.send_all(messages)
    });
    let receiving = process(&stream, 2, None, move |stream| {
        may_stop();
        stream.receive_all(quick)
    });
    assert_eq!(sending.join().unwrap(), Some(true));
    assert_eq!(receiving.join().unwrap(), Some(messages));
}

/// What was sent arrives, nothing else does, and then the end.
fn the_sender_dies() {
    let (stream, messages) = (Stream::new(), 1 + any_below(60) as u64);
    let sending = process(&stream, 1, Some(some_steps()), move |stream| {
        may_stop();
        stream.send_all(messages)
    });
    let receiving = process(&stream, 2, None, |stream| {
        may_stop();
        stream.receive_all(true)
    });
    let died = sending.join().unwrap().is_none();
    let (received, published) = (receiving.join().unwrap().unwrap(), stream.published.load(Relaxed));
    assert!(received == published || died && received == published + 1, "{received} of {published}");
}

/// The sender does not wait for ever for a receiver that dies.
fn the_receiver_dies() {
    let (stream, messages) = (Stream::new(), 1 + any_below(60) as u64);
    let receiving = process(&stream, 2, Some(some_steps()), |stream| {
        may_stop();
        stream.receive_all(true)
    });
    let sending = process(&stream, 1, None, move |stream| {
        may_stop();
        stream.send_all(messages)
    });
    let died = receiving.join().unwrap().is_none();
    assert!(sending.join().unwrap() == Some(true) || died);
}

/// Nor for one that closes.
fn the_receiver_leaves() {
    let stream = Stream::new();
    let most = 1 + any_below(30) as u64;
    let receiving = process(&stream, 2, None, move |stream| {
        may_stop();
        let mut consumer = Consumer::at(0);
        let received = (1..=most).all(|message| stream.receive(&mut consumer, true) == Some(message));
        stream.track.receiver.close(peer(2));
        stream.track.receiver_closed();
        received
    });
    let sending = process(&stream, 1, None, |stream| stream.send_all(60));
    assert_eq!(receiving.join().unwrap(), Some(true));
    assert_eq!(sending.join().unwrap(), Some(false));
}

const MODELS: [fn(); 4] = [all_arrive, the_sender_dies, the_receiver_dies, the_receiver_leaves];

#[test]
fn long_streams_arrive_whole_whoever_dies_or_leaves() {
    for model in MODELS {
        explore(None, executions(500), model).unwrap();
    }
}
