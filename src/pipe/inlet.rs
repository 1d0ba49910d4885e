//! The sending end without the type of its messages: from bytes to records.

use serde::{Deserialize, Serialize};

use super::body::payload;
use super::end::{End, EndWire, Side, corrupted};
use crate::error::{Error, Kind, Result, TrySendError, TypeStamp};
use crate::ring::bytes::{MOST_PIECES, Producer, Refused};
use crate::ring::record;
use crate::ring::track::Ended;
use crate::segment::Wait;
use crate::segment::handle::{Incoming, Outgoing};
use crate::sys::clock::{self, Deadline};
use crate::sys::spin;

pub(super) struct Inlet {
    end: End,
    producer: Producer,
    pace: spin::Pace,
    /// How often the kernel is asked whether the receiver is dead while there is room for messages.
    asking: clock::OncePerTick,
}

/// On its way.
#[derive(Serialize, Deserialize)]
pub(super) struct InletWire {
    end: EndWire,
    position: u64,
}

/// Why nothing was sent; the message is the caller's to give back.
pub(super) type Refusal = TrySendError<()>;

impl Inlet {
    pub(super) fn new(end: End) -> Self {
        Inlet::at(end, 0)
    }

    fn at(end: End, position: u64) -> Self {
        Inlet { end, producer: Producer::at(position), pace: spin::Pace::new(), asking: clock::OncePerTick::default() }
    }

    pub(super) fn depart(&self, outgoing: &mut Outgoing) -> Result<InletWire> {
        Ok(InletWire { end: self.end.depart(outgoing)?, position: self.producer.position() })
    }

    pub(super) fn arrive(wire: &InletWire, element: &TypeStamp, incoming: &mut Incoming) -> Result<Self> {
        check_position(wire.position)?;
        Ok(Inlet::at(End::arrive(Side::Sending, element, &wire.end, incoming)?, wire.position))
    }

    /// Sends a message of these bytes.
    #[inline]
    pub(super) fn send(&mut self, bytes: &[u8], wait: Wait) -> Result<(), Refusal> {
        self.check_receiver()?;
        let length = bytes.len() as u64;
        if length > self.end.ring().most() {
            return self.send_in_pieces(bytes, wait);
        }
        self.send_record(record::Kind::Whole, bytes, wait)
    }

    /// Fails if nobody will receive. That a receiver has been killed may take a tick of the kernel's clock to be seen.
    #[inline]
    fn check_receiver(&mut self) -> Result<(), Refusal> {
        self.end.check_ours().map_err(failed)?;
        let receiver = &self.end.ring().track.receiver;
        if receiver.is_closed() || self.asking.is_due() && receiver.is_gone(self.end.liveness()) {
            return Err(self.broken());
        }
        Ok(())
    }

    /// Nobody will receive, and the next call finds that, too.
    fn broken(&mut self) -> Refusal {
        self.suspect();
        Refusal::BrokenPipe(())
    }

    /// Has the next call ask the kernel whether the receiver is dead.
    pub(super) fn suspect(&mut self) {
        self.asking = clock::OncePerTick::default();
    }

    #[inline]
    fn send_record(&mut self, kind: record::Kind, bytes: &[u8], wait: Wait) -> Result<(), Refusal> {
        let length = bytes.len() as u64;
        let start = match self.producer.reserve(self.end.ring(), length) {
            Ok(start) => start,
            Err(refused) => self.wait_for_room(refused, length, wait)?,
        };
        let ring = self.end.ring();
        payload(ring, start, bytes.len()).write(bytes);
        self.producer.publish(ring, kind, length);
        Ok(())
    }

    #[cold]
    fn wait_for_room(&mut self, refused: Refused, length: u64, wait: Wait) -> Result<usize, Refusal> {
        let until = match refused {
            Refused::NoRoom { until } => until,
            Refused::Corrupted(found) => return Err(failed(corrupted(found))),
        };
        let ring = self.end.ring();
        let Wait::Until(deadline) = wait else { return Err(Refusal::Full(())) };
        let waited = ring.wait_for_room(&self.producer, length, until, self.end.liveness(), deadline, &self.pace);
        match waited {
            Ok(()) => self.producer.reserve(ring, length).map_err(|refused| match refused {
                Refused::Corrupted(found) => failed(corrupted(found)),
                // A `head` that goes back.
                Refused::NoRoom { until } => {
                    failed(Error::Corrupted { object: Kind::Channel, position: self.producer.position(), found: until })
                }
            }),
            Err(Ended::Gone) => Err(self.broken()),
            Err(Ended::TimedOut) => Err(Refusal::Full(())),
            Err(Ended::Corrupted(found)) => Err(failed(corrupted(found))),
        }
    }

    /// Sends a message that is too long for one record. One that is given up half-way is dropped by the receiver when
    /// the next message begins.
    #[cold]
    fn send_in_pieces(&mut self, bytes: &[u8], wait: Wait) -> Result<(), Refusal> {
        let ring = self.end.ring();
        if let Wait::No = wait {
            match self.producer.has_room_in_pieces(ring, bytes.len() as u64) {
                Ok(true) => {}
                Ok(false) if bytes.len() as u64 > ring.most_at_once() => {
                    let (size, limit) = (bytes.len(), ring.most_at_once() as usize);
                    return Err(failed(Error::TooLarge { object: Kind::Channel, size, limit }));
                }
                Ok(false) => return Err(Refusal::Full(())),
                Err(refused) => return self.wait_for_room(refused, 0, wait).map(drop),
            }
        }
        let mut allowance = Allowance::new(wait);
        let (mut kind, mut left) = (record::Kind::First, bytes);
        while !left.is_empty() {
            let length = self.producer.piece(self.end.ring(), left.len() as u64) as usize;
            let (piece, behind) = left.split_at(length);
            if behind.is_empty() {
                kind = record::Kind::Last;
            }
            self.send_record(kind, piece, wait)?;
            (kind, left) = (record::Kind::More, behind);
            if !left.is_empty() && !allowance.covers_another() {
                return Err(Refusal::Full(()));
            }
        }
        Ok(())
    }

    /// How many bytes one record takes.
    pub(super) fn most(&self) -> usize {
        self.end.ring().most() as usize
    }

    pub(super) fn capacity(&self) -> usize {
        self.end.ring().capacity() as usize
    }
}

/// No deadline, no try: `Full` cannot be.
pub(super) const FOR_EVER: Wait = Wait::Until(Deadline::NEVER);

/// How many pieces may still pass when the time is up: what may be there, or fit in, without waiting. The other end may be as
/// quick as this one, the message of any size, and a hostile sender's pieces of none.
pub(super) struct Allowance {
    wait: Wait,
    pieces: u32,
}

impl Allowance {
    pub(super) fn new(wait: Wait) -> Self {
        Allowance { wait, pieces: MOST_PIECES }
    }

    /// Whether it may go on after a piece.
    pub(super) fn covers_another(&mut self) -> bool {
        let is_up = match self.wait {
            Wait::No => true,
            Wait::Until(deadline) => deadline.has_passed(),
        };
        if is_up {
            self.pieces = self.pieces.saturating_sub(1);
        }
        self.pieces > 0
    }
}

fn failed(error: Error) -> Refusal {
    Refusal::Failed { message: (), error }
}

/// Checks a position that came with a message.
pub(super) fn check_position(position: u64) -> Result<()> {
    if position.is_multiple_of(8) && position < 1 << 63 {
        return Ok(());
    }
    Err(Error::Decode { what: "a handle".into(), reason: format!("position {position}") })
}
