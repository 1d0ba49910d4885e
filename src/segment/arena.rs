#![allow(unsafe_code)]

use std::sync::Arc;

use super::impls::{impl_create, impl_handle};
use super::place::{Body, Home, NO_TAIL, Placed};
use super::{Facts, Segment, type_stamp};
use crate::error::{Kind, Result};

/// One piece of shared memory, and one descriptor, for many objects.
///
/// An object in a segment of its own costs a descriptor and at least a page; ten thousand locks in an arena are still one
/// descriptor. Every type has a `new_in` that takes an arena.
///
/// # Concurrency and death
///
/// Threads and processes may make objects in one arena at the same time. Room is taken in one step and never given
/// back: the objects of an arena live as long as the arena, which the kernel frees with its last user. A process that is
/// killed while it makes an object wastes the room of that one object.
///
/// # Layout
///
/// Each object takes its content and a header of 128 bytes, rounded up to a multiple of 128.
///
/// # Examples
///
/// ```
/// use crossproc::{Arena, Lock, Value};
///
/// let arena = Arena::new(1 << 20)?;
/// let locks: Vec<Lock> = (0..1_000).map(|_| Lock::new_in(&arena)).collect::<Result<_, _>>()?;
/// let counter = Value::new_in(&arena, 0_u64)?;
///
/// let _guard = locks[7].lock()?;
/// counter.update(|n| n + 1);
/// # Ok::<(), crossproc::Error>(())
/// ```
#[derive(Clone)]
pub struct Arena {
    placed: Placed<ArenaBody>,
}

/// An arena has no words of its own: what it has given away stands in the segment's header.
#[repr(C)]
struct ArenaBody {}

// SAFETY: a struct without fields has no bytes.
unsafe impl Body for ArenaBody {
    const KIND: Kind = Kind::Arena;
    const STAMP: u64 = super::stamp(&[0]);
}

impl Arena {
    /// An arena with room for objects of `bytes` in all, their headers included.
    ///
    /// # Errors
    ///
    /// [`NoSpace`](crate::Error::NoSpace) if there is not so much shared memory, [`Os`](crate::Error::Os) if the process
    /// has no descriptor left.
    ///
    /// # Examples
    ///
    /// See [`Arena`] and [`remaining`](Self::remaining).
    pub fn new(bytes: usize) -> Result<Self> {
        Self::make(Home::Own, bytes)
    }

    fn make(home: Home<'_>, bytes: usize) -> Result<Self> {
        let own = Placed::<ArenaBody>::bytes(NO_TAIL)?;
        let segment = Segment::create(own.saturating_add(bytes as u64), 0, home.name())?;
        let placed = Placed::create(Home::In(&segment), type_stamp::<()>(), bytes as u64, NO_TAIL, |_| ())?;
        Ok(Arena { placed })
    }

    fn attach(segment: Arc<Segment>, offset: u64) -> Result<Self> {
        let placed = Placed::attach(segment, offset, &type_stamp::<()>(), |_| NO_TAIL)?;
        Ok(Arena { placed })
    }

    /// The least bytes of a file that is to be an arena.
    #[cfg(feature = "compat-shared-memory")]
    pub(super) fn least() -> Result<u64> {
        Ok(super::first_object(super::PEERS) + Placed::<ArenaBody>::bytes(NO_TAIL)?)
    }

    /// Makes an arena the first object of a segment to which nobody is attached yet.
    #[cfg(feature = "compat-shared-memory")]
    pub(super) fn lay_out(mapping: &crate::sys::map::Mapping) -> Result<()> {
        super::place::lay_out_first::<ArenaBody>(mapping, type_stamp::<()>())
    }

    /// The arena of a segment whose first object it is.
    #[cfg(feature = "compat-shared-memory")]
    pub(super) fn of(segment: Arc<Segment>) -> Result<Self> {
        let offset = segment.first_object();
        Self::attach(segment, offset)
    }

    /// Bytes that no object has taken yet. Stale at once where others make objects too.
    ///
    /// # Examples
    ///
    /// ```
    /// let arena = crossproc::Arena::new(1 << 16)?;
    /// let before = arena.remaining();
    /// let _lock = crossproc::Lock::new_in(&arena)?;
    /// assert!(before >= 1 << 16 && arena.remaining() < before);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn remaining(&self) -> usize {
        self.placed.segment().remaining() as usize
    }

    /// The bytes for which it was made.
    fn asked_for(&self) -> usize {
        self.placed.length()
    }

    /// Takes room for more than one object, or for more than an object; its offset, for [`home_at`](Self::home_at).
    pub(crate) fn allocate(&self, bytes: u64) -> Result<u64> {
        self.placed.segment().allocate(bytes)
    }

    pub(crate) fn peers(&self) -> u32 {
        self.placed.segment().peers()
    }

    /// Where `new_in` puts an object.
    pub(crate) fn home(&self) -> Home<'_> {
        Home::In(self.placed.segment())
    }

    /// Where an object lies whose room has been taken before.
    pub(crate) fn home_at(&self, offset: u64) -> Home<'_> {
        Home::At(self.placed.segment(), offset)
    }
}

impl_handle!(Arena, "Arena");
impl_create!(Arena, (bytes: usize), ["bytes": bytes == asked_for]);

pub(crate) fn describe(facts: &mut Facts<'_>) -> Result<()> {
    facts.image.body::<ArenaBody>()?;
    facts.say("remaining bytes", facts.image.remaining());
    Ok(())
}
