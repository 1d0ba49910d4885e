//! futex(2) on the low half of a 64-bit word, shared between processes.
//!
//! Never private: a private futex is keyed by address, which is another one in every process.

#![allow(unsafe_code)]

use std::ptr;
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::time::Duration;

use super::clock::Deadline;

/// The detection bound: nobody sleeps longer before looking again whether the one it waits for is dead, or whether a
/// waker was killed between its store and its wake-up.
pub(crate) const BOUND: Duration = Duration::from_millis(50);

/// FUTEX_WAIT: sleeps while the low half of `word` is `expected`, until woken, or until the bound or the deadline.
///
/// Returns for any reason or none (a signal, say): the caller looks again.
pub(crate) fn wait(word: &AtomicU64, expected: u32, deadline: Deadline) {
    let time = deadline.remaining().map_or(BOUND, |remaining| remaining.min(BOUND));
    // A timeout of FUTEX_WAIT counts on the monotonic clock.
    let time = libc::timespec { tv_sec: 0, tv_nsec: time.subsec_nanos().into() };
    // SAFETY: the word is a live reference to four aligned bytes, and `time` outlives the call.
    unsafe { libc::syscall(libc::SYS_futex, low_half(word), libc::FUTEX_WAIT, expected, &raw const time) };
}

/// FUTEX_WAKE: wakes one of those who sleep on the low half of `word`.
pub(crate) fn wake_one(word: &AtomicU64) {
    let none = ptr::null::<libc::timespec>();
    // SAFETY: the word is a live reference to four aligned bytes.
    unsafe { libc::syscall(libc::SYS_futex, low_half(word), libc::FUTEX_WAKE, 1, none) };
}

/// Little-endian (checked in lib.rs): the low half comes first.
fn low_half(word: &AtomicU64) -> *const AtomicU32 {
    ptr::from_ref(word).cast()
}

const _: () = assert!(BOUND.as_secs() == 0);
