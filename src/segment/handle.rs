//! Handles on their way to another process.
//!
//! A handle is serialised as an index and an offset: the index counts the segments of the message that is being packed,
//! whose descriptors travel beside its bytes. Which message that is, [`transfer`](super::transfer) knows. Two handles into
//! one segment share its index, and the receiver attaches it once.
//!
//! What has one owner (an end of a channel) belongs to the message itself while it travels: to an identity in the table
//! of peers that lives as long as a descriptor that the message carries, behind those of the segments (a [`Flight`]). So it
//! is gone as soon as the message is lost, wherever that happens.

use std::any::Any;
use std::mem;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Segment;
use super::transfer::{lasts, stow, take_out};
use crate::error::{Error, Result};
use crate::word::PeerId;

/// A value in the form in which it travels.
#[derive(Default)]
pub(crate) struct Parcel {
    pub(crate) bytes: Vec<u8>,
    /// The handles in it, if there are any.
    pub(crate) handles: Option<Box<Outgoing>>,
}

impl Parcel {
    /// Of bytes alone.
    pub(crate) fn of_bytes(bytes: Vec<u8>) -> Self {
        Parcel { bytes, handles: None }
    }

    /// Of a segment, for somebody who knows what for.
    pub(crate) fn of_segment(segment: Arc<Segment>) -> Self {
        Parcel {
            bytes: Vec::new(),
            handles: Some(Box::new(Outgoing { segments: vec![segment], ..Outgoing::default() })),
        }
    }

    pub(crate) fn segments(&self) -> &[Arc<Segment>] {
        self.handles.as_ref().map_or(&[], |handles| &handles.segments)
    }

    /// What travels beside the bytes.
    pub(crate) fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        let Some(handles) = &self.handles else { return Vec::new() };
        let segments = handles.segments.iter().map(|segment| segment.as_fd());
        segments.chain(handles.flights.iter().map(|flight| flight.descriptor.as_fd())).collect()
    }
}

/// Who owns what of a segment travels with a message.
struct Flight {
    segment: Arc<Segment>,
    id: PeerId,
    /// The identity lives as long as this, or a copy in the message or its receiver, is open.
    descriptor: OwnedFd,
}

/// The handles of a message that is being packed, or is on its way.
#[derive(Default)]
pub(crate) struct Outgoing {
    /// In the order of their indices; they stay attached as long as this lives.
    segments: Vec<Arc<Segment>>,
    flights: Vec<Flight>,
    /// What has to live as long as this.
    kept: Vec<Arc<dyn Any + Send + Sync>>,
    /// Why a handle could not be packed; serde's error types carry no more than a text, and postcard's not even that.
    pub(super) refused: Option<Error>,
}

/// The handles of a message that is being unpacked.
#[derive(Default)]
pub(crate) struct Incoming {
    /// What has landed. Before the descriptors: whose identity is given back must be alive until then.
    flights: Landed,
    /// Those that no handle has named stay unopened, and among them those of the flights, which nobody looks at: it is
    /// enough that they are open until all handles are unpacked.
    descriptors: Vec<Received>,
    /// Why a handle could not be unpacked.
    pub(super) refused: Option<Error>,
}

/// Identities of which something has been taken over. They are given back when all that the message has is unpacked, which may be
/// decoded in several parts: until then others of its handles travel under them.
#[derive(Default)]
struct Landed(Vec<(Arc<Segment>, PeerId)>);

impl Drop for Landed {
    fn drop(&mut self) {
        for (segment, flight) in self.0.drain(..) {
            segment.land(flight);
        }
    }
}

enum Received {
    Descriptor(OwnedFd),
    Segment(Arc<Segment>),
    Refused,
}

/// A handle in serialised form.
#[derive(Serialize, Deserialize)]
#[serde(rename = "a handle of crossproc on its way")]
pub(crate) struct Wire {
    segment: u32,
    pub(crate) offset: u64,
}

impl Outgoing {
    /// A handle to what lies at `offset`. What has a name is in use as long as this message is: by the message, or by this process, if
    /// it keeps the message until it is unpacked.
    pub(crate) fn handle(&mut self, segment: &Arc<Segment>, offset: u64) -> Result<Wire> {
        if segment.can_have_name() && !lasts() {
            self.flight(segment)?;
        }
        let known = self.segments.iter().position(|known| Arc::ptr_eq(known, segment));
        let index = known.unwrap_or_else(|| {
            self.segments.push(Arc::clone(segment));
            self.segments.len() - 1
        });
        // A process has not got so many descriptors.
        Ok(Wire { segment: u32::try_from(index).unwrap_or(u32::MAX), offset })
    }

    /// Has something live as long as the message does here.
    pub(crate) fn keep(&mut self, kept: Arc<dyn Any + Send + Sync>) {
        self.kept.push(kept);
    }

    /// Who owns what of `segment` travels with this message.
    pub(crate) fn flight(&mut self, segment: &Arc<Segment>) -> Result<PeerId> {
        if let Some(known) = self.flights.iter().find(|known| Arc::ptr_eq(&known.segment, segment)) {
            return Ok(known.id);
        }
        let (id, descriptor) = segment.depart()?;
        self.flights.push(Flight { segment: Arc::clone(segment), id, descriptor });
        Ok(id)
    }
}

impl Incoming {
    /// Of values whose segments this process has attached.
    pub(crate) fn of_segments(segments: Vec<Arc<Segment>>) -> Option<Box<Self>> {
        Self::of(segments.into_iter().map(Received::Segment).collect())
    }

    /// Of values that have come with these descriptors.
    pub(crate) fn of_descriptors(descriptors: Vec<OwnedFd>) -> Option<Box<Self>> {
        Self::of(descriptors.into_iter().map(Received::Descriptor).collect())
    }

    fn of(descriptors: Vec<Received>) -> Option<Box<Self>> {
        (!descriptors.is_empty()).then(|| Box::new(Incoming { descriptors, ..Incoming::default() }))
    }

    /// Why something could not be unpacked.
    #[cold]
    pub(super) fn settle(&mut self) -> Result<()> {
        self.refused.take().map_or(Ok(()), Err)
    }

    /// The segment that a handle names, attached when the first one names it.
    pub(crate) fn segment(&mut self, wire: &Wire) -> Result<Arc<Segment>> {
        let count = self.descriptors.len();
        let refused = |reason: String| Error::Decode { what: "a handle".into(), reason };
        let Some(received) = self.descriptors.get_mut(wire.segment as usize) else {
            return Err(refused(format!("segment {} of {count}", wire.segment)));
        };
        if let Received::Segment(segment) = received {
            return Ok(Arc::clone(segment));
        }
        match mem::replace(received, Received::Refused) {
            Received::Descriptor(descriptor) => {
                let segment = Segment::attach(descriptor)?;
                *received = Received::Segment(Arc::clone(&segment));
                Ok(segment)
            }
            _ => Err(refused(format!("segment {} was refused before", wire.segment))),
        }
    }

    /// Takes over what travelled under the identity of this number: `pass` has it changed from that identity to this
    /// process's, and says whether it was there.
    pub(crate) fn land(
        &mut self,
        segment: &Arc<Segment>,
        flight: u32,
        pass: impl FnOnce(PeerId, PeerId) -> bool,
    ) -> Result<PeerId> {
        let me = segment.me()?;
        let passed = segment.identity_of(flight).filter(|&flight| pass(flight, me));
        let Some(flight) = passed else {
            let reason = "what has one owner is not in this message any more: it was taken out once (a task that is tried again has lost \
                          it with its first worker), or nobody has put it in";
            return Err(Error::Decode { what: "a handle".into(), reason: reason.into() });
        };
        let Landed(flights) = &mut self.flights;
        if !flights.iter().any(|(known, id)| *id == flight && Arc::ptr_eq(known, segment)) {
            flights.push((Arc::clone(segment), flight));
        }
        Ok(me)
    }
}

/// What a handle's `Serialize` does.
pub(crate) fn serialize<S: Serializer>(segment: &Arc<Segment>, offset: u64, serializer: S) -> Result<S::Ok, S::Error> {
    stow(|outgoing| outgoing.handle(segment, offset))?.serialize(serializer)
}

/// What a handle's `Deserialize` does; `place` finds the object in its segment.
pub(crate) fn deserialize<'de, D: Deserializer<'de>, H>(
    deserializer: D,
    place: impl FnOnce(Arc<Segment>, u64) -> Result<H>,
) -> Result<H, D::Error> {
    let wire = Wire::deserialize(deserializer)?;
    take_out(|incoming| place(incoming.segment(&wire)?, wire.offset))
}
