//! Lock-free rings: which slot is whose, and since when. Pure state machines over atomics, checked by loom; what the
//! slots hold, they do not know.
//!
//! | file | subject |
//! |---|---|
//! | `slot`, `position`, `control`, `producer`, `consumer`, `sweep` | slots for any number of producers and consumers |
//! | `bytes`, `record` | a ring of bytes for one producer and one consumer |
//! | `endpoint` | who has one end of it |
//! | `track` | what its ends share, and how they wait for each other |
//! | `ledger` | who has messages that are not done, and who could still put or get |
//!
//! In the slots, a message is put by claiming a slot, writing into it, and publishing it; it is got by claiming it again,
//! reading it, and releasing the slot for its next lap. Both claims are *tickets*, which whoever writes and reads holds.

#![forbid(unsafe_code)]

pub(crate) mod bytes;
mod consumer;
mod control;
pub(crate) mod endpoint;
pub(crate) mod ledger;
#[cfg(all(test, loom))]
mod models;
mod position;
mod producer;
pub(crate) mod record;
mod slot;
mod sweep;
pub(crate) mod track;

pub(crate) use consumer::{Consumer, GetRefused};
pub(crate) use control::{Control, LAYOUT as CONTROL_LAYOUT, Slots};
pub(crate) use producer::{Producer, PutRefused};
pub(crate) use slot::{Activity, Hold, SlotWord};

use self::position::Position;
use self::slot::{Phase, Word};

/// A slot that is ours, to write or to read, until the ticket is spent.
///
/// One number: as two, it went through memory, which cost a message some 10 ns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket(u64);

impl Ticket {
    /// Besides the position, whose index is smaller: whether producers may pass the slot.
    const HELD: u64 = 1 << 31;

    #[inline]
    fn new(at: Position, hold: Hold) -> Self {
        Ticket(if hold == Hold::Long { at.number() | Self::HELD } else { at.number() })
    }

    #[inline]
    fn position(self) -> Position {
        Position::from_number(self.0 & !Self::HELD)
    }

    #[inline]
    fn is_held(self) -> bool {
        self.0 & Self::HELD != 0
    }

    #[inline]
    pub(crate) fn index(self) -> u32 {
        self.position().index()
    }

    /// Ends the claim: the slot goes to `phase`, of the next lap if that is FREE. The position that it has come to.
    #[inline]
    fn end(self, slots: &impl Slots, phase: Phase) -> Position {
        let at = self.position();
        let slot = slots.word(at.index());
        if self.is_held() {
            let ahead = slot.end_hold(phase).ahead_of(at.lap());
            return Position::new(at.lap().wrapping_add_signed(ahead), at.index());
        }
        slot.store(Word::ended(at.lap(), phase));
        at
    }
}

/// How many slots an attempt looks at before it takes a wrong hint for a full or an empty ring. Each slot shows where it
/// is itself, so that twice around is enough; some more for slots that others take under our eyes.
#[inline]
fn most_visits(capacity: u32) -> u64 {
    2 * u64::from(capacity) + 16
}

/// How many slots ahead of a claim are asked for: enough to hide a transfer between cores behind those before it, and not so
/// many that they are taken from the other side while it is at work on them. Measured.
const AHEAD: u32 = 4;

/// Asks for the line of a slot that is likely to be claimed soon.
#[inline]
fn look_ahead(slots: &impl Slots, at: Position) {
    let index = at.index() + AHEAD;
    if index < slots.capacity() {
        slots.prefetch(index);
    }
}
