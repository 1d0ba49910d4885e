//! Which element of an array is being replaced.
//!
//! Promise: an element that one process replaces is, whatever instruction that process is killed at, the old one or the
//! new one to whoever takes the lock next.
//!
//! U1. Set only under the array's lock, when the old value has been saved; cleared when the new value is whole.
//! U2. Whoever takes the lock and finds it set puts the old value back, then clears it. Killed within, it leaves the same
//!     to do.
//!
//! Orderings: between living owners the lock orders. A killed owner leaves a prefix of what it did in program order,
//! which the kernel publishes (`lock`, "Orderings"). So nothing but the compiler has to be kept from changing that order:
//! no copy of a value may be moved across the word's store, to either side.

use std::sync::atomic::compiler_fence;

use crate::sys::atomic::{
    AtomicU64,
    Ordering::{Relaxed, SeqCst},
};

/// 0, or 1 + the index of the element that is being replaced. All zero: none is.
#[repr(transparent)]
pub(crate) struct UndoWord(AtomicU64);

impl UndoWord {
    /// The old value of `index` is saved; what follows may destroy the element.
    pub(crate) fn begin(&self, index: usize) {
        self.set(index as u64 + 1);
    }

    /// The element is whole.
    pub(crate) fn end(&self) {
        self.set(0);
    }

    /// The element that a killed owner was replacing: shared memory's word, not checked against any length.
    #[inline]
    pub(crate) fn pending(&self) -> Option<u64> {
        self.0.load(Relaxed).checked_sub(1)
    }

    fn set(&self, word: u64) {
        compiler_fence(SeqCst); // what stands before stays before
        self.0.store(word, Relaxed);
        compiler_fence(SeqCst); // and what stands behind, behind
    }
}
