//! The first bytes of a segment.

use std::mem::{offset_of, size_of};
use std::process;
use std::time::SystemTime;

use super::carve::{self, OBJECT_ALIGN};
use super::object::ObjectHeader;
use crate::error::{AttachError, Result};
use crate::sys::atomic::{
    AtomicU32, AtomicU64,
    Ordering::{Relaxed, Release},
};
use crate::word::peers::{MOST_PEERS, PeerSlot};

/// The number of the layout; raised with every change of it.
const FORMAT: u32 = 4;

/// "crossprc", stored when everything else is.
const MAGIC: u64 = u64::from_le_bytes(*b"crossprc");

/// "crosspr-", stored before everything else where a file was not made for a segment but becomes one.
#[cfg(feature = "compat-shared-memory")]
pub(super) const BEGUN: u64 = u64::from_le_bytes(*b"crosspr-");

/// How many processes may be attached at a time. Asking for one's death is linear in the locks held (0.3 us for 1,
/// 0.5 us for 64, 6.7 us for 1,000, measured), which is why it is not the most that an identity can name.
pub(crate) const PEERS: u32 = 256;

/// | offset | size | field    | meaning                                                                      |
/// |--------|------|----------|------------------------------------------------------------------------------|
/// | 0      | 8    | magic    | "crossprc", once all else is there; before, 0 or "crosspr-"                  |
/// | 8      | 4    | format   | number of the layout                                                         |
/// | 12     | 4    | peers    | places in the table of peers                                                 |
/// | 16     | 8    | stamp    | computed from the sizes and offsets of header, peer table and object header  |
/// | 24     | 8    | length   | of the segment in bytes, this header included                                |
/// | 32     | 8    | used     | offset behind the last object; only grows                                    |
/// | 40     | 4    | creator  | process id, in its own namespace                                             |
/// | 44     | 4    | uid      | the creator's effective user id                                              |
/// | 48     | 8    | created  | nanoseconds since 1970                                                       |
/// | 56     | 8    | solid    | bytes from the start that are backed with memory; those behind are on demand |
/// | 64     | 4    | others   | with a name: the bits of its mode that are for others; else 0                |
/// | 68     | 60   | reserved | 0                                                                            |
/// | 128    | 8 x peers |     | the table of peers                                                           |
/// | then   |      |          | the objects, each at a multiple of 128                                       |
#[repr(C)]
pub(crate) struct Header {
    magic: AtomicU64,
    format: AtomicU32,
    peers: AtomicU32,
    stamp: AtomicU64,
    length: AtomicU64,
    used: AtomicU64,
    creator: AtomicU32,
    uid: AtomicU32,
    created: AtomicU64,
    solid: AtomicU64,
    others: AtomicU32,
    unused: AtomicU32,
    reserved: [AtomicU64; 7],
}

const _: () = {
    assert!(size_of::<Header>() == 128 && size_of::<PeerSlot>() == 8);
    assert!(offset_of!(Header, format) == 8 && offset_of!(Header, stamp) == 16 && offset_of!(Header, used) == 32);
    assert!(offset_of!(Header, created) == 48 && offset_of!(Header, solid) == 56 && offset_of!(Header, others) == 64);
};

const STAMP: u64 = carve::stamp(&[
    size_of::<Header>(),
    offset_of!(Header, format),
    offset_of!(Header, peers),
    offset_of!(Header, stamp),
    offset_of!(Header, length),
    offset_of!(Header, used),
    offset_of!(Header, creator),
    offset_of!(Header, uid),
    offset_of!(Header, created),
    offset_of!(Header, solid),
    size_of::<PeerSlot>(),
    size_of::<ObjectHeader>(),
    OBJECT_ALIGN as usize,
]);

/// The offset of the first object in a segment with so many peers.
pub(crate) fn first_object(peers: u32) -> u64 {
    (size_of::<Header>() as u64 + u64::from(peers) * size_of::<PeerSlot>() as u64).next_multiple_of(OBJECT_ALIGN)
}

/// The least that a file must hold to be a segment.
pub(crate) const LEAST: u64 = size_of::<Header>() as u64;

/// What a file of `size` bytes that is a segment says about itself: how many of its bytes must be backed before they are
/// touched, and its number of peers.
///
/// `first` are its first bytes, read without mapping it: before any memory is spent on what may be no segment, or none of
/// ours. Nobody looks at those of the file again, which its peers might change.
pub(crate) fn check(first: &[u8; FIRST], size: u64) -> Result<(u64, u32), AttachError> {
    let half = |offset: usize| u32::from_ne_bytes(std::array::from_fn(|i| first[offset + i]));
    let word = |offset: usize| u64::from_ne_bytes(std::array::from_fn(|i| first[offset + i]));
    let magic = word(offset_of!(Header, magic));
    if magic != MAGIC {
        return Err(AttachError::WrongMagic { found: magic, expected: MAGIC });
    }
    let format = half(offset_of!(Header, format));
    if format != FORMAT {
        return Err(AttachError::WrongFormat { found: format, expected: FORMAT });
    }
    let stamp = word(offset_of!(Header, stamp));
    if stamp != STAMP {
        return Err(AttachError::WrongLayout { found: stamp, expected: STAMP });
    }
    let length = word(offset_of!(Header, length));
    if length != size {
        return Err(AttachError::WrongSize { found: size, expected: length });
    }
    let solid = word(offset_of!(Header, solid));
    if solid > size {
        return Err(AttachError::WrongSize { found: size, expected: solid });
    }
    let peers = half(offset_of!(Header, peers));
    if !(1..=MOST_PEERS).contains(&peers) {
        return Err(AttachError::WrongPeers { found: peers, most: MOST_PEERS });
    }
    if first_object(peers) > solid {
        return Err(AttachError::WrongSize { found: solid, expected: first_object(peers) });
    }
    Ok((solid, peers))
}

/// The bits of its mode that the creator of a file with these first bytes wanted.
pub(crate) fn others(first: &[u8; FIRST]) -> u32 {
    u32::from_ne_bytes(std::array::from_fn(|i| first[offset_of!(Header, others) + i]))
}

/// The offset of a place in the table of peers.
pub(super) fn peer(slot: u32) -> u64 {
    size_of::<Header>() as u64 + u64::from(slot) * size_of::<PeerSlot>() as u64
}

/// What a header says that nothing depends on.
pub(crate) struct Origin {
    /// Offset behind the last object.
    pub(crate) used: u64,
    /// Process id, in its own namespace.
    pub(crate) creator: u32,
    /// Nanoseconds since 1970.
    pub(crate) created: u64,
}

impl Origin {
    /// `word`: the eight bytes at an offset.
    pub(super) fn read(word: impl Fn(u64) -> Result<u64>) -> Result<Self> {
        Ok(Origin {
            used: word(offset_of!(Header, used) as u64)?,
            creator: word(offset_of!(Header, creator) as u64)? as u32,
            created: word(offset_of!(Header, created) as u64)?,
        })
    }
}

/// The bytes that are looked at before a file is mapped.
pub(crate) const FIRST: usize = 72;

impl Header {
    /// From here on, whoever finds the file half made knows by whom.
    #[cfg(feature = "compat-shared-memory")]
    pub(super) fn begin(&self) {
        // Acquire: no later store is moved to before this one, since the process may be killed between them.
        self.magic.swap(BEGUN, crate::sys::atomic::Ordering::Acquire);
    }

    /// Fills in everything but the magic.
    pub(crate) fn initialise(&self, length: u64, solid: u64, uid: u32, others: u32) {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.format.store(FORMAT, Relaxed);
        self.peers.store(PEERS, Relaxed);
        self.stamp.store(STAMP, Relaxed);
        self.length.store(length, Relaxed);
        self.solid.store(solid, Relaxed);
        self.used.store(first_object(PEERS), Relaxed);
        self.creator.store(process::id(), Relaxed);
        self.uid.store(uid, Relaxed);
        self.others.store(others, Relaxed);
        self.created.store(u64::try_from(now.as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }

    /// From here on, whoever maps the file has a segment before it.
    pub(crate) fn complete(&self) {
        // Release: publishes the header to who reads the file; objects have states of their own.
        self.magic.store(MAGIC, Release);
    }

    /// Takes `bytes` (a multiple of `OBJECT_ALIGN`) between `first` and `length`; their offset, if there is room.
    ///
    /// Whoever is killed right after it leaves a gap that goes with the segment.
    pub(crate) fn allocate(&self, bytes: u64, first: u64, length: u64) -> Option<u64> {
        // Relaxed: the number alone counts; what is put there is published by the object's own state.
        let allocate = |used| carve::is_inside(used, bytes, first, length).then(|| used + bytes);
        self.used.fetch_update(Relaxed, Relaxed, allocate).ok()
    }

    pub(crate) fn used(&self) -> u64 {
        self.used.load(Relaxed)
    }
}
