//! Finding messages whose consumer died, and the end (I5, I6 of `consumer.rs`).

use std::sync::atomic::Ordering::Relaxed;

use super::consumer::{Consumer, GetRefused, past};
use super::control::Slots;
use super::position::Position;
use super::slot::{Hold, Phase, Word};
use super::{Ticket, most_visits};
use crate::fault::crash_point;
use crate::sys::liveness::Liveness;
use crate::sys::{barrier, clock};
use crate::word::PeerId;

/// How often a message that others take under our eyes has us look again, before we say that there is none. A guess.
const MOST_CHANGES: u32 = 16;

/// What a sweep has found.
enum Swept {
    Message(Ticket),
    /// Somebody alive reads, or has just changed, a message.
    Busy,
    Nothing,
}

impl Consumer {
    /// Claims a message whose reader has died, or the next one, after mending what dead owners have left in the way.
    ///
    /// `is_over`: whether nobody is left who could put.
    #[cold]
    pub(crate) fn sweep_and_take(
        &self,
        slots: &impl Slots,
        me: PeerId,
        hold: Hold,
        liveness: &Liveness,
        is_over: impl Fn() -> bool,
    ) -> Result<Ticket, GetRefused> {
        let capacity = slots.capacity();
        self.swept.store(clock::coarse_milliseconds(), Relaxed);
        let mut changes = 0;
        let mut is_mending = false;
        let (mut swept, mut swept_to) = (Swept::Busy, self.cursor(capacity));
        for _ in 0..most_visits(capacity) {
            let is_ended = slots.control().is_closed() || is_over();
            if is_ended {
                barrier::heavy(); // (I6)
            }
            // What was mended held no message: what the last sweep has found still holds.
            if !is_mending {
                swept_to = self.cursor(capacity);
                swept = self.sweep(slots, me, hold, liveness);
            }
            is_mending = false;
            if let Swept::Message(ticket) = swept {
                return Ok(ticket);
            }
            if let Some(ticket) = self.take(slots, me, hold) {
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
                    is_mending = true;
                }
                // Past places that the sweep has not seen.
                _ if at != swept_to && changes < MOST_CHANGES => changes += 1,
                (0, Phase::Free) if is_ended && matches!(swept, Swept::Nothing) && at == self.base(capacity) => {
                    return Err(GetRefused::Ended);
                }
                // Has just changed. Each look may be a long one: words that nobody keeps in order can lead it in circles.
                (0, Phase::Ready | Phase::Reading) | (1.., _) if changes < MOST_CHANGES => changes += 1,
                _ => return Err(GetRefused::Empty),
            }
        }
        Err(GetRefused::Empty)
    }

    /// Looks at everything between base and cursor for what dead readers have left (I5), and moves the base on.
    fn sweep(&self, slots: &impl Slots, me: PeerId, hold: Hold, liveness: &Liveness) -> Swept {
        let capacity = slots.capacity();
        let cursor = self.cursor(capacity);
        let mut at = self.base(capacity).within_a_lap_of(cursor);
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
            let reading = Word::reading(found.lap(), me, hold);
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
                return Swept::Message(Ticket::to_read(slots, found, me, hold));
            }
            at = at.next(capacity);
        }
        self.base.store(base.number(), Relaxed);
        if base == cursor { Swept::Nothing } else { Swept::Busy }
    }

    /// Whether a call would get a message now, or learn of the end. Claims nothing and mends nothing; may ask the kernel.
    ///
    /// It moves the base on, and so is cheap for who asks again and again. `is_over`: as for
    /// [`sweep_and_take`](Self::sweep_and_take).
    pub(crate) fn is_ready(
        &self,
        slots: &impl Slots,
        me: PeerId,
        liveness: &Liveness,
        is_over: impl Fn() -> bool,
    ) -> bool {
        let capacity = slots.capacity();
        let is_ended = slots.control().is_closed() || is_over();
        if is_ended {
            barrier::heavy(); // (I6)
        }
        let is_dead = |word: Word| word.owner() != me.get() && liveness.is_dead(word.owner());
        let mut at = self.base(capacity);
        let (mut base, mut is_quiet, mut is_ready, mut asked_for_the_tail) = (at, true, false, false);
        for _ in 0..most_visits(capacity) {
            let word = slots.word(at.index()).load();
            let ahead = word.ahead_of(at.lap());
            if word.is_strange(ahead) && !asked_for_the_tail {
                asked_for_the_tail = true;
                at = slots.control().tail(capacity).a_lap_before();
                base = at;
                continue;
            }
            let next = if ahead > 0 { past(word, at, ahead, capacity) } else { at.next(capacity) };
            match word.phase() {
                _ if ahead > 0 => {
                    if base == at {
                        base = next;
                    }
                }
                Phase::Ready => is_ready = true,
                Phase::Free => {
                    is_ready = ahead == 0 && is_ended && is_quiet;
                    break;
                }
                Phase::Reading if is_dead(word) => is_ready = true,
                Phase::Reading if ahead == 0 => is_quiet = false,
                // Whoever gets mends this one first.
                Phase::Writing if ahead == 0 && is_dead(word) => {}
                // All the way round: nothing but what dead producers have left.
                Phase::Writing if is_dead(word) => {
                    is_ready = is_ended && is_quiet;
                    break;
                }
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
}
