//! What the two ends of a byte ring share besides its bytes, and how they wait for each other.
//!
//! W1. Whoever waits looks with a closure that is definitive: it sees a record or room if there is any, and otherwise
//!     whether the other end is gone, and then looks at the ring once more (`endpoint.rs`, O3).
//! W2. A producer says how much room it waits for before it announces itself. The consumer, having stored `head`, passes its
//!     half of the fence, and looks for waiters and how much they want in that order: it sees both, or the producer's last
//!     look sees the `head`. So a producer that waits for much is not woken for little, and is woken for enough.

use super::bytes::{Consumer, Corrupted, Producer, Record, Refused, Ring};
use super::endpoint::Endpoint;
use crate::sys::atomic::{AtomicU64, Ordering::Relaxed};
use crate::sys::clock::Deadline;
use crate::sys::liveness::Liveness;
use crate::sys::spin::Pace;
use crate::word::eventcount::EventCount;

/// | offset | size | field    | meaning                                                            |
/// |--------|------|----------|--------------------------------------------------------------------|
/// | 0      | 8    | head     | the consumer's position                                            |
/// | 8      | 120  | apart    | 0: `head` changes with every message, what follows hardly ever     |
/// | 128    | 8    | items    | an [`EventCount`]: a record was published, or the sender closed         |
/// | 136    | 8    | space    | an [`EventCount`]: bytes were given back, or the receiver closed        |
/// | 144    | 8    | wanted   | the position of `head` that a waiting producer waits for           |
/// | 152    | 8    | sender   | an [`Endpoint`]                                                    |
/// | 160    | 8    | receiver | an [`Endpoint`]                                                    |
/// | 168    | 88   | line     | 0: the bytes have cache lines of their own                         |
#[repr(C, align(128))]
pub(crate) struct Track {
    pub(crate) head: AtomicU64,
    pub(crate) apart: [AtomicU64; 15],
    pub(crate) items: EventCount,
    pub(crate) space: EventCount,
    pub(crate) wanted: AtomicU64,
    pub(crate) sender: Endpoint,
    pub(crate) receiver: Endpoint,
    pub(crate) line: [AtomicU64; 11],
}

/// How a wait for the other end ended, other than with what was waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Nobody has the other end any more.
    Gone,
    TimedOut,
    Corrupted(Corrupted),
}

/// What a producer that finds the ring full would like to find free at its next look: bytes, for some tens of small
/// messages. A guess.
const WORTH_A_LOOK: u64 = 2048;

#[cfg(all(test, loom))]
impl Track {
    pub(crate) fn of(sender: crate::word::PeerId, receiver: crate::word::PeerId) -> Self {
        let zero = || AtomicU64::new(0);
        Track {
            head: zero(),
            apart: std::array::from_fn(|_| zero()),
            items: EventCount::new(),
            space: EventCount::new(),
            wanted: zero(),
            sender: Endpoint::of(sender),
            receiver: Endpoint::of(receiver),
            line: std::array::from_fn(|_| zero()),
        }
    }
}

impl Track {
    #[inline]
    pub(super) fn notify_space(&self, head: u64) {
        self.space.notify_one_if(|| head >= self.wanted.load(Relaxed)); // (W2)
    }

    /// What a sender does last.
    pub(crate) fn sender_closed(&self) {
        self.items.notify_all();
    }

    /// What a receiver does last.
    pub(crate) fn receiver_closed(&self) {
        self.space.notify_all();
    }
}

impl Ring<'_> {
    /// The next record, or why there will be none: one definitive look (W1).
    pub(crate) fn look_for_record(self, consumer: &Consumer, liveness: &Liveness) -> Option<Result<Record, Ended>> {
        match consumer.peek(self).transpose() {
            None if self.track.sender.is_gone(liveness) => match consumer.peek(self).transpose() {
                None => Some(Err(Ended::Gone)),
                found => found.map(|found| found.map_err(Ended::Corrupted)),
            },
            found => found.map(|found| found.map_err(Ended::Corrupted)),
        }
    }

    /// Waits for the next record, of which `bytes` may be expected.
    pub(crate) fn wait_for_record(
        self,
        consumer: &Consumer,
        bytes: u64,
        liveness: &Liveness,
        deadline: Deadline,
        pace: &Pace,
    ) -> Result<Record, Ended> {
        let glance = || consumer.peek(self).map_err(Ended::Corrupted).transpose();
        let look = || self.look_for_record(consumer, liveness);
        let spin = |glance: &mut dyn FnMut() -> _| pace.until_copied(consumer.records(), bytes, glance);
        self.track.items.wait(spin, deadline, glance, look).unwrap_or(Err(Ended::TimedOut))
    }

    /// Waits until there is room for a record of `bytes`; `until` is what `reserve` said.
    pub(crate) fn wait_for_room(
        self,
        producer: &Producer,
        bytes: u64,
        until: u64,
        liveness: &Liveness,
        deadline: Deadline,
        pace: &Pace,
    ) -> Result<(), Ended> {
        let room = |bytes| match producer.has_room(self, bytes) {
            Ok(true) => Some(Ok(())),
            Err(Refused::Corrupted(corrupted)) => Some(Err(Ended::Corrupted(corrupted))),
            Ok(false) | Err(Refused::NoRoom { .. }) => None,
        };
        // Each look at `head` takes its cache line away from a busy consumer. So at first for more room than is needed: for
        // all that a spin can hope for.
        let much = bytes.max((self.capacity() / 8).min(WORTH_A_LOOK));
        if let Some(result) = pace.until_copied(producer.records(), bytes, || room(much)).or_else(|| room(bytes)) {
            return result;
        }
        let look = || room(bytes).or_else(|| self.track.receiver.is_gone(liveness).then_some(Err(Ended::Gone)));
        // Only now: it lies beside what both ends look at with every message.
        self.track.wanted.store(until, Relaxed); // (W2)
        self.track
            .space
            .wait(|glance| pace.until_copied(producer.records(), bytes, glance), deadline, || room(bytes), look)
            .unwrap_or(Err(Ended::TimedOut))
    }
}
