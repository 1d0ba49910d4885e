//! The word of a barrier: a number of parties wait for each other, again and again.
//!
//! Promise: of those who arrive in one generation either all pass, once all have arrived, or all who still live are told that
//! it is broken; nobody waits longer for a party that has died than the detection bound. Each that passes has an index of its
//! own. A killed waker costs a sleeper one detection bound.
//!
//! | state        | next, by                                                                                       |
//! |--------------|------------------------------------------------------------------------------------------------|
//! | FILL(g, n)   | who arrives: CAS to FILL(g, n + 1); the last: to FILL(g + 1, 0), or ACTION(g, its slot)          |
//! | ACTION(g, s) | the peer in slot s, when the action is done: CAS to FILL(g + 1, 0)                                 |
//! | FILL, ACTION | whose time is up, who aborts, who finds a party dead: CAS to BROKEN(g, why)                        |
//! | BROKEN(g)    | -                                                                                              |
//! | any          | who starts it afresh: CAS to FILL(g + 1, 0), and in HISTORY that g was broken                      |
//!
//! B1. Completing, breaking and starting afresh are compare-exchanges on one word: of generation g exactly one is done.
//! B2. Who has arrived in g looks at the word alone: g is over when GENERATION is another, and HISTORY says how. A waiter that
//!     comes back after 16 generations or more is told that its own was broken if any that old was.
//! B3. Who is about to sleep has added WAITERS. Arrivals keep it; every other change takes it away and wakes all: none but
//!     those changes end a wait.
//! B4. A party is dead if its process died with a handle (`parties`). While generation g fills, any dead party breaks it: it
//!     may be the one that is missing. In ACTION all have arrived, and only the death of the one that runs the action does.
//! B5. Whoever judges a place loads the word before, and changes exactly that word. Who starts afresh forgets the dead before
//!     it changes the word: so nobody breaks a new generation for a death that was forgotten with the old one. It is a party
//!     itself: killed in between, it is found dead in their stead. And a peer that finds in its place a predecessor that
//!     died breaks the barrier before it enters there: no death is overwritten.
//! B6. GENERATION comes round after 2^29: a party that was stopped for just so many takes the one that fills for its own.
//!
//! Orderings: what each party did before it arrived is published by the Release of its arrival, and taken over by the last one,
//! which publishes it all with the CAS that completes; the others load with Acquire. In between there are only
//! read-modify-writes, which keep the release sequences going. Announcing is Relaxed for the same reason.
//!
//! What the parties do with it is in `meeting`.
//!
//! Source: a central sense-reversing barrier (Hensgen, Finkel and Manber, "Two Algorithms for Barrier Synchronization", 1988)
//! with the generation as its sense; breaking and its causes are those of Python's `threading.Barrier`.

use super::PeerId;
use crate::error::BrokenBy;
use crate::sys::atomic::AtomicU64;

/// The most parties that COUNT can count.
pub(crate) const MOST_PARTIES: u32 = Word::COUNT as u32;

/// All zero: nobody has arrived in generation 0.
#[repr(transparent)]
pub(crate) struct BarrierWord(pub(super) AtomicU64);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Fill = 0,
    Action = 1,
    Broken = 2,
}

/// | bits  | name       | meaning                                                                              |
/// |-------|------------|--------------------------------------------------------------------------------------|
/// | 0     | WAITERS    | somebody sleeps, or is about to, or did so since the last change of phase or generation |
/// | 1-2   | PHASE      | see [`Phase`]; 3 counts as broken                                                     |
/// | 3-31  | GENERATION | how many are over; ends the futex half                                               |
/// | 32-47 | COUNT      | FILL: arrivals; ACTION: the slot of the peer that runs it; BROKEN: why                |
/// | 48-63 | HISTORY    | bit n: the generation before n others was broken; bit 15: so was any before           |
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Word(pub(super) u64);

impl Word {
    const WAITERS: u64 = 1;
    const PHASE_SHIFT: u32 = 1;
    const GENERATION_SHIFT: u32 = 3;
    const GENERATION: u64 = (1 << 29) - 1;
    const COUNT_SHIFT: u32 = 32;
    const COUNT: u64 = (1 << 16) - 1;
    const HISTORY_SHIFT: u32 = 48;
    const OLDEST: u64 = 1 << 15;

    /// Without WAITERS.
    fn new(phase: Phase, generation: u64, count: u32, history: u64) -> Self {
        Word(
            (phase as u64) << Self::PHASE_SHIFT
                | (generation & Self::GENERATION) << Self::GENERATION_SHIFT
                | u64::from(count) << Self::COUNT_SHIFT
                | history << Self::HISTORY_SHIFT,
        )
    }

    pub(super) fn phase(self) -> Phase {
        match self.0 >> Self::PHASE_SHIFT & 3 {
            0 => Phase::Fill,
            1 => Phase::Action,
            _ => Phase::Broken,
        }
    }

    pub(super) fn generation(self) -> u64 {
        self.0 >> Self::GENERATION_SHIFT & Self::GENERATION
    }

    pub(super) fn count(self) -> u32 {
        (self.0 >> Self::COUNT_SHIFT & Self::COUNT) as u32
    }

    fn history(self) -> u64 {
        self.0 >> Self::HISTORY_SHIFT
    }

    pub(super) fn has_waiters(self) -> bool {
        self.0 & Self::WAITERS != 0
    }

    pub(super) fn with_waiters(self) -> Self {
        Word(self.0 | Self::WAITERS)
    }

    pub(super) fn futex_half(self) -> u32 {
        self.0 as u32
    }

    /// Why it is broken.
    pub(super) fn cause(self) -> BrokenBy {
        CAUSES.get(self.count() as usize).copied().unwrap_or(BrokenBy::Abort)
    }

    /// One arrival more, which is not the last.
    pub(super) fn arrived(self) -> Self {
        Word(self.0 + (1 << Self::COUNT_SHIFT))
    }

    /// The last arrival, of the peer in `slot`, which runs the action.
    pub(super) fn acting(self, slot: usize) -> Self {
        let acting = Word::new(Phase::Action, self.generation(), slot as u32, self.history());
        if self.has_waiters() { acting.with_waiters() } else { acting }
    }

    pub(super) fn broken(self, by: BrokenBy) -> Self {
        let cause = CAUSES.iter().position(|&cause| cause == by).unwrap_or(0);
        Word::new(Phase::Broken, self.generation(), cause as u32, self.history())
    }

    /// The next generation.
    pub(super) fn next(self, is_broken: bool) -> Self {
        let history = (self.history() << 1 | self.history() & Self::OLDEST | u64::from(is_broken)) & Self::COUNT;
        Word::new(Phase::Fill, self.generation() + 1, 0, history)
    }

    /// How `generation` has ended, if it has (B2).
    pub(super) fn outcome(self, generation: u64) -> Option<Result<(), BrokenBy>> {
        match self.generation().wrapping_sub(generation) & Self::GENERATION {
            0 => (self.phase() == Phase::Broken).then(|| Err(self.cause())),
            age if self.history() >> (age - 1).min(15) & 1 == 0 => Some(Ok(())),
            _ => Some(Err(BrokenBy::Reset)),
        }
    }
}

/// What a word says, read as a number.
#[cfg(not(all(test, loom)))]
pub(crate) enum State {
    Waiting(u32),
    /// All have arrived, and one runs the action.
    Acting,
    Broken(BrokenBy),
}

#[cfg(not(all(test, loom)))]
impl State {
    pub(crate) fn of(word: u64) -> Self {
        let word = Word(word);
        match word.phase() {
            Phase::Fill => State::Waiting(word.count()),
            Phase::Action => State::Acting,
            Phase::Broken => State::Broken(word.cause()),
        }
    }
}

/// By their numbers in a word.
const CAUSES: [BrokenBy; 4] = [BrokenBy::Death, BrokenBy::Timeout, BrokenBy::Abort, BrokenBy::Panic];

const _: () = assert!(PeerId::SLOT_BITS <= 16);

#[cfg(all(test, loom))]
impl BarrierWord {
    pub(crate) fn new() -> Self {
        BarrierWord(AtomicU64::new(0))
    }
}
