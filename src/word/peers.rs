//! The table of peers: who is attached to a segment.
//!
//! Promise: whoever [`join`]s gets an identity that nobody had before and nobody gets after, and that
//! [`Liveness::is_dead`] tells alive from the moment `join` returns until its process can no longer run.
//!
//! | state       | next, by                                              | if its owner dies                       |
//! |-------------|-------------------------------------------------------|-----------------------------------------|
//! | FREE(g)     | a newcomer: CAS to CLAIMING(g + 1)                    | -                                       |
//! | CLAIMING(g) | its owner: CAS to ACTIVE(g) once it holds the byte, to FREE(g) if it cannot | a newcomer: CAS to CLAIMING(g + 1) |
//! | ACTIVE(g)   | its owner: store FREE(g)                              | the same                                |
//!
//! I1. The generation of a slot only grows, by one at every claim, so (slot, generation) names one claim ever. A slot
//!     at its last generation is retired.
//! I2. The byte that is locked belongs to (slot, generation), and is locked between the claim and the activation. A
//!     newcomer that is stopped in between looks dead; it may lose its slot, and its activation then fails: it begins
//!     again. It never looks like its predecessor, whose byte is another.
//! I3. Only an identity that has been ACTIVE is ever written into another word.
//!
//! Orderings: the table orders nothing but itself; whoever reads an identity in another word learnt it from that word,
//! and the verdict comes from the kernel. So every access here is Relaxed, and the CASes on one word are what count.

use super::PeerId;
use crate::error::{Error, OsError, Result};
use crate::fault::crash_point;
use crate::sys::atomic::{AtomicU32, Ordering::Relaxed};
use crate::sys::liveness::Liveness;

/// The most peers that a segment can have: what the slot field of an identity can name.
pub(crate) const MOST_PEERS: u32 = 1 << PeerId::SLOT_BITS;

/// One place in the table.
///
/// | offset | size | field | meaning                                                    |
/// |--------|------|-------|------------------------------------------------------------|
/// | 0      | 4    | word  | generation and state                                       |
/// | 4      | 4    | pid   | the owner's process id in its own namespace, for inspection |
#[repr(C)]
pub(crate) struct PeerSlot {
    word: AtomicU32,
    pid: AtomicU32,
}

#[cfg(all(test, loom))]
impl PeerSlot {
    pub(crate) fn free() -> Self {
        PeerSlot { word: AtomicU32::new(0), pid: AtomicU32::new(0) }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Free = 0,
    Claiming = 1,
    Active = 2,
}

/// | bits | name       | meaning                                   |
/// |------|------------|-------------------------------------------|
/// | 0-1  | STATE      | see [`State`]; 3 counts as free            |
/// | 2-22 | GENERATION | of the current or last claim, 0 = no claim |
#[derive(Clone, Copy, PartialEq, Eq)]
struct Word(u32);

impl Word {
    fn new(generation: u32, state: State) -> Self {
        Word(generation << 2 | state as u32)
    }

    /// Bits that a hostile peer set above the field are cut off.
    fn generation(self) -> u32 {
        (self.0 >> 2) & PeerId::LAST_GENERATION
    }

    fn is_free(self) -> bool {
        self.0 & 3 != State::Claiming as u32 && self.0 & 3 != State::Active as u32
    }

    fn is_retired(self) -> bool {
        self.generation() == PeerId::LAST_GENERATION
    }
}

/// Takes a place in the table and the byte that goes with it: `hold` locks the byte of an identity, unless somebody else
/// has.
///
/// Free places first: asking whether the owner of a taken one is dead is a system call.
pub(crate) fn join(
    slots: &[PeerSlot],
    pid: u32,
    liveness: &Liveness,
    hold: impl Fn(u32) -> Result<bool>,
) -> Result<PeerId> {
    let is_free = |_: usize, word: Word| word.is_free();
    let is_abandoned =
        |slot: usize, word: Word| !word.is_free() && liveness.is_dead(PeerId::new(slot, word.generation()).get());
    // Whoever keeps all bytes locked does not follow the protocol: an attempt for every place is enough.
    for _ in 0..=slots.len() {
        let Some(id) = claim_where(slots, is_free).or_else(|| claim_where(slots, is_abandoned)) else {
            return Err(Error::TooManyPeers { limit: slots.len() as u32 });
        };
        crash_point!("attach.claimed");
        let slot = &slots[id.slot()];
        let claimed = Word::new(id.generation(), State::Claiming);
        let held = hold(id.get());
        crash_point!("attach.held");
        let state = if matches!(held, Ok(true)) { State::Active } else { State::Free };
        let settled = slot.word.compare_exchange(claimed.0, Word::new(id.generation(), state).0, Relaxed, Relaxed);
        if held? && settled.is_ok() {
            slot.pid.store(pid, Relaxed);
            crash_point!("attach.active");
            return Ok(id);
        }
        // Somebody else holds the byte, or took us for dead while we were stopped (I2): this identity is spent.
    }
    Err(Error::os("attach to a segment whose identities somebody else has locked", OsError::from_code(libc::EBUSY)))
}

/// Claims the first place that is `eligible`, if there is one.
fn claim_where(slots: &[PeerSlot], eligible: impl Fn(usize, Word) -> bool) -> Option<PeerId> {
    slots.iter().enumerate().find_map(|(index, slot)| {
        let word = Word(slot.word.load(Relaxed));
        if word.is_retired() || !eligible(index, word) {
            return None;
        }
        let id = PeerId::new(index, word.generation() + 1);
        let claimed = Word::new(id.generation(), State::Claiming);
        slot.word.compare_exchange(word.0, claimed.0, Relaxed, Relaxed).is_ok().then_some(id)
    })
}

/// Who has a place in the table, as its eight bytes say: the identity and the process id.
pub(crate) fn occupant(slot: u32, place: u64) -> Option<(u32, u32)> {
    let word = Word(place as u32);
    let id = PeerId::new(slot as usize, word.generation());
    (!word.is_free()).then_some((id.get(), (place >> 32) as u32))
}

/// Gives the place of `id` back; its owner then drops the byte's lock.
pub(crate) fn leave(slots: &[PeerSlot], id: PeerId) {
    // No compare-exchange: nobody changes an ACTIVE word whose owner lives.
    slots[id.slot()].word.store(Word::new(id.generation(), State::Free).0, Relaxed);
    crash_point!("detach.freed");
}
