//! Keys and values as bytes.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::engine::Engine;
use super::held::Held;
use super::kept::Stored;
use super::travel::Keeper;
use crate::error::{Error, Result};
use crate::message::codec;
use crate::segment::transfer::Alone;

const KEY: &str = "a key";
pub(super) const VALUE: &str = "a value";

/// A key, encoded. No handle can be one.
pub(super) fn key<K: Serialize + ?Sized>(key: &K) -> Result<Vec<u8>> {
    encode(Alone::enter(), KEY, key, Vec::new())
}

/// Behind what stands in `bytes` already.
fn encode<T: Serialize + ?Sized>(alone: Alone, what: &'static str, value: &T, mut bytes: Vec<u8>) -> Result<Vec<u8>> {
    let encoded = codec::extend(what, value, &mut bytes);
    match alone.has_refused() {
        true => Err(Error::HandleOutsideTransfer),
        false => encoded.map(|()| bytes),
    }
}

/// A value for an object of the same manager as this one, encoded.
pub(super) fn value<V: Serialize + ?Sized>(held: &Held, value: &V) -> Result<Stored> {
    // Few values have handles in them, and those who have none are encoded without more ado.
    match encode(Alone::enter(), VALUE, value, held.head()) {
        Err(Error::HandleOutsideTransfer) => referring(&held.engine(), value).map(|(stored, _)| stored),
        encoded => encoded.map(|bytes| Stored { bytes, objects: Vec::new() }),
    }
}

/// The same for any object of a manager, and what keeps the objects that the value refers to.
pub(super) fn value_with<V: Serialize + ?Sized>(engine: &Engine, value: &V) -> Result<(Stored, Vec<Keeper>)> {
    match encode(Alone::enter(), VALUE, value, engine.head()) {
        Err(Error::HandleOutsideTransfer) => referring(engine, value),
        encoded => encoded.map(|bytes| (Stored { bytes, objects: Vec::new() }, Vec::new())),
    }
}

fn referring<V: Serialize + ?Sized>(engine: &Engine, value: &V) -> Result<(Stored, Vec<Keeper>)> {
    engine.storing(|| encode(Alone::kept(), VALUE, value, Vec::new()))
}

/// What was encoded to be stored: handles in it hold their objects, which somebody keeps meanwhile.
pub(super) fn stored<V: DeserializeOwned>(held: &Held, stored: &Stored) -> Result<V> {
    match held.payload(stored) {
        (bytes, false) => codec::decode(VALUE, bytes),
        (bytes, true) => held.loading(|| codec::decode_kept(VALUE, bytes)),
    }
}

/// What refers to nothing.
pub(super) fn plain<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    codec::decode(VALUE, bytes)
}

/// Fails if what has just been encoded, and refers to nothing, cannot be decoded as a `T`.
#[cfg(feature = "redis")]
pub(super) fn check<T: DeserializeOwned>(bytes: &[u8]) -> Result<()> {
    codec::check::<T>(VALUE, bytes)
}

pub(super) fn decode_key<K: DeserializeOwned>(bytes: &[u8]) -> Result<K> {
    codec::decode(KEY, bytes)
}
