//! The ways of a handle of a server's object.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::super::local::Shape;
use super::super::travel::Keeper;
use super::Holds;
use super::engine::{kind, stamp_of, type_of};
use crate::error::{AttachError, Kind, Result, TypeStamp};
use crate::remote::address::Address;
use crate::remote::object::{kind_of, name_of};
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

/// What an object is to be.
pub(crate) struct Expected<'a> {
    /// In errors.
    pub(super) object: Kind,
    /// At the server, as is `of`.
    pub(super) kind: &'static str,
    /// Of what type the things in it are.
    pub(super) of: String,
    stamp: &'a TypeStamp,
}

/// The server that a value is encoded for, and the objects that the value refers to.
pub(crate) struct Storing {
    session: Arc<Session>,
    pub(super) objects: Vec<String>,
    pub(super) handles: Vec<Keeper>,
}

impl<'a> Expected<'a> {
    pub(crate) fn container(shape: Shape, stamp: &'a TypeStamp) -> Self {
        Expected { object: Kind::Manager, kind: kind(shape), of: type_of(stamp), stamp }
    }

    pub(super) fn queue(stamp: &'a TypeStamp) -> Self {
        Expected { object: Kind::Queue, kind: "queue", of: type_of(stamp), stamp }
    }

    /// What processes wait for: there are no types of it.
    pub(crate) fn waited(object: Kind, stamp: &'a TypeStamp) -> Self {
        Expected { object, kind: name_of(object), of: String::new(), stamp }
    }

    /// As [`check`](Self::check), of a handle, which tells other kinds of objects.
    fn check_handle(&self, kind: &str, of: &str) -> Result<()> {
        match kind_of(kind) {
            found if found == self.object => self.check(kind, of),
            found => Err(AttachError::WrongKind { found: Ok(found), expected: self.object }.into()),
        }
    }

    /// Fails if an object of this kind, with things of this type in it, is something else.
    pub(super) fn check(&self, kind: &str, of: &str) -> Result<()> {
        if kind == self.kind && of == self.of {
            return Ok(());
        }
        let found = stamp_of(if of.is_empty() { kind } else { of }, self.stamp);
        Err(AttachError::WrongType { name: None, found, expected: self.stamp.clone() }.into())
    }
}

impl Storing {
    pub(super) fn new(session: &Arc<Session>) -> Self {
        Storing { session: Arc::clone(session), objects: Vec::new(), handles: Vec::new() }
    }

    pub(crate) fn place(&self) -> String {
        place_of(&self.session)
    }

    /// The object that stands for a handle, if it is of this server; `keeper` keeps it.
    pub(crate) fn add(&mut self, hold: &Hold, keeper: Keeper) -> Option<String> {
        Arc::ptr_eq(&self.session, hold.session()).then(|| {
            self.objects.push(hold.object().to_owned());
            self.handles.push(keeper);
            hold.object().to_owned()
        })
    }
}

/// In errors: where a manager is.
pub(crate) fn place_of(session: &Session) -> String {
    format!("at {}", session.address())
}

impl Holds {
    /// A hold of an object that is named in the value. What holds it already does not say of what type it is; and a value may name
    /// what it does not hold.
    pub(crate) fn take(&mut self, object: &str, expected: &Expected<'_>) -> Result<Hold> {
        take(&self.session, object, None, expected)
    }
}

/// `keeper` keeps the object here.
pub(crate) fn pack(hold: &Hold, keeper: Keeper, kind: Kind, outgoing: &mut Outgoing) -> Result<Wire> {
    let (session, object) = (hold.session(), hold.object().to_owned());
    let url = session.address().url().to_owned();
    if transfer::lasts() {
        outgoing.keep(keeper);
        return Ok(Wire { url, object, ticket: None });
    }
    let (holder, ticket) = session.ticket(kind, &object)?;
    Ok(Wire { url, object, ticket: Some((holder.to_string(), ticket)) })
}

pub(crate) fn unpack(wire: &Wire, expected: &Expected<'_>) -> Result<Hold> {
    let session = Session::at(&Address::parse(&wire.url)?)?;
    let ticket = wire.ticket.as_ref().map(|(holder, ticket)| (&**holder, &**ticket));
    take(&session, &wire.object, ticket, expected)
}

/// Unpacks what needs no descriptors, so that it also arrives in a message that has come without any.
pub(crate) fn take_out<H, E: serde::de::Error>(unpack: impl FnOnce() -> Result<H>) -> Result<H, E> {
    if transfer::is_unpacking() { transfer::take_out(|_| unpack()) } else { unpack().map_err(E::custom) }
}

/// Holds an object if it is as expected.
fn take(session: &Arc<Session>, object: &str, ticket: Option<(&str, &str)>, expected: &Expected<'_>) -> Result<Hold> {
    let (hold, kind, of) = session.hold(expected.object, object, ticket)?;
    expected.check_handle(&kind, &of)?;
    Ok(hold)
}
