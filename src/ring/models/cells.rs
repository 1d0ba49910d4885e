use std::sync::Arc;

use super::super::slot::SlotWord;
use crate::ring::{Consumer, Control, GetRefused, Hold, Producer, PutRefused, Slots, Ticket};
use crate::sys::Process;
use crate::sys::cell::Cell;
use crate::sys::clock::Deadline;
use crate::sys::engine::thread::{self, JoinHandle};
use crate::sys::liveness::Liveness;
use crate::word::PeerId;

/// A ring of plain cells: an execution fails in which two are at one cell, or in which a consumer does not see what
/// its producer has written.
pub(super) struct Ring {
    pub(super) control: Control,
    pub(super) words: Vec<SlotWord>,
    pub(super) cells: Vec<Cell<u32>>,
}

impl Slots for Ring {
    fn control(&self) -> &Control {
        &self.control
    }

    fn capacity(&self) -> u32 {
        self.words.len() as u32
    }

    fn word(&self, index: u32) -> &SlotWord {
        &self.words[index as usize]
    }

    fn prefetch(&self, _index: u32) {}
}

impl Ring {
    pub(super) fn new(capacity: usize) -> Arc<Self> {
        #[cfg_attr(
            not(shuttle),
            expect(clippy::arc_with_non_send_sync, reason = "loom runs all threads of a model on one")
        )]
        Arc::new(Ring {
            control: Control::new(),
            words: (0..capacity).map(|_| SlotWord::free()).collect(),
            cells: (0..capacity).map(|_| Cell::new(0)).collect(),
        })
    }

    /// Waits for a slot; `None` if the ring is closed.
    pub(super) fn claim(&self, producer: &Producer, me: PeerId) -> Option<Ticket> {
        let look = || match producer.claim_or_mend(self, me, &Liveness) {
            Err(PutRefused::Full) => None,
            outcome => Some(outcome),
        };
        self.control.space.wait(|glance| glance(), Deadline::Never, || None, look).unwrap().ok()
    }

    pub(super) fn write(&self, ticket: Ticket, message: u32) {
        self.cells[ticket.index() as usize].set(message);
        ticket.publish(self);
    }

    /// Waits for a slot, and puts a message into it; false if the ring is closed.
    pub(super) fn put(&self, producer: &Producer, me: PeerId, message: u32) -> bool {
        self.claim(producer, me).map(|ticket| self.write(ticket, message)).is_some()
    }

    /// A message, or why there is none now, behind a look for the dead.
    pub(super) fn sweep(&self, consumer: &Consumer, me: PeerId, hold: Hold) -> Result<Ticket, GetRefused> {
        consumer.sweep_and_take(self, me, hold, &Liveness, || false)
    }

    /// Waits for a message; `None` if the ring is closed and drained.
    pub(super) fn take(&self, consumer: &Consumer, me: PeerId, hold: Hold) -> Option<Ticket> {
        let take = || consumer.take(self, me, hold).map_or_else(|| self.sweep(consumer, me, hold), Ok);
        let look = || match take() {
            Err(GetRefused::Empty) => None,
            outcome => Some(outcome),
        };
        self.control.items.wait(|glance| glance(), Deadline::Never, || None, look).unwrap().ok()
    }

    pub(super) fn read(&self, consumer: &Consumer, ticket: Ticket) -> u32 {
        let message = self.cells[ticket.index() as usize].get();
        consumer.release(self, ticket);
        message
    }

    /// Waits for a message, and gets it; `None` if the ring is closed and drained.
    pub(super) fn get(&self, consumer: &Consumer, me: PeerId) -> Option<u32> {
        self.take(consumer, me, Hold::Briefly).map(|ticket| self.read(consumer, ticket))
    }

    /// Gets everything that is there.
    pub(super) fn drain(&self, consumer: &Consumer, me: PeerId) -> Vec<u32> {
        let next = || self.sweep(consumer, me, Hold::Briefly).ok().map(|ticket| self.read(consumer, ticket));
        std::iter::from_fn(next).collect()
    }
}

pub(super) fn peer(slot: usize) -> PeerId {
    PeerId::new(slot, 1)
}

pub(super) fn process(
    ring: &Arc<Ring>,
    slot: usize,
    death: Option<usize>,
    body: impl FnOnce(&Ring, PeerId) + Send + 'static,
) -> JoinHandle<bool> {
    let ring = Arc::clone(ring);
    thread::spawn(move || Process::run(peer(slot).get(), death, || body(&ring, peer(slot))).is_some())
}
