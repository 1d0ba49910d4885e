//! Messages in place: a slot that is being written, and one that is being read.
//!
//! T. A value of `T` lies at `message` within the slot of `ticket`, aligned; any bytes are one (`T: Shared`); and until the
//!    ticket is spent nobody who follows the protocol touches it but us.

#![allow(unsafe_code)]

use std::marker::PhantomData;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::slice;

use super::super::cells::Cells;
use super::super::cursors::Cursors;
use crate::ring::Ticket;
use crate::segment::Shared;
use crate::sys::{copy, fork};

/// Room for a message that is being written in place: derefs to the `T` that the slot holds, whose bytes are at first those
/// of some earlier message, or zero.
///
/// [`commit`](Self::commit) puts the message. Dropped without, nothing has been put, and the slot goes on. Until then it
/// holds its place in the line: messages that others put behind it are got after it.
///
/// # Panics
///
/// Writing panics in a forked copy of the process that reserved it; dropping or committing it there does nothing.
///
/// # Death
///
/// A process killed before `commit` has returned has put nothing, or the whole message.
///
/// # Examples
///
/// ```
/// use crossproc::Ring;
///
/// let ring = Ring::<[u32; 1024]>::new(4)?;
/// let mut slot = ring.reserve()?;
/// slot.fill(7);
/// slot.commit();
/// drop(ring.reserve()?); // nothing put
/// assert_eq!((ring.len(), ring.take()?[1023]), (1, 7));
/// # Ok::<(), crossproc::Error>(())
/// ```
#[must_use = "a slot that is not committed puts nothing"]
pub struct Slot<'a, T: Shared> {
    claim: Claim<'a, T>,
}

/// A message that is being read in place: derefs to the `T` that the slot holds. Dropping it ends the get, and frees the
/// slot.
///
/// # Death
///
/// A process killed before the drop has not got the message: somebody else does.
///
/// # Trust
///
/// It borrows shared memory, and so trusts the other processes to keep to the protocol; [`Ring::get`](crate::Ring::get)
/// copies.
///
/// # Examples
///
/// See [`Slot`].
#[must_use = "dropping it is getting the message"]
pub struct Taken<'a, T: Shared> {
    claim: Claim<'a, T>,
    cursors: &'a Cursors,
}

/// A message of more bytes is copied out by the processor's string instruction: the compiler makes one load for every element
/// of an array of it that is read volatile, and takes minutes for 64 KiB.
const SHORT: usize = 128;

/// Whether messages are copied by a loop.
pub(super) const fn is_long<T>() -> bool {
    size_of::<T>() > SHORT
}

/// Fills in the message of a slot that is ours.
#[inline(always)]
pub(super) fn write<T: Shared>(cells: &Cells<'_>, ticket: Ticket, message: &T) {
    let region = cells.message(ticket);
    if const { is_long::<T>() } {
        return region.write(message.as_bytes());
    }
    assert!(size_of::<T>() <= region.len(), "a slot has room for its message");
    // SAFETY: T, and the assertion; nothing private overlaps a mapping of ours.
    unsafe { copy::write_value(message, region.start().as_ptr()) };
}

/// A copy of the message in a slot that is ours.
#[inline(always)]
pub(super) fn read<T: Shared>(cells: &Cells<'_>, ticket: Ticket) -> T {
    let region = cells.message(ticket);
    assert!(size_of::<T>() <= region.len(), "a slot has room for its message");
    if const { is_long::<T>() } {
        let mut message = MaybeUninit::<T>::uninit();
        let bytes = message.as_mut_ptr().cast();
        // SAFETY: all bytes of `message`, which may be uninitialised, and which nobody else refers to.
        let bytes = unsafe { slice::from_raw_parts_mut(bytes, size_of::<T>()) };
        region.read(bytes);
        // SAFETY: all of its bytes have just been written, and any bytes are a `T` (T).
        return unsafe { message.assume_init() };
    }
    // SAFETY: T; volatile, since a hostile peer may be writing.
    unsafe { region.start().cast::<T>().read_volatile() }
}

struct Claim<'a, T> {
    cells: Cells<'a>,
    ticket: Ticket,
    message: NonNull<T>,
    /// The fork generation that claimed it.
    generation: u32,
    element: PhantomData<&'a T>,
}

// SAFETY: a claim belongs to the process, not to a thread; what it refers to is `T: Shared`, which is Send and Sync.
unsafe impl<T: Shared> Send for Claim<'_, T> {}
// SAFETY: as for Send.
unsafe impl<T: Shared> Sync for Claim<'_, T> {}

impl<'a, T: Shared> Claim<'a, T> {
    #[inline]
    fn new(cells: Cells<'a>, ticket: Ticket) -> Self {
        let region = cells.message(ticket);
        debug_assert!(region.len() >= size_of::<T>());
        Claim { cells, ticket, message: region.start().cast(), generation: fork::generation(), element: PhantomData }
    }

    /// False in a forked copy of the process that claimed it, which may look but has nothing to end.
    #[inline]
    fn is_ours(&self) -> bool {
        self.generation == fork::generation()
    }

    #[inline]
    fn assert_ours(&self) {
        assert!(self.is_ours(), "a slot of a Ring is written in a forked copy of the process that reserved it");
    }
}

impl<'a, T: Shared> Slot<'a, T> {
    #[inline]
    pub(super) fn new(cells: Cells<'a>, ticket: Ticket) -> Self {
        Slot { claim: Claim::new(cells, ticket) }
    }

    /// Fills in the whole message.
    ///
    /// # Examples
    ///
    /// ```
    /// let ring = crossproc::Ring::<[f64; 2]>::new(2)?;
    /// let mut slot = ring.reserve()?;
    /// slot.write([1.5, 2.5]);
    /// slot.commit();
    /// assert_eq!(ring.get()?, [1.5, 2.5]);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    #[inline]
    pub fn write(&mut self, message: T) {
        self.claim.assert_ours();
        write(&self.claim.cells, self.claim.ticket, &message);
    }

    /// Puts the message: from now on it can be got. It wakes a consumer that sleeps.
    ///
    /// In a forked copy of the process that reserved it, it does nothing.
    ///
    /// # Examples
    ///
    /// See [`Slot`].
    #[inline]
    pub fn commit(self) {
        let slot = ManuallyDrop::new(self);
        if slot.claim.is_ours() {
            slot.claim.ticket.publish(&slot.claim.cells);
        }
    }
}

impl<T: Shared> Deref for Slot<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: T.
        unsafe { self.claim.message.as_ref() }
    }
}

impl<T: Shared> DerefMut for Slot<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.claim.assert_ours();
        // SAFETY: T, and the slot is borrowed mutably.
        unsafe { self.claim.message.as_mut() }
    }
}

impl<T: Shared> Drop for Slot<'_, T> {
    fn drop(&mut self) {
        if self.claim.is_ours() {
            self.claim.ticket.abandon(&self.claim.cells);
        }
    }
}

impl<'a, T: Shared> Taken<'a, T> {
    #[inline]
    pub(super) fn new(cells: Cells<'a>, cursors: &'a Cursors, ticket: Ticket) -> Self {
        Taken { claim: Claim::new(cells, ticket), cursors }
    }

    /// Gives the message back, as if it had not been taken: somebody gets it, maybe behind later ones.
    ///
    /// # Examples
    ///
    /// ```
    /// let ring = crossproc::Ring::new(2)?;
    /// ring.put(7)?;
    /// ring.take()?.give_back();
    /// assert_eq!(ring.get()?, 7);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn give_back(self) {
        let taken = ManuallyDrop::new(self);
        if taken.claim.is_ours() {
            taken.claim.ticket.give_back(&taken.claim.cells);
        }
    }
}

impl<T: Shared> Deref for Taken<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: T.
        unsafe { self.claim.message.as_ref() }
    }
}

impl<T: Shared> Drop for Taken<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if self.claim.is_ours() {
            self.cursors.release(&self.claim.cells, self.claim.ticket);
        }
    }
}

macro_rules! opaque {
    ($($guard:ident)*) => {$(
        impl<T: Shared + std::fmt::Debug> std::fmt::Debug for $guard<'_, T> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_tuple(stringify!($guard)).field(&**self).finish()
            }
        }
    )*};
}

opaque!(Slot Taken);
