//! Lock-free rings: which slot is whose, and since when. Pure state machines over atomics, checked by loom; what the
//! slots hold, they do not know.
//!
//! | file | subject |
//! |---|---|
//! | `event` | sleeping until something happens |
//! | `slot`, `position`, `control`, `producer`, `consumer`, `sweep` | slots for any number of producers and consumers |
//! | `bytes`, `record` | a ring of bytes for one producer and one consumer |
//! | `endpoint` | who has one end of it |
//! | `track` | what its ends share, and how they wait for each other |
//!
//! In the slots, a message is put by claiming a slot, writing into it, and publishing it; it is got by claiming it again,
//! reading it, and releasing the slot for its next lap. Both claims are *tickets*, which whoever writes and reads holds.

#![forbid(unsafe_code)]

pub(crate) mod bytes;
mod consumer;
mod control;
pub(crate) mod endpoint;
mod event;
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
pub(crate) use event::Event;
pub(crate) use producer::{Producer, PutRefused};
pub(crate) use slot::{Hold, SlotWord};

use self::position::Position;
use self::slot::{Phase, Word};
use crate::word::PeerId;

/// A slot that is ours, to write or to read, until the ticket is spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    at: Position,
    /// Who holds it, if producers may pass it.
    holder: Option<PeerId>,
}

impl Ticket {
    #[inline]
    pub(crate) fn index(self) -> u32 {
        self.at.index()
    }

    /// Ends the claim: the slot goes to `phase`, of the next lap if that is FREE. The position that it has come to.
    #[inline]
    fn end(self, slots: &impl Slots, phase: Phase) -> Position {
        let Ticket { at, holder } = self;
        let slot = slots.word(at.index());
        let lap = if phase == Phase::Free { at.lap().wrapping_add(1) } else { at.lap() };
        let ended = Word::new(lap, phase, 0);
        let Some(holder) = holder else {
            slot.store(ended);
            return at;
        };
        let was = slot.end_hold(Word::reading(at.lap(), holder, Hold::Long), ended);
        Position::new(at.lap().wrapping_add_signed(was.ahead_of(at.lap())), at.index())
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
