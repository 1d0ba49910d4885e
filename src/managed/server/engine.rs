use std::sync::Arc;

use redis::Value;

use super::super::kept::Stored;
use super::super::local::Shape;
use super::super::travel::{self, Keeper};
use super::Held;
use super::taken::text;
use super::travel::{Expected, Storing};
use crate::error::{Error, Kind, Result, TypeStamp};
use crate::remote::address::Address;
use crate::remote::client::Effect;
use crate::remote::lua::lua;
use crate::remote::session::{Answer, Hold, Session};

/// A server, and the objects under our prefix there.
#[derive(Clone)]
pub(crate) struct Engine(pub(super) Arc<Session>);

impl Engine {
    /// Connects.
    pub(crate) fn connect(url: &str) -> Result<Self> {
        Session::at(&Address::parse(url)?).map(Engine)
    }

    pub(crate) fn make(&self, shape: Shape, expected: &TypeStamp, start: Option<&Stored>) -> Result<Held> {
        let (session, token, object) = (&self.0, self.0.token(), Session::new_object());
        let script = lua!("making a container", "container/make.lua");
        let made = session.run_holding(Kind::Manager, script, Effect::Repeatable, &token, |request| {
            request.arg(&object).arg(kind(shape)).arg(type_of(expected));
            if let Some(start) = start {
                request.arg(&start.bytes);
            }
        })?;
        Ok(Held::of(session.held(&made.session, token, object)))
    }

    pub(crate) fn find(&self, name: &str, shape: Shape, expected: &TypeStamp, start: Option<&Stored>) -> Result<Held> {
        self.hold(name, &Expected::container(shape, expected), start, &[]).map(Held::of)
    }

    /// The object of a name, or a new one, of this first item, and with these fields.
    pub(super) fn hold(
        &self,
        name: &str,
        expected: &Expected<'_>,
        start: Option<&Stored>,
        fields: &[(&str, String)],
    ) -> Result<Hold> {
        let (session, token, object) = (&self.0, self.0.token(), Session::new_object());
        let script = lua!("looking a name up", "object/named.lua");
        let found = session.run_holding(expected.object, script, Effect::Repeatable, &token, |request| {
            request.arg(name).arg(&object).arg(expected.kind).arg(&expected.of);
            // A value is never empty.
            request.arg(start.map_or(&[][..], |start| &start.bytes));
            for (field, value) in fields {
                request.arg(*field).arg(value);
            }
        })?;
        self.found(script.name(), found, token, expected)
    }

    /// What was found under a name, and is held under a token if it is as expected.
    pub(super) fn found(
        &self,
        what: &'static str,
        found: Answer,
        token: String,
        expected: &Expected<'_>,
    ) -> Result<Hold> {
        let (known, kind, of) = match redis::from_redis_value::<(String, String, String)>(found.value.clone()) {
            Ok(found) => found,
            Err(_) => return Err(self.0.distrust(what, &found.value)),
        };
        expected.check(&kind, &of)?;
        Ok(self.0.held(&found.session, token, known))
    }

    pub(crate) fn forget(&self, name: &str) -> Result<bool> {
        let script = lua!(frees "taking a name out", "object/unname.lua");
        let answer = self.0.run(Kind::Manager, script, Effect::Once, |request| {
            request.arg(name);
        })?;
        Ok(answer == Value::Int(1))
    }

    pub(crate) fn names(&self) -> Result<Vec<String>> {
        let script = lua!("listing names", "object/names.lua");
        match self.0.run(Kind::Manager, script, Effect::Nothing, |_| {})? {
            Value::Array(names) => Ok(names.into_iter().filter_map(text).collect()),
            other => Err(self.0.distrust(script.name(), &other)),
        }
    }

    /// Runs `encode`, in which handles of this server's objects may be serialised: what it has encoded, and what keeps its objects.
    pub(crate) fn storing(&self, encode: impl FnOnce() -> Result<Vec<u8>>) -> Result<(Stored, Vec<Keeper>)> {
        let (bytes, stored) = travel::storing(travel::Storing::Server(Storing::new(&self.0)), encode);
        let bytes = bytes?;
        let (objects, handles) = match stored.map(|stored| *stored) {
            Some(travel::Storing::Server(stored)) => (stored.objects, stored.handles),
            _ => (Vec::new(), Vec::new()),
        };
        let Ok(count) = u8::try_from(objects.len()) else {
            let reason = format!("it has {} handles in it, and 255 are the most at a server", objects.len());
            return Err(Error::Encode { what: super::super::codec::VALUE.into(), reason });
        };
        let mut whole = Vec::with_capacity(1 + 32 * objects.len() + bytes.len());
        whole.push(count);
        objects.iter().for_each(|object| whole.extend_from_slice(object.as_bytes()));
        whole.extend_from_slice(&bytes);
        Ok((Stored { bytes: whole, objects: Vec::new() }, handles))
    }

    pub(crate) fn session(&self) -> &Arc<Session> {
        &self.0
    }

    /// With the password.
    pub(crate) fn url(&self) -> String {
        self.0.address().url().to_owned()
    }

    pub(crate) fn address(&self) -> String {
        self.0.address().to_string()
    }
}

pub(super) fn kind(shape: Shape) -> &'static str {
    match shape {
        Shape::Table => "table",
        Shape::Row => "row",
    }
}

/// What an object's type is called at the server.
pub(super) fn type_of(stamp: &TypeStamp) -> String {
    format!("{:016x} {}", stamp.hash, stamp.name)
}

pub(super) fn stamp_of(text: &str, expected: &TypeStamp) -> TypeStamp {
    let (hash, name) = text.split_once(' ').unwrap_or(("", text));
    TypeStamp { name: name.into(), hash: u64::from_str_radix(hash, 16).unwrap_or(0), ..expected.clone() }
}
