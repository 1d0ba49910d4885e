//! What lies between two headers of a byte ring: the only place that touches it.
//!
//! P1. A range of payload lies within the ring: whoever asks has it from `Producer::reserve` or `Consumer::peek`, and it is
//!     checked here again.
//! P2. The other end of an honest pair touches none of it meanwhile (`ring/bytes.rs`, B3). A hostile one may: so
//!     what was copied may be anything, but is only then looked at. `lend` alone trusts the peer.

#![allow(unsafe_code)]

use std::slice;

use crate::sys::atomic::AtomicU64;
use crate::sys::copy;

/// The words that `bytes` bytes from the `start`th word on touch (P1).
#[inline]
fn range(words: &[AtomicU64], start: usize, bytes: usize) -> &[AtomicU64] {
    &words[start..start + bytes.div_ceil(8)]
}

/// Writes `bytes` from the `start`th word on.
#[inline]
pub(super) fn write(words: &[AtomicU64], start: usize, bytes: &[u8]) {
    let to = range(words, start, bytes.len()).as_ptr().cast::<u8>().cast_mut();
    // SAFETY: P1; the words are atomics, so that others may hold references to them (P2).
    unsafe { copy::racing(bytes.as_ptr(), to, bytes.len()) };
}

/// Copies what begins at the `start`th word into a buffer.
#[inline]
pub(super) fn read(words: &[AtomicU64], start: usize, buffer: &mut [u8]) {
    let from = range(words, start, buffer.len()).as_ptr().cast();
    // SAFETY: P1, P2; the buffer is ours alone.
    unsafe { copy::racing(from, buffer.as_mut_ptr(), buffer.len()) };
}

/// Appends `bytes` bytes from the `start`th word on to a buffer that has room for them.
#[inline]
pub(super) fn append(words: &[AtomicU64], start: usize, bytes: usize, buffer: &mut Vec<u8>) {
    let from = range(words, start, bytes).as_ptr().cast();
    let before = buffer.len();
    assert!(buffer.capacity() - before >= bytes, "there is room for what is appended");
    let room = buffer.spare_capacity_mut().as_mut_ptr().cast();
    // SAFETY: P1, P2; the buffer is ours alone, and has room for so many bytes.
    unsafe { copy::racing(from, room, bytes) };
    // SAFETY: the bytes up to there were initialised before or just now.
    unsafe { buffer.set_len(before + bytes) };
}

/// Lends what begins at the `start`th word, in place. A peer that writes to it meanwhile breaks what Rust knows about
/// a `&[u8]`; nobody who follows the protocol does (P2).
pub(super) fn lend(words: &[AtomicU64], start: usize, bytes: usize) -> &[u8] {
    let words = range(words, start, bytes);
    // SAFETY: P1; P2 for an honest peer.
    unsafe { slice::from_raw_parts(words.as_ptr().cast(), bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::atomic::Ordering::Relaxed;

    #[test]
    fn what_is_written_is_read_and_nothing_beside_it_changes() {
        for bytes in (0..20).chain([300, 5000]) {
            let words: Vec<_> = (0..1 + bytes / 8 + 2).map(|_| AtomicU64::new(u64::MAX)).collect();
            let message: Vec<u8> = (0..bytes).map(|index| (index * 7 + bytes) as u8).collect();
            write(&words, 1, &message);
            let mut copy = vec![0; bytes];
            read(&words, 1, &mut copy);
            let mut appended = b"before".to_vec();
            appended.reserve(bytes);
            append(&words, 1, bytes, &mut appended);
            assert_eq!((&copy, &appended[6..], lend(&words, 1, bytes)), (&message, &message[..], &message[..]));
            let around = [0, 1 + bytes.div_ceil(8)].map(|word| words[word].load(Relaxed));
            assert_eq!(around, [u64::MAX; 2], "{bytes} bytes");
        }
    }
}
