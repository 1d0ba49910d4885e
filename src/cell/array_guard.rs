#![allow(unsafe_code)]

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::slice;

use super::Array;
use crate::error::{Guard, Kind};
use crate::segment::{Ownership, Shared};

/// The lock of an [`Array`], and its elements in place, until it is dropped, also by a panic. It stays on its thread.
///
/// # Examples
///
/// See [`Array::lock`]. Indexing is a slice's, with a slice's panic:
///
/// ```should_panic
/// let array = crossproc::Array::from_iter([1, 2]).unwrap();
/// array.lock().unwrap()[2] = 3; // index out of bounds: the len is 2 but the index is 2
/// ```
#[must_use = "the array is locked only as long as its guard lives"]
pub struct ArrayGuard<'a, T: Shared> {
    array: &'a Array<T>,
    turn: Ownership<'a>,
}

impl<'a, T: Shared> ArrayGuard<'a, T> {
    /// The guard, as an error if an owner died.
    pub(super) fn new(array: &'a Array<T>, turn: Ownership<'a>) -> Result<Self, Self> {
        turn.hand_out(|turn| ArrayGuard { array, turn })
    }
}

impl<T: Shared> Guard for ArrayGuard<'_, T> {
    const KIND: Kind = Kind::Array;

    fn repair(&mut self) {
        self.turn.repair();
    }
}

impl<T: Shared> Deref for ArrayGuard<'_, T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        assert!(self.turn.is_ours(), "a forked copy of a guard holds nothing");
        // SAFETY: A1 (`Array::at`), for all elements; the lock is ours as long as `self` lives.
        unsafe { slice::from_raw_parts(self.array.at(0).as_ptr(), self.array.len()) }
    }
}

impl<T: Shared> DerefMut for ArrayGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut [T] {
        assert!(self.turn.is_ours(), "a forked copy of a guard holds nothing");
        // SAFETY: as in `deref`; and `&mut self` is the only way to the elements through this guard.
        unsafe { slice::from_raw_parts_mut(self.array.at(0).as_ptr(), self.array.len()) }
    }
}

impl<T: Shared + fmt::Debug> fmt::Debug for ArrayGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
