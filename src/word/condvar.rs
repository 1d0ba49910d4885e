//! Who waits to be notified, a word for each.
//!
//! Promise: a notification for n wakes the n that have waited longest, or all if they are fewer; nobody else wakes, as long as
//! nobody dies. A dead waiter takes no notification, and one that dies with its notification in hand leaves it to another who
//! waits, within the detection bound, or else to the next who will. So a death may wake some too many, and never one too few.
//!
//! | state          | next, by                                                  | if its owner dies                        |
//! |----------------|-----------------------------------------------------------|------------------------------------------|
//! | FREE           | a newcomer: CAS to WAITING(me)                            | -                                        |
//! | WAITING(id)    | a notifier: CAS to NOTIFIED(id); its owner: CAS to FREE   | a notifier: CAS to FREE                  |
//! | NOTIFIED(id)   | its owner, once it has its lock again: store FREE         | a waiter: own word to NOTIFIED, then CAS this to FREE |
//!
//! A newcomer that finds no FREE word takes a dead owner's as it is, WAITING or NOTIFIED.
//!
//! W1. One word for each waiting thread: whom a notification is for is said by the compare-exchange that makes it, not found out
//!     by whoever wakes first. Of a notification and a waiter that gives up exactly one changes the word.
//! W2. A waiter enters before it gives up its lock, so whoever has the lock later finds it; and sleeps on the word that says
//!     WAITING, so it does not fall asleep once it is notified.
//! W3. A word stays NOTIFIED until its owner has the lock: whoever dies before that has not seen what it was to be told, and
//!     whoever dies later leaves the lock dirty. Who takes the notification over says so in its own word first: killed in
//!     between, it leaves two, not none.
//! W4. A word is taken from an owner only after the kernel has said that this owner is dead, by a CAS from the word that was
//!     judged. An identity is never used twice.
//! W5. `settled` is raised only to what `arrivals` was before a look at all words, each of which was then notified, found dead, or
//!     not waiting. So who finds the two equal knows that nobody waits who had arrived by then. A word is in use before its
//!     owner has arrived.
//! W6. A notification is for those who had arrived when it began. Who comes while a notifier looks at the words has a ticket
//!     between what `arrivals` was before that look and what it is after it, and is left out: it may be seen where another is not
//!     who came before it. (TICKET comes round: who has slept through 2^32 arrivals counts as one who has just come.)
//!
//! Orderings: `arrivals` grows with Release, behind the words that it counts, and is read with Acquire before these are looked at
//! (W5). A word is entered with Release and looked at with Acquire: so `arrivals` is no less after that look than the word's
//! ticket (W6). All else is Relaxed: what is waited for is guarded by the lock, which also orders a waiter's entry before a
//! later notifier's look.
//!
//! Source: Birrell, "Implementing Condition Variables with Semaphores" (2003), where each waiter has a semaphore of its own.

use std::cmp::Reverse;

use super::PeerId;
use super::owners::Owners;
use crate::fault::crash_point;
use crate::sys::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use crate::sys::clock::Deadline;
use crate::sys::futex;
use crate::sys::liveness::Liveness;
use crate::sys::spin::Spin;

/// What spares a notifier the look at every word. All zero: nobody has ever waited.
///
/// | offset | size | field    | meaning                                                                  |
/// |--------|------|----------|--------------------------------------------------------------------------|
/// | 0      | 8    | arrivals | threads that have ever begun to wait                                     |
/// | 8      | 8    | settled  | those among the first so many of them that still wait: none (W5)         |
/// | 16     | 8    | used     | words that have ever been in use, from the first                         |
#[repr(C)]
pub(crate) struct Tally {
    arrivals: AtomicU64,
    settled: AtomicU64,
    used: AtomicU64,
}

/// A waiting thread.
#[repr(transparent)]
pub(crate) struct WaiterWord(AtomicU64);

#[cfg(all(test, loom))]
impl Tally {
    pub(crate) fn new() -> Self {
        Tally { arrivals: AtomicU64::new(0), settled: AtomicU64::new(0), used: AtomicU64::new(0) }
    }
}

#[cfg(all(test, loom))]
impl WaiterWord {
    pub(crate) fn free() -> Self {
        WaiterWord(AtomicU64::new(0))
    }
}

/// | bits  | name     | meaning                                                             |
/// |-------|----------|---------------------------------------------------------------------|
/// | 0-30  | OWNER    | identity of the waiting process; 0 = free                           |
/// | 31    | NOTIFIED | it was notified, and does not have its lock again yet               |
/// | 32-63 | TICKET   | low half of `arrivals` when it came: who has the oldest comes first |
#[derive(Clone, Copy, PartialEq, Eq)]
struct Word(u64);

impl Word {
    const FREE: Word = Word(0);
    const OWNER: u64 = (1 << PeerId::BITS) - 1;
    const NOTIFIED: u64 = 1 << 31;
    const TICKET_SHIFT: u32 = 32;

    fn waiting(id: PeerId, ticket: u64) -> Self {
        Word(u64::from(id.get()) | ticket << Self::TICKET_SHIFT)
    }

    fn owner(self) -> u32 {
        (self.0 & Self::OWNER) as u32
    }

    fn is_free(self) -> bool {
        self.owner() == 0
    }

    fn is_waiting(self) -> bool {
        !self.is_free() && self.0 & Self::NOTIFIED == 0
    }

    fn is_notified(self) -> bool {
        !self.is_free() && self.0 & Self::NOTIFIED != 0
    }

    fn notified(self) -> Self {
        Word(self.0 | Self::NOTIFIED)
    }

    fn ticket(self) -> u32 {
        (self.0 >> Self::TICKET_SHIFT) as u32
    }

    /// How many have come since.
    fn age(self, arrivals: u64) -> u32 {
        (arrivals as u32).wrapping_sub(self.ticket())
    }

    /// Whether it came when `arrivals` was `before`, or later; it is `after` by now (W6).
    fn has_come_since(self, before: u64, after: u64) -> bool {
        u64::from(self.ticket().wrapping_sub(before as u32)) <= after.wrapping_sub(before)
    }

    fn futex_half(self) -> u32 {
        self.0 as u32
    }
}

const _: () = assert!(PeerId::BITS == 31);

/// How many wait and how many are notified, by their owners, as somebody sees who only reads.
#[derive(Default)]
pub(crate) struct Attendance {
    pub(crate) waiting: Owners,
    pub(crate) notified: Owners,
}

impl Attendance {
    pub(crate) fn count(&mut self, word: u64) {
        let word = Word(word);
        if !word.is_free() {
            let owners = if word.is_waiting() { &mut self.waiting } else { &mut self.notified };
            owners.count(word.owner());
        }
    }
}

impl WaiterWord {
    fn load(&self) -> Word {
        // Acquire: pairs with the Release in `claim`.
        Word(self.0.load(Acquire))
    }

    /// Each caller has a mutant of its own.
    #[track_caller]
    fn change(&self, from: Word, to: Word) -> bool {
        self.0.compare_exchange(from.0, to.0, Relaxed, Relaxed).is_ok()
    }
}

/// All who wait.
#[derive(Clone, Copy)]
pub(crate) struct Waiters<'a> {
    pub(crate) tally: &'a Tally,
    pub(crate) words: &'a [WaiterWord],
    pub(crate) liveness: &'a Liveness,
}

/// A thread that has entered, until it [`leave`](Self::leave)s or has withdrawn.
pub(crate) struct Place<'a> {
    word: &'a WaiterWord,
    /// What stands there until it is notified.
    waiting: Word,
}

impl<'a> Waiters<'a> {
    /// From now on the calling thread is notified; `None` if all words are taken. It has its lock.
    pub(crate) fn enter(self, id: PeerId) -> Option<Place<'a>> {
        let waiting = Word::waiting(id, self.tally.arrivals.load(Relaxed));
        let is_dead = |word: Word| self.liveness.is_dead(word.owner());
        // And once more, as a notifier may just have freed the dead ones.
        let word = self.claim(waiting, Word::is_free).or_else(|| self.claim(waiting, is_dead));
        let word = word.or_else(|| self.claim(waiting, Word::is_free))?;
        crash_point!("condvar.entered");
        // Release: pairs with the Acquire in `notify`; publishes the word, and that it is in use (W5).
        self.tally.arrivals.fetch_add(1, Release);
        crash_point!("condvar.arrived");
        Some(Place { word, waiting })
    }

    /// Takes the first `eligible` word; with the notification that a dead owner has left in it (W3).
    fn claim(self, waiting: Word, eligible: impl Fn(Word) -> bool) -> Option<&'a WaiterWord> {
        (1..).zip(self.words).find_map(|(used, slot)| {
            let word = slot.load();
            if !eligible(word) {
                return None;
            }
            if self.tally.used.load(Relaxed) < used {
                self.tally.used.fetch_max(used, Relaxed);
            }
            let ours = if word.is_notified() { waiting.notified() } else { waiting };
            // Release: pairs with the Acquire in `load`; publishes that `arrivals` has come to our ticket (W6).
            slot.0.compare_exchange(word.0, ours.0, Release, Relaxed).is_ok().then_some(slot)
        })
    }

    /// Sleeps until notified, or until the deadline; which of the two. The caller has given up its lock.
    ///
    /// Whoever was notified gets its lock, and then [`leave`](Place::leave)s.
    pub(crate) fn wait(self, place: &Place<'_>, deadline: Deadline, spin: &Spin) -> bool {
        let mut sleeper = futex::Sleeper::new();
        loop {
            if spin.until(|| place.is_notified().then_some(())).is_some() {
                return true;
            }
            if deadline.has_passed() {
                return !place.withdraw();
            }
            sleeper.sleep(&place.word.0, place.waiting.futex_half(), deadline);
            if !place.is_notified() && self.inherit(place) {
                return true;
            }
        }
    }

    /// Takes the notification of somebody who died with it (W3), if there is one; nobody else need be woken for it, as
    /// everybody who waits looks like this.
    fn inherit(self, place: &Place<'_>) -> bool {
        let left = |&(_, word): &(&WaiterWord, Word)| word.is_notified() && self.liveness.is_dead(word.owner());
        let Some((slot, word)) = self.in_use().find(left) else { return false };
        if place.word.change(place.waiting, place.waiting.notified()) {
            crash_point!("condvar.inherited");
            slot.change(word, Word::FREE);
        }
        true
    }

    /// Wakes the `most` that have waited longest, or all; how many.
    #[inline]
    pub(crate) fn notify(self, most: usize) -> usize {
        // Acquire: pairs with the Release in `enter`.
        let arrivals = self.tally.arrivals.load(Acquire);
        if self.tally.settled.load(Relaxed) >= arrivals {
            return 0;
        }
        self.notify_longest(most, arrivals)
    }

    #[cold]
    pub(super) fn notify_longest(self, most: usize, arrivals: u64) -> usize {
        let mut waiting: Vec<_> = self.in_use().filter(|(_, word)| word.is_waiting()).collect();
        let by_now = self.tally.arrivals.load(Relaxed);
        waiting.retain(|(_, word)| !word.has_come_since(arrivals, by_now)); // (W6)
        waiting.sort_by_key(|&(_, word)| Reverse(word.age(arrivals)));
        let mut woken = 0;
        for (slot, word) in waiting {
            if woken == most {
                return woken;
            }
            if self.liveness.is_dead(word.owner()) {
                slot.change(word, Word::FREE);
            } else if slot.change(word, word.notified()) {
                crash_point!("condvar.notified");
                futex::wake_one(&slot.0);
                woken += 1;
            }
        }
        self.tally.settled.fetch_max(arrivals, Relaxed); // (W5)
        woken
    }

    fn in_use(self) -> impl Iterator<Item = (&'a WaiterWord, Word)> {
        let used = self.tally.used.load(Relaxed).min(self.words.len() as u64);
        self.words[..used as usize].iter().map(|slot| (slot, slot.load()))
    }
}

impl Place<'_> {
    /// Whatever else stands there was not written by ourselves.
    fn is_notified(&self) -> bool {
        self.word.load() != self.waiting
    }

    /// Takes the entry back; false if a notification was faster (W1).
    fn withdraw(&self) -> bool {
        self.word.change(self.waiting, Word::FREE)
    }

    /// The notification has arrived: the calling thread has its lock.
    pub(crate) fn leave(self) {
        // No compare-exchange: nobody changes a NOTIFIED word whose owner lives.
        self.word.0.store(Word::FREE.0, Relaxed);
        crash_point!("condvar.left");
    }
}
