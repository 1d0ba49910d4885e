//! The ways of a handle of a heap's object.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::super::held;
use super::super::travel::Keeper;
use super::{Held, Holds, Shape};
use crate::error::{AttachError, Result, TypeStamp};
use crate::heap::object::{Hold, Object};
use crate::heap::{At, Heap};
use crate::segment::handle::{self, Incoming, Outgoing};
use crate::segment::transfer;

/// A handle on its way to another process.
#[derive(Serialize, Deserialize)]
pub(crate) struct Wire {
    handle: handle::Wire,
    object: Object,
    /// Who holds the object meanwhile; 0: the sender, who keeps it until it is unpacked.
    place: At,
    flight: u32,
}

/// The heap that a value is encoded for, and the objects that the value refers to.
pub(crate) struct Storing {
    heap: Arc<Heap>,
    pub(super) objects: Vec<Object>,
    pub(super) handles: Vec<Keeper>,
}

impl Storing {
    pub(super) fn new(heap: &Arc<Heap>) -> Self {
        Storing { heap: Arc::clone(heap), objects: Vec::new(), handles: Vec::new() }
    }

    /// The object that stands for a handle, if it is of this heap.
    pub(crate) fn add(&mut self, handle: &Arc<held::Held>, held: &Held) -> Option<Object> {
        let is_same = Arc::ptr_eq(self.heap.segment(), held.heap.segment());
        is_same.then(|| {
            self.objects.push(held.object);
            self.handles.push(Arc::clone(handle) as _);
            held.object
        })
    }
}

impl Holds {
    /// A handle of an object that is named in the value.
    pub(crate) fn take(&mut self, object: Object, shape: Shape, expected: &TypeStamp) -> Result<Held> {
        let index = self.holds.iter().position(|hold| hold.object == object);
        let hold = index.map(|index| self.holds.swap_remove(index));
        let held = hold.map_or_else(|| Held::hold(&self.heap, object), |hold| Ok(Held::of(&self.heap, hold)))?;
        check(held, shape, expected)
    }
}

impl Held {
    pub(crate) fn pack(&self, handle: &Arc<held::Held>, outgoing: &mut Outgoing) -> Result<Wire> {
        let (segment, object) = (self.heap.segment(), self.object);
        let wire = outgoing.handle(segment, self.heap.offset())?;
        if transfer::lasts() {
            outgoing.keep(Arc::clone(handle) as _);
            return Ok(Wire { handle: wire, object, place: 0, flight: 0 });
        }
        let flight = outgoing.flight(segment)?;
        let hold = self.heap.transact(|transaction| transaction.hold(object, flight))?;
        Ok(Wire { handle: wire, object, place: hold.place, flight: flight.get() })
    }

    pub(crate) fn unpack(wire: &Wire, incoming: &mut Incoming, shape: Shape, expected: &TypeStamp) -> Result<Held> {
        let (object, place) = (wire.object, wire.place);
        let segment = incoming.segment(&wire.handle)?;
        let heap = Heap::attach(Arc::clone(&segment), wire.handle.offset)?;
        if wire.flight == 0 {
            return check(Held::hold(&heap, object)?, shape, expected);
        }
        let pass = |peer, to| {
            let hold = Hold::new(object, peer, place);
            heap.transact(|transaction| transaction.pass(hold, to)).unwrap_or(false)
        };
        let peer = incoming.land(&segment, wire.flight, pass)?;
        check(Held::of(&heap, Hold::new(object, peer, place)), shape, expected)
    }
}

/// Fails if the object is not of the type that the handle is of.
fn check(held: Held, shape: Shape, expected: &TypeStamp) -> Result<Held> {
    let other = match shape {
        Shape::Table => Shape::Row,
        Shape::Row => Shape::Table,
    };
    let (is_shaped, hash) = held.heap.read(|view| {
        let is_shaped = view.check(held.object, shape).is_ok();
        if !is_shaped {
            view.check(held.object, other)?;
        }
        Ok((is_shaped, view.type_of(held.object)?))
    })?;
    if is_shaped && hash == expected.hash {
        return Ok(held);
    }
    // Objects keep a hash only: the name says it; size and alignment are the expected ones, for want of others.
    let found = TypeStamp { name: format!("of hash {hash:#x}"), hash, ..expected.clone() };
    Err(AttachError::WrongType { name: None, found, expected: expected.clone() }.into())
}
