//! The words of a semaphore: who has which permit.
//!
//! Promise: a permit is free, or one process's, or has been handed out without an owner. One whose process is killed at any
//! instruction is free again when somebody next finds no other. No count is kept that a death could make wrong, and nobody
//! sleeps for longer than the detection bound while a permit is free.
//!
//! | word        | next, by                                                                                   |
//! |-------------|--------------------------------------------------------------------------------------------|
//! | FREE        | anyone: CAS to its identity                                                                |
//! | an identity | its owner: store FREE, or ABSENT; if the owner is dead, anyone: CAS to FREE from exactly it |
//! | ABSENT      | room for a permit. A releaser: CAS to its identity, and then as any owner                  |
//!
//! S1. One compare-exchange takes a permit and says who did: there is no instant at which it is taken by nobody.
//! S2. A word is taken from an owner only after the kernel has said that this owner can no longer run, and by a CAS from
//!     the very word that was judged. Identities are never used twice, so that word means the same as long as it stands.
//! S3. A releaser takes all the room that it needs, in its own name, before it frees the first. So one that is refused leaves
//!     everything as it was; one that is killed has released all, some or none, and never more than there is room for.
//! S4. Behind the mark `used` all words are ABSENT, and have never been anything else: it is raised, with a CAS, before
//!     anybody looks at the words that it then includes, and never lowered. So it hides no permit. What is read is cut off at
//!     the number of words; a mark that somebody has lowered hides what he could as well have taken.
//! S5. A word that becomes ABSENT is counted in `returned` behind that. So whoever finds no room between two equal counts is
//!     refused rightly: there, words have only ceased to be ABSENT. Without the count, who looks at one word after the other
//!     misses room that moves: a permit forgotten behind it, and then another one released before it.
//! S6. A permit becomes FREE before one waiter is notified, and a waiter looks once more when it is announced (`eventcount`,
//!     E1). One that moves past that look has been freed since, and its notification ends the sleep.
//!
//! Orderings: what was done with a permit is published by the Release with which its owner gives it back or forgets it, and
//! taken over by the Acquire with which the next one takes it, or a releaser the room. A dead owner's stores are visible to who
//! has asked the kernel (`lock`, "Orderings"), and published by the Release with which he frees its permit. For S5, whoever sees
//! a word that is no longer ABSENT (Acquire) sees what the one who changed it had counted before (the Release in the same
//! compare-exchange); and whoever reads the first of the two counts (Acquire) sees the words that were counted (Release).
//!
//! Source: Dijkstra's counting semaphore, with a row of owners in place of the count.

use std::mem::offset_of;

use super::PeerId;
use super::eventcount::EventCount;
use super::owners::Owners;
use super::peers::MOST_PEERS;
use crate::fault::crash_point;
use crate::sys::atomic::{
    AtomicU32,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};
use crate::sys::clock::Deadline;
use crate::sys::liveness::Liveness;
use crate::sys::spin::Spin;

const FREE: u32 = 0;
const ABSENT: u32 = u32::MAX;

const _: () = assert!(PeerId::BITS < u32::BITS, "no identity is ABSENT");

/// How often a releaser looks again because room has moved meanwhile, or because others have raised the mark. More often than
/// anybody who follows the protocol could be so unlucky (a guess); a word that changes for ever must not keep it.
const LOOKS: u32 = 1_000;

/// What a semaphore has beside its permits' words.
///
/// | offset | size | field    | meaning                                               |
/// |--------|------|----------|-------------------------------------------------------|
/// | 0      | 8    | event    | a permit has become free: `word/eventcount.rs`        |
/// | 8      | 4    | used     | words that have ever been anything but ABSENT (S4)    |
/// | 12     | 4    | returned | how often a word has become ABSENT again (S5)         |
#[repr(C)]
pub(crate) struct Control {
    event: EventCount,
    used: AtomicU32,
    returned: AtomicU32,
}

impl Control {
    pub(crate) const EVENT: usize = offset_of!(Control, event);
    pub(crate) const USED: usize = offset_of!(Control, used);
}

#[cfg(all(test, loom))]
impl Control {
    pub(crate) fn new() -> Self {
        Control { event: EventCount::new(), used: AtomicU32::new(0), returned: AtomicU32::new(0) }
    }
}

/// A semaphore: its words, one for each permit that it can have.
#[derive(Clone, Copy)]
pub(crate) struct Permits<'a> {
    control: &'a Control,
    words: &'a [AtomicU32],
}

impl<'a> Permits<'a> {
    /// words: at most 2^32 - 1.
    #[inline]
    pub(crate) fn new(control: &'a Control, words: &'a [AtomicU32]) -> Self {
        Permits { control, words }
    }

    /// Makes the first `free` permits, before anybody else can see the semaphore; all words are zero.
    pub(crate) fn initialise(self, free: usize) {
        for word in &self.words[free..] {
            word.store(ABSENT, Relaxed);
        }
        self.control.used.store(free as u32, Relaxed);
    }

    /// Takes a free permit, the first from `start` on; the place of its word.
    #[inline]
    pub(crate) fn take(self, me: PeerId, start: usize) -> Option<usize> {
        let place = self.places(start).find(|&place| {
            let word = &self.words[place];
            // A look first: who changes a word takes its line from all others, also in vain.
            // Acquire: pairs with the Release in `free` and in `recover`.
            word.load(Relaxed) == FREE && word.compare_exchange(FREE, me.get(), Acquire, Relaxed).is_ok()
        })?;
        crash_point!("semaphore.taken");
        Some(place)
    }

    /// As [`take`](Self::take), and frees those of dead owners if there is no other.
    pub(crate) fn try_acquire(self, me: PeerId, start: usize, liveness: &Liveness) -> Option<usize> {
        self.take(me, start).or_else(|| self.recover(liveness).then(|| self.take(me, start))?)
    }

    /// Waits until there is a permit, or until the deadline; even then it takes one if it can be had at once.
    #[cold]
    pub(crate) fn acquire(
        self,
        me: PeerId,
        start: usize,
        liveness: &Liveness,
        deadline: Deadline,
        spin: &Spin,
    ) -> Option<usize> {
        let glance = || self.take(me, start);
        let look = || self.try_acquire(me, start, liveness);
        let place = self.control.event.wait(|glance| spin.until(glance), deadline, glance, look)?;
        // Who was woken for another one may have been killed since.
        self.control.event.notify_one_if(|| self.free_words().next().is_some());
        Some(place)
    }

    /// Gives a permit back; its owner only.
    #[inline]
    pub(crate) fn free(self, place: usize) {
        // Release: pairs with the Acquire in `take`; publishes what was done with the permit.
        self.words[place].store(FREE, Release);
        crash_point!("semaphore.freed");
        self.control.event.notify_one(); // (S6)
    }

    /// Makes a permit one that nobody owns, and that a `release` gives back; its owner only.
    pub(crate) fn forget(self, place: usize) {
        // Release: pairs with the Acquire in `claim`; publishes what was done with the permit.
        self.words[place].store(ABSENT, Release);
        crash_point!("semaphore.forgotten");
        // Release: pairs with the first Acquire in `claim`; publishes the word (S5).
        self.control.returned.fetch_add(1, Release);
    }

    /// Makes so many permits free where there is room for them; otherwise none, and says for how many there was room.
    pub(crate) fn release(self, me: PeerId, count: usize, mut start: usize) -> Result<(), usize> {
        let mut claimed = Vec::new();
        while claimed.len() < count {
            let Some(place) = self.claim(me, count - claimed.len(), start) else {
                let room = claimed.len();
                claimed.into_iter().for_each(|place| self.forget(place)); // (S3)
                return Err(room);
            };
            crash_point!("semaphore.claimed");
            claimed.push(place);
            start = place + 1;
        }
        claimed.into_iter().for_each(|place| self.free(place));
        Ok(())
    }

    /// Free permits, those of dead owners among them.
    pub(crate) fn value(self, liveness: &Liveness) -> usize {
        self.recover(liveness);
        self.free_words().count()
    }

    /// Takes room for one permit, the first from `start` on. `wanted`: for how many its caller wants some, this one included.
    fn claim(self, me: PeerId, wanted: usize, mut start: usize) -> Option<usize> {
        for _ in 0..LOOKS {
            let returned = self.control.returned.load(Acquire); // pairs with the Release in `forget`
            let used = self.used();
            let claimed = self.places(start).find(|&place| {
                let word = &self.words[place];
                // Acquire: pairs with the Release in `forget`; and in a word that is no longer ABSENT, with that of the
                // compare-exchange here, which says what its releaser had counted before (S5).
                word.load(Acquire) == ABSENT && word.compare_exchange(ABSENT, me.get(), AcqRel, Acquire).is_ok()
            });
            if claimed.is_some() {
                return claimed;
            }
            if self.control.returned.load(Relaxed) != returned {
                continue; // (S5)
            }
            if used == self.words.len() {
                return None;
            }
            // Somebody may have been faster: then there is another look at what he has raised it to (S4).
            let raised = used.saturating_add(wanted).min(self.words.len());
            let _ = self.control.used.compare_exchange(used as u32, raised as u32, Relaxed, Relaxed);
            crash_point!("semaphore.raised");
            start = used;
        }
        None
    }

    /// Frees the permits of dead owners; whether there were any. Asks once for each owner.
    #[cold]
    fn recover(self, liveness: &Liveness) -> bool {
        // By slots in the table of peers, each of which has at most one owner that lives.
        let mut verdicts = [(FREE, false); MOST_PEERS as usize];
        let mut has_freed = false;
        for word in &self.words[..self.used()] {
            let owner = word.load(Relaxed);
            if owner == FREE || owner == ABSENT {
                continue;
            }
            let verdict = &mut verdicts[PeerId::from_number(owner).slot()];
            if verdict.0 != owner {
                *verdict = (owner, liveness.is_dead(owner));
            }
            let (_, is_dead) = *verdict;
            // Release: pairs with the Acquire in `take`; publishes what the dead owner did (S2).
            if is_dead && word.compare_exchange(owner, FREE, Release, Relaxed).is_ok() {
                crash_point!("semaphore.recovered");
                self.control.event.notify_one(); // (S6)
                has_freed = true;
            }
        }
        has_freed
    }

    fn free_words(self) -> impl Iterator<Item = &'a AtomicU32> {
        self.words[..self.used()].iter().filter(|word| word.load(Relaxed) == FREE)
    }

    /// All places up to the mark, from `start` on and then from the beginning.
    #[inline]
    fn places(self, start: usize) -> impl Iterator<Item = usize> {
        let used = self.used();
        (start..used).chain(0..start.min(used))
    }

    /// The mark, not beyond the last word (S4).
    #[inline]
    fn used(self) -> usize {
        (self.control.used.load(Relaxed) as usize).min(self.words.len())
    }
}

/// Who has how many permits, for people who look from outside.
#[derive(Default)]
pub(crate) struct Census {
    pub(crate) free: u64,
    /// By owners.
    pub(crate) taken: Owners,
}

impl Census {
    pub(crate) fn count(&mut self, word: u32) {
        match word {
            FREE => self.free += 1,
            ABSENT => {}
            owner => self.taken.count(owner),
        }
    }
}
