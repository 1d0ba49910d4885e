//! Keeping a readers-writer lock, and the value in place.

#![allow(unsafe_code)]

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use super::RwLock;
use crate::error::{Guard, Kind, LockError};
use crate::segment::{Lend, Relock, Shared};
use crate::sys::fork;
use crate::word::PeerId;

/// A shared hold on an [`RwLock`], and its value in place, until it is dropped, also by a panic. It stays on its thread.
///
/// A reader cannot have put right what a dead writer left: [`repair`](Guard::repair) does nothing, and the next one is told
/// as well.
///
/// # Examples
///
/// See [`RwLock::read`]. A guard cannot be sent to another thread:
///
/// ```compile_fail,E0277
/// let lock = crossproc::RwLock::new(1).unwrap();
/// let guard = lock.read().unwrap();
/// std::thread::scope(|scope| {
///     scope.spawn(move || drop(guard));
/// });
/// ```
#[must_use = "the lock is held only as long as its guard lives"]
pub struct ReadGuard<'a, T: Shared> {
    lock: &'a RwLock<T>,
    /// Who counts it.
    id: PeerId,
    /// The fork generation that acquired it.
    generation: u32,
    _thread: PhantomData<*const ()>,
}

impl<'a, T: Shared> ReadGuard<'a, T> {
    #[inline]
    pub(super) fn new(lock: &'a RwLock<T>, id: PeerId) -> Self {
        ReadGuard { lock, id, generation: fork::generation(), _thread: PhantomData }
    }

    #[inline]
    fn is_ours(&self) -> bool {
        self.generation == fork::generation()
    }
}

/// The only hold on an [`RwLock`], and its value in place, until it is dropped, also by a panic. It stays on its thread.
///
/// # Examples
///
/// See [`RwLock::write`].
#[must_use = "the lock is held only as long as its guard lives"]
pub struct WriteGuard<'a, T: Shared> {
    lock: &'a RwLock<T>,
    /// A writer died before, and nobody has repaired since.
    is_dirty: bool,
    /// The fork generation that acquired it.
    generation: u32,
    _thread: PhantomData<*const ()>,
}

impl<'a, T: Shared> WriteGuard<'a, T> {
    #[inline]
    pub(super) fn new(lock: &'a RwLock<T>, is_dirty: bool) -> Self {
        WriteGuard { lock, is_dirty, generation: fork::generation(), _thread: PhantomData }
    }

    #[inline]
    fn is_ours(&self) -> bool {
        self.generation == fork::generation()
    }
}

impl<T: Shared> Guard for ReadGuard<'_, T> {
    const KIND: Kind = Kind::RwLock;

    /// Does nothing: it takes a [`WriteGuard`] to put anything right.
    fn repair(&mut self) {}
}

impl<T: Shared> Guard for WriteGuard<'_, T> {
    const KIND: Kind = Kind::RwLock;

    fn repair(&mut self) {
        self.is_dirty = false;
    }
}

impl<T: Shared> Relock for WriteGuard<'_, T> {}

impl<T: Shared> Lend for WriteGuard<'_, T> {
    fn is_ours(&self) -> bool {
        self.is_ours()
    }

    fn lend<R>(self, meanwhile: impl FnOnce() -> R) -> (R, Result<Self, LockError<Self>>) {
        let lock = self.lock;
        drop(self);
        (meanwhile(), lock.write())
    }
}

impl<T: Shared> Deref for ReadGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        assert!(self.is_ours(), "a forked copy of a guard holds nothing");
        // SAFETY: R1 (`RwLock::value`); nobody writes as long as `self` lives.
        unsafe { self.lock.value().as_ref() }
    }
}

impl<T: Shared> Deref for WriteGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        assert!(self.is_ours(), "a forked copy of a guard holds nothing");
        // SAFETY: R1 (`RwLock::value`); the lock is ours alone as long as `self` lives.
        unsafe { self.lock.value().as_ref() }
    }
}

impl<T: Shared> DerefMut for WriteGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        assert!(self.is_ours(), "a forked copy of a guard holds nothing");
        // SAFETY: as in `deref`; and `&mut self` is the only way to the value through this guard.
        unsafe { self.lock.value().as_mut() }
    }
}

impl<T: Shared> Drop for ReadGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if self.is_ours() {
            self.lock.rw().leave(self.id);
        }
    }
}

impl<T: Shared> Drop for WriteGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if self.is_ours() {
            self.lock.rw().unwrite(self.is_dirty);
        }
    }
}

impl<T: Shared + fmt::Debug> fmt::Debug for ReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug("ReadGuard", self.is_ours().then(|| &**self), f)
    }
}

impl<T: Shared + fmt::Debug> fmt::Debug for WriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug("WriteGuard", self.is_ours().then(|| &**self), f)
    }
}

/// The value, but for a forked copy's guard.
fn debug<T: fmt::Debug>(name: &str, value: Option<&T>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut tuple = f.debug_tuple(name);
    match value {
        Some(value) => tuple.field(value).finish(),
        None => tuple.finish_non_exhaustive(),
    }
}
