//! Claiming messages, in the order of positions, and finding those whose consumer died.
//!
//! I4. A consumer goes past a position only when it is finished (the slot has gone on to the next lap), when somebody
//!     alive reads it, or when somebody says (`head`) that a consumer has gone past it. Nobody goes past a position that
//!     is being written: messages stay in order.
//! I5. Behind a consumer's *base* everything is finished. Between base and cursor there may be messages whose readers
//!     have died since: a sweep finds them there, at the latest before the consumer sleeps.
//! I6. "Closed" is reported only after `closed` has been seen and then, behind the heavy half of a fence, nobody at work
//!     (see I3 of `producer.rs`): a reader may still die and leave a message.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::control::Slots;
use super::position::Position;
use super::producer::HINT_EVERY;
use super::slot::{Phase, Word};
use super::{Ticket, look_ahead, most_visits};
use crate::fault::crash_point;
use crate::sys::liveness::Liveness;
use crate::sys::{barrier, clock};
use crate::word::PeerId;

/// Why there is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GetRefused {
    Empty,
    /// And there never will be one.
    Closed,
}

/// How long a consumer that never finds the ring empty goes without a sweep, in milliseconds: half the detection bound.
const SWEEP_EVERY: u64 = 25;

/// How often a message that others take under our eyes has us look again, before we say that there is none. A guess.
const MOST_CHANGES: u32 = 16;

/// Where one handle takes its messages: private memory. Threads that share the handle may set it back; they then look
/// at positions that are finished.
pub(crate) struct Consumer {
    cursor: AtomicU64,
    base: AtomicU64,
    /// When it last swept.
    swept: AtomicU64,
}

impl Clone for Consumer {
    fn clone(&self) -> Self {
        let copy = |word: &AtomicU64| AtomicU64::new(word.load(Relaxed));
        Consumer { cursor: copy(&self.cursor), base: copy(&self.base), swept: copy(&self.swept) }
    }
}

/// What a sweep has found.
enum Swept {
    Message(Ticket),
    /// Somebody alive reads, or has just changed, a message.
    Busy,
    Nothing,
}

impl Consumer {
    pub(crate) fn new(slots: &impl Slots) -> Self {
        let capacity = slots.capacity();
        let tail = slots.control().tail(capacity);
        // A lap before the tail everything is finished: else its slots could not have been claimed again.
        let base = if tail.lap() == 0 { Position::START } else { tail.a_lap_before() };
        let cursor = base.later(slots.control().head(capacity));
        let word = |position: Position| AtomicU64::new(position.number());
        Consumer { cursor: word(cursor), base: word(base), swept: AtomicU64::new(0) }
    }

    /// Grows with each message.
    pub(crate) fn number(&self) -> u64 {
        self.cursor.load(Relaxed)
    }

    #[inline]
    fn cursor(&self, capacity: u32) -> Position {
        Position::from_hint(self.cursor.load(Relaxed), capacity)
    }

    #[inline]
    fn base(&self, capacity: u32) -> Position {
        Position::from_hint(self.base.load(Relaxed), capacity)
    }

    /// Claims the next message if it is ready; asks nobody for a death, and so makes no system call.
    #[inline]
    pub(crate) fn take(&self, slots: &impl Slots, me: PeerId) -> Option<Ticket> {
        let capacity = slots.capacity();
        let mut at = self.cursor(capacity);
        for _ in 0..most_visits(capacity) {
            let slot = slots.word(at.index());
            let word = slot.load();
            let ahead = word.ahead_of(at.lap());
            if ahead > 0 {
                at = past(word, at, ahead, capacity);
                if ahead > 1 {
                    at = at.later(slots.control().head(capacity));
                }
                continue;
            }
            match word.phase() {
                Phase::Ready => {
                    let found = Position::new(at.lap().wrapping_add_signed(ahead), at.index());
                    if slot.claim(word, Word::new(found.lap(), Phase::Reading, me.get())) {
                        crash_point!("ring.taken");
                        look_ahead(slots, at);
                        self.cursor.store(if ahead == 0 { at.next(capacity) } else { at }.number(), Relaxed);
                        return Some(Ticket(found));
                    }
                }
                Phase::Reading if ahead == 0 => at = at.next(capacity), // (I5)
                _ => break,
            }
        }
        self.cursor.store(at.number(), Relaxed);
        None
    }

    /// Whether there is nothing, and nobody at work: neither a message nor anything to mend. A cheap look, that may miss it.
    #[inline]
    pub(crate) fn is_idle(&self, slots: &impl Slots) -> bool {
        let at = self.cursor(slots.capacity());
        let word = slots.word(at.index()).load();
        at == self.base(slots.capacity())
            && word.ahead_of(at.lap()) == 0
            && word.phase() == Phase::Free
            && !slots.control().is_closed()
    }

    /// Whether a sweep is due although messages keep coming.
    #[inline]
    pub(crate) fn is_sweep_due(&self) -> bool {
        self.base.load(Relaxed) != self.cursor.load(Relaxed)
            && clock::coarse_milliseconds().wrapping_sub(self.swept.load(Relaxed)) >= SWEEP_EVERY
    }

    /// Claims a message whose reader has died, or the next one, after mending what dead owners have left in the way.
    #[cold]
    pub(crate) fn sweep_and_take(
        &self,
        slots: &impl Slots,
        me: PeerId,
        liveness: &Liveness,
    ) -> Result<Ticket, GetRefused> {
        let capacity = slots.capacity();
        self.swept.store(clock::coarse_milliseconds(), Relaxed);
        let mut changes = 0;
        for _ in 0..most_visits(capacity) {
            let is_closed = slots.control().is_closed();
            if is_closed {
                barrier::heavy(); // (I6)
            }
            let swept_to = self.cursor(capacity);
            let swept = self.sweep(slots, me, liveness);
            if let Swept::Message(ticket) = swept {
                return Ok(ticket);
            }
            if let Some(ticket) = self.take(slots, me) {
                return Ok(ticket);
            }
            let at = self.cursor(capacity);
            let slot = slots.word(at.index());
            let word = slot.load();
            match (word.ahead_of(at.lap()), word.phase()) {
                (0, Phase::Writing) if liveness.is_dead(word.owner()) => {
                    slot.claim(word, Word::new(at.lap().wrapping_add(1), Phase::Free, 0));
                    crash_point!("ring.mended");
                    slots.control().space.notify_one();
                }
                // Past places that the sweep has not seen.
                _ if at != swept_to && changes < MOST_CHANGES => changes += 1,
                (0, Phase::Free) if is_closed && matches!(swept, Swept::Nothing) && at == self.base(capacity) => {
                    return Err(GetRefused::Closed);
                }
                // Has just changed. Each look may be a long one: words that nobody keeps in order can lead it in circles.
                (0, Phase::Ready | Phase::Reading) | (1.., _) if changes < MOST_CHANGES => changes += 1,
                _ => return Err(GetRefused::Empty),
            }
        }
        Err(GetRefused::Empty)
    }

    /// Looks at everything between base and cursor for what dead readers have left (I5), and moves the base on.
    fn sweep(&self, slots: &impl Slots, me: PeerId, liveness: &Liveness) -> Swept {
        let capacity = slots.capacity();
        let cursor = self.cursor(capacity);
        let mut at = self.base(capacity).later(cursor.a_lap_before());
        let mut base = at;
        let mut known_alive = me.get();
        while at.is_before(cursor) {
            let slot = slots.word(at.index());
            let word = slot.load();
            let ahead = word.ahead_of(at.lap());
            if ahead > 0 {
                if base == at {
                    base = at.next(capacity);
                }
                at = at.next(capacity);
                continue;
            }
            let found = Position::new(at.lap().wrapping_add_signed(ahead), at.index());
            let reading = Word::new(found.lap(), Phase::Reading, me.get());
            let owner = word.owner();
            let is_dead = || owner != known_alive && liveness.is_dead(owner);
            let taken = match word.phase() {
                Phase::Ready => slot.claim(word, reading),
                Phase::Reading if is_dead() => {
                    let taken = slot.claim(word, reading);
                    if taken {
                        crash_point!("ring.retaken");
                        slots.control().count_redelivery();
                    }
                    taken
                }
                _ => {
                    known_alive = owner;
                    false
                }
            };
            if taken {
                crash_point!("ring.taken");
                self.base.store(base.number(), Relaxed);
                return Swept::Message(Ticket(found));
            }
            at = at.next(capacity);
        }
        self.base.store(base.number(), Relaxed);
        if base == cursor { Swept::Nothing } else { Swept::Busy }
    }

    /// Ends a claim: the message is read, and its slot free for the next lap.
    #[inline]
    pub(crate) fn release(&self, slots: &impl Slots, ticket: Ticket) {
        let capacity = slots.capacity();
        let Ticket(at) = ticket;
        crash_point!("ring.read");
        ticket.free(slots);
        crash_point!("ring.released");
        let mut base = self.base(capacity);
        if base == at {
            base = at.next(capacity);
        }
        // What others have finished meanwhile: mostly as many as we have taken since we looked last.
        for _ in 0..2 {
            if base == self.cursor(capacity) || slots.word(base.index()).load().ahead_of(base.lap()) <= 0 {
                break;
            }
            base = base.next(capacity);
        }
        self.base.store(base.number(), Relaxed);
        if at.index().is_multiple_of(HINT_EVERY) {
            slots.control().hint_head(at.next(capacity));
        }
        slots.control().space.notify_one();
        if slots.control().is_closed() {
            slots.control().items.notify_all(); // somebody may be waiting for the end, and so for us
        }
    }

    /// Messages that are ready, up to `most`. Stale at once where others put and take.
    pub(crate) fn count(&self, slots: &impl Slots, most: usize) -> usize {
        self.count_in(slots, most, |phase| phase == Phase::Ready)
    }

    /// Whether a call would get a message now, or learn of the end. Claims nothing and mends nothing; may ask the kernel.
    ///
    /// It moves the base on, and so is cheap for who asks again and again.
    pub(crate) fn is_ready(&self, slots: &impl Slots, me: PeerId, liveness: &Liveness) -> bool {
        let capacity = slots.capacity();
        let is_closed = slots.control().is_closed();
        if is_closed {
            barrier::heavy(); // (I6)
        }
        let is_dead = |word: Word| word.owner() != me.get() && liveness.is_dead(word.owner());
        let mut at = self.base(capacity);
        let (mut base, mut is_quiet, mut is_ready) = (at, true, false);
        for _ in 0..most_visits(capacity) {
            let word = slots.word(at.index()).load();
            let ahead = word.ahead_of(at.lap());
            let next = if ahead > 0 { past(word, at, ahead, capacity) } else { at.next(capacity) };
            match word.phase() {
                _ if ahead > 0 => {
                    if base == at {
                        base = next;
                    }
                }
                Phase::Ready => is_ready = true,
                Phase::Free => {
                    is_ready = ahead == 0 && is_closed && is_quiet;
                    break;
                }
                Phase::Reading if is_dead(word) => is_ready = true,
                Phase::Reading if ahead == 0 => is_quiet = false,
                // Whoever gets mends this one first.
                Phase::Writing if ahead == 0 && is_dead(word) => {}
                _ => break, // (I4)
            }
            if is_ready {
                break;
            }
            at = next;
        }
        self.base.store(base.number(), Relaxed);
        is_ready
    }

    /// Whether a message is ready, or being read by somebody who may yet die.
    pub(crate) fn is_busy(&self, slots: &impl Slots) -> bool {
        self.count_in(slots, 1, |phase| phase == Phase::Ready || phase == Phase::Reading) > 0
    }

    fn count_in(&self, slots: &impl Slots, most: usize, counts: impl Fn(Phase) -> bool) -> usize {
        let capacity = slots.capacity();
        let mut at = self.base(capacity);
        let mut count = 0;
        for _ in 0..most_visits(capacity) {
            let word = slots.word(at.index()).load();
            let ahead = word.ahead_of(at.lap());
            at = match word.phase() {
                _ if ahead > 0 => past(word, at, ahead, capacity),
                Phase::Free => break,
                _ if ahead < 0 => break,
                phase => {
                    count += usize::from(counts(phase));
                    at.next(capacity)
                }
            };
            if count == most {
                break;
            }
        }
        count
    }
}

/// The next position that a word so far ahead of `at` does not show to be finished.
///
/// What was claimed last is a lap ahead of what must be finished (I1): the slots between the two may still hold messages. So
/// a slot that is FREE again says nothing of the lap before its own, but for itself.
#[inline]
fn past(word: Word, at: Position, ahead: i32, capacity: u32) -> Position {
    let laps = if word.phase() == Phase::Free { (ahead - 2).max(0) } else { ahead - 1 };
    Position::new(at.lap().wrapping_add_signed(laps), at.index()).next(capacity)
}

impl Ticket {
    /// Ends a claim as if the message had not been read: somebody else gets it.
    pub(crate) fn give_back(self, slots: &impl Slots) {
        let Ticket(at) = self;
        slots.word(at.index()).store(Word::new(at.lap(), Phase::Ready, 0));
        crash_point!("ring.given_back");
        slots.control().items.notify_one();
    }
}
