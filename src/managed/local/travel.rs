//! The ways of a handle: to another process, and into another object.

use std::cell::Cell;
use std::sync::Arc;

use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::super::held;
use super::{Held, Holds, Shape};
use crate::error::{Error, Result};
use crate::heap::object::{Hold, Object};
use crate::heap::{At, Heap};
use crate::segment::handle::Wire;
use crate::segment::transfer::{self, Alone};

/// A handle on its way to another process.
#[derive(Serialize, Deserialize)]
struct HeldWire {
    handle: Wire,
    object: Object,
    /// Who holds the object meanwhile; 0: the sender, who keeps it until it is unpacked.
    place: At,
    flight: u32,
}

thread_local! {
    /// The heap that this thread encodes a value for, and the objects that the value refers to.
    static STORING: Cell<Option<Box<Storing>>> = const { Cell::new(None) };
    /// The heap that this thread decodes a value of, and the objects in it that are held for it.
    static LOADING: Cell<Option<Box<Holds>>> = const { Cell::new(None) };
}

struct Storing {
    heap: Arc<Heap>,
    objects: Vec<Object>,
    handles: Vec<Arc<held::Held>>,
}

/// Has a thread-local have a value while `work` runs; what it has then.
fn within<T, R>(
    cell: &'static std::thread::LocalKey<Cell<Option<Box<T>>>>,
    value: T,
    work: impl FnOnce() -> R,
) -> (R, Option<Box<T>>) {
    /// Also if it panics.
    struct Restore<T: 'static>(&'static std::thread::LocalKey<Cell<Option<Box<T>>>>, Option<Box<T>>);
    impl<T> Drop for Restore<T> {
        fn drop(&mut self) {
            self.0.set(self.1.take());
        }
    }
    let _restore = Restore(cell, cell.replace(Some(Box::new(value))));
    let result = work();
    (result, cell.take())
}

/// Runs `encode`, in which handles of this heap's objects may be serialised: these objects, and what keeps them.
pub(super) fn storing<R>(heap: &Arc<Heap>, encode: impl FnOnce() -> R) -> (R, Vec<Object>, Vec<Arc<held::Held>>) {
    let nothing = Storing { heap: Arc::clone(heap), objects: Vec::new(), handles: Vec::new() };
    match within(&STORING, nothing, encode) {
        (result, Some(storing)) => (result, storing.objects, storing.handles),
        (result, None) => (result, Vec::new(), Vec::new()),
    }
}

/// Runs `decode`, in which handles of this heap's objects may be deserialised; `holds` hold these for it, and what it does not take is
/// let go.
pub(super) fn loading<R>(holds: Holds, decode: impl FnOnce() -> R) -> R {
    within(&LOADING, holds, decode).0
}

/// What a managed handle's `Serialize` does.
pub(crate) fn serialize<S: Serializer>(
    handle: &Arc<held::Held>,
    held: &Held,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    if Alone::is_kept()
        && let Some(mut storing) = STORING.take()
    {
        let is_same = Arc::ptr_eq(storing.heap.segment(), held.heap.segment());
        if is_same {
            storing.objects.push(held.object);
            storing.handles.push(Arc::clone(handle));
        }
        STORING.set(Some(storing));
        return if is_same {
            held.object.serialize(serializer)
        } else {
            Err(S::Error::custom("a handle of another manager cannot be kept in this one"))
        };
    }
    transfer::stow(|outgoing| {
        let (segment, object) = (held.heap.segment(), held.object);
        let wire = outgoing.handle(segment, held.heap.offset())?;
        if transfer::lasts() {
            outgoing.keep(Arc::clone(handle) as _);
            return Ok(HeldWire { handle: wire, object, place: 0, flight: 0 });
        }
        let flight = outgoing.flight(segment)?;
        let hold = held.heap.transact(|transaction| transaction.hold(object, flight))?;
        Ok(HeldWire { handle: wire, object, place: hold.place, flight: flight.get() })
    })?
    .serialize(serializer)
}

/// What a managed handle's `Deserialize` does.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D, shape: Shape, of: u64) -> Result<Held, D::Error> {
    if Alone::is_kept()
        && let Some(mut loading) = LOADING.take()
    {
        let heap = Arc::clone(&loading.heap);
        let object = Object::deserialize(deserializer);
        let hold = object.as_ref().ok().and_then(|object| {
            let index = loading.holds.iter().position(|hold| hold.object == *object)?;
            Some(loading.holds.swap_remove(index))
        });
        LOADING.set(Some(loading));
        let object = object?;
        let held = hold.map_or_else(|| Held::hold(&heap, object), |hold| Ok(Held::of(&heap, hold)));
        return held.and_then(|held| check(held, shape, of)).map_err(D::Error::custom);
    }
    let HeldWire { handle, object, place, flight } = HeldWire::deserialize(deserializer)?;
    transfer::take_out(|incoming| {
        let segment = incoming.segment(&handle)?;
        let heap = Heap::attach(Arc::clone(&segment), handle.offset)?;
        if flight == 0 {
            return check(Held::hold(&heap, object)?, shape, of);
        }
        let pass = |peer, to| {
            let hold = Hold::new(object, peer, place);
            heap.transact(|transaction| transaction.pass(hold, to)).unwrap_or(false)
        };
        let peer = incoming.land(&segment, flight, pass)?;
        check(Held::of(&heap, Hold::new(object, peer, place)), shape, of)
    })
}

/// Fails if the object is not of the type that the handle is of.
fn check(held: Held, shape: Shape, of: u64) -> Result<Held> {
    let found = held.heap.read(|view| {
        view.check(held.object, shape)?;
        view.type_of(held.object)
    })?;
    if found == of {
        Ok(held)
    } else {
        let reason = format!("its object is of a type with hash {found:#x}, not {of:#x}");
        Err(Error::Decode { what: "a handle".into(), reason })
    }
}
