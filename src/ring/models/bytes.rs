use std::cell::Cell as Count;
use std::mem;
use std::sync::Arc;

use loom::cell::Cell;
use loom::thread::{self, JoinHandle};

use crate::ring::bytes::{Consumer, Producer, Refused, Ring};
use crate::ring::record::Kind;
use crate::ring::track::{Ended, Track};
use crate::sys::Process;
use crate::sys::atomic::AtomicU64;
use crate::sys::clock::Deadline;
use crate::sys::fork::Exclusion;
use crate::sys::liveness::Liveness;
use crate::sys::spin::Spin;
use crate::word::PeerId;
use crate::word::models::{deaths, every_mutant_fails, explore};

/// A ring of the least capacity, with a cell for each word: loom fails an execution in which one end writes what the
/// other one reads, or in which the consumer does not see what the producer wrote.
struct Stream {
    track: Track,
    words: [AtomicU64; 8],
    payload: [Cell<u64>; 8],
    /// How many messages were published, as far as the producer got to say so.
    published: Count<u64>,
}

/// Bytes of a message: with the header, three words of the eight, and four for the third message, which so needs a skip, and
/// reaches into what the second one has just left.
fn bytes(message: u64) -> u64 {
    if message == 3 { 24 } else { 16 }
}

fn peer(slot: usize) -> PeerId {
    PeerId::new(slot, 1)
}

/// An identity that lives from now on, until its process ends.
fn alive(slot: usize) -> PeerId {
    let hold = Liveness.hold(peer(slot).get(), &Exclusion);
    mem::forget(hold);
    peer(slot)
}

impl Stream {
    /// One whose sender is peer 1, and whose receiver is peer 2.
    fn new() -> Arc<Self> {
        #[expect(clippy::arc_with_non_send_sync, reason = "loom runs all threads of a model on one")]
        Arc::new(Stream {
            track: Track::of(alive(1), alive(2)),
            words: std::array::from_fn(|_| AtomicU64::new(0)),
            payload: std::array::from_fn(|_| Cell::new(0)),
            published: Count::new(0),
        })
    }

    fn ring(&self) -> Ring<'_> {
        Ring { track: &self.track, words: &self.words }
    }

    /// Waits for room; false if nobody will receive.
    fn send(&self, producer: &mut Producer, message: u64) -> bool {
        let bytes = bytes(message);
        let start = match producer.reserve(self.ring(), bytes) {
            Ok(start) => start,
            Err(Refused::NoRoom { until }) => {
                match self.ring().wait_for_room(producer, bytes, until, &Liveness, Deadline::Never, &Spin) {
                    Ok(()) => producer.reserve(self.ring(), bytes).unwrap(),
                    Err(Ended::Gone) => return false,
                    other => panic!("{other:?}"),
                }
            }
            Err(other) => panic!("{other:?}"),
        };
        // The word behind the payload is written, too: it becomes the 0 of the next header.
        for word in start..=start + bytes as usize / 8 {
            self.payload[word % 8].set(message);
        }
        producer.publish(self.ring(), Kind::Whole, bytes);
        self.published.set(message);
        true
    }

    /// Sends 1, 2, 3 ... and closes; whether there was somebody to receive them.
    fn send_all(&self, count: u64) -> bool {
        let mut producer = Producer::at(0);
        let sent = (1..=count).all(|message| self.send(&mut producer, message));
        self.track.sender.close(peer(1));
        self.track.sender_closed();
        sent
    }

    /// Waits for a message; `None` at the end. `quick`: tries the short way first, as nearly every message does.
    fn receive(&self, consumer: &mut Consumer, quick: bool) -> Option<u64> {
        let found = if quick { consumer.peek_message(self.ring()) } else { None };
        let record = match found {
            Some(record) => record,
            None => match self.ring().wait_for_record(consumer, &Liveness, Deadline::Never, &Spin) {
                Ok(record) => record,
                Err(Ended::Gone) => return None,
                other => panic!("{other:?}"),
            },
        };
        let message = self.payload[record.start].get();
        assert_eq!(record.bytes as u64, bytes(message));
        for word in record.start..record.start + record.bytes / 8 {
            assert_eq!(self.payload[word].get(), message);
        }
        consumer.release(self.ring(), record);
        Some(message)
    }

    /// Receives to the end, and checks that it is 1, 2, 3 ...; how many.
    fn receive_all(&self, quick: bool) -> u64 {
        let mut consumer = Consumer::at(0);
        let mut count = 0;
        while let Some(message) = self.receive(&mut consumer, quick) {
            count += 1;
            assert_eq!(message, count);
        }
        count
    }
}

/// A process that does one side's part; `None` if it died.
fn process<R: 'static>(
    stream: &Arc<Stream>,
    slot: usize,
    death: Option<usize>,
    body: impl FnOnce(&Stream) -> R + 'static,
) -> JoinHandle<Option<R>> {
    let stream = Arc::clone(stream);
    thread::spawn(move || Process::run(peer(slot).get(), death, || body(&stream)))
}

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
    let (received, published) = (receiving.join().unwrap().unwrap(), stream.published.get());
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
    every_mutant_fails("ring/bytes.rs", 2, &UNHARMED);
}
