use std::fmt;
use std::mem;
use std::ops::{Deref, DerefMut};
use std::thread;

use super::Queue;
use crate::fault::crash_point;
use crate::ring::Ticket;
use crate::sys::fork;

/// A message that is being worked on: derefs to it. Dropping it says that the work is done, for
/// [`Queue::join`](crate::Queue::join).
///
/// It keeps its place in the queue, and so counts against the capacity, until it is done.
///
/// # Death
///
/// If the process dies before that, somebody else gets the message; so does somebody if a panic drops it.
///
/// # Examples
///
/// ```
/// use crossproc::{Process, Queue, Result};
///
/// fn work(jobs: Queue<String>) -> Result<usize> {
///     let mut letters = 0;
///     while let Ok(job) = jobs.get_task() {
///         letters += job.len();
///     } // done, each time round
///     Ok(letters)
/// }
///
/// # fn main() -> Result<()> {
/// crossproc::init();
/// let jobs = Queue::new(4)?;
/// let worker = Process::spawn(work, (&jobs,))?;
/// jobs.put("one")?;
/// jobs.put("two")?;
/// jobs.join();
/// jobs.close();
/// assert_eq!(worker.join()??, 6);
/// # Ok(())
/// # }
/// ```
#[must_use = "dropping it says that the work is done"]
pub struct Task<'a, T> {
    claim: Claim<'a, T>,
    message: T,
}

/// Says when it is dropped that the task is done.
struct Claim<'a, T> {
    queue: &'a Queue<T>,
    ticket: Ticket,
    /// The fork generation that got it.
    generation: u32,
}

impl<'a, T> Task<'a, T> {
    pub(super) fn new(queue: &'a Queue<T>, ticket: Ticket, message: T) -> Self {
        Task { claim: Claim { queue, ticket, generation: fork::generation() }, message }
    }

    /// Gives the message back as it was put, for somebody else to get, maybe behind later ones.
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = crossproc::Queue::new(4)?;
    /// queue.put(7)?;
    /// queue.get_task()?.give_back();
    /// assert_eq!(queue.get()?, 7);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn give_back(self) {
        let Task { claim, message: _ } = self;
        if claim.is_ours() {
            claim.ticket.give_back(&claim.queue.cells());
        }
        mem::forget(claim);
    }
}

impl<T> Claim<'_, T> {
    /// False in a forked copy of the process that got it, which has nothing to say about it.
    fn is_ours(&self) -> bool {
        self.generation == fork::generation()
    }
}

impl<T> Deref for Task<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.message
    }
}

impl<T> DerefMut for Task<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.message
    }
}

impl<T> Drop for Claim<'_, T> {
    fn drop(&mut self) {
        if self.is_ours() && thread::panicking() {
            self.ticket.give_back(&self.queue.cells());
        } else if self.is_ours() {
            self.queue.cursors.release(&self.queue.cells(), self.ticket);
            crash_point!("task.released");
            let body = self.queue.placed.body();
            body.done.notify_all();
            if self.queue.presence.ends.with_producers {
                body.control.items.notify_all(); // somebody may be waiting for the end, and so for us
            }
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Task<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Task").field(&self.message).finish()
    }
}
