//! What lies between two headers of a byte ring: the only place that touches it.
//!
//! P1. A range of payload lies within the ring: whoever asks has it from `Producer::reserve` or `Consumer::peek`, and it is
//!     checked here again.
//! P2. The other end of an honest pair touches none of it meanwhile (`ring/bytes.rs`, B3). A hostile one may: so
//!     copies go word by word through atomics, or by an instruction of which the compiler knows nothing; what was
//!     copied may be anything, but is only then looked at. `lend` alone trusts the peer.

#![allow(unsafe_code)]

use std::slice;

use crate::sys::atomic::{AtomicU64, Ordering::Relaxed};

/// From here on, copying by one instruction is faster than word by word: it takes some 35 cycles to get going.
#[cfg(target_arch = "x86_64")]
const LARGE: usize = 256;

/// The words that `bytes` bytes from the `start`th word on touch (P1).
#[inline]
fn range(words: &[AtomicU64], start: usize, bytes: usize) -> &[AtomicU64] {
    &words[start..start + bytes.div_ceil(8)]
}

/// Writes `bytes` from the `start`th word on; the rest of the last word becomes anything.
#[inline]
pub(super) fn write(words: &[AtomicU64], start: usize, bytes: &[u8]) {
    let words = range(words, start, bytes.len());
    #[cfg(target_arch = "x86_64")]
    if bytes.len() >= LARGE {
        let to = words.as_ptr().cast::<u8>().cast_mut();
        // SAFETY: P1; the words are atomics, so that others may hold references to them (P2).
        return unsafe { copy(bytes.as_ptr(), to, bytes.len()) };
    }
    let (whole, rest) = bytes.as_chunks::<8>();
    for (word, &chunk) in words.iter().zip(whole) {
        word.store(u64::from_le_bytes(chunk), Relaxed);
    }
    if !rest.is_empty() {
        let mut chunk = [0; 8];
        chunk[..rest.len()].copy_from_slice(rest);
        words[whole.len()].store(u64::from_le_bytes(chunk), Relaxed);
    }
}

/// Copies what begins at the `start`th word into a buffer.
#[inline]
pub(super) fn read(words: &[AtomicU64], start: usize, buffer: &mut [u8]) {
    let words = range(words, start, buffer.len());
    #[cfg(target_arch = "x86_64")]
    if buffer.len() >= LARGE {
        // SAFETY: P1, P2; the buffer is ours alone.
        return unsafe { copy(words.as_ptr().cast(), buffer.as_mut_ptr(), buffer.len()) };
    }
    let (whole, rest) = buffer.as_chunks_mut::<8>();
    for (word, chunk) in words.iter().zip(&mut *whole) {
        *chunk = word.load(Relaxed).to_le_bytes();
    }
    if !rest.is_empty() {
        rest.copy_from_slice(&words[whole.len()].load(Relaxed).to_le_bytes()[..rest.len()]);
    }
}

/// Appends `bytes` bytes from the `start`th word on to a buffer that has room for them.
#[inline]
pub(super) fn append(words: &[AtomicU64], start: usize, bytes: usize, buffer: &mut Vec<u8>) {
    let words = range(words, start, bytes);
    let before = buffer.len();
    assert!(buffer.capacity() - before >= bytes);
    #[cfg(target_arch = "x86_64")]
    if bytes >= LARGE {
        let room = buffer.spare_capacity_mut().as_mut_ptr().cast();
        // SAFETY: P1, P2; the buffer is ours alone, and has room for so many bytes.
        unsafe { copy(words.as_ptr().cast(), room, bytes) };
        // SAFETY: the bytes up to there were initialised before or just now.
        return unsafe { buffer.set_len(before + bytes) };
    }
    buffer.resize(before + bytes, 0);
    read(words, 0, &mut buffer[before..]);
}

/// Lends what begins at the `start`th word, in place. A peer that writes to it meanwhile breaks what Rust knows about
/// a `&[u8]`; nobody who follows the protocol does (P2).
pub(super) fn lend(words: &[AtomicU64], start: usize, bytes: usize) -> &[u8] {
    let words = range(words, start, bytes);
    // SAFETY: P1; P2 for an honest peer.
    unsafe { slice::from_raw_parts(words.as_ptr().cast(), bytes) }
}

/// Copies `bytes` bytes, of which a peer may write some meanwhile.
///
/// # Safety
///
/// Both ranges are valid, for reads and writes respectively, and do not overlap.
#[cfg(target_arch = "x86_64")]
#[inline]
unsafe fn copy(from: *const u8, to: *mut u8, bytes: usize) {
    // SAFETY: as the caller promises; the direction flag is clear, as everywhere in Rust.
    unsafe {
        std::arch::asm!(
            "rep movsb",
            inout("rcx") bytes => _,
            inout("rdi") to => _,
            inout("rsi") from => _,
            options(nostack, preserves_flags)
        );
    }
}
