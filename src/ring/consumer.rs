//! Claiming messages, in the order of positions; `sweep.rs` finds those whose consumer died.
//!
//! I4. A consumer goes past a position only when it is finished (the slot has gone on to the next lap), when somebody
//!     reads it, or when somebody says (`head`) that a consumer has gone past it. Nobody goes past a position that
//!     is being written: messages stay in order.
//! I5. Behind a consumer's *base* everything is finished. Between base and cursor there may be messages whose readers
//!     have died since: a sweep finds them there, at the latest before the consumer sleeps.
//! I6. The end is reported only after it has been seen that nothing more will be put (the ring is closed, or nobody is left
//!     who could) and then, behind the heavy half of a fence, nobody at work (see I3 of `producer.rs`): a reader may still
//!     die and leave a message.

use std::sync::atomic::{
    AtomicBool, AtomicU32, AtomicU64,
    Ordering::{Acquire, Relaxed},
    fence,
};

use super::control::Slots;
use super::position::Position;
use super::producer::HINT_EVERY;
use super::slot::{Hold, Phase, Word};
use super::{Ticket, look_ahead, most_visits};
use crate::fault::crash_point;
use crate::sys::clock;
use crate::word::PeerId;

/// Why there is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GetRefused {
    Empty,
    /// And there never will be one.
    Ended,
}

/// How long a consumer that never finds the ring empty goes without a sweep, in milliseconds: half the detection bound.
const SWEEP_EVERY: u64 = 25;

/// Where one handle takes its messages: private memory. Threads that share the handle may set it back; they then look
/// at positions that are finished.
pub(crate) struct Consumer {
    cursor: AtomicU64,
    pub(super) base: AtomicU64,
    /// When it last swept.
    pub(super) swept: AtomicU64,
    /// Whether it found nothing when it last looked.
    found_nothing: AtomicBool,
    /// Whose message was being written when it last swept because of that.
    writer: AtomicU32,
}

impl Clone for Consumer {
    fn clone(&self) -> Self {
        let copy = |word: &AtomicU64| AtomicU64::new(word.load(Relaxed));
        Consumer {
            cursor: copy(&self.cursor),
            base: copy(&self.base),
            swept: copy(&self.swept),
            found_nothing: AtomicBool::new(false),
            writer: AtomicU32::new(0),
        }
    }
}

impl Consumer {
    pub(crate) fn new(slots: &impl Slots) -> Self {
        let capacity = slots.capacity();
        let tail = slots.control().tail(capacity);
        // A lap before the tail everything is finished: else its slots could not have been claimed again.
        let base = tail.a_lap_before();
        let cursor = base.later(slots.control().head(capacity));
        let word = |position: Position| AtomicU64::new(position.number());
        Consumer {
            cursor: word(cursor),
            base: word(base),
            swept: AtomicU64::new(0),
            found_nothing: AtomicBool::new(false),
            writer: AtomicU32::new(0),
        }
    }

    /// Grows by one with each position.
    pub(crate) fn number(&self, capacity: u32) -> u64 {
        self.cursor(capacity).ordinal(capacity)
    }

    #[inline]
    pub(super) fn cursor(&self, capacity: u32) -> Position {
        Position::from_hint(self.cursor.load(Relaxed), capacity)
    }

    #[inline]
    pub(super) fn base(&self, capacity: u32) -> Position {
        Position::from_hint(self.base.load(Relaxed), capacity)
    }

    /// Claims the next message if it is ready; asks nobody for a death, and so makes no system call.
    #[inline(always)]
    pub(crate) fn take(&self, slots: &impl Slots, me: PeerId, hold: Hold) -> Option<Ticket> {
        let at = self.cursor(slots.capacity());
        let ready = Word::new(at.lap(), Phase::Ready, 0);
        let slot = slots.word(at.index());
        let word = slot.load();
        if word == ready && slot.claim(ready, Word::reading(at.lap(), me, hold)) {
            crash_point!("ring.taken");
            self.look_ahead(slots, at);
            self.cursor.store(at.next(slots.capacity()).number(), Relaxed);
            return Some(Ticket::to_read(slots, at, hold));
        }
        self.walk(slots, at, word, me, hold)
    }

    /// Asks for a line ahead, but for those of a stream: a producer that is just ahead would have them taken out of its
    /// hands. Measured: streams of 8 and 64 bytes made 26 and 8 M/s when each claim asked, 45 and 40 since; without it a
    /// round trip took 700 ns instead of 450.
    #[inline(always)]
    fn look_ahead(&self, slots: &impl Slots, at: Position) {
        if self.found_nothing.load(Relaxed) {
            self.found_nothing.store(false, Relaxed);
            look_ahead(slots, at);
        }
    }

    /// As [`take`](Self::take), from `at`, where `word` stands.
    #[inline(never)]
    fn walk(&self, slots: &impl Slots, mut at: Position, mut word: Word, me: PeerId, hold: Hold) -> Option<Ticket> {
        let capacity = slots.capacity();
        let mut asked_for_the_tail = false;
        for visit in 0..most_visits(capacity) {
            let slot = slots.word(at.index());
            if visit > 0 {
                word = slot.load();
            }
            let ahead = word.ahead_of(at.lap());
            if ahead > 0 {
                at = past(word, at, ahead, capacity);
                if ahead > 1 {
                    at = at.later(slots.control().head(capacity));
                }
                continue;
            }
            if word.is_strange(ahead) && !asked_for_the_tail {
                asked_for_the_tail = true;
                at = slots.control().tail(capacity).a_lap_before();
                continue;
            }
            match word.phase() {
                Phase::Ready => {
                    let found = Position::new(at.lap().wrapping_add_signed(ahead), at.index());
                    if slot.claim(word, Word::reading(found.lap(), me, hold)) {
                        crash_point!("ring.taken");
                        self.look_ahead(slots, at);
                        self.cursor.store(if ahead == 0 { at.next(capacity) } else { at }.number(), Relaxed);
                        return Some(Ticket::to_read(slots, found, hold));
                    }
                }
                Phase::Reading if ahead == 0 => at = at.next(capacity), // (I5)
                _ => break,
            }
        }
        self.cursor.store(at.number(), Relaxed);
        self.found_nothing.store(true, Relaxed);
        None
    }

    /// Whether a poll may give up at once: nothing is there, and nothing is to be mended. While a message is being written the
    /// caller is to sweep once for each writer and tick of the clock, which asks the kernel whether the writer is dead.
    #[inline]
    pub(crate) fn is_idle(&self, slots: &impl Slots) -> bool {
        let at = self.cursor(slots.capacity());
        let word = slots.word(at.index()).load();
        let is_awaited = match word.phase() {
            Phase::Free => true,
            Phase::Writing if self.writer.load(Relaxed) == word.owner() => {
                self.swept.load(Relaxed) == clock::coarse_milliseconds()
            }
            Phase::Writing => {
                self.writer.store(word.owner(), Relaxed);
                false
            }
            _ => false,
        };
        is_awaited && at == self.base(slots.capacity()) && word.ahead_of(at.lap()) == 0 && !slots.control().is_closed()
    }

    /// Whether a sweep is due although messages keep coming.
    #[inline]
    pub(crate) fn is_sweep_due(&self) -> bool {
        self.base.load(Relaxed) != self.cursor.load(Relaxed)
            && clock::coarse_milliseconds().wrapping_sub(self.swept.load(Relaxed)) >= SWEEP_EVERY
    }

    /// Ends a claim: the message is read, and its slot free for the next lap.
    #[inline(always)]
    pub(crate) fn release(&self, slots: &impl Slots, ticket: Ticket) {
        let capacity = slots.capacity();
        crash_point!("ring.read");
        let at = ticket.end(slots, Phase::Free);
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
        // Consumers need not have come to where a message is that was passed.
        if at.index().is_multiple_of(HINT_EVERY) && !ticket.is_held() {
            slots.control().hint_head(at.next(capacity));
        }
        slots.control().space.notify_one();
        if slots.control().is_closed() {
            slots.control().items.notify_all(); // somebody may be waiting for the end, and so for us
        }
    }

    /// Messages that are ready, up to `most`. Stale at once where others put and take.
    pub(crate) fn count(&self, slots: &impl Slots, most: usize) -> usize {
        Self::count_from(self.base(slots.capacity()), slots, most, |phase| phase == Phase::Ready)
    }

    /// Whether a message is ready that we have not come to yet.
    pub(crate) fn has_more(&self, slots: &impl Slots) -> bool {
        Self::count_from(self.cursor(slots.capacity()), slots, 1, |phase| phase == Phase::Ready) > 0
    }

    /// Whether a message is ready, or being read by somebody who may yet die.
    pub(crate) fn is_busy(&self, slots: &impl Slots) -> bool {
        fence(Acquire); // as in `load_acquire`, for what was seen finished when the base was moved on
        Self::count_from(self.base(slots.capacity()), slots, 1, |phase| {
            phase == Phase::Ready || phase == Phase::Reading
        }) > 0
    }

    fn count_from(from: Position, slots: &impl Slots, most: usize, counts: impl Fn(Phase) -> bool) -> usize {
        let capacity = slots.capacity();
        let mut at = from;
        let (mut count, mut asked_for_the_tail) = (0, false);
        for _ in 0..most_visits(capacity) {
            let word = slots.word(at.index()).load_acquire();
            let ahead = word.ahead_of(at.lap());
            at = match word.phase() {
                _ if ahead > 0 => past(word, at, ahead, capacity),
                _ if word.is_strange(ahead) && !asked_for_the_tail => {
                    asked_for_the_tail = true;
                    slots.control().tail(capacity).a_lap_before()
                }
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
pub(super) fn past(word: Word, at: Position, ahead: i32, capacity: u32) -> Position {
    let laps = if word.phase() == Phase::Free { (ahead - 2).max(0) } else { ahead - 1 };
    Position::new(at.lap().wrapping_add_signed(laps), at.index()).next(capacity)
}

impl Ticket {
    /// A message that has just been claimed.
    #[inline]
    pub(super) fn to_read(slots: &impl Slots, at: Position, hold: Hold) -> Ticket {
        if hold == Hold::Long {
            // There may be room behind it, to which producers that have found the ring full can pass now.
            slots.control().space.notify_one();
        }
        Ticket::new(at, hold)
    }

    /// Ends a claim as if the message had not been read: somebody else gets it.
    pub(crate) fn give_back(self, slots: &impl Slots) {
        self.end(slots, Phase::Ready);
        crash_point!("ring.given_back");
        slots.control().items.notify_one();
    }
}
