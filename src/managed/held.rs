//! A handle's hold on its object, and its ways: to another process, and into another object.

use std::cell::Cell;
use std::sync::Arc;

use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, Result};
use crate::heap::object::{Hold, Object, Shape};
use crate::heap::{At, Heap, Transaction};
use crate::segment::handle::Wire;
use crate::segment::transfer::{self, Alone};

/// What keeps an object as long as this process has a handle of it. In a forked copy of the process it keeps nothing: the hold is the
/// parent's.
pub(super) struct Held {
    pub(super) heap: Arc<Heap>,
    pub(super) object: Object,
    hold: Hold,
}

impl Held {
    /// A new object, of a type whose hash is `of`.
    pub(super) fn make(heap: &Arc<Heap>, shape: Shape, of: u64) -> Result<Arc<Self>> {
        heap.sweep_now_and_then()?;
        let me = heap.segment().me()?;
        let hold = heap.transact(|transaction| {
            let object = transaction.make(shape, of)?;
            transaction.hold(object, me)
        })?;
        Ok(Self::of(heap, hold))
    }

    /// An object that is there.
    pub(super) fn take(heap: &Arc<Heap>, object: Object) -> Result<Arc<Self>> {
        let me = heap.segment().me()?;
        let hold = heap.transact(|transaction| transaction.hold(object, me))?;
        Ok(Self::of(heap, hold))
    }

    /// An object that this process holds.
    pub(super) fn of(heap: &Arc<Heap>, hold: Hold) -> Arc<Self> {
        Arc::new(Held { heap: Arc::clone(heap), object: hold.object, hold })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.heap.give_up(self.hold);
    }
}

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
    static LOADING: Cell<Option<Box<Loading>>> = const { Cell::new(None) };
}

struct Storing {
    heap: Arc<Heap>,
    objects: Vec<Object>,
}

struct Loading {
    heap: Arc<Heap>,
    holds: Vec<Hold>,
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

/// Runs `encode`, in which handles of this heap's objects may be serialised: these.
pub(super) fn storing<R>(heap: &Arc<Heap>, encode: impl FnOnce() -> R) -> (R, Vec<Object>) {
    let (result, storing) = within(&STORING, Storing { heap: Arc::clone(heap), objects: Vec::new() }, encode);
    (result, storing.map_or_else(Vec::new, |storing| storing.objects))
}

/// Runs `decode`, in which handles of this heap's objects may be deserialised; `holds` hold these for it, and what it does not take is
/// let go.
pub(super) fn loading<R>(heap: &Arc<Heap>, holds: Vec<Hold>, decode: impl FnOnce() -> R) -> R {
    within(&LOADING, Loading { heap: Arc::clone(heap), holds }, decode).0
}

impl Drop for Loading {
    fn drop(&mut self) {
        self.holds.drain(..).for_each(|hold| self.heap.give_up(hold));
    }
}

/// Has this process hold the objects, before they are taken out of the value that refers to them.
pub(super) fn hold_all(transaction: &mut Transaction<'_>, objects: &[Object]) -> Result<Vec<Hold>> {
    let me = transaction.heap().segment().me()?;
    objects.iter().map(|object| transaction.hold(*object, me)).collect()
}

/// What a managed handle's `Serialize` does.
pub(super) fn serialize<S: Serializer>(held: &Arc<Held>, serializer: S) -> Result<S::Ok, S::Error> {
    if Alone::is_kept()
        && let Some(mut storing) = STORING.take()
    {
        let is_same = Arc::ptr_eq(storing.heap.segment(), held.heap.segment());
        if is_same {
            storing.objects.push(held.object);
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
        let handle = outgoing.handle(segment, held.heap.offset())?;
        if transfer::lasts() {
            outgoing.keep(Arc::clone(held) as _);
            return Ok(HeldWire { handle, object, place: 0, flight: 0 });
        }
        let flight = outgoing.flight(segment)?;
        let hold = held.heap.transact(|transaction| transaction.hold(object, flight))?;
        Ok(HeldWire { handle, object, place: hold.place, flight: flight.get() })
    })?
    .serialize(serializer)
}

/// What a managed handle's `Deserialize` does.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
    shape: Shape,
    of: u64,
) -> Result<Arc<Held>, D::Error> {
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
        let held = hold.map_or_else(|| Held::take(&heap, object), |hold| Ok(Held::of(&heap, hold)));
        return held.and_then(|held| check(held, shape, of)).map_err(D::Error::custom);
    }
    let HeldWire { handle, object, place, flight } = HeldWire::deserialize(deserializer)?;
    transfer::take_out(|incoming| {
        let segment = incoming.segment(&handle)?;
        let heap = Heap::attach(Arc::clone(&segment), handle.offset)?;
        if flight == 0 {
            return check(Held::take(&heap, object)?, shape, of);
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
fn check(held: Arc<Held>, shape: Shape, of: u64) -> Result<Arc<Held>> {
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
