//! One end of a direction: who may use it, its closing, and its way to another process.

use std::sync::atomic::AtomicU32;

use serde::{Deserialize, Serialize};

use super::body::{ChannelBody, tail};
use crate::error::{Error, Kind, Result, TypeStamp};
use crate::fault::crash_point;
use crate::ring::bytes::{Corrupted, Ring};
use crate::ring::endpoint::Endpoint;
use crate::segment::handle::{Incoming, Outgoing, Wire};
use crate::segment::place::{Home, Placed};
use crate::sys::atomic::Ordering::Relaxed;
use crate::sys::liveness::Liveness;
use crate::sys::{barrier, fork};
use crate::word::PeerId;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Sending,
    Receiving,
}

/// An end that this process owns, until it gives it away. In a forked copy of the process it is nobody's: the end is the
/// parent's, whose positions the copy would soon no longer know.
pub(super) struct End {
    placed: Placed<ChannelBody>,
    side: Side,
    /// Whom the shared word names.
    owner: PeerId,
    /// The fork generation that owns it; 0 once it has been given away.
    generation: AtomicU32,
}

/// An end on its way.
#[derive(Serialize, Deserialize)]
pub(super) struct EndWire {
    handle: Wire,
    /// The number of the identity that owns it meanwhile.
    flight: u32,
}

impl End {
    /// Both ends of a new direction.
    ///
    /// capacity: a power of two.
    pub(super) fn pair(home: Home<'_>, element: TypeStamp, capacity: u64) -> Result<(Self, Self)> {
        barrier::register();
        let placed = Placed::<ChannelBody>::create(home, element, capacity, tail(capacity), |_| ())?;
        let owner = placed.segment().me()?;
        let end = |side| End { placed: placed.clone(), side, owner, generation: AtomicU32::new(fork::generation()) };
        let ends = (end(Side::Sending), end(Side::Receiving));
        ends.0.endpoint().settle(owner);
        ends.1.endpoint().settle(owner);
        Ok(ends)
    }

    #[inline]
    pub(super) fn ring(&self) -> Ring<'_> {
        ring(&self.placed)
    }

    pub(super) fn placed(&self) -> &Placed<ChannelBody> {
        &self.placed
    }

    pub(super) fn liveness(&self) -> &Liveness {
        self.placed.segment().liveness()
    }

    fn endpoint(&self) -> &Endpoint {
        let track = &self.placed.body().track;
        match self.side {
            Side::Sending => &track.sender,
            Side::Receiving => &track.receiver,
        }
    }

    /// Fails where the end is another process's.
    #[inline]
    pub(super) fn check_ours(&self) -> Result<()> {
        // Relaxed: the number is all there is.
        if self.generation.load(Relaxed) == fork::generation() { Ok(()) } else { Err(given_away()) }
    }

    /// Gives the end to the message that this thread packs.
    pub(super) fn depart(&self, outgoing: &mut Outgoing) -> Result<EndWire> {
        self.check_ours()?;
        let flight = outgoing.flight(self.placed.segment())?;
        crash_point!("channel.departing");
        // One of two threads, should a program serialise the same end in both.
        if self.generation.swap(0, Relaxed) != fork::generation() || !self.endpoint().pass(self.owner, flight) {
            return Err(given_away());
        }
        crash_point!("channel.departed");
        Ok(EndWire { handle: outgoing.handle(self.placed.segment(), self.placed.offset())?, flight: flight.get() })
    }

    /// Takes an end from the message that this thread unpacks.
    pub(super) fn arrive(side: Side, element: &TypeStamp, wire: &EndWire, incoming: &mut Incoming) -> Result<Self> {
        barrier::register();
        let segment = incoming.segment(&wire.handle)?;
        let placed = Placed::<ChannelBody>::attach(segment, wire.handle.offset, element, tail)?;
        crash_point!("channel.arriving");
        let mut end = End { placed, side, owner: PeerId::NOBODY, generation: AtomicU32::new(0) };
        let pass = |flight, me| end.endpoint().pass(flight, me);
        end.owner = incoming.land(end.placed.segment(), wire.flight, pass)?;
        end.generation = AtomicU32::new(fork::generation());
        crash_point!("channel.arrived");
        Ok(end)
    }
}

impl Drop for End {
    /// The other end learns of it at once; from a process that is killed, within the detection bound.
    fn drop(&mut self) {
        if self.check_ours().is_err() {
            return;
        }
        self.endpoint().close(self.owner);
        crash_point!("channel.closed");
        match self.side {
            Side::Sending => self.ring().track.sender_closed(),
            Side::Receiving => self.ring().track.receiver_closed(),
        }
    }
}

#[inline]
pub(super) fn ring(placed: &Placed<ChannelBody>) -> Ring<'_> {
    Ring { track: &placed.body().track, words: placed.tail_of(placed.length() / 8) }
}

fn given_away() -> Error {
    Error::GivenAway { object: Kind::Channel }
}

/// What is said of bytes that make no sense.
#[cold]
pub(super) fn corrupted(Corrupted { position, found }: Corrupted) -> Error {
    Error::Corrupted { object: Kind::Channel, position, found }
}
