use std::mem;
use std::sync::Arc;
use std::sync::atomic::AtomicU64 as AtomicCount;

use crate::ring::bytes::{Consumer, Producer, Refused, Ring};
use crate::ring::record::Kind;
use crate::ring::track::{Ended, Track};
use crate::sys::Process;
use crate::sys::atomic::{AtomicU64, Ordering::Relaxed};
use crate::sys::cell::Cell;
use crate::sys::clock::Deadline;
use crate::sys::engine::thread::{self, JoinHandle};
use crate::sys::liveness::Liveness;
use crate::sys::spin::Pace;
use crate::word::PeerId;

/// A ring of the least capacity, with a cell for each word: an execution fails in which one end writes what the
/// other one reads, or in which the consumer does not see what the producer wrote.
pub(super) struct Stream {
    pub(super) track: Track,
    words: [AtomicU64; 8],
    payload: [Cell<u64>; 8],
    /// How many messages were published, as far as the producer got to say so.
    pub(super) published: AtomicCount,
}

/// Bytes of a message: with the header, three words of the eight, and four for the third message, which so needs a skip, and
/// reaches into what the second one has just left. Later ones are of all lengths.
pub(super) fn bytes(message: u64) -> u64 {
    match message {
        3 => 24,
        message => [16, 16, 8, 24, 0][message as usize / 5 % 5],
    }
}

pub(super) fn peer(slot: usize) -> PeerId {
    PeerId::new(slot, 1)
}

/// An identity that lives from now on, until its process ends.
fn alive(slot: usize) -> PeerId {
    let hold = Liveness.hold(peer(slot).get());
    mem::forget(hold);
    peer(slot)
}

impl Stream {
    /// One whose sender is peer 1, and whose receiver is peer 2.
    pub(super) fn new() -> Arc<Self> {
        #[cfg_attr(
            not(shuttle),
            expect(clippy::arc_with_non_send_sync, reason = "loom runs all threads of a model on one")
        )]
        Arc::new(Stream {
            track: Track::of(alive(1), alive(2)),
            words: std::array::from_fn(|_| AtomicU64::new(0)),
            payload: std::array::from_fn(|_| Cell::new(0)),
            published: AtomicCount::new(0),
        })
    }

    pub(super) fn ring(&self) -> Ring<'_> {
        Ring { track: &self.track, words: &self.words }
    }

    /// Waits for room; false if nobody will receive.
    pub(super) fn send(&self, producer: &mut Producer, message: u64) -> bool {
        let bytes = bytes(message);
        let start = match producer.reserve(self.ring(), bytes) {
            Ok(start) => start,
            Err(Refused::NoRoom { until }) => {
                match self.ring().wait_for_room(producer, bytes, until, &Liveness, Deadline::Never, &Pace) {
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
        self.published.store(message, Relaxed);
        true
    }

    /// Sends 1, 2, 3 ... and closes; whether there was somebody to receive them.
    pub(super) fn send_all(&self, count: u64) -> bool {
        let mut producer = Producer::at(0);
        let sent = (1..=count).all(|message| self.send(&mut producer, message));
        self.track.sender.close(peer(1));
        self.track.sender_closed();
        sent
    }

    /// Waits for a message; `None` at the end. `quick`: tries the short way first, as nearly every message does.
    pub(super) fn receive(&self, consumer: &mut Consumer, quick: bool) -> Option<u64> {
        let found = if quick { consumer.peek_message(self.ring()) } else { None };
        let record = match found {
            Some(record) => record,
            None => match self.ring().wait_for_record(consumer, 0, &Liveness, Deadline::Never, &Pace) {
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
    pub(super) fn receive_all(&self, quick: bool) -> u64 {
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
pub(super) fn process<R: Send + 'static>(
    stream: &Arc<Stream>,
    slot: usize,
    death: Option<usize>,
    body: impl FnOnce(&Stream) -> R + Send + 'static,
) -> JoinHandle<Option<R>> {
    let stream = Arc::clone(stream);
    thread::spawn(move || Process::run(peer(slot).get(), death, || body(&stream)))
}
