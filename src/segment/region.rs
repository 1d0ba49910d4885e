//! Bytes of a segment that peers may write at any time: copied in and out, never borrowed.
//!
//! What protocol-abiding peers do is ordered by the words around the bytes. Against others, a copy is taken once and only
//! the copy is looked at.

#![allow(unsafe_code)]

use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

use crate::sys::copy;

/// R. `length` bytes from `start` lie within a mapping that lives as long as `'a` (S1, S2 of `place.rs`).
#[derive(Clone, Copy)]
pub(crate) struct Region<'a> {
    start: NonNull<u8>,
    length: usize,
    segment: PhantomData<&'a super::Segment>,
}

impl<'a> Region<'a> {
    /// # Safety
    ///
    /// R must hold.
    #[inline]
    pub(crate) unsafe fn new(start: NonNull<u8>, length: usize) -> Self {
        Region { start, length, segment: PhantomData }
    }

    #[inline]
    pub(crate) fn len(self) -> usize {
        self.length
    }

    /// The first byte, for who borrows in place and answers for it.
    #[inline]
    pub(crate) fn start(self) -> NonNull<u8> {
        self.start
    }

    /// `length` bytes from `offset`.
    ///
    /// # Panics
    ///
    /// If they do not lie within the region.
    #[inline]
    pub(crate) fn part(self, offset: usize, length: usize) -> Region<'a> {
        assert!(offset <= self.length && length <= self.length - offset, "a part of a region lies within it");
        // SAFETY: R, and the offset lies within the region.
        Region { start: unsafe { self.start.add(offset) }, length, segment: PhantomData }
    }

    /// Copies `bytes` to the region's beginning.
    ///
    /// # Panics
    ///
    /// If they are more than the region has.
    #[inline]
    pub(crate) fn write(self, bytes: &[u8]) {
        assert!(bytes.len() <= self.length, "what is written fits into the region");
        // SAFETY: R for the target; the source is a live slice; nothing private overlaps a mapping of ours.
        unsafe { copy::racing(bytes.as_ptr(), self.start.as_ptr(), bytes.len()) };
    }

    /// The region's first eight bytes, as a number.
    ///
    /// # Panics
    ///
    /// If it has fewer.
    #[inline]
    pub(crate) fn read_word(self) -> u64 {
        let mut bytes = [MaybeUninit::uninit(); size_of::<u64>()];
        let word = self.read(&mut bytes).first_chunk().copied();
        u64::from_ne_bytes(word.unwrap_or_default())
    }

    /// Copies the region's first bytes out.
    ///
    /// # Panics
    ///
    /// If they are more than the region has.
    #[inline]
    pub(crate) fn read(self, bytes: &mut [MaybeUninit<u8>]) -> &mut [u8] {
        assert!(bytes.len() <= self.length, "what is read lies within the region");
        // SAFETY: R for the source; the target is a live slice that nobody else refers to.
        unsafe { copy::racing(self.start.as_ptr(), bytes.as_mut_ptr().cast(), bytes.len()) };
        let (first, length) = (bytes.as_mut_ptr().cast(), bytes.len());
        // SAFETY: all of them have just been written.
        unsafe { std::slice::from_raw_parts_mut(first, length) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut memory = vec![0_u64; 40];
        let start = NonNull::new(memory.as_mut_ptr().cast()).unwrap();
        for length in (0..140).chain([255, 256, 300]) {
            // SAFETY: 320 bytes, which outlive the region and which nobody else touches meanwhile.
            let region = unsafe { Region::new(start, 320) };
            let bytes: Vec<u8> = (0..length).map(|i| (i * 7 + length) as u8).collect();
            region.part(3, 310).write(&bytes);
            let mut back = vec![MaybeUninit::uninit(); length];
            assert_eq!(region.part(3, length).read(&mut back), bytes);
        }
    }

    #[test]
    #[should_panic(expected = "lies within")]
    fn a_part_beyond_the_end_is_refused() {
        let byte = NonNull::<u64>::dangling().cast();
        // SAFETY: no bytes at all.
        unsafe { Region::new(byte, 0) }.part(0, 1);
    }
}
