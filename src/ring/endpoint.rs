//! Who has one end of a stream, and whether anybody still has.
//!
//! Promise: an end looks gone to the other one if and only if its owner has closed it or can no longer run, also while it
//! travels from one process to another; and exactly one process owns it.
//!
//! | state     | next, by                                                        | if its owner dies   |
//! |-----------|-----------------------------------------------------------------|---------------------|
//! | OWNED(id) | its owner: CAS to OWNED(another) (given away), or CAS to CLOSED | gone, and stays so  |
//! | CLOSED    | -                                                               | -                   |
//!
//! O1. Only who has the identity in the word changes it. Whoever gives an end away puts in an identity that is alive already:
//!     at no instant does a living end look dead.
//! O2. A verdict "gone" is final: nobody but a dead owner could change the word that was judged, and identities are never
//!     used twice.
//! O3. Who finds an end gone looks at the stream once more: everything that its owner had done is to be seen by then.
//!
//! Orderings: closing is a Release that publishes what the closer did to the stream; the Acquire in `is_gone` takes it over
//! (O3). A dead owner closed nothing: its stores are visible since the kernel's lock on its identity fell and was asked
//! for. What an end's earlier owners did is known to the later ones by the message that brought the end.

use crate::sys::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use crate::sys::liveness::Liveness;
use crate::word::PeerId;

/// How often a verdict is looked into because the word changed meanwhile. More often than an end is ever given away
/// between two looks (a guess); a word that changes for ever must not keep anybody.
const VERDICTS: u32 = 100;

/// | bits | name  | meaning                                    |
/// |------|-------|--------------------------------------------|
/// | 0-30 | OWNER | identity of the owning process; 0 = CLOSED |
#[repr(transparent)]
pub(crate) struct Endpoint(AtomicU64);

const CLOSED: u64 = 0;
const OWNER: u64 = (1 << PeerId::BITS) - 1;

#[cfg(all(test, loom))]
impl Endpoint {
    pub(crate) fn of(owner: PeerId) -> Self {
        Endpoint(AtomicU64::new(owned_by(owner)))
    }
}

fn owned_by(owner: PeerId) -> u64 {
    u64::from(owner.get())
}

impl Endpoint {
    /// Gives a new end, which nobody else knows yet, its first owner.
    pub(crate) fn settle(&self, owner: PeerId) {
        self.0.store(owned_by(owner), Relaxed);
    }

    /// Gives the end to another identity, which is alive; false if it was not `from`'s.
    pub(crate) fn pass(&self, from: PeerId, to: PeerId) -> bool {
        self.0.compare_exchange(owned_by(from), owned_by(to), Relaxed, Relaxed).is_ok()
    }

    /// Closes the end for good; its owner only.
    pub(crate) fn close(&self, owner: PeerId) {
        // Release: publishes what the closer did to the stream to the Acquire in `is_gone` (O3). Compared, since in a
        // corrupted segment it may be another's.
        let _ = self.0.compare_exchange(owned_by(owner), CLOSED, Release, Relaxed);
    }

    /// Whether its owner has closed it: worth asking `is_gone`. Says nothing about one that died.
    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        self.0.load(Relaxed) == CLOSED
    }

    /// Whether nobody has this end any more, and nobody ever will (O2).
    pub(crate) fn is_gone(&self, liveness: &Liveness) -> bool {
        for _ in 0..VERDICTS {
            let word = self.0.load(Acquire); // pairs with the Release in `close`
            if word == CLOSED {
                return true;
            }
            if !liveness.is_dead((word & OWNER) as u32) {
                return false;
            }
            // It may have been given away between the two: a dead identity that is in the word no more says nothing.
            if self.0.load(Relaxed) == word {
                return true;
            }
        }
        false
    }
}
