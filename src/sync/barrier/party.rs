//! Handles of a barrier, how they multiply, and how they go from one process to another: each is entered in the place of who
//! has it.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Barrier;
use crate::error::Result;
use crate::segment::handle::Wire;
use crate::segment::transfer;
use crate::sys::atomic::Ordering::{Acquire, Relaxed, Release};
use crate::sys::fork;
use crate::word::PeerId;

/// One handle, as its place knows it.
pub(super) struct Presence {
    /// The fork generation that has entered it; 0: none. A forked copy has not, and has nothing to give back.
    entered: AtomicU32,
}

impl Presence {
    pub(super) fn new() -> Self {
        Presence { entered: AtomicU32::new(0) }
    }

    #[inline]
    fn is_entered(&self) -> bool {
        self.entered.load(Acquire) == fork::generation() // pairs with the Release in `enter`
    }
}

impl Barrier {
    /// This process, which answers for this handle from now on.
    #[inline]
    pub(super) fn enter(&self) -> Result<PeerId> {
        let me = self.placed.segment().me()?;
        if !self.presence.is_entered() {
            self.enter_as(me);
        }
        Ok(me)
    }

    /// A new handle's first call, or the first in a forked copy.
    #[cold]
    fn enter_as(&self, me: PeerId) {
        let forks = fork::exclude();
        // Another thread may have been faster.
        if !self.presence.is_entered() {
            self.meeting().enter(me, &forks);
            self.presence.entered.store(fork::generation(), Release); // publishes the entry to this process's threads
        }
    }
}

impl Clone for Barrier {
    fn clone(&self) -> Self {
        let clone = Barrier {
            placed: self.placed.clone(),
            parties: self.parties,
            timeout: self.timeout,
            presence: Presence::new(),
            spin: self.spin.clone(),
        };
        // In a forked copy that cannot become a peer of its own it is not entered; its first wait says why.
        let _ = clone.enter();
        clone
    }
}

impl Drop for Barrier {
    fn drop(&mut self) {
        if self.presence.entered.load(Relaxed) == fork::generation()
            && let Ok(me) = self.placed.segment().me()
        {
            self.meeting().leave(me);
        }
    }
}

/// A handle of a barrier in serialised form.
#[derive(Serialize, Deserialize)]
struct BarrierWire {
    wire: Wire,
    /// The number of the identity that answers for it while it travels.
    flight: u32,
}

/// Only within a transfer to another process.
impl Serialize for Barrier {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let stowed = transfer::stow(|outgoing| {
            let wire = outgoing.handle(self.placed.segment(), self.placed.offset())?;
            let flight = outgoing.flight(self.placed.segment())?;
            self.meeting().enter(flight, &fork::exclude());
            Ok(BarrierWire { wire, flight: flight.get() })
        });
        stowed?.serialize(serializer)
    }
}

/// Only within a transfer from another process.
impl<'de> Deserialize<'de> for Barrier {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let BarrierWire { wire, flight } = BarrierWire::deserialize(deserializer)?;
        transfer::take_out(|incoming| {
            let segment = incoming.segment(&wire)?;
            // Entered for us when that for the message ends (`word/parties.rs`, P2).
            let barrier = Barrier::attach(Arc::clone(&segment), wire.offset)?;
            incoming.land(&segment, flight, |flight, _| barrier.meeting().leave(flight))?;
            Ok(barrier)
        })
    }
}
