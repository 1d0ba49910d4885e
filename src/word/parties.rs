//! Who may come to a barrier: a count of handles for each peer, and whether a peer died while it had some.
//!
//! Promise: from the moment at which a process has a handle until it has given back its last one, its death is found by
//! whoever looks; also while the handle travels, when it belongs to the identity of the message that carries it.
//!
//! | place of   | next, by                                                                        | if its owner dies        |
//! |------------|---------------------------------------------------------------------------------|--------------------------|
//! | (id, n)    | its owner: more or fewer handles                                                | a dead party, if n > 0   |
//! | (id, 0)    | any later peer in this slot                                                     | nothing                  |
//! | (dead, n)  | anyone who starts the barrier afresh: CAS to (nobody, 0); a later peer in this slot, which has broken the barrier before (`barrier`, B5) | |
//!
//! P1. A place is written by the peer in its slot alone; but the place of a dead one is emptied by a CAS from the very word
//!     that was judged.
//! P2. Whoever gets a handle enters before the one who gave it leaves: at no instant does nobody answer for it.
//! P3. The place of an identity under which a message travels is written by whoever has the message: one at a time.
//!
//! Orderings: Relaxed. Who looks for the dead looks again, at the latest when it has slept; and what a dead peer stored is
//! visible since the kernel's lock on its identity fell and was asked for.

use super::PeerId;
use crate::fault::crash_point;
use crate::sys::atomic::{AtomicU64, Ordering::Relaxed};
use crate::sys::fork::Exclusion;
use crate::sys::liveness::Liveness;

/// The place of one slot of the table of peers. All zero: nobody's.
#[repr(transparent)]
pub(crate) struct Place(AtomicU64);

/// | bits  | name    | meaning                                     |
/// |-------|---------|---------------------------------------------|
/// | 0-31  | HANDLES | how many its owner has                      |
/// | 32-62 | OWNER   | identity of the last peer that had some     |
#[derive(Clone, Copy, PartialEq, Eq)]
struct Word(u64);

impl Word {
    const NOBODY: Word = Word(0);

    fn new(owner: PeerId, handles: u32) -> Self {
        Word(u64::from(owner.get()) << 32 | u64::from(handles))
    }

    fn owner(self) -> u32 {
        (self.0 >> 32) as u32
    }

    fn has_handles(self) -> bool {
        self.0 as u32 > 0
    }

    fn is_dead(self, liveness: &Liveness) -> bool {
        self.has_handles() && liveness.is_dead(self.owner())
    }
}

#[cfg(all(test, loom))]
impl Place {
    pub(crate) fn empty() -> Self {
        Place(AtomicU64::new(0))
    }
}

impl Place {
    fn load(&self) -> Word {
        Word(self.0.load(Relaxed))
    }

    /// Whether the peer that had this place before `id` died with a handle: two peers in one slot do not both live.
    pub(super) fn has_dead_predecessor_of(&self, id: PeerId) -> bool {
        let word = self.load();
        word.has_handles() && word.owner() != id.get()
    }

    /// One handle more of `id`, which is ours: this process's, or that of a message which it packs.
    pub(super) fn enter(&self, id: PeerId, _forks_excluded: &Exclusion) {
        if self.load().owner() == id.get() {
            self.0.fetch_add(1, Relaxed);
        } else {
            // Without comparing: nobody else puts in anything but nobody (P1); other threads of this process are excluded.
            self.0.swap(Word::new(id, 1).0, Relaxed);
        }
        crash_point!("party.entered");
    }

    /// One handle less of `id`; false if it has none.
    pub(crate) fn leave(&self, id: PeerId) -> bool {
        let word = self.load();
        let has_one = word.owner() == id.get() && word.has_handles();
        if has_one {
            self.0.fetch_add(1_u64.wrapping_neg(), Relaxed);
            crash_point!("party.left");
        }
        has_one
    }

    /// Whether its owner died with a handle.
    pub(super) fn is_dead(&self, liveness: &Liveness) -> bool {
        self.load().is_dead(liveness)
    }

    /// Whether nobody alive has this place with a handle.
    pub(super) fn is_deserted(&self, liveness: &Liveness) -> bool {
        let word = self.load();
        !word.has_handles() || liveness.is_dead(word.owner())
    }

    /// Forgets an owner that died with a handle.
    pub(super) fn forget_dead(&self, liveness: &Liveness) {
        let word = self.load();
        if word.is_dead(liveness) {
            let _ = self.0.compare_exchange(word.0, Word::NOBODY.0, Relaxed, Relaxed); // (P1)
            crash_point!("party.forgotten");
        }
    }
}
