//! The word of a slot: what is in it, in which lap, and who is at work on it.
//!
//! | phase   | next, by                                                     | if its owner dies                          |
//! |---------|--------------------------------------------------------------|--------------------------------------------|
//! | FREE    | a producer: CAS to WRITING                                   | -                                          |
//! | WRITING | its owner: store READY, or FREE of the next lap (gives up)   | anyone: CAS to FREE of the next lap         |
//! | READY   | a consumer: CAS to READING                                   | -                                          |
//! | READING | its owner: store FREE of the next lap, or READY (gives back) | a consumer: CAS to READING of its own; a producer: CAS to READY |
//! | READING, HELD | its owner: add what makes it FREE of the next lap, or READY; a producer: CAS to the next lap (passes it) | as READING |
//!
//! S1. One compare-exchange claims a slot and says who did: there is no instant at which it is taken by nobody.
//! S2. A word is taken from an owner only after the kernel has said that this owner can no longer run, and by a CAS from
//!     the very word that was judged.
//! S3. A live owner's word is changed by its owner alone, which therefore stores without comparing. But for HELD: producers
//!     may raise its lap, and nothing else; so its owner adds the difference.
//! S4. The lap of a slot grows by one when it becomes FREE, or is passed, and at no other time. So a message that was half
//!     written or read to its end leaves a word that no earlier claim can be mistaken for.
//! S5. A message that is read for long (HELD) does not stop the ring: a producer that comes to its slot a lap later *passes*
//!     it. The message then counts as that of the later position, and nothing is ever put at this one.
//!
//! Orderings: READY is stored with Release and claimed with Acquire, which hands the message over; FREE is stored with
//! Release and claimed with Acquire, which keeps the next message's bytes behind the last reads of this one's. A dead
//! owner released nothing; its stores are visible since the kernel's lock on its identity fell and was asked for.

use crate::sys::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use crate::word::PeerId;
use crate::word::owners::Owners;

/// What goes on in the slots of a ring, for people.
#[derive(Default)]
pub(crate) struct Activity {
    pub(crate) ready: u64,
    pub(crate) writers: Owners,
    pub(crate) readers: Owners,
}

impl Activity {
    pub(crate) fn count(&mut self, word: u64) {
        let word = Word(word);
        match word.phase() {
            Phase::Free => {}
            Phase::Writing => self.writers.count(word.owner()),
            Phase::Ready => self.ready += 1,
            Phase::Reading => self.readers.count(word.owner()),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Free = 0,
    Writing = 1,
    Ready = 2,
    Reading = 3,
}

/// | bits  | name  | meaning                                        |
/// |-------|-------|------------------------------------------------|
/// | 0-30  | OWNER | peer slot and generation; 0 where nobody is at work |
/// | 31    | HELD  | of READING: for as long as its owner likes     |
/// | 32-33 | PHASE | see [`Phase`]                                  |
/// | 34-63 | LAP   | of its position, wrapping                      |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word(u64);

const LAP_SHIFT: u32 = 34;
const HELD: u32 = 1 << PeerId::BITS;

/// For how long a message is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    /// While it is copied.
    Briefly,
    /// While somebody works on it: producers may pass its slot.
    Long,
}

impl Word {
    #[inline]
    pub(super) fn new(lap: u32, phase: Phase, owner: u32) -> Self {
        Word(u64::from(lap) << LAP_SHIFT | (phase as u64) << 32 | u64::from(owner))
    }

    /// What a claim leaves that ends.
    #[inline]
    pub(super) fn ended(lap: u32, phase: Phase) -> Self {
        Word::new(if phase == Phase::Free { lap.wrapping_add(1) } else { lap }, phase, 0)
    }

    #[inline]
    pub(super) fn reading(lap: u32, owner: PeerId, hold: Hold) -> Self {
        let held = if hold == Hold::Long { HELD } else { 0 };
        Word::new(lap, Phase::Reading, owner.get() | held)
    }

    /// Whether nobody who keeps up with the ring could find this at a position so many laps before it: whoever does has been
    /// away for so long that the laps cannot be told from as many the other way round.
    #[inline]
    pub(super) fn is_strange(self, ahead: i32) -> bool {
        ahead < -1 || ahead == -1 && self.phase() == Phase::Free
    }

    /// Whether it is being read, and may be passed.
    pub(super) fn is_held(self) -> bool {
        self.phase() == Phase::Reading && self.0 as u32 & HELD != 0
    }

    /// The same in the next lap.
    pub(super) fn passed(self) -> Self {
        Word(self.0.wrapping_add(1 << LAP_SHIFT))
    }

    #[inline]
    pub(super) fn phase(self) -> Phase {
        match (self.0 >> 32) & 3 {
            0 => Phase::Free,
            1 => Phase::Writing,
            2 => Phase::Ready,
            _ => Phase::Reading,
        }
    }

    pub(super) fn owner(self) -> u32 {
        self.0 as u32 & ((1 << PeerId::BITS) - 1)
    }

    /// How many laps this word is ahead of `lap`, of which it has the low 30 bits, by the shorter way round.
    #[inline]
    pub(super) fn ahead_of(self, lap: u32) -> i32 {
        const UNUSED: u32 = u32::BITS - (u64::BITS - LAP_SHIFT);
        ((((self.0 >> LAP_SHIFT) as u32).wrapping_sub(lap) << UNUSED) as i32) >> UNUSED
    }
}

/// A slot's word in shared memory; all zero is FREE in lap 0.
#[repr(transparent)]
pub(crate) struct SlotWord {
    word: AtomicU64,
}

#[cfg(all(test, loom))]
impl SlotWord {
    pub(super) fn free() -> Self {
        SlotWord { word: AtomicU64::new(0) }
    }
}

impl SlotWord {
    #[inline]
    pub(super) fn load(&self) -> Word {
        // Relaxed: a look. What is read of the message comes after a claim, which has the Acquire.
        Word(self.word.load(Relaxed))
    }

    /// As [`load`](Self::load), for who asks whether anybody is at work.
    #[inline]
    pub(super) fn load_acquire(&self) -> Word {
        // Acquire: pairs with the Release in `store` and `end_hold`; whoever sees a message finished sees in its next looks what
        // its reader did before: counted it, or put another.
        Word(self.word.load(Acquire))
    }

    /// Takes the slot over from exactly this word: free, ready, or of a dead owner (S1, S2).
    #[inline]
    pub(super) fn claim(&self, from: Word, to: Word) -> bool {
        // Acquire: pairs with the Release in `store`, of whoever made the slot what we found.
        self.word.compare_exchange(from.0, to.0, Acquire, Relaxed).is_ok()
    }

    /// Ends a claim of our own (S3).
    #[inline]
    pub(super) fn store(&self, to: Word) {
        // Release: pairs with the Acquire in `claim`; publishes the message, or that we have read it.
        self.word.store(to.0, Release);
    }

    /// Ends a claim of our own that producers may pass meanwhile; the word that it was (S3).
    #[inline]
    pub(super) fn end_hold(&self, phase: Phase) -> Word {
        let word = self.load();
        let lap = (word.0 >> LAP_SHIFT) as u32;
        // Release: as in `store`.
        Word(self.word.fetch_add(Word::ended(lap, phase).0.wrapping_sub(word.0), Release))
    }
}
