use std::fmt;
use std::mem;

use crate::sys::fork;
use crate::word::semaphore::Permits;

/// A permit of a [`Semaphore`](crate::Semaphore) or a [`BoundedSemaphore`](crate::BoundedSemaphore), which goes back when this
/// is dropped, also by a panic.
///
/// It belongs to the process, not to a thread: it may be sent to another one, and be dropped there. In a forked copy of the
/// process it is nobody's permit, and its drop does nothing.
///
/// # Examples
///
/// ```
/// let semaphore = crossproc::Semaphore::new(1)?;
/// let permit = semaphore.acquire()?;
/// std::thread::scope(|scope| {
///     scope.spawn(move || drop(permit));
/// });
/// assert_eq!(semaphore.value(), 1);
/// # Ok::<(), crossproc::Error>(())
/// ```
#[must_use = "the permit is kept only as long as its guard lives"]
pub struct Permit<'a> {
    permits: Permits<'a>,
    place: usize,
    /// The fork generation that acquired it.
    generation: u32,
}

impl<'a> Permit<'a> {
    #[inline]
    pub(super) fn new(permits: Permits<'a>, place: usize) -> Self {
        Permit { permits, place, generation: fork::generation() }
    }

    /// Keeps the permit from going back: from now on it has no owner, and whoever calls `release`, in any process, makes
    /// it free again.
    ///
    /// This is what Python's `acquire` does: the one who calls `release` need not be the one who has acquired.
    ///
    /// # Death
    ///
    /// A permit without an owner does not come back by anybody's death.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::{BoundedSemaphore, Process, Result};
    ///
    /// fn finish(slots: BoundedSemaphore) -> Result<()> {
    ///     slots.release(1)
    /// }
    ///
    /// # fn main() -> Result<()> {
    /// crossproc::init();
    /// let slots = BoundedSemaphore::new(2)?;
    /// slots.acquire()?.forget();
    /// assert_eq!(slots.value(), 1);
    /// Process::spawn(finish, (&slots,))?.join()??;
    /// assert_eq!(slots.value(), 2);
    /// # Ok(())
    /// # }
    /// ```
    pub fn forget(self) {
        if self.is_ours() {
            self.permits.forget(self.place);
        }
        mem::forget(self);
    }

    /// False in a forked copy of the process that acquired it, which has no permit.
    #[inline]
    fn is_ours(&self) -> bool {
        self.generation == fork::generation()
    }
}

impl Drop for Permit<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.is_ours() {
            self.permits.free(self.place);
        }
    }
}

impl fmt::Debug for Permit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").finish_non_exhaustive()
    }
}
