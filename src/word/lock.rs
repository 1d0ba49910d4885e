//! The word of a lock that survives its owner.
//!
//! Promise: at most one live owner at a time; whoever is killed at any instruction holds it for no longer than it takes
//! the next contender to look; what the dead owner guarded is reported to each next owner until one repairs it; a
//! killed waiter or waker costs a sleeper one detection bound at most.
//!
//! | state                    | next, by                                                                  |
//! |--------------------------|---------------------------------------------------------------------------|
//! | free (owner = 0)         | anyone: CAS to (me, WAITERS if announced, DIRTY kept)                      |
//! | owned                    | its owner: swap to free, DIRTY unless repaired; a sleeper: CAS to WAITERS  |
//! |                          | its owner: WHOLE or DIRTY off, by an addition                             |
//! | owned by a dead peer     | anyone: CAS from exactly this word to (me, WAITERS, DIRTY if it was set or WHOLE was not) |
//!
//! I1. One compare-exchange claims the lock and says who did: there is no instant at which it is taken by nobody.
//! I2. A word is taken from an owner only after the kernel has said that this owner can no longer run, and by a CAS
//!     from the very word that was judged. Identities are never used twice, so that word cannot have come again.
//! I3. Who is about to sleep has set WAITERS in the futex half of the word it then sleeps on. Whoever unlocks takes
//!     the bit and wakes one. A bit in the other half would not do: the owner may unlock, which clears it, and lock again;
//!     the futex half is then the expected one, and we would sleep unannounced.
//! I4. Who has been announced acquires with WAITERS set, and announces before it gives up: others may sleep behind it,
//!     and its wake-up may have been the only one. (Unless the word changed under its every late attempt, which nobody who
//!     follows the protocol brings about; then the others look by themselves, within the bound.)
//! I5. DIRTY outlives owners. Only an owner that has repaired leaves it out when it unlocks.
//!
//! Orderings: what the lock guards is published by the Release in `release`, and taken over by the Acquire of the
//! compare-exchange that finds the word free. A dead owner released nothing: its stores are visible since the kernel's
//! lock on its identity fell and was asked for, which are system calls on both sides; the Acquire there is for the
//! owners before it. Announcing is Relaxed: it is a change of the same word that the release takes with its swap, and a
//! read-modify-write in between keeps the release sequence of an earlier unlock going.
//!
//! Source: the three-state futex mutex of Drepper, "Futexes Are Tricky" (2011), section 5, with the owner in the word
//! instead of the "locked" state.

use std::sync::atomic::compiler_fence;

use super::PeerId;
use crate::fault::crash_point;
use crate::sys::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release, SeqCst},
};
use crate::sys::clock::Deadline;
use crate::sys::liveness::Liveness;
use crate::sys::spin::Spin;
use crate::sys::{futex, thread};

/// How often who has no time left looks again because the word changed under it. More often than anybody who follows the
/// protocol could be so unlucky (a guess); a word that changes for ever must not keep a `try_lock` or a timeout.
const LATE_ATTEMPTS: u32 = 100;

/// A lock, eight bytes of shared memory. All zero: free and clean.
#[repr(transparent)]
pub(crate) struct LockWord(AtomicU64);

/// | bits  | name    | meaning                                                                     |
/// |-------|---------|-----------------------------------------------------------------------------|
/// | 0-30  | OWNER   | identity of the owning process; 0 = free                                    |
/// | 31    | WAITERS | somebody sleeps, or is about to                                             |
/// | 32-61 | THREAD  | the owning thread, a number of its process                                  |
/// | 62    | WHOLE   | the owner leaves what it guards whole at every instruction                  |
/// | 63    | DIRTY   | an owner died, and nobody has repaired                                      |
#[derive(Clone, Copy, PartialEq, Eq)]
struct Word(u64);

impl Word {
    const OWNER: u64 = (1 << PeerId::BITS) - 1;
    const WAITERS: u64 = 1 << 31;
    const THREAD_SHIFT: u32 = 32;
    const WHOLE: u64 = 1 << 62;
    const DIRTY: u64 = 1 << 63;

    fn is_free(self) -> bool {
        self.0 & Self::OWNER == 0
    }

    fn owner(self) -> u32 {
        (self.0 & Self::OWNER) as u32
    }

    /// Whether the owner is the claim's thread, whatever either does with the lock.
    fn is_held_by(self, claim: Claim) -> bool {
        const IDENTITY: u64 = !(Word::WAITERS | Word::WHOLE | Word::DIRTY);
        self.0 & IDENTITY == claim.0.0 & IDENTITY
    }

    fn has_waiters(self) -> bool {
        self.0 & Self::WAITERS != 0
    }

    fn is_dirty(self) -> bool {
        self.0 & Self::DIRTY != 0
    }

    fn with_waiters(self) -> Self {
        Word(self.0 | Self::WAITERS)
    }

    /// Whether the next owner has to be told, if this owner is dead.
    fn leaves_dirt(self) -> bool {
        self.is_dirty() || self.0 & Self::WHOLE == 0
    }

    fn acquired(self) -> Acquired {
        if self.is_dirty() { Acquired::Dirty } else { Acquired::Clean }
    }

    fn futex_half(self) -> u32 {
        self.0 as u32
    }
}

const _: () = assert!(PeerId::BITS == 31 && thread::BITS == 30);

/// Who wants a lock, and what for: the word that says so.
#[derive(Clone, Copy)]
pub(crate) struct Claim(Word);

impl Claim {
    /// For the calling thread, to hold while it changes what it likes.
    #[inline]
    pub(crate) fn new(id: PeerId) -> Self {
        Claim(Word(u64::from(id.get()) | u64::from(thread::token()) << Word::THREAD_SHIFT))
    }

    /// For the calling thread, to hold over a change that leaves everything whole at any instruction.
    #[inline]
    pub(crate) fn whole(id: PeerId) -> Self {
        Claim(Word(Claim::new(id).0.0 | Word::WHOLE))
    }

    fn with(self, waiters: bool, dirty: bool) -> Word {
        let bit = |condition: bool, bit: u64| if condition { bit } else { 0 };
        Word(self.0.0 | bit(waiters, Word::WAITERS) | bit(dirty, Word::DIRTY))
    }
}

/// How a lock was got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Acquired {
    Clean,
    /// An owner died before, and nobody has repaired since.
    Dirty,
}

/// Why a lock was not got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Somebody else has it.
    Held,
    /// This thread has it.
    AlreadyHeld,
}

#[cfg(all(test, loom))]
impl From<AtomicU64> for LockWord {
    fn from(word: AtomicU64) -> Self {
        LockWord(word)
    }
}

/// What a lock word says, for people.
pub(crate) struct State {
    /// 0: free.
    pub(crate) owner: u32,
    /// A number of the owner's process.
    pub(crate) thread: u32,
    pub(crate) has_waiters: bool,
    pub(crate) is_dirty: bool,
}

impl State {
    pub(crate) fn of(word: u64) -> Self {
        let word = Word(word);
        let thread = (word.0 >> Word::THREAD_SHIFT) as u32 & ((1 << thread::BITS) - 1);
        State { owner: word.owner(), thread, has_waiters: word.has_waiters(), is_dirty: word.is_dirty() }
    }
}

impl LockWord {
    /// Takes the lock if nobody alive holds it.
    #[inline]
    pub(crate) fn try_acquire(&self, claim: Claim, liveness: &Liveness) -> Result<Acquired, Refused> {
        self.acquire_clean(claim).or_else(|_| self.try_acquire_slow(claim, liveness))
    }

    /// Waits until it has the lock, or until the deadline; even then it takes the lock if it can be had at once.
    #[inline]
    pub(crate) fn acquire(
        &self,
        claim: Claim,
        liveness: &Liveness,
        deadline: Deadline,
        spin: &Spin,
    ) -> Result<Acquired, Refused> {
        self.acquire_clean(claim).or_else(|_| self.acquire_slow(claim, liveness, deadline, spin))
    }

    /// Takes the lock over from a dead owner. One that is free is left alone.
    #[cold]
    pub(crate) fn inherit(&self, claim: Claim, liveness: &Liveness) -> Result<Acquired, Refused> {
        let word = Word(self.0.load(Relaxed));
        if word.is_held_by(claim) {
            return Err(Refused::AlreadyHeld);
        }
        if word.is_free() || !liveness.is_dead(word.owner()) {
            return Err(Refused::Held);
        }
        self.take(word, claim, true).ok_or(Refused::Held)
    }

    /// Whether nobody has the lock. Stale at once.
    #[inline]
    pub(crate) fn is_free(&self) -> bool {
        Word(self.0.load(Relaxed)).is_free()
    }

    /// How the lock would be got, if nobody has it; what its last owner published can then be seen.
    #[inline]
    #[track_caller] // for the models: it is the caller's ordering
    pub(crate) fn if_free(&self) -> Option<Acquired> {
        let word = Word(self.0.load(Acquire)); // pairs with the Release in `release`
        word.is_free().then(|| word.acquired())
    }

    /// Whether the claim's thread holds the lock. Exact for that thread.
    #[inline]
    pub(crate) fn is_held_by(&self, claim: Claim) -> bool {
        Word(self.0.load(Relaxed)).is_held_by(claim)
    }

    /// How its owner got the lock, or that it has repaired since; its owner only.
    pub(crate) fn acquired(&self) -> Acquired {
        Word(self.0.load(Relaxed)).acquired()
    }

    /// Takes back that the owner leaves everything whole, as it said when it took the lock; its owner only, once.
    ///
    /// Relaxed, and an addition, as others may set WAITERS meanwhile: it has to be ordered against nothing but the owner's own
    /// changes, which the compiler must not move before it. What a killed owner has done is a beginning of its program.
    #[inline]
    pub(crate) fn expose(&self) {
        self.0.fetch_add(Word::WHOLE.wrapping_neg(), Relaxed);
        compiler_fence(SeqCst);
    }

    /// Says that nothing is half done any more; its owner only.
    pub(crate) fn repair(&self) {
        if self.acquired() == Acquired::Dirty {
            self.0.fetch_add(Word::DIRTY, Relaxed); // the highest bit: only its own carry, which is lost
        }
    }

    /// Gives the lock back; its owner only. `dirty`: it was got dirty, and its owner has not repaired.
    #[inline]
    pub(crate) fn release(&self, dirty: bool) {
        // Release: pairs with the Acquire of the next owner's compare-exchange; publishes what the lock guards.
        let released = Word(self.0.swap(if dirty { Word::DIRTY } else { 0 }, Release));
        crash_point!("lock.released");
        if released.has_waiters() {
            futex::wake_one(&self.0); // (I3)
        }
    }

    /// The fast path: free, clean, nobody waiting.
    #[inline]
    fn acquire_clean(&self, claim: Claim) -> Result<Acquired, ()> {
        // Acquire: pairs with the Release in `release`.
        self.0.compare_exchange(0, claim.0.0, Acquire, Relaxed).map_err(|_| ())?;
        crash_point!("lock.claimed");
        Ok(Acquired::Clean)
    }

    #[cold]
    fn try_acquire_slow(&self, claim: Claim, liveness: &Liveness) -> Result<Acquired, Refused> {
        for _ in 0..LATE_ATTEMPTS {
            let word = Word(self.0.load(Relaxed));
            if word.is_held_by(claim) {
                return Err(Refused::AlreadyHeld);
            }
            if !word.is_free() && !liveness.is_dead(word.owner()) {
                return Err(Refused::Held);
            }
            if let Some(acquired) = self.take(word, claim, false) {
                return Ok(acquired);
            }
        }
        Err(Refused::Held)
    }

    #[cold]
    fn acquire_slow(
        &self,
        claim: Claim,
        liveness: &Liveness,
        deadline: Deadline,
        spin: &Spin,
    ) -> Result<Acquired, Refused> {
        let mut announced = false;
        let mut late_attempts = 0;
        let mut sleeper = futex::Sleeper::new();
        loop {
            if deadline.has_passed() {
                if late_attempts == LATE_ATTEMPTS {
                    return Err(Refused::Held);
                }
                late_attempts += 1;
            }
            let spun = spin.until(|| {
                let word = Word(self.0.load(Relaxed));
                (word.is_free() || word.is_held_by(claim)).then_some(word)
            });
            let word = spun.unwrap_or_else(|| Word(self.0.load(Relaxed)));
            if word.is_held_by(claim) {
                return Err(Refused::AlreadyHeld);
            }
            if word.is_free() || liveness.is_dead(word.owner()) {
                match self.take(word, claim, announced) {
                    Some(acquired) => return Ok(acquired),
                    None => continue,
                }
            }
            if !self.announce(word) {
                continue;
            }
            announced = true;
            crash_point!("lock.announced");
            if deadline.has_passed() {
                return Err(Refused::Held); // (I4)
            }
            sleeper.sleep(&self.0, word.with_waiters().futex_half(), deadline);
        }
    }

    /// Takes the lock over from exactly this word, free or of a dead owner (I2).
    fn take(&self, word: Word, claim: Claim, announced: bool) -> Option<Acquired> {
        let (waiters, dirty) = if word.is_free() { (announced, word.is_dirty()) } else { (true, word.leaves_dirt()) };
        // Acquire: pairs with the Release in `release`.
        self.0.compare_exchange(word.0, claim.with(waiters, dirty).0, Acquire, Relaxed).ok()?;
        crash_point!("lock.claimed");
        Some(if dirty { Acquired::Dirty } else { Acquired::Clean })
    }

    /// Sets WAITERS in a word that has an owner (I3); false if the word has changed.
    fn announce(&self, word: Word) -> bool {
        word.has_waiters() || self.0.compare_exchange(word.0, word.with_waiters().0, Relaxed, Relaxed).is_ok()
    }
}
