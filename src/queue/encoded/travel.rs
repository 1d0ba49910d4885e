//! Handles of a queue, how they multiply, and how they go from one process to another: entered in the ledger if the queue
//! ends with those who use it.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Queue;
use super::body::{QueueBody, ledger};
use super::ledger::{Role, Side};
use crate::error::Result;
use crate::segment::Segment;
use crate::segment::handle::Wire;
use crate::segment::place::Placed;
use crate::segment::transfer;
use crate::sys::fork;

/// With whom a queue ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ends {
    pub(super) with_producers: bool,
    pub(super) with_consumers: bool,
}

impl Ends {
    /// As they stand in shared memory.
    pub(super) fn bits(self) -> u64 {
        u64::from(self.with_producers) | u64::from(self.with_consumers) << 1
    }

    pub(super) fn of_bits(bits: u64) -> Self {
        Ends { with_producers: bits & 1 != 0, with_consumers: bits & 2 != 0 }
    }
}

/// One handle, as the ledger knows it.
pub(super) struct Presence {
    role: Role,
    pub(super) ends: Ends,
    /// It is entered, and by this fork generation: a forked copy is not, and has nothing to leave.
    entered: Option<u32>,
}

impl Presence {
    pub(super) fn new(role: Role, ends: Ends) -> Self {
        Presence { role, ends, entered: None }
    }

    fn is_entered(&self) -> bool {
        self.entered == Some(fork::generation())
    }
}

impl<T> Queue<T> {
    /// The same queue, entered as a handle of this process if it ends with those who use it.
    pub(super) fn entered(mut self) -> Result<Self> {
        if self.presence.ends != Ends::default() {
            self.ledger().enter(self.presence.role, None, &self.placed.body().arrivals)?;
            self.presence.entered = Some(fork::generation());
        }
        Ok(self)
    }

    /// Another handle.
    pub(super) fn again(&self, role: Role) -> Self {
        let handle = || Queue {
            placed: self.placed.clone(),
            cursors: self.cursors.clone(),
            extents: self.extents.clone(),
            max_message: self.max_message,
            presence: Presence::new(role, self.presence.ends),
            is_checked: self.is_checked.load(Relaxed).into(),
            element: std::marker::PhantomData,
        };
        // In a forked copy of the process, which cannot become a peer of its own, it is not entered; nor is it of use.
        handle().entered().unwrap_or_else(|_| handle())
    }

    /// Whether there is, and will be, nobody who puts.
    pub(super) fn has_no_producers(&self) -> bool {
        self.presence.ends.with_producers && has_no_putters(&self.placed)
    }

    /// The same, as a watch asks it.
    pub(super) fn watched_end(&self) -> fn(&Placed<QueueBody>) -> bool {
        if self.presence.ends.with_producers { has_no_putters } else { |_| false }
    }

    /// Whether there is, and will be, nobody who gets.
    pub(super) fn has_no_consumers(&self) -> bool {
        self.presence.ends.with_consumers && !self.ledger().has_any(Side::Getters, &self.placed.body().arrivals)
    }
}

/// Whether there is nobody who could put.
fn has_no_putters(placed: &Placed<QueueBody>) -> bool {
    !ledger(placed).has_any(Side::Putters, &placed.body().arrivals)
}

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Self {
        self.again(self.presence.role)
    }
}

impl<T> Drop for Queue<T> {
    fn drop(&mut self) {
        if self.presence.is_entered() && self.ledger().leave(self.presence.role) {
            let control = &self.placed.body().control;
            control.items.notify_all();
            control.space.notify_all();
        }
    }
}

/// A handle of a queue in serialised form.
#[derive(Serialize, Deserialize)]
struct QueueWire {
    wire: Wire,
    role: Role,
    /// The identity that it is entered under while it travels.
    flight: Option<u32>,
}

/// Only within a transfer to another process.
impl<T: Serialize + DeserializeOwned> Serialize for Queue<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let role = self.presence.role;
        let stowed = transfer::stow(|outgoing| {
            let wire = outgoing.handle(self.placed.segment(), self.placed.offset())?;
            let mut flight = None;
            if self.presence.is_entered() {
                let id = outgoing.flight(self.placed.segment())?;
                self.ledger().enter(role, Some(id), &self.placed.body().arrivals)?;
                flight = Some(id.get());
            }
            Ok(QueueWire { wire, role, flight })
        });
        stowed?.serialize(serializer)
    }
}

/// Only within a transfer from another process.
impl<'de, T: Serialize + DeserializeOwned> Deserialize<'de> for Queue<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let QueueWire { wire, role, flight } = QueueWire::deserialize(deserializer)?;
        transfer::take_out(|incoming| {
            let segment = incoming.segment(&wire)?;
            let queue = Self::place(Arc::clone(&segment), wire.offset, role)?.entered()?;
            if let Some(flight) = flight {
                // Entered for us by now (N1).
                incoming.land(&segment, flight, |flight, _| queue.ledger().withdraw(role, flight))?;
            }
            Ok(queue)
        })
    }
}

impl<T: Serialize + DeserializeOwned> Queue<T> {
    /// The queue that lies at `offset`, for one who can put and get.
    pub(super) fn attach(segment: Arc<Segment>, offset: u64) -> Result<Self> {
        Self::place(segment, offset, Role::Both)?.entered()
    }
}
