//! Which message a thread is packing or unpacking.
//!
//! A handle's `Serialize` is called by an encoder that knows nothing of handles, and finds the message that it belongs to here. Outside
//! one it cannot be serialised, nor in what travels alone, without descriptors. A message may be inside another: the outer one comes back
//! with the inner one's end, also by a panic.

use std::cell::Cell;

use super::handle::{Incoming, Outgoing};
use crate::error::{Error, Result};

/// What this thread is encoding or decoding.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// Nothing of ours.
    Nothing,
    /// What travels with descriptors.
    Packing,
    Unpacking,
    /// A message that travels without descriptors, maybe inside one that travels with them.
    Alone,
    /// A value that is kept in a heap, whose objects may be named in it.
    Kept,
    /// What travels alone or is kept, and a handle in it has been refused.
    Refused,
}

thread_local! {
    static SCOPE: Cell<Scope> = const { Cell::new(Scope::Nothing) };
    /// Whether a handle has been packed; cheaper to ask for than what is below.
    static HAS_PACKED: Cell<bool> = const { Cell::new(false) };
    /// What has been packed. Boxed: most messages have no handles, and are short.
    static OUTGOING: Cell<Option<Box<Outgoing>>> = const { Cell::new(None) };
    /// Whether what is packed is kept here until it is unpacked for the last time.
    static LASTS: Cell<bool> = const { Cell::new(false) };
    /// What there is to unpack.
    static INCOMING: Cell<Option<Box<Incoming>>> = const { Cell::new(None) };
}

/// A scope that this thread is in until this is dropped, also by a panic.
struct Within {
    outer: Scope,
}

impl Within {
    #[inline]
    fn enter(scope: Scope) -> Self {
        Within { outer: SCOPE.replace(scope) }
    }
}

impl Drop for Within {
    #[inline]
    fn drop(&mut self) {
        SCOPE.set(self.outer);
    }
}

/// As long as it lives, this thread packs a message; the outer one, if this is inside another, comes back with its end.
struct Packing {
    _within: Within,
    outer: Option<Box<Outgoing>>,
}

impl Packing {
    #[inline]
    fn enter() -> Self {
        Packing { _within: Within::enter(Scope::Packing), outer: packed() }
    }

    /// What has been packed.
    #[inline]
    fn end(self) -> Result<Option<Box<Outgoing>>> {
        let packed = packed();
        drop(self); // the outer one comes back
        match packed {
            Some(mut outgoing) if outgoing.refused.is_some() => outgoing.refused.take().map_or(Ok(None), Err),
            packed => Ok(packed),
        }
    }
}

impl Drop for Packing {
    #[inline]
    fn drop(&mut self) {
        packed();
        if let Some(outer) = self.outer.take() {
            HAS_PACKED.set(true);
            OUTGOING.set(Some(outer));
        }
    }
}

/// Takes what has been packed.
#[inline]
fn packed() -> Option<Box<Outgoing>> {
    if HAS_PACKED.replace(false) { OUTGOING.take() } else { None }
}

/// As long as it lives, this thread unpacks a message; the outer one, if this is inside another, comes back with its end.
struct Unpacking {
    _within: Within,
    outer: Option<Box<Incoming>>,
}

impl Unpacking {
    #[inline]
    fn enter(incoming: Option<Box<Incoming>>) -> Self {
        Unpacking { _within: Within::enter(Scope::Unpacking), outer: INCOMING.replace(incoming) }
    }

    #[inline]
    fn end(self) -> Option<Box<Incoming>> {
        let unpacked = INCOMING.take();
        drop(self); // the outer one comes back
        unpacked
    }
}

impl Drop for Unpacking {
    #[inline]
    fn drop(&mut self) {
        INCOMING.set(self.outer.take());
    }
}

/// As long as it lives, this thread encodes or decodes what travels without descriptors: no handle gets in or out, also where
/// this happens inside a transfer.
///
/// A guard, not a function of a closure: that is not inlined in another crate, and costs a small message half as much again.
pub(crate) struct Alone {
    _within: Within,
}

impl Alone {
    #[inline]
    pub(crate) fn enter() -> Self {
        Alone { _within: Within::enter(Scope::Alone) }
    }

    /// The same for what is kept in a heap: handles of its objects get in and out.
    pub(crate) fn kept() -> Self {
        Alone { _within: Within::enter(Scope::Kept) }
    }

    /// Whether this thread is in the midst of that, and of nothing inside it.
    pub(crate) fn is_kept() -> bool {
        SCOPE.get() == Scope::Kept
    }

    /// Ends it; whether a handle tried to get in or out.
    #[inline]
    pub(crate) fn has_refused(self) -> bool {
        let has_refused = SCOPE.get() == Scope::Refused;
        drop(self);
        has_refused
    }
}

/// Collects the handles that `encode` encodes.
#[inline]
pub(crate) fn pack<T>(encode: impl FnOnce() -> Result<T>) -> Result<(T, Option<Box<Outgoing>>)> {
    let packing = Packing::enter();
    let encoded = encode();
    let packed = packing.end()?;
    Ok((encoded?, packed))
}

/// Runs `encode`, and has what it packs know that the message is kept here until it is unpacked for the last time.
pub(crate) fn lasting<R>(encode: impl FnOnce() -> R) -> R {
    /// Also if it panics.
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            LASTS.set(self.0);
        }
    }
    let _restore = Restore(LASTS.replace(true));
    encode()
}

/// As [`pack`], [`lasting`].
pub(crate) fn pack_lasting<T>(encode: impl FnOnce() -> Result<T>) -> Result<(T, Option<Box<Outgoing>>)> {
    lasting(|| pack(encode))
}

/// Whether the message that is being packed is kept here until it is unpacked for the last time.
pub(crate) fn lasts() -> bool {
    LASTS.get()
}

/// Gives the handles that `decode` decodes what has come with them.
#[inline]
pub(crate) fn unpack<T>(incoming: &mut Option<Box<Incoming>>, decode: impl FnOnce() -> Result<T>) -> Result<T> {
    let unpacking = Unpacking::enter(incoming.take());
    let decoded = decode();
    *incoming = unpacking.end();
    match incoming {
        None => decoded,
        Some(incoming) => incoming.settle().and(decoded),
    }
}

/// Whether this thread is in `scope`. If it encodes or decodes what travels alone, that is noted.
fn is_in(scope: Scope) -> bool {
    let found = SCOPE.get();
    if matches!(found, Scope::Alone | Scope::Kept) {
        SCOPE.set(Scope::Refused);
    }
    found == scope
}

/// Whether this thread unpacks a message that travels with descriptors.
#[cfg(feature = "redis")]
pub(crate) fn is_unpacking() -> bool {
    SCOPE.get() == Scope::Unpacking
}

/// Runs `body` with the message that this thread is packing; its error is the one that `pack` returns.
pub(crate) fn stow<W, E: serde::ser::Error>(body: impl FnOnce(&mut Outgoing) -> Result<W>) -> Result<W, E> {
    if !is_in(Scope::Packing) {
        return Err(E::custom(Error::HandleOutsideTransfer));
    }
    let mut outgoing = packed().unwrap_or_default();
    let stowed = body(&mut outgoing).map_err(|error| {
        let text = E::custom(&error);
        outgoing.refused = Some(error);
        text
    });
    HAS_PACKED.set(true);
    OUTGOING.set(Some(outgoing));
    stowed
}

/// Runs `body` with the message that this thread is unpacking; its error is the one that `unpack` returns.
pub(crate) fn take_out<H, E: serde::de::Error>(body: impl FnOnce(&mut Incoming) -> Result<H>) -> Result<H, E> {
    if !is_in(Scope::Unpacking) {
        return Err(E::custom(Error::HandleOutsideTransfer));
    }
    let mut incoming = INCOMING.take().unwrap_or_default();
    let taken = body(&mut incoming).map_err(|error| {
        let text = E::custom(&error);
        incoming.refused = Some(error);
        text
    });
    INCOMING.set(Some(incoming));
    taken
}
