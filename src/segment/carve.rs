//! Offsets and sizes inside a segment, with checked arithmetic.

use std::alloc::Layout;

use super::object::ObjectHeader;

/// Every object begins at a multiple of this: two cache lines, since processors fetch them in pairs.
pub(crate) const OBJECT_ALIGN: u64 = 128;

/// Where the parts of an object lie, from its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Geometry {
    /// Of the body, behind the header.
    pub(crate) body: u64,
    /// Of what follows the body.
    pub(crate) tail: u64,
    /// The whole object, a multiple of `OBJECT_ALIGN`.
    pub(crate) bytes: u64,
}

impl Geometry {
    /// A header, a body and a tail, one after the other; `None` where that is more than memory can hold.
    pub(crate) fn of(body: Layout, tail: Layout) -> Option<Self> {
        let (with_body, body) = Layout::new::<ObjectHeader>().extend(body).ok()?;
        let (with_tail, tail) = with_body.extend(tail).ok()?;
        let whole = with_tail.align_to(OBJECT_ALIGN as usize).ok()?;
        // An offset that is a multiple of OBJECT_ALIGN aligns nothing beyond that.
        if whole.align() as u64 > OBJECT_ALIGN {
            return None;
        }
        Some(Geometry { body: body as u64, tail: tail as u64, bytes: whole.pad_to_align().size() as u64 })
    }
}

/// Whether `bytes` at `offset` lie within `[start, end)`, at an offset that an object can have.
pub(crate) fn is_inside(offset: u64, bytes: u64, start: u64, end: u64) -> bool {
    offset.is_multiple_of(OBJECT_ALIGN)
        && offset >= start
        && offset.checked_add(bytes).is_some_and(|object_end| object_end <= end)
}

/// A number that changes when any size or offset of a layout does: FNV-1a over its numbers.
pub(crate) const fn stamp(layout: &[usize]) -> u64 {
    let mut hash = FNV_OFFSET;
    let mut i = 0;
    while i < layout.len() {
        hash = (hash ^ layout[i] as u64).wrapping_mul(FNV_PRIME);
        i += 1;
    }
    hash
}

/// FNV-1a of a text.
pub(crate) fn hash_text(text: &str) -> u64 {
    text.bytes().fold(FNV_OFFSET, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME))
}

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0100_0000_01b3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_follow_each_other_and_are_aligned() {
        let body = Layout::new::<[u64; 9]>();
        let tail = Layout::from_size_align(100, 64).unwrap();
        assert_eq!(Geometry::of(body, tail), Some(Geometry { body: 128, tail: 256, bytes: 384 }));
        let huge = Layout::from_size_align(isize::MAX as usize - 63, 64).unwrap();
        assert_eq!(Geometry::of(body, huge), None);
        let page = Layout::from_size_align(4096, 4096).unwrap();
        assert_eq!(Geometry::of(body, page), None);
    }

    #[test]
    fn an_object_at_the_edge_is_inside_and_one_beyond_is_not() {
        assert!(is_inside(256, 128, 256, 384));
        assert!(!is_inside(256, 129, 256, 384));
        assert!(!is_inside(128, 128, 256, 384));
        assert!(!is_inside(264, 8, 256, 384));
        assert!(!is_inside(256, u64::MAX, 256, 384));
    }
}
