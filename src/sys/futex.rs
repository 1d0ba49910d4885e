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

/// The first sleep of a wait; each one is twice as long as the one before, up to the bound. So a death is noticed after at
/// most about as long again as this waiter has slept already, and a long wait costs twenty looks a second.
///
/// Longer than the kernel's usual tick of 4 ms: an earlier timer has to be set in the processor, and taken back, which made
/// a wake-up take 5.7 us instead of 4.5 (in a virtual machine).
const FIRST: Duration = Duration::from_millis(5);

/// Each sleep of those who may not be woken. A guess: a hundred times what waking up for a look costs (10 us).
const WATCHFUL: Duration = Duration::from_millis(1);

/// One wait, which may take several sleeps.
pub(crate) struct Sleeper {
    next: Duration,
    longest: Duration,
}

impl Sleeper {
    pub(crate) fn new() -> Self {
        Sleeper { next: FIRST, longest: BOUND }
    }

    /// One that looks so often that it can do without being woken.
    pub(crate) fn watchful() -> Self {
        Sleeper { next: WATCHFUL, longest: WATCHFUL }
    }

    /// FUTEX_WAIT: sleeps while the low half of `word` is `expected`, until woken, or until it is time for a look, or
    /// until the deadline.
    ///
    /// Returns for any reason or none (a signal, say): the caller looks again. True if it slept and was woken;
    /// false also if the word had changed already.
    pub(crate) fn sleep(&mut self, word: &AtomicU64, expected: u32, deadline: Deadline) -> bool {
        let time = deadline.remaining().map_or(self.next, |remaining| remaining.min(self.next));
        self.next = (self.next * 2).min(self.longest);
        // A timeout of FUTEX_WAIT counts on the monotonic clock.
        let time = libc::timespec { tv_sec: 0, tv_nsec: time.subsec_nanos().into() };
        // SAFETY: the word is a live reference to four aligned bytes, and `time` outlives the call.
        unsafe { libc::syscall(libc::SYS_futex, low_half(word), libc::FUTEX_WAIT, expected, &raw const time) == 0 }
    }
}

/// FUTEX_WAKE: wakes one of those who sleep on the low half of `word`; whether there was one.
pub(crate) fn wake_one(word: &AtomicU64) -> bool {
    wake(word, 1)
}

/// FUTEX_WAKE: wakes all who sleep on the low half of `word`.
pub(crate) fn wake_all(word: &AtomicU64) {
    wake(word, i32::MAX);
}

fn wake(word: &AtomicU64, most: i32) -> bool {
    let none = ptr::null::<libc::timespec>();
    // SAFETY: the word is a live reference to four aligned bytes.
    unsafe { libc::syscall(libc::SYS_futex, low_half(word), libc::FUTEX_WAKE, most, none) > 0 }
}

/// Little-endian (checked in lib.rs): the low half comes first.
fn low_half(word: &AtomicU64) -> *const AtomicU32 {
    ptr::from_ref(word).cast()
}

const _: () = assert!(BOUND.as_secs() == 0);
