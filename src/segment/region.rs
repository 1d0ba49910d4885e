//! Bytes of a segment that peers may write at any time: copied in and out, never borrowed.
//!
//! What protocol-abiding peers do is ordered by the words around the bytes. Against others, a copy is taken once and only
//! the copy is looked at.

#![allow(unsafe_code)]

use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

use crate::error::{Error, Result};
use crate::sys::atomic::AtomicU64;
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

    /// The bytes of some words. Atomics, so that others may hold references to them.
    #[inline]
    pub(crate) fn of(words: &'a [AtomicU64]) -> Self {
        // SAFETY: R: they are borrowed for as long.
        unsafe { Region::new(NonNull::from(words).cast(), 8 * words.len()) }
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

    /// Copies the region's first bytes out, over others.
    ///
    /// # Panics
    ///
    /// If they are more than the region has.
    #[inline]
    pub(crate) fn read_over(self, bytes: &mut [u8]) {
        assert!(bytes.len() <= self.length, "what is read lies within the region");
        // SAFETY: as in `read`.
        unsafe { copy::racing(self.start.as_ptr(), bytes.as_mut_ptr(), bytes.len()) };
    }

    /// Appends a copy of the region to a buffer, which grows as far as there is memory.
    #[inline]
    pub(crate) fn append_to(self, buffer: &mut Vec<u8>) -> Result<()> {
        let no_space = |_| Error::NoSpace { needed: self.length as u64, available: 0 };
        buffer.try_reserve(self.length).map_err(no_space)?;
        let appended = self.read(&mut buffer.spare_capacity_mut()[..self.length]).len();
        // SAFETY: the bytes up to there were initialised before or just now.
        unsafe { buffer.set_len(buffer.len() + appended) };
        Ok(())
    }

    /// The region in place.
    ///
    /// # Safety
    ///
    /// Nobody writes to it meanwhile.
    #[inline]
    pub(crate) unsafe fn lend(self) -> &'a [u8] {
        // SAFETY: R, and as the caller promises.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::atomic::Ordering::Relaxed;

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
    fn what_is_written_to_words_is_read_in_every_way() {
        for length in (0..20).chain([300, 5000]) {
            let words: Vec<_> = (0..1 + length / 8 + 2).map(|_| AtomicU64::new(u64::MAX)).collect();
            let region = Region::of(&words).part(8, length);
            let bytes: Vec<u8> = (0..length).map(|index| (index * 7 + length) as u8).collect();
            region.write(&bytes);
            let mut copy = vec![0; length];
            region.read_over(&mut copy);
            let mut appended = b"before".to_vec();
            region.append_to(&mut appended).unwrap();
            // SAFETY: nobody writes to it.
            let lent = unsafe { region.lend() };
            assert_eq!((&copy, &appended[6..], lent), (&bytes, &bytes[..], &bytes[..]));
            let around = [0, 1 + length.div_ceil(8)].map(|word| words[word].load(Relaxed));
            assert_eq!(around, [u64::MAX; 2], "{length} bytes");
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
