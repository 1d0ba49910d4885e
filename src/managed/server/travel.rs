//! The ways of a handle of a server's object.

use std::any::Any;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::super::held;
use super::super::local::Shape;
use super::engine::{kind, stamp_of, type_of};
use super::{Held, Holds};
use crate::error::{AttachError, Kind, Result, TypeStamp};
use crate::remote::address::Address;
use crate::remote::session::{Hold, Session};
use crate::segment::handle::Outgoing;
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

/// The server that a value is encoded for, and the objects that the value refers to.
pub(crate) struct Storing {
    session: Arc<Session>,
    pub(super) objects: Vec<String>,
    pub(super) handles: Vec<Arc<held::Held>>,
}

impl Storing {
    pub(super) fn new(session: &Arc<Session>) -> Self {
        Storing { session: Arc::clone(session), objects: Vec::new(), handles: Vec::new() }
    }

    /// The object that stands for a handle, if it is of this server.
    pub(crate) fn add(&mut self, handle: &Arc<held::Held>, held: &Held) -> Option<String> {
        Arc::ptr_eq(&self.session, held.session()).then(|| {
            self.objects.push(held.object().to_owned());
            self.handles.push(Arc::clone(handle));
            held.object().to_owned()
        })
    }
}

impl Holds {
    /// A handle of an object that is named in the value. What holds it already does not say of what type it is; and a value may name
    /// what it does not hold.
    pub(crate) fn take(&mut self, object: &str, shape: Shape, expected: &TypeStamp) -> Result<Held> {
        take(&self.session, Kind::Manager, object, None, kind(shape), expected).map(Held::of)
    }
}

impl Held {
    pub(crate) fn pack(&self, handle: &Arc<held::Held>, outgoing: &mut Outgoing) -> Result<Wire> {
        Wire::pack(self.session(), Kind::Manager, self.object(), outgoing, || Arc::clone(handle) as _)
    }

    pub(crate) fn unpack(wire: &Wire, shape: Shape, expected: &TypeStamp) -> Result<Held> {
        wire.unpack(Kind::Manager, kind(shape), expected).map(Held::of)
    }
}

impl Wire {
    /// Sends an object on its way, which `handle` holds.
    pub(super) fn pack(
        session: &Arc<Session>,
        of: Kind,
        object: &str,
        outgoing: &mut Outgoing,
        handle: impl FnOnce() -> Arc<dyn Any + Send + Sync>,
    ) -> Result<Wire> {
        let (url, object) = (session.address().url().to_owned(), object.to_owned());
        if transfer::lasts() {
            outgoing.keep(handle());
            return Ok(Wire { url, object, ticket: None });
        }
        let (holder, ticket) = session.ticket(of, &object)?;
        Ok(Wire { url, object, ticket: Some((holder.to_string(), ticket)) })
    }

    /// Holds the object, if it is what the server calls a `kind`.
    pub(super) fn unpack(&self, of: Kind, kind: &str, expected: &TypeStamp) -> Result<Hold> {
        let session = Session::at(&Address::parse(&self.url)?)?;
        let ticket = self.ticket.as_ref().map(|(holder, ticket)| (&**holder, &**ticket));
        take(&session, of, &self.object, ticket, kind, expected)
    }
}

/// Unpacks what needs no descriptors, so that it also arrives in a message that has come without any.
pub(crate) fn take_out<H, E: serde::de::Error>(unpack: impl FnOnce() -> Result<H>) -> Result<H, E> {
    if transfer::is_unpacking() { transfer::take_out(|_| unpack()) } else { unpack().map_err(E::custom) }
}

/// Holds an object if it is of this type.
fn take(
    session: &Arc<Session>,
    of: Kind,
    object: &str,
    ticket: Option<(&str, &str)>,
    kind: &str,
    expected: &TypeStamp,
) -> Result<Hold> {
    let (hold, found, stamp) = session.hold(of, object, ticket)?;
    if found == kind && stamp == type_of(expected) {
        return Ok(hold);
    }
    Err(AttachError::WrongType { found: stamp_of(&stamp, expected), expected: expected.clone() }.into())
}
