//! What the parties of a barrier do; what it promises, and its invariants, stand in `barrier`.

use super::PeerId;
use super::barrier::{BarrierWord, Phase, Word};
use super::parties::Place;
use crate::error::BrokenBy;
use crate::fault::crash_point;
use crate::sys::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use crate::sys::clock::Deadline;
use crate::sys::fork::Exclusion;
use crate::sys::futex::{self, Sleeper};
use crate::sys::liveness::Liveness;
use crate::sys::spin::Spin;

/// How often who need not wait tries to change a word that changes under it. More often than anybody who follows the
/// protocol could be so unlucky (a guess); a word that changes for ever must not keep a timeout, an abort or a reset.
const ATTEMPTS: u32 = 10_000;

/// What one party has to do once it has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Duty {
    /// Nothing: it was the last.
    Go,
    /// Run the action, then [`finish`](Meeting::finish) or [`break_in_action`](Meeting::break_in_action).
    Act,
    /// [`wait_for_others`](Meeting::wait_for_others).
    Wait,
}

/// One party that has arrived.
#[derive(Clone, Copy)]
pub(crate) struct Arrival {
    /// How many had arrived before.
    pub(crate) index: u32,
    pub(crate) duty: Duty,
    generation: u64,
}

/// All that the parties of a barrier share.
#[derive(Clone, Copy)]
pub(crate) struct Meeting<'a> {
    pub(crate) word: &'a BarrierWord,
    /// One for each slot of the table of peers.
    pub(crate) places: &'a [Place],
    pub(crate) liveness: &'a Liveness,
    /// How many it takes, from 1.
    pub(crate) parties: u32,
}

impl<'a> Meeting<'a> {
    #[inline]
    fn load(self) -> Word {
        // Acquire: pairs with the Release in `turn`.
        Word(self.word.0.load(Acquire))
    }

    fn place(self, id: PeerId) -> &'a Place {
        &self.places[id.slot()]
    }

    /// A handle more of `id`, which is ours: this process's, or that of a message which it packs.
    pub(crate) fn enter(self, id: PeerId, forks_excluded: &Exclusion) {
        for _ in 0..ATTEMPTS {
            let word = self.load();
            if !self.place(id).has_dead_predecessor_of(id) || self.breaks(word, BrokenBy::Death) {
                break; // (B5)
            }
        }
        self.place(id).enter(id, forks_excluded);
    }

    /// A handle less of `id`; false if it has none.
    pub(crate) fn leave(self, id: PeerId) -> bool {
        self.place(id).leave(id)
    }

    /// Arrives, once there is a generation to arrive in. `acts`: whether there is an action.
    #[inline]
    pub(crate) fn arrive(self, id: PeerId, acts: bool, deadline: Deadline, spin: &Spin) -> Result<Arrival, BrokenBy> {
        let mut late_attempts = 0;
        while late_attempts < ATTEMPTS {
            let word = self.load();
            match word.phase() {
                Phase::Broken => return Err(word.cause()),
                Phase::Fill => {
                    if let Some(arrival) = self.arrive_at(word, id, acts) {
                        return Ok(arrival);
                    }
                }
                // The last generation's parties are all here, and wait for the one that acts.
                Phase::Action => self.wait_until(deadline, spin, |now| {
                    (now.generation() != word.generation() || now.phase() != Phase::Action).then_some(())
                })?,
            }
            late_attempts += u32::from(deadline.has_passed());
        }
        Err(BrokenBy::Timeout)
    }

    /// Arrives if all others have.
    pub(crate) fn try_arrive(self, id: PeerId, acts: bool) -> Result<Option<Arrival>, BrokenBy> {
        for _ in 0..ATTEMPTS {
            let word = self.load();
            match word.phase() {
                Phase::Broken => return Err(word.cause()),
                Phase::Fill if self.is_last(word) => {
                    if let Some(arrival) = self.arrive_at(word, id, acts) {
                        return Ok(Some(arrival));
                    }
                }
                _ => return Ok(None),
            }
        }
        Ok(None)
    }

    /// Whether who arrives in this word is the last. A count beyond the parties is nobody's who follows the protocol.
    fn is_last(self, word: Word) -> bool {
        word.count() + 1 >= self.parties
    }

    /// Arrives in exactly this word, a FILL.
    #[inline]
    fn arrive_at(self, word: Word, id: PeerId, acts: bool) -> Option<Arrival> {
        let arrival = |duty| Arrival { index: word.count().min(self.parties - 1), duty, generation: word.generation() };
        if self.is_last(word) && !acts {
            return self.turn(word, word.next(false)).then(|| arrival(Duty::Go));
        }
        let (next, duty) =
            if self.is_last(word) { (word.acting(id.slot()), Duty::Act) } else { (word.arrived(), Duty::Wait) };
        // AcqRel: publishes what this party has done to whoever completes; the one that acts takes over what all have done.
        self.word.0.compare_exchange(word.0, next.0, AcqRel, Relaxed).ok()?;
        crash_point!("barrier.arrived");
        Some(arrival(duty))
    }

    /// Waits until the generation of this arrival is over.
    #[inline]
    pub(crate) fn wait_for_others(self, arrival: Arrival, deadline: Deadline, spin: &Spin) -> Result<(), BrokenBy> {
        self.wait_until(deadline, spin, |now| now.outcome(arrival.generation))?
    }

    /// The action is done: everybody passes, unless the barrier was broken meanwhile.
    pub(crate) fn finish(self, arrival: Arrival) -> Result<(), BrokenBy> {
        self.end_action(arrival, |word| word.next(false))
    }

    /// The action was not done: nobody passes.
    pub(crate) fn break_in_action(self, arrival: Arrival, by: BrokenBy) {
        let _ = self.end_action(arrival, |word| word.broken(by));
    }

    fn end_action(self, arrival: Arrival, next: impl Fn(Word) -> Word) -> Result<(), BrokenBy> {
        for _ in 0..ATTEMPTS {
            let word = self.load();
            // None but who acts completes it: a generation that is over was broken.
            if let Some(outcome) = word.outcome(arrival.generation) {
                return outcome;
            }
            if self.turn(word, next(word)) {
                return Ok(());
            }
        }
        Err(BrokenBy::Abort)
    }

    /// Breaks the barrier; one that is broken stays as it is.
    pub(crate) fn abort(self) {
        let _ = (0..ATTEMPTS).any(|_| self.breaks(self.load(), BrokenBy::Abort));
    }

    /// Starts afresh: who waits is told that the barrier is broken, and who died is forgotten.
    pub(crate) fn reset(self) {
        for _ in 0..ATTEMPTS {
            let word = self.load();
            self.places.iter().for_each(|place| place.forget_dead(self.liveness)); // (B5)
            if self.turn(word, word.next(true)) {
                break;
            }
        }
    }

    pub(crate) fn is_broken(self) -> bool {
        self.load().phase() == Phase::Broken
    }

    /// How many wait.
    pub(crate) fn waiting(self) -> u32 {
        let word = self.load();
        match word.phase() {
            Phase::Fill => word.count().min(self.parties),
            Phase::Action => self.parties - 1, // all but the one that acts
            Phase::Broken => 0,
        }
    }

    /// Breaks exactly this word; whether it is broken.
    fn breaks(self, word: Word, by: BrokenBy) -> bool {
        word.phase() == Phase::Broken || self.turn(word, word.broken(by))
    }

    /// Changes exactly this word to one of another phase or generation, and wakes all (B3).
    #[inline]
    fn turn(self, word: Word, next: Word) -> bool {
        // Release: publishes what all have done to the Acquire in `load`. Acquire: pairs with the Release of the arrivals.
        if self.word.0.compare_exchange(word.0, next.0, AcqRel, Relaxed).is_err() {
            return false;
        }
        crash_point!("barrier.turned");
        if word.has_waiters() {
            futex::wake_all(&self.word.0);
        }
        true
    }

    /// Waits until `look` makes something of the word. Breaks the barrier when the time is up, or if somebody has died whom it
    /// waits for.
    #[inline]
    fn wait_until<R>(self, deadline: Deadline, spin: &Spin, look: impl Fn(Word) -> Option<R>) -> Result<R, BrokenBy> {
        match spin.until(|| look(self.load())) {
            Some(result) => Ok(result),
            None => self.sleep_until(deadline, look),
        }
    }

    #[cold]
    fn sleep_until<R>(self, deadline: Deadline, look: impl Fn(Word) -> Option<R>) -> Result<R, BrokenBy> {
        let mut sleeper = Sleeper::new();
        let (mut has_slept, mut late_attempts) = (false, 0);
        while late_attempts < ATTEMPTS {
            let is_late = deadline.has_passed();
            let word = self.load();
            if let Some(result) = look(word) {
                return Ok(result);
            }
            // Not before the first sleep: most waits end before anybody need be asked for.
            if (has_slept || is_late) && self.is_deserted(word) {
                self.breaks(word, BrokenBy::Death);
            } else if is_late {
                self.breaks(word, BrokenBy::Timeout);
            } else if self.announce(word) {
                crash_point!("barrier.announced");
                sleeper.sleep(&self.word.0, word.with_waiters().futex_half(), deadline);
                has_slept = true;
            }
            late_attempts += u32::from(is_late);
        }
        Err(BrokenBy::Timeout)
    }

    /// Whether somebody has died without whom this generation may not end (B4).
    fn is_deserted(self, word: Word) -> bool {
        match word.phase() {
            Phase::Fill => self.places.iter().any(|place| place.is_dead(self.liveness)),
            Phase::Action => {
                self.places.get(word.count() as usize).is_none_or(|place| place.is_deserted(self.liveness))
            }
            Phase::Broken => false,
        }
    }

    /// Adds WAITERS to exactly this word (B3); false if it has changed.
    fn announce(self, word: Word) -> bool {
        let with_waiters = word.with_waiters().0;
        word.has_waiters() || self.word.0.compare_exchange(word.0, with_waiters, Relaxed, Relaxed).is_ok()
    }
}
