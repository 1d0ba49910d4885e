//! The ways of a handle: to another process, and into another object of the same manager.

use std::any::Any;
use std::cell::Cell;
use std::sync::Arc;
use std::thread::LocalKey;

use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::held::Held;
use super::local::{self, Shape};
#[cfg(feature = "redis")]
use super::server::{self, Expected};
#[cfg(feature = "redis")]
use crate::error::Kind;
use crate::error::{Result, TypeStamp};
#[cfg(feature = "redis")]
use crate::remote::session::Hold;
use crate::segment::transfer::{self, Alone};

/// What keeps an object that is referred to.
pub(super) type Keeper = Arc<dyn Any + Send + Sync>;

/// A handle on its way to another process.
#[derive(Serialize, Deserialize)]
enum Wire {
    Local(local::Wire),
    #[cfg(feature = "redis")]
    Server(server::Wire),
}

/// For which manager a thread encodes a value, and the objects that the value refers to.
pub(super) enum Storing {
    Local(local::Storing),
    #[cfg(feature = "redis")]
    Server(server::Storing),
}

/// Of which manager it decodes a value, and what holds the objects in it.
pub(super) enum Loading {
    Local(local::Holds),
    #[cfg(feature = "redis")]
    Server(server::Holds),
}

thread_local! {
    static STORING: Cell<Option<Box<Storing>>> = const { Cell::new(None) };
    static LOADING: Cell<Option<Box<Loading>>> = const { Cell::new(None) };
}

/// Has a thread-local have a value while `work` runs; what it has then.
fn within<T, R>(
    cell: &'static LocalKey<Cell<Option<Box<T>>>>,
    value: T,
    work: impl FnOnce() -> R,
) -> (R, Option<Box<T>>) {
    /// Also if it panics.
    struct Restore<T: 'static>(&'static LocalKey<Cell<Option<Box<T>>>>, Option<Box<T>>);
    impl<T> Drop for Restore<T> {
        fn drop(&mut self) {
            self.0.set(self.1.take());
        }
    }
    let _restore = Restore(cell, cell.replace(Some(Box::new(value))));
    let result = work();
    (result, cell.take())
}

/// Runs `encode`, in which handles of this manager's objects may be serialised: which ones, if it came to an end.
pub(super) fn storing<R>(storing: Storing, encode: impl FnOnce() -> R) -> (R, Option<Box<Storing>>) {
    within(&STORING, storing, encode)
}

/// Runs `decode`, in which handles of this manager's objects may be deserialised; what it does not take of what holds them is let go.
pub(super) fn loading<R>(loading: Loading, decode: impl FnOnce() -> R) -> R {
    within(&LOADING, loading, decode).0
}

/// What a managed handle's `Serialize` does.
pub(super) fn serialize<S: Serializer>(handle: &Arc<Held>, serializer: S) -> Result<S::Ok, S::Error> {
    if Alone::is_kept()
        && let Some(mut storing) = STORING.take()
    {
        let name = match (&mut *storing, &**handle) {
            (Storing::Local(storing), Held::Local(held)) => storing.add(handle, held).map(Name::Local),
            #[cfg(feature = "redis")]
            (Storing::Server(storing), Held::Server(held)) => {
                storing.add(held.hold(), Arc::clone(handle) as _).map(Name::Server)
            }
            #[cfg(feature = "redis")]
            _ => None,
        };
        let name = name.ok_or_else(|| of_another(&place_of(handle), &storing));
        STORING.set(Some(storing));
        return match name.map_err(S::Error::custom)? {
            Name::Local(object) => object.serialize(serializer),
            #[cfg(feature = "redis")]
            Name::Server(object) => object.serialize(serializer),
        };
    }
    let wire = transfer::stow(|outgoing| match &**handle {
        Held::Local(held) => held.pack(handle, outgoing).map(Wire::Local),
        #[cfg(feature = "redis")]
        Held::Server(held) => {
            server::pack(held.hold(), Arc::clone(handle) as _, Kind::Manager, outgoing).map(Wire::Server)
        }
    })?;
    wire.serialize(serializer)
}

const HERE: &str = "on this machine";

/// Where a handle's manager is.
fn place_of(handle: &Held) -> String {
    match handle {
        Held::Local(_) => HERE.to_owned(),
        #[cfg(feature = "redis")]
        Held::Server(held) => server::place_of(held.hold().session()),
    }
}

/// Why a handle cannot be kept, whose manager is there.
fn of_another(from: &str, storing: &Storing) -> String {
    let to = match storing {
        Storing::Local(_) => HERE.to_owned(),
        #[cfg(feature = "redis")]
        Storing::Server(storing) => storing.place(),
    };
    let one = if *from == to { "another one" } else { "one" };
    format!("a handle of a manager {from} cannot be kept in {one} {to}")
}

/// What stands for a handle in a value that is kept.
enum Name {
    Local(local::Object),
    #[cfg(feature = "redis")]
    Server(String),
}

/// What a managed handle's `Deserialize` does: a handle of an object of this shape and type.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
    shape: Shape,
    expected: &TypeStamp,
) -> Result<Arc<Held>, D::Error> {
    if Alone::is_kept()
        && let Some(mut loading) = LOADING.take()
    {
        let held = match &mut *loading {
            Loading::Local(loading) => local::Object::deserialize(deserializer)
                .map(|object| loading.take(object, shape, expected).map(Held::Local)),
            #[cfg(feature = "redis")]
            Loading::Server(loading) => {
                let expected = Expected::container(shape, expected);
                String::deserialize(deserializer)
                    .map(|object| loading.take(&object, &expected).map(server::Held::of).map(Held::Server))
            }
        };
        LOADING.set(Some(loading));
        return held?.map(Arc::new).map_err(D::Error::custom);
    }
    let held = match Wire::deserialize(deserializer)? {
        Wire::Local(wire) => {
            transfer::take_out(|incoming| local::Held::unpack(&wire, incoming, shape, expected).map(Held::Local))
        }
        #[cfg(feature = "redis")]
        Wire::Server(wire) => {
            let expected = Expected::container(shape, expected);
            server::take_out(|| server::unpack(&wire, &expected).map(server::Held::of).map(Held::Server))
        }
    };
    held.map(Arc::new)
}

/// What the `Serialize` of a handle does that is at a server or in no manager at all.
#[cfg(feature = "redis")]
pub(super) fn serialize_at_server<S: Serializer>(
    hold: &Hold,
    keeper: Keeper,
    kind: Kind,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    if Alone::is_kept()
        && let Some(mut storing) = STORING.take()
    {
        let object = match &mut *storing {
            Storing::Server(storing) => storing.add(hold, keeper),
            Storing::Local(_) => None,
        };
        let object = object.ok_or_else(|| of_another(&server::place_of(hold.session()), &storing));
        STORING.set(Some(storing));
        return object.map_err(S::Error::custom)?.serialize(serializer);
    }
    let wire = transfer::stow(|outgoing| server::pack(hold, keeper, kind, outgoing))?;
    wire.serialize(serializer)
}

/// What its `Deserialize` does: a hold of an object that is as expected.
#[cfg(feature = "redis")]
pub(super) fn deserialize_at_server<'de, D: Deserializer<'de>>(
    deserializer: D,
    expected: &Expected<'_>,
) -> Result<Hold, D::Error> {
    if Alone::is_kept()
        && let Some(mut loading) = LOADING.take()
    {
        let hold = match &mut *loading {
            Loading::Server(loading) => String::deserialize(deserializer)
                .map(|object| loading.take(&object, expected).map_err(D::Error::custom)),
            Loading::Local(_) => Ok(Err(D::Error::custom("nothing at a server is kept in a manager on this machine"))),
        };
        LOADING.set(Some(loading));
        return hold?;
    }
    let wire = server::Wire::deserialize(deserializer)?;
    server::take_out(|| server::unpack(&wire, expected))
}
