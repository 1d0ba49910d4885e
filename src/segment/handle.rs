//! Handles on their way to another process.
//!
//! A handle is serialised as an index and an offset: the index counts the segments of the message that is being packed,
//! whose descriptors travel beside its bytes. Which message that is, only the packing thread knows; outside one, a
//! handle cannot be serialised. Two handles into one segment share its index, and the receiver attaches it once.

use std::cell::{Cell, RefCell};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Segment;
use crate::error::{Error, Result};

/// A value in the form in which it travels.
pub(crate) struct Parcel {
    pub(crate) bytes: Vec<u8>,
    /// The segments of the handles in it, in the order of their indices; they stay attached as long as the parcel
    /// lives.
    pub(crate) segments: Vec<Arc<Segment>>,
}

#[derive(Default)]
struct Transfer {
    segments: Vec<Arc<Segment>>,
    /// Why a handle could not be unpacked; serde's error types carry no more than a text, and postcard's not even that.
    refused: Option<Error>,
}

thread_local! {
    /// The message that this thread is packing.
    static OUTGOING: RefCell<Option<Transfer>> = const { RefCell::new(None) };
    /// Whether this thread has tried to serialise a handle outside a transfer.
    static REFUSED: Cell<bool> = const { Cell::new(false) };
    /// The message that this thread is unpacking.
    static INCOMING: RefCell<Option<Transfer>> = const { RefCell::new(None) };
}

type Slot = std::thread::LocalKey<RefCell<Option<Transfer>>>;

/// Runs `body` with `transfer` in `slot` and returns it with the result; puts the outer transfer back even if `body`
/// panics.
fn scoped<R>(slot: &'static Slot, transfer: Transfer, body: impl FnOnce() -> R) -> (R, Transfer) {
    struct Restore {
        slot: &'static Slot,
        outer: Option<Transfer>,
    }
    impl Drop for Restore {
        fn drop(&mut self) {
            self.slot.set(self.outer.take());
        }
    }
    let _restore = Restore { slot, outer: slot.replace(Some(transfer)) };
    let result = body();
    let transfer = slot.take().unwrap_or_default();
    (result, transfer)
}

/// Encodes `value` and collects the segments of the handles in it.
pub(crate) fn pack<T: Serialize + ?Sized>(what: &'static str, value: &T) -> Result<Parcel> {
    let (encoded, transfer) = scoped(&OUTGOING, Transfer::default(), || postcard::to_stdvec(value));
    match encoded {
        Ok(bytes) => Ok(Parcel { bytes, segments: transfer.segments }),
        Err(error) => Err(Error::Encode { what: what.into(), reason: error.to_string() }),
    }
}

/// Decodes a value from `bytes` and the descriptors of the segments that came with them.
pub(crate) fn unpack<T: DeserializeOwned>(what: &'static str, bytes: &[u8], descriptors: Vec<OwnedFd>) -> Result<T> {
    let segments = descriptors.into_iter().map(Segment::attach).collect::<Result<_>>()?;
    let transfer = Transfer { segments, refused: None };
    let (decoded, transfer) = scoped(&INCOMING, transfer, || postcard::from_bytes(bytes));
    match (decoded, transfer.refused) {
        (_, Some(refused)) => Err(refused),
        (Ok(value), None) => Ok(value),
        (Err(error), None) => Err(Error::Decode { what: what.into(), reason: error.to_string() }),
    }
}

/// A handle in serialised form.
#[derive(Serialize, Deserialize)]
#[serde(rename = "a handle of crossproc on its way")]
struct Wire {
    segment: u32,
    offset: u64,
}

/// What a handle's `Serialize` does.
pub(crate) fn serialize<S: Serializer>(segment: &Arc<Segment>, offset: u64, serializer: S) -> Result<S::Ok, S::Error> {
    let index = OUTGOING.with_borrow_mut(|outgoing| {
        let segments = &mut outgoing.as_mut()?.segments;
        Some(segments.iter().position(|known| Arc::ptr_eq(known, segment)).unwrap_or_else(|| {
            segments.push(Arc::clone(segment));
            segments.len() - 1
        }))
    });
    match index.and_then(|index| u32::try_from(index).ok()) {
        Some(segment) => Wire { segment, offset }.serialize(serializer),
        None => {
            REFUSED.set(true);
            Err(serde::ser::Error::custom(Error::HandleOutsideTransfer))
        }
    }
}

/// An older refusal explains nothing that fails from now on.
#[inline]
pub(crate) fn forget_refusal() {
    REFUSED.set(false);
}

/// Whether a handle has just refused to be serialised on this thread: postcard's errors do not say so.
pub(crate) fn was_refused() -> bool {
    REFUSED.take()
}

/// What a handle's `Deserialize` does; `place` finds the object in its segment.
pub(crate) fn deserialize<'de, D: Deserializer<'de>, H>(
    deserializer: D,
    place: impl FnOnce(Arc<Segment>, u64) -> Result<H>,
) -> Result<H, D::Error> {
    let wire = Wire::deserialize(deserializer)?;
    let segment = INCOMING.with_borrow(|incoming| match incoming {
        Some(transfer) => transfer.segments.get(wire.segment as usize).cloned().ok_or(Error::Decode {
            what: "a handle".into(),
            reason: format!("segment {} of {}", wire.segment, transfer.segments.len()),
        }),
        None => Err(Error::HandleOutsideTransfer),
    });
    segment.and_then(|segment| place(segment, wire.offset)).map_err(|error| {
        let text = serde::de::Error::custom(&error);
        INCOMING.with_borrow_mut(|incoming| {
            if let Some(transfer) = incoming {
                transfer.refused = Some(error);
            }
        });
        text
    })
}

/// What every handle can do, for a type with a field `placed` and a function `attach(segment, offset)`.
macro_rules! impl_handle {
    ($handle:ident $(<$element:ident: $bound:ident $(+ $more:ident)*>)?, $name:literal) => {
        impl $(<$element: $bound $(+ $more)*>)? $handle $(<$element>)? {
            #[doc = concat!("The `", $name, "` whose descriptor this is: one that [`AsFd`](std::os::fd::AsFd) gave, in this process")]
            /// or in one that sent it over a socket.
            ///
            /// It needs no common ancestor, only a descriptor. What the descriptor refers to is checked, not trusted. An
            /// object in an arena is not found this way: its descriptor is the arena's.
            ///
            /// # Errors
            ///
            /// [`Attach`](crate::Error::Attach) if it is something else, with both sides of the mismatch;
            /// [`TooManyPeers`](crate::Error::TooManyPeers) if too many processes are attached already;
            /// [`NoSpace`](crate::Error::NoSpace) if it has holes and there is no memory to fill them;
            /// [`Unsupported`](crate::Error::Unsupported) without `/proc`.
            ///
            /// # Examples
            ///
            /// See [`AttachError`](crate::AttachError).
            pub fn from_fd(descriptor: std::os::fd::OwnedFd) -> crate::Result<Self> {
                let segment = crate::segment::Segment::attach(descriptor)?;
                let offset = segment.first_object();
                Self::attach(segment, offset)
            }
        }

        /// The descriptor of the memory that the object lies in: its own, or that of its arena.
        impl $(<$element: $bound $(+ $more)*>)? std::os::fd::AsFd for $handle $(<$element>)? {
            fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
                self.placed.segment().as_fd()
            }
        }

        impl $(<$element: $bound $(+ $more)*>)? std::fmt::Debug for $handle $(<$element>)? {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct($name).finish_non_exhaustive()
            }
        }

        /// Only within a transfer to another process.
        impl $(<$element: $bound $(+ $more)*>)? serde::Serialize for $handle $(<$element>)? {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                crate::segment::handle::serialize(self.placed.segment(), self.placed.offset(), serializer)
            }
        }

        /// Only within a transfer from another process.
        impl<'de $(, $element: $bound $(+ $more)*)?> serde::Deserialize<'de> for $handle $(<$element>)? {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                crate::segment::handle::deserialize(deserializer, Self::attach)
            }
        }
    };
}

pub(crate) use impl_handle;
