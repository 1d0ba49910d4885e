//! Claiming free slots, in the order of positions.
//!
//! I1. Every position before one that was ever claimed has been claimed, or passed, too: a producer goes past a position only
//!     when it finds it claimed, or has passed it, or when somebody says (`tail`) that a later one was claimed. So messages
//!     of one producer stand in its order.
//! I2. A producer claims a position only in the lap that the slot's word names, and only when the word is FREE. So a
//!     wrong idea of where the tail is costs looks, never a message.
//! I3. Whoever has claimed a slot looks whether the ring is closed only then, with the light half of a fence in between;
//!     a consumer that reports the end has seen `closed`, passed the heavy half, and found nobody at work. So no message
//!     appears behind the end.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::control::Slots;
use super::position::Position;
use super::slot::{Hold, Phase, Word};
use super::{Ticket, look_ahead, most_visits};
use crate::fault::crash_point;
use crate::sys::barrier;
use crate::sys::liveness::Liveness;
use crate::word::PeerId;

/// Why there is no slot to write into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PutRefused {
    Full,
    Closed,
}

/// Where one handle puts its messages: private memory. Threads that share the handle may set it back; they then look
/// at positions that are taken.
pub(crate) struct Producer {
    position: AtomicU64,
}

impl Clone for Producer {
    fn clone(&self) -> Self {
        Producer { position: AtomicU64::new(self.position.load(Relaxed)) }
    }
}

impl Producer {
    pub(crate) fn new(slots: &impl Slots) -> Self {
        Producer { position: AtomicU64::new(slots.control().tail(slots.capacity()).number()) }
    }

    /// Grows by one with each position.
    pub(crate) fn number(&self, capacity: u32) -> u64 {
        self.position(capacity).ordinal(capacity)
    }

    #[inline]
    fn position(&self, capacity: u32) -> Position {
        Position::from_hint(self.position.load(Relaxed), capacity)
    }

    /// Claims the next slot if it is free; asks nobody for a death, and so makes no system call.
    #[inline(always)]
    pub(crate) fn claim(&self, slots: &impl Slots, me: PeerId) -> Result<Ticket, PutRefused> {
        let at = self.position(slots.capacity());
        let free = Word::new(at.lap(), Phase::Free, 0);
        let slot = slots.word(at.index());
        let word = slot.load();
        if word == free && slot.claim(free, Word::new(at.lap(), Phase::Writing, me.get())) {
            return self.claimed(slots, at);
        }
        self.walk(slots, at, word, me, |_| false)
    }

    /// Claims the next slot if there is one, after mending what dead owners have left in the way.
    #[cold]
    pub(crate) fn claim_or_mend(
        &self,
        slots: &impl Slots,
        me: PeerId,
        liveness: &Liveness,
    ) -> Result<Ticket, PutRefused> {
        let at = self.position(slots.capacity());
        self.walk(slots, at, slots.word(at.index()).load(), me, |owner| liveness.is_dead(owner))
    }

    #[inline(always)]
    fn claimed(&self, slots: &impl Slots, at: Position) -> Result<Ticket, PutRefused> {
        crash_point!("ring.claimed");
        look_ahead(slots, at);
        self.position.store(at.next(slots.capacity()).number(), Relaxed);
        barrier::light(); // (I3)
        let ticket = Ticket::new(at, Hold::Briefly);
        if slots.control().is_closed() {
            ticket.abandon(slots);
            return Err(PutRefused::Closed);
        }
        Ok(ticket)
    }

    /// From `at`, where `word` stands.
    #[inline(never)]
    fn walk(
        &self,
        slots: &impl Slots,
        mut at: Position,
        mut word: Word,
        me: PeerId,
        is_dead: impl Fn(u32) -> bool,
    ) -> Result<Ticket, PutRefused> {
        let capacity = slots.capacity();
        let control = slots.control();
        let (mut asked_for_the_tail, mut passes) = (false, 0);
        for visit in 0..most_visits(capacity) {
            let slot = slots.word(at.index());
            if visit > 0 {
                word = slot.load();
            }
            let (ahead, phase) = (word.ahead_of(at.lap()), word.phase());
            if ahead == 0 && phase == Phase::Free {
                if !slot.claim(word, Word::new(at.lap(), Phase::Writing, me.get())) {
                    continue;
                }
                return self.claimed(slots, at);
            }
            if ahead >= 0 {
                at = past(word, at, ahead, capacity);
                if ahead > 0 {
                    at = at.later(control.tail(capacity));
                }
                continue;
            }
            if word.is_strange(ahead) && !asked_for_the_tail {
                asked_for_the_tail = true;
                at = control.tail(capacity);
                continue;
            }
            // The slot is still in the lap before: full, unless somebody holds it, or has died in it.
            if passes == 0 {
                passes = held_before_room(slots, at);
            }
            if passes == 0 || !word.is_held() {
                if mend(slots, at, word, &is_dead) {
                    continue;
                }
                break;
            }
            if slot.claim(word, word.passed()) {
                crash_point!("ring.passed");
                passes -= 1;
                if at.index().is_multiple_of(HINT_EVERY) {
                    control.hint_tail(at.next(capacity));
                }
            }
        }
        self.position.store(at.number(), Relaxed);
        Err(if control.is_closed() { PutRefused::Closed } else { PutRefused::Full })
    }

    /// Whether a message could be put now.
    pub(crate) fn has_room(&self, slots: &impl Slots) -> bool {
        let capacity = slots.capacity();
        let mut at = self.position(capacity);
        let mut asked_for_the_tail = false;
        for _ in 0..most_visits(capacity) {
            let word = slots.word(at.index()).load();
            at = match word.ahead_of(at.lap()) {
                0 if word.phase() == Phase::Free => return true,
                ahead if ahead >= 0 => past(word, at, ahead, capacity),
                ahead if word.is_strange(ahead) && !asked_for_the_tail => {
                    asked_for_the_tail = true;
                    slots.control().tail(capacity)
                }
                _ => return held_before_room(slots, at) > 0,
            };
        }
        false
    }
}

/// How many held slots, from the one at `at` on, are to be passed on the way to one that is free; 0 if there is none on this
/// way.
#[cold]
fn held_before_room(slots: &impl Slots, mut at: Position) -> u32 {
    let capacity = slots.capacity();
    for held in 0..capacity {
        let word = slots.word(at.index()).load();
        match word.ahead_of(at.lap()) {
            -1 if word.is_held() => at = at.next(capacity),
            // Free, or somebody has been here before us: then each of the held ones is passed already, or will be.
            0.. => return held,
            _ => return 0,
        }
    }
    0
}

/// The position after the last one that this word, found at `at`, shows to have been claimed (I1).
#[inline]
fn past(word: Word, at: Position, ahead: i32, capacity: u32) -> Position {
    let lap = at.lap().wrapping_add_signed(ahead);
    let claimed = if word.phase() == Phase::Free { lap.wrapping_sub(1) } else { lap };
    Position::new(claimed, at.index()).next(capacity)
}

/// Takes a slot of an earlier lap from an owner that died in it; false if there is nothing to mend.
fn mend(slots: &impl Slots, at: Position, word: Word, is_dead: &impl Fn(u32) -> bool) -> bool {
    let slot = slots.word(at.index());
    let lap = at.lap().wrapping_add_signed(word.ahead_of(at.lap()));
    match word.phase() {
        Phase::Writing if is_dead(word.owner()) => {
            if slot.claim(word, Word::new(lap.wrapping_add(1), Phase::Free, 0)) {
                crash_point!("ring.mended");
                slots.control().items.notify_one(); // a consumer may be waiting for it, with messages behind it
            }
            true
        }
        Phase::Reading if is_dead(word.owner()) => {
            if slot.claim(word, Word::new(lap, Phase::Ready, 0)) {
                crash_point!("ring.mended");
                slots.control().count_redelivery();
                slots.control().items.notify_one();
            }
            true
        }
        _ => false,
    }
}

impl Ticket {
    /// Publishes what has been written into the slot.
    #[inline(always)]
    pub(crate) fn publish(self, slots: &impl Slots) {
        crash_point!("ring.written");
        let at = self.end(slots, Phase::Ready);
        crash_point!("ring.published");
        // Now and then: a shared line that every message changes would cost more than the message.
        if at.index().is_multiple_of(HINT_EVERY) {
            slots.control().hint_tail(at.next(slots.capacity()));
        }
        slots.control().items.notify_one();
    }

    /// Gives the slot up, with nothing in it: whoever may wait for it finds it finished.
    #[cold]
    pub(crate) fn abandon(self, slots: &impl Slots) {
        self.end(slots, Phase::Free);
        crash_point!("ring.abandoned");
        slots.control().items.notify_one(); // a consumer may be waiting for this very slot, with messages behind it
        slots.control().space.notify_one();
        if slots.control().is_closed() {
            slots.control().items.notify_all(); // or all of them for the end
        }
    }
}

/// A guess: the cost of a shared line (some 100 ns) divided by that of a message (some 10 ns).
pub(super) const HINT_EVERY: u32 = 16;
