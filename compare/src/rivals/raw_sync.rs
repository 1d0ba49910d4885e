//! raw_sync's events in shared_memory's memory: what its users write by hand on top of it, a ring of slots, each with an
//! event that it is full and one that it is free. Messages are written and read in place. One process on either side.
//!
//! | bytes | in a slot |
//! |---|---|
//! | 0..128 | the event `full` |
//! | 128..256 | the event `free` |
//! | 256.. | the message, rounded up to [`APART`] |
//!
//! E. There is room for an event at each of its places. The first process makes all of them, of one kind, before it tells
//!    anybody of the memory; the others open the same kind.

use std::marker::PhantomData;
use std::slice;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::sync::atomic::fence;

use raw_sync::Timeout;
use raw_sync::events::{BusyEvent, Event, EventImpl, EventInit, EventState};
use serde::{Deserialize, Serialize};
use shared_memory::{Shmem, ShmemConf};

use crate::leftovers;
use crate::way::{self, Receiver, Sender, Shape, Waiting, Way};

/// What is written by different processors lies this far apart; an `Event` fits in.
const APART: usize = 128;
const FREE: usize = APART;
const MESSAGE: usize = 2 * APART;

/// With two events for each slot, more would only cost cache. A guess, and better than one or two.
const MOST_SLOTS: usize = 64;

/// The memory, whose name is removed with this.
pub(crate) struct RawSync {
    _memory: Shmem,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Ticket {
    name: String,
}

/// One side of the ring.
pub(crate) struct End<const N: usize> {
    /// What this side waits for, and what it tells the other side, for each slot.
    events: Vec<[Box<dyn EventImpl>; 2]>,
    next: usize,
    memory: Shmem,
    messages: PhantomData<[u64; N]>,
}

fn slots(shape: Shape) -> usize {
    shape.slots.min(MOST_SLOTS)
}

const fn slot_bytes<const N: usize>() -> usize {
    MESSAGE + size_of::<[u64; N]>().next_multiple_of(APART)
}

/// The event at `offset` of the memory: a new one, or the one that is there. `BusyEvent` spins; `Event` is a mutex and a
/// condition variable
/// of pthread.
fn event(memory: &Shmem, offset: usize, waiting: Waiting, is_new: bool) -> Box<dyn EventImpl> {
    assert!(offset + APART <= memory.len());
    // SAFETY: within the mapping, which is page-aligned.
    let place = unsafe { memory.as_ptr().add(offset) };
    let made = match waiting {
        // SAFETY: E.
        Waiting::Spinning if is_new => unsafe { BusyEvent::new(place, true) },
        // SAFETY: E.
        Waiting::Spinning => unsafe { BusyEvent::from_existing(place) },
        // SAFETY: E.
        Waiting::Blocking if is_new => unsafe { Event::new(place, true) },
        // SAFETY: E.
        Waiting::Blocking => unsafe { Event::from_existing(place) },
    };
    made.expect("an event").0
}

impl<const N: usize> End<N> {
    fn open(ticket: Ticket, shape: Shape, waits_for: usize, tells: usize) -> Self {
        let memory = ShmemConf::new().os_id(ticket.name).open().expect("the first process has created it");
        let at = |slot, which| event(&memory, slot * slot_bytes::<N>() + which, shape.waiting, false);
        let events = (0..slots(shape)).map(|slot| [at(slot, waits_for), at(slot, tells)]).collect();
        End { events, next: 0, memory, messages: PhantomData }
    }

    /// Waits for the next slot, has it used, and tells the other side.
    #[inline]
    fn next<R>(&mut self, use_slot: impl FnOnce(&mut [u64]) -> R) -> R {
        let slot = self.next;
        self.next = (slot + 1) % self.events.len();
        let [waited_for, told] = &self.events[slot];
        waited_for.wait(Timeout::Infinite).expect("no limit");
        // Acquire: pairs with Release below. BusyEvent's own accesses are relaxed, which would not do for the message.
        fence(Acquire);
        // SAFETY: the ring has as many slots (`open`).
        let place = unsafe { self.memory.as_ptr().add(slot * slot_bytes::<N>() + MESSAGE) };
        // SAFETY: aligned words within the mapping; the event says that the slot is this side's until the other is set.
        let result = use_slot(unsafe { slice::from_raw_parts_mut(place.cast(), N) });
        // Release: publishes the message, or that it has been read.
        fence(Release);
        told.set(EventState::Signaled).expect("set");
        result
    }
}

impl<const N: usize> Way<N> for RawSync {
    type SenderTicket = Ticket;
    type ReceiverTicket = Ticket;
    type Sender = FillingEnd<N>;
    type Receiver = DrainingEnd<N>;

    fn new(shape: Shape) -> (Self, Ticket, Ticket) {
        let name = leftovers::name();
        let bytes = slots(shape) * slot_bytes::<N>();
        let memory = ShmemConf::new().os_id(name.clone()).size(bytes).create().expect("a new name");
        for slot in 0..slots(shape) {
            event(&memory, slot * slot_bytes::<N>(), shape.waiting, true);
            let free = event(&memory, slot * slot_bytes::<N>() + FREE, shape.waiting, true);
            free.set(EventState::Signaled).expect("set");
        }
        (RawSync { _memory: memory }, Ticket { name: name.clone() }, Ticket { name })
    }

    fn sender(ticket: Ticket, shape: Shape) -> FillingEnd<N> {
        FillingEnd(End::open(ticket, shape, FREE, 0))
    }

    fn receiver(ticket: Ticket, shape: Shape) -> DrainingEnd<N> {
        DrainingEnd(End::open(ticket, shape, 0, FREE))
    }
}

pub(crate) struct FillingEnd<const N: usize>(End<N>);

pub(crate) struct DrainingEnd<const N: usize>(End<N>);

impl<const N: usize> Sender for FillingEnd<N> {
    #[inline]
    fn send(&mut self, number: u64) {
        self.0.next(|message| message.fill(number));
    }
}

impl<const N: usize> Receiver for DrainingEnd<N> {
    #[inline]
    fn receive(&mut self) -> u64 {
        self.0.next(|message| way::number_of(message))
    }
}
