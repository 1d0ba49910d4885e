//! What stands before every object in a segment.

use std::mem::{offset_of, size_of};

use super::carve;
use crate::error::{self, AttachError, Kind, TypeStamp};
use crate::sys::atomic::{
    AtomicU32, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

/// "object  ", stored when everything else is.
const COMPLETE: u64 = u64::from_le_bytes(*b"object  ");

const NAME_WORDS: usize = 9;

/// | offset | size | field     | meaning                                                      |
/// |--------|------|-----------|--------------------------------------------------------------|
/// | 0      | 8    | state     | "object  ", once all else is there; 0 = nothing here yet     |
/// | 8      | 4    | kind      | see [`Kind`]                                                 |
/// | 12     | 4    | align     | of the element type, in bytes                                |
/// | 16     | 8    | stamp     | computed from the sizes and offsets of the kind's body       |
/// | 24     | 8    | bytes     | the whole object, this header included                       |
/// | 32     | 8    | length    | elements                                                     |
/// | 40     | 8    | type_size | of one element, in bytes                                     |
/// | 48     | 8    | type_hash | of the element type's whole name                             |
/// | 56     | 72   | type_name | its first bytes, filled up with zeros                        |
#[repr(C)]
pub(crate) struct ObjectHeader {
    state: AtomicU64,
    kind: AtomicU32,
    align: AtomicU32,
    stamp: AtomicU64,
    bytes: AtomicU64,
    length: AtomicU64,
    type_size: AtomicU64,
    type_hash: AtomicU64,
    type_name: [AtomicU64; NAME_WORDS],
}

const _: () = {
    assert!(size_of::<ObjectHeader>() == 128);
    assert!(offset_of!(ObjectHeader, stamp) == 16 && offset_of!(ObjectHeader, length) == 32);
    assert!(offset_of!(ObjectHeader, type_hash) == 48 && offset_of!(ObjectHeader, type_name) == 56);
};

/// A private copy of a header: what was checked is what is used, whatever a peer writes meanwhile.
pub(crate) struct Facts {
    pub(crate) kind: Kind,
    /// Of the kind's body.
    pub(crate) stamp: u64,
    pub(crate) element: TypeStamp,
    pub(crate) length: u64,
    pub(crate) bytes: u64,
}

/// What a header says, of whatever kind it is.
pub(crate) struct Found {
    /// Or the number of one that this build does not know.
    pub(crate) kind: Result<Kind, u32>,
    pub(crate) stamp: u64,
    pub(crate) element: TypeStamp,
    pub(crate) length: u64,
    pub(crate) bytes: u64,
}

impl Found {
    /// The header of the object at `offset`. `word`: the eight bytes at an offset in the header.
    pub(crate) fn read(word: impl Fn(usize) -> error::Result<u64>, offset: u64) -> error::Result<Self> {
        let state = word(offset_of!(ObjectHeader, state))?;
        if state != COMPLETE {
            return Err(AttachError::NoObject { offset, found: state, expected: COMPLETE }.into());
        }
        let kind = word(offset_of!(ObjectHeader, kind))?; // and the alignment
        let mut name = Vec::new();
        for index in 0..NAME_WORDS {
            name.extend(word(offset_of!(ObjectHeader, type_name) + 8 * index)?.to_le_bytes());
        }
        Ok(Found {
            kind: kind_of(kind as u32),
            stamp: word(offset_of!(ObjectHeader, stamp))?,
            element: TypeStamp {
                name: readable(&name),
                hash: word(offset_of!(ObjectHeader, type_hash))?,
                size: word(offset_of!(ObjectHeader, type_size))?,
                align: (kind >> 32) as u32,
            },
            length: word(offset_of!(ObjectHeader, length))?,
            bytes: word(offset_of!(ObjectHeader, bytes))?,
        })
    }
}

const _: () = assert!(offset_of!(ObjectHeader, align) == offset_of!(ObjectHeader, kind) + 4);

/// A type's name up to its first zero; it ends up on somebody's terminal.
fn readable(name: &[u8]) -> String {
    let end = name.iter().position(|&byte| byte == 0).unwrap_or(name.len());
    String::from_utf8_lossy(&name[..end]).replace(char::is_control, "\u{fffd}")
}

impl ObjectHeader {
    /// Fills in everything but the state.
    pub(crate) fn initialise(&self, facts: &Facts) {
        self.kind.store(facts.kind as u32, Relaxed);
        self.align.store(facts.element.align, Relaxed);
        self.stamp.store(facts.stamp, Relaxed);
        self.bytes.store(facts.bytes, Relaxed);
        self.length.store(facts.length, Relaxed);
        self.type_size.store(facts.element.size, Relaxed);
        self.type_hash.store(facts.element.hash, Relaxed);
        for (word, bytes) in self.type_name.iter().zip(facts.element.name.as_bytes().chunks(8)) {
            let mut padded = [0; 8];
            padded[..bytes.len()].copy_from_slice(bytes);
            word.store(u64::from_le_bytes(padded), Relaxed);
        }
    }

    pub(crate) fn complete(&self) {
        self.state.store(COMPLETE, Release); // publishes header and body to the Acquire in `check`
    }

    /// Checks that a complete object of this kind, layout and element type stands at `offset`, and gives its length and
    /// its size in bytes.
    pub(crate) fn check(
        &self,
        offset: u64,
        kind: Kind,
        stamp: u64,
        element: &TypeStamp,
    ) -> Result<(u64, u64), AttachError> {
        let state = self.state.load(Acquire); // pairs with the Release in `complete`
        if state != COMPLETE {
            return Err(AttachError::NoObject { offset, found: state, expected: COMPLETE });
        }
        let found = self.kind.load(Relaxed);
        if found != kind as u32 {
            return Err(AttachError::WrongKind { found: kind_of(found), expected: kind });
        }
        let found = self.stamp.load(Relaxed);
        if found != stamp {
            return Err(AttachError::WrongLayout { found, expected: stamp });
        }
        let found = self.element();
        if (found.hash, found.size, found.align) != (element.hash, element.size, element.align) {
            return Err(AttachError::WrongType { name: None, found, expected: element.clone() });
        }
        Ok((self.length.load(Relaxed), self.bytes.load(Relaxed)))
    }

    fn element(&self) -> TypeStamp {
        let name: Vec<u8> = self.type_name.iter().flat_map(|word| word.load(Relaxed).to_le_bytes()).collect();
        TypeStamp {
            name: readable(&name),
            hash: self.type_hash.load(Relaxed),
            size: self.type_size.load(Relaxed),
            align: self.align.load(Relaxed),
        }
    }
}

fn kind_of(number: u32) -> Result<Kind, u32> {
    const KINDS: &[Kind] = &[
        Kind::Arena,
        Kind::Value,
        Kind::Array,
        Kind::RawValue,
        Kind::RawArray,
        Kind::Lock,
        Kind::Ring,
        Kind::Queue,
        Kind::Channel,
        Kind::RLock,
        Kind::RwLock,
        Kind::Semaphore,
        Kind::BoundedSemaphore,
        Kind::Condvar,
        Kind::Event,
        Kind::Barrier,
        Kind::SharedMemory,
        Kind::ShareableList,
        Kind::Manager,
    ];
    KINDS.iter().copied().find(|&kind| kind as u32 == number).ok_or(number)
}

/// What identifies `T` across programs.
pub(crate) fn type_stamp<T>() -> TypeStamp {
    let name = without_paths(std::any::type_name::<T>());
    TypeStamp { hash: carve::hash_text(&name), size: size_of::<T>() as u64, align: align_of::<T>() as u32, name }
}

/// `[app::Point; 2]` to `[Point; 2]`: the same type in two programs has two paths.
fn without_paths(name: &str) -> String {
    let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let mut stripped = String::new();
    let mut rest = name;
    while !rest.is_empty() {
        let path_end = rest.find(|c| !is_path(c)).unwrap_or(rest.len());
        let (path, behind) = rest.split_at(path_end);
        stripped.push_str(path.rsplit("::").next().unwrap_or(path));
        let next = behind.find(is_path).unwrap_or(behind.len());
        stripped.push_str(&behind[..next]);
        rest = &behind[next..];
    }
    stripped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_their_paths() {
        for (name, stripped) in [
            ("u64", "u64"),
            ("[u8; 16]", "[u8; 16]"),
            ("app::geometry::Point", "Point"),
            ("app::Pair<core::num::Wrapping<u32>, [a::B; 2]>", "Pair<Wrapping<u32>, [B; 2]>"),
            ("()", "()"),
        ] {
            assert_eq!(without_paths(name), stripped);
        }
    }
}
