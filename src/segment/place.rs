//! From offsets to references: the one place at which an offset becomes a pointer.
//!
//! S1. What is referred to lies within the mapping, at an offset that is a multiple of its alignment: a fixed offset
//!     into a file whose size was checked, or one that [`carve`](super::carve) computed and [`is_inside`] checked. Objects
//!     begin at multiples of 128, and no part of one has a larger alignment (`Geometry::of`).
//! S2. The mapping lives as long as the segment, which whoever holds the reference keeps alive.
//! S3. The type consists of atomics: peers may write at any time, and any bytes are a value.
//! S4. The file cannot shrink (it is sealed, or nobody can cut it off but those whom this user trusts:
//!     `check_size_is_safe`) and had no holes at attach. A peer that punches one later costs memory at the next
//!     touch, and a SIGBUS only where there is none left.

#![allow(unsafe_code)]

use std::alloc::Layout;
use std::ptr::NonNull;
use std::slice;
use std::sync::Arc;

use super::carve::{Geometry, OBJECT_ALIGN, is_inside};
use super::header::Header;
#[cfg(feature = "compat-shared-memory")]
use super::header::first_object;
use super::object::{Facts, ObjectHeader};
use super::{Atomics, Name, PEERS, Region, Segment};
use crate::error::{AttachError, Error, Kind, Result, TypeStamp};
use crate::fault::crash_point;
use crate::sys::atomic::AtomicU64;
use crate::sys::map::Mapping;
use crate::word::peers::PeerSlot;

/// The header of a mapping of at least [`LEAST`](super::header::LEAST) bytes.
pub(super) fn header(mapping: &Mapping) -> &Header {
    // SAFETY: S1 (offset 0 of a page-aligned mapping that is long enough), S2, S3, S4.
    unsafe { mapping.start().cast::<Header>().as_ref() }
}

/// The table of peers; `count` was checked against the size of the mapping.
pub(super) fn peers(mapping: &Mapping, count: u32) -> &[PeerSlot] {
    let offset = size_of::<Header>();
    debug_assert!((offset + count as usize * size_of::<PeerSlot>()) as u64 <= mapping.len());
    // SAFETY: S1: `Header::check` has seen that the table fits in.
    let first = unsafe { mapping.start().add(offset) };
    // SAFETY: S1, S2, S3, S4.
    unsafe { slice::from_raw_parts(first.cast().as_ptr(), count as usize) }
}

/// The header of the object at `offset`, which lies inside the mapping with all of its header.
fn object_header(mapping: &Mapping, offset: u64) -> &ObjectHeader {
    debug_assert!(is_inside(offset, size_of::<ObjectHeader>() as u64, 0, mapping.len()));
    // SAFETY: S1: both callers have checked the offset.
    let header = unsafe { mapping.start().add(offset as usize) };
    // SAFETY: S1, S2, S3, S4.
    unsafe { header.cast().as_ref() }
}

/// Lays out the first object of a segment to which nobody is attached yet: one without elements, of which all that follows
/// the header is zero.
#[cfg(feature = "compat-shared-memory")]
pub(super) fn lay_out_first<B: Body>(mapping: &Mapping, element: TypeStamp) -> Result<()> {
    let (first, bytes) = (first_object(PEERS), Placed::<B>::bytes(NO_TAIL)?);
    let allocated = header(mapping).allocate(bytes, first, mapping.len());
    let offset = allocated.ok_or(AttachError::WrongSize { found: mapping.len(), expected: first + bytes })?;
    let header = object_header(mapping, offset);
    header.initialise(&Facts { kind: B::KIND, stamp: B::STAMP, element, length: 0, bytes });
    header.complete();
    Ok(())
}

/// `length` bytes of a segment from `offset`, which both of its users have checked to lie within it: an object's, or bytes
/// on demand that have been backed.
pub(crate) fn region(segment: &Segment, offset: u64, length: u64) -> Region<'_> {
    assert!(offset <= segment.mapping.len() && length <= segment.mapping.len() - offset, "a region of a segment");
    // SAFETY: S1, just checked.
    let start = unsafe { segment.mapping.start().add(offset as usize) };
    // SAFETY: S1, S2.
    unsafe { Region::new(start, length as usize) }
}

/// Words of a segment, behind its objects.
pub(crate) struct WordsBehind {
    segment: Arc<Segment>,
    first: NonNull<AtomicU64>,
    count: usize,
}

// SAFETY: it gives out only `&[AtomicU64]`.
unsafe impl Send for WordsBehind {}
// SAFETY: as for Send.
unsafe impl Sync for WordsBehind {}

impl WordsBehind {
    /// `count` words from `offset`, which has been laid out, or checked, to be theirs.
    pub(crate) fn new(segment: &Arc<Segment>, offset: u64, count: usize) -> Self {
        let length = segment.mapping.len();
        let fits = offset <= length && count as u64 <= (length - offset) / size_of::<AtomicU64>() as u64;
        assert!(fits && offset.is_multiple_of(align_of::<AtomicU64>() as u64), "words of a segment");
        // SAFETY: S1, just checked.
        let first = unsafe { segment.mapping.start().add(offset as usize) }.cast();
        WordsBehind { segment: Arc::clone(segment), first, count }
    }

    #[inline]
    pub(crate) fn segment(&self) -> &Arc<Segment> {
        &self.segment
    }

    #[inline]
    pub(crate) fn all(&self) -> &[AtomicU64] {
        // SAFETY: S1 (checked in `new`), S2, S3, S4.
        unsafe { slice::from_raw_parts(self.first.as_ptr(), self.count) }
    }
}

/// The fixed part of a kind of object: what its words are.
///
/// # Safety
///
/// The type is `repr(C)` and consists of atomics (S3), and all its bytes zero is a valid state.
pub(crate) unsafe trait Body: Send + Sync + 'static {
    const KIND: Kind;
    /// [`stamp`](super::stamp) of its sizes and offsets.
    const STAMP: u64;
}

/// Fails the build for a type that no object can be aligned for.
pub(crate) const fn assert_alignment<T>() {
    assert!(align_of::<T>() as u64 <= OBJECT_ALIGN, "shared objects are aligned to 128 bytes at most");
}

/// Where a new object is to lie.
#[derive(Clone, Copy)]
pub(crate) enum Home<'a> {
    /// In a segment of its own, anonymous.
    Own,
    /// In a segment of its own, for a name that it has not got yet.
    Named(&'a Name),
    /// Together with others.
    In(&'a Arc<Segment>),
    /// Together with others, in room that has been taken for it.
    At(&'a Arc<Segment>, u64),
}

impl<'a> Home<'a> {
    pub(crate) fn name(self) -> Option<&'a Name> {
        if let Home::Named(name) = self { Some(name) } else { None }
    }

    /// How many places the segment's table of peers has.
    pub(crate) fn peers(self) -> u32 {
        match self {
            Home::Own | Home::Named(_) => PEERS,
            Home::In(segment) | Home::At(segment, _) => segment.peers(),
        }
    }
}

/// The tail of an object that has none.
pub(crate) const NO_TAIL: Option<Layout> = Some(Layout::new::<()>());

/// An object in a segment: its body, and a tail of bytes whose meaning the kind knows.
pub(crate) struct Placed<B> {
    segment: Arc<Segment>,
    offset: u64,
    length: u64,
    body: NonNull<B>,
    tail: NonNull<u8>,
}

// SAFETY: a Placed gives out only `&B`, and a pointer whose users answer for what they do with it.
unsafe impl<B: Body> Send for Placed<B> {}
// SAFETY: as for Send.
unsafe impl<B: Body> Sync for Placed<B> {}

impl<B: Body> Placed<B> {
    /// Makes an object of `length` elements, all zero (room is never used twice: `Header::used` only grows), and calls
    /// `fill` before it can be seen complete.
    ///
    /// `tail`: its size and alignment; `None` where that is more than memory can hold.
    pub(crate) fn create(
        home: Home<'_>,
        element: TypeStamp,
        length: u64,
        tail: Option<Layout>,
        fill: impl FnOnce(&Self),
    ) -> Result<Self> {
        Self::create_with(0, home, element, length, tail, fill)
    }

    /// As [`create`](Self::create); a segment of its own has so many bytes on demand behind the object.
    pub(crate) fn create_with(
        on_demand: u64,
        home: Home<'_>,
        element: TypeStamp,
        length: u64,
        tail: Option<Layout>,
        fill: impl FnOnce(&Self),
    ) -> Result<Self> {
        let geometry = Self::geometry(tail)?;
        let segment = match home {
            Home::Own => Segment::create(geometry.bytes, on_demand, None)?,
            Home::Named(name) => Segment::create(geometry.bytes, on_demand, Some(name))?,
            Home::In(segment) | Home::At(segment, _) => Arc::clone(segment),
        };
        let offset = match home {
            Home::At(_, offset) => offset,
            _ => segment.allocate(geometry.bytes)?,
        };
        crash_point!("create.allocated");
        let facts = Facts { kind: B::KIND, stamp: B::STAMP, element, length, bytes: geometry.bytes };
        let placed = Placed::at(segment, offset, length, geometry);
        let header = object_header(&placed.segment.mapping, offset);
        header.initialise(&facts);
        fill(&placed);
        header.complete();
        Ok(placed)
    }

    /// The room that an object with this tail takes.
    pub(crate) fn bytes(tail: Option<Layout>) -> Result<u64> {
        Ok(Self::geometry(tail)?.bytes)
    }

    fn geometry(tail: Option<Layout>) -> Result<Geometry> {
        let geometry = tail.and_then(|tail| Geometry::of(Layout::new::<B>(), tail));
        geometry.ok_or(Error::NoSpace { needed: u64::MAX, available: isize::MAX as u64 })
    }

    /// The object at `offset`, if it is one of this kind and element type, as a handle from elsewhere names it.
    ///
    /// `tail`: the layout that follows from the number of elements, which is shared memory's word and not yet checked.
    pub(crate) fn attach(
        segment: Arc<Segment>,
        offset: u64,
        element: &TypeStamp,
        tail: impl FnOnce(u64) -> Option<Layout>,
    ) -> Result<Self, AttachError> {
        let out_of_bounds = |bytes| AttachError::OutOfBounds { offset, bytes, segment: segment.mapping.len() };
        let is_inside = |bytes| is_inside(offset, bytes, segment.first_object(), segment.solid);
        let least = size_of::<ObjectHeader>() as u64;
        if !is_inside(least) {
            return Err(out_of_bounds(least));
        }
        let (length, bytes) = object_header(&segment.mapping, offset).check(offset, B::KIND, B::STAMP, element)?;
        if !is_inside(bytes) {
            return Err(out_of_bounds(bytes));
        }
        match Self::geometry(tail(length)) {
            Ok(geometry) if geometry.bytes == bytes => Ok(Placed::at(segment, offset, length, geometry)),
            _ => Err(AttachError::WrongLength { found: length, bytes }),
        }
    }

    /// The object at a place that has been taken for it or checked.
    fn at(segment: Arc<Segment>, offset: u64, length: u64, geometry: Geometry) -> Self {
        debug_assert!(is_inside(offset, geometry.bytes, segment.first_object(), segment.solid));
        let start = segment.mapping.start();
        // SAFETY: S1: body and tail lie within the object, and the object within the mapping.
        let body = unsafe { start.add((offset + geometry.body) as usize) }.cast();
        // SAFETY: S1, as above.
        let tail = unsafe { start.add((offset + geometry.tail) as usize) };
        Placed { segment, offset, length, body, tail }
    }

    #[inline]
    pub(crate) fn body(&self) -> &B {
        // SAFETY: S1, S2, S3 (`B: Body`), S4.
        unsafe { self.body.as_ref() }
    }

    /// The number of elements, as it was when it was checked.
    #[inline]
    pub(crate) fn length(&self) -> usize {
        self.length as usize
    }

    /// The first byte of the tail, aligned as its layout said.
    #[inline]
    pub(crate) fn tail(&self) -> NonNull<u8> {
        self.tail
    }

    /// The tail as `count` atomics, which must be what the kind's layout of the tail says.
    #[inline]
    pub(crate) fn tail_of<T: Atomics>(&self, count: usize) -> &[T] {
        // SAFETY: S1 (the tail was laid out for `count` of T), S2, S3 (`T: Atomics`), S4.
        unsafe { slice::from_raw_parts(self.tail.cast().as_ptr(), count) }
    }

    #[inline]
    pub(crate) fn segment(&self) -> &Arc<Segment> {
        &self.segment
    }

    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }
}

impl<B> Clone for Placed<B> {
    fn clone(&self) -> Self {
        Placed { segment: Arc::clone(&self.segment), ..*self }
    }
}

const _: () = assert!(size_of::<Header>() as u64 == OBJECT_ALIGN);
