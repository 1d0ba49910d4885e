//! The ways of a handle: to another process, and into another object at the same server.

use std::cell::RefCell;
use std::sync::Arc;

use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::super::held;
use super::super::local::Shape;
use super::engine::{kind, stamp_of, type_of};
use super::{Held, Holds};
use crate::error::{AttachError, Kind, Result, TypeStamp};
use crate::remote::address::Address;
use crate::remote::session::{Hold, Session};
use crate::segment::transfer;

/// A handle on its way to another process.
#[derive(Serialize, Deserialize)]
pub(crate) struct Wire {
    /// Of the server. The password in it goes where the handle goes.
    url: String,
    object: String,
    /// Who holds the object meanwhile: a session, by this token. None: the sender has a handle until this one is unpacked.
    ticket: Option<(String, String)>,
}

thread_local! {
    /// The server that this thread encodes a value for, and the objects that the value refers to.
    static STORING: RefCell<Option<Storing>> = const { RefCell::new(None) };
    /// The server that this thread decodes a value of, and what holds its objects.
    static LOADING: RefCell<Option<Holds>> = const { RefCell::new(None) };
}

struct Storing {
    session: Arc<Session>,
    objects: Vec<String>,
    handles: Vec<Arc<held::Held>>,
}

/// Has a thread-local have a value while `work` runs; what it has then.
fn within<T, R>(
    cell: &'static std::thread::LocalKey<RefCell<Option<T>>>,
    value: T,
    work: impl FnOnce() -> R,
) -> (R, Option<T>) {
    /// Also if it panics.
    struct Restore<T: 'static>(&'static std::thread::LocalKey<RefCell<Option<T>>>, Option<T>);
    impl<T> Drop for Restore<T> {
        fn drop(&mut self) {
            drop(self.0.replace(self.1.take()));
        }
    }
    let _restore = Restore(cell, cell.replace(Some(value)));
    let result = work();
    (result, cell.take())
}

/// Runs `encode`, in which handles of this server's objects may be serialised: these objects, and what keeps them.
pub(super) fn storing<R>(session: &Arc<Session>, encode: impl FnOnce() -> R) -> (R, Vec<String>, Vec<Arc<held::Held>>) {
    let nothing = Storing { session: Arc::clone(session), objects: Vec::new(), handles: Vec::new() };
    match within(&STORING, nothing, encode) {
        (result, Some(storing)) => (result, storing.objects, storing.handles),
        (result, None) => (result, Vec::new(), Vec::new()),
    }
}

/// Runs `decode`, in which handles of this server's objects may be deserialised; what it does not take of `holds` is given up.
pub(super) fn loading<R>(holds: Holds, decode: impl FnOnce() -> R) -> R {
    within(&LOADING, holds, decode).0
}

/// Whether this thread encodes a value for a server, or decodes one of one.
pub(crate) fn is_storing() -> bool {
    STORING.with_borrow(Option::is_some)
}

pub(crate) fn is_loading() -> bool {
    LOADING.with_borrow(Option::is_some)
}

/// What a handle's `Serialize` does in a value for a server.
pub(crate) fn serialize_kept<S: Serializer>(
    handle: &Arc<held::Held>,
    held: &Held,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let is_same = STORING.with_borrow_mut(|storing| match storing {
        Some(storing) if Arc::ptr_eq(&storing.session, held.session()) => {
            storing.objects.push(held.object().to_owned());
            storing.handles.push(Arc::clone(handle));
            true
        }
        _ => false,
    });
    match is_same {
        true => held.object().serialize(serializer),
        false => Err(S::Error::custom("a handle of another manager cannot be kept in this one")),
    }
}

/// What a handle's `Deserialize` does in a value of a server.
pub(crate) fn deserialize_kept<'de, D: Deserializer<'de>>(
    deserializer: D,
    shape: Shape,
    expected: &TypeStamp,
) -> Result<Held, D::Error> {
    let object = String::deserialize(deserializer)?;
    let Some((session, hold)) = LOADING.with_borrow_mut(|loading| {
        let loading = loading.as_mut()?;
        let index = loading.holds.iter().position(|hold| hold.object() == object);
        Some((Arc::clone(&loading.session), index.map(|index| loading.holds.swap_remove(index))))
    }) else {
        return Err(D::Error::custom("a handle of a server in a value of another manager"));
    };
    // What holds it already does not say of what type it is; and the value may name what it does not hold.
    let taken = take(&session, &object, None, shape, expected).map_err(D::Error::custom);
    drop(hold);
    taken.map(Held::of)
}

/// Holds an object if it is of this type.
fn take(
    session: &Arc<Session>,
    object: &str,
    ticket: Option<(&str, &str)>,
    shape: Shape,
    expected: &TypeStamp,
) -> Result<Hold> {
    let (hold, found, of) = session.hold(Kind::Manager, object, ticket)?;
    if found == kind(shape) && of == type_of(expected) {
        return Ok(hold);
    }
    Err(AttachError::WrongType { found: stamp_of(&of, expected), expected: expected.clone() }.into())
}

/// What a handle's `Serialize` does on its way to another process.
pub(crate) fn serialize<E: serde::ser::Error>(handle: &Arc<held::Held>, held: &Held) -> Result<Wire, E> {
    transfer::stow(|outgoing| {
        let (session, object) = (held.session(), held.object().to_owned());
        let url = session.address().url().to_owned();
        if transfer::lasts() {
            outgoing.keep(Arc::clone(handle) as _);
            return Ok(Wire { url, object, ticket: None });
        }
        let (holder, ticket) = session.ticket(Kind::Manager, &object)?;
        Ok(Wire { url, object, ticket: Some((holder.to_string(), ticket)) })
    })
}

/// What a handle's `Deserialize` does then.
pub(crate) fn deserialize<E: serde::de::Error>(wire: &Wire, shape: Shape, expected: &TypeStamp) -> Result<Held, E> {
    transfer::take_out(|_| {
        let session = Session::at(&Address::parse(&wire.url)?)?;
        let ticket = wire.ticket.as_ref().map(|(holder, ticket)| (&**holder, &**ticket));
        take(&session, &wire.object, ticket, shape, expected).map(Held::of)
    })
}
