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
/// An early return with `?` drops the task as done, and its job is lost: give it back first, or say at the beginning that
/// drops are to ([`give_back_on_drop`](Self::give_back_on_drop)).
///
/// It keeps its place in the queue, and so counts against the capacity, until it is done.
///
/// # Death
///
/// If the process dies before that, somebody else gets the message; so does somebody if a panic drops it. A message over
/// which everybody dies or panics goes round for ever: catch what may panic, and be done with the message.
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
pub struct QueueTask<'a, T> {
    claim: Claim<'a, T>,
    message: T,
}

/// Says when it is dropped that the task is done.
struct Claim<'a, T> {
    queue: &'a Queue<T>,
    ticket: Ticket,
    /// The fork generation that got it.
    generation: u32,
    /// Whether a panic was on its way already when it was got: then that panic says nothing about this work.
    was_panicking: bool,
    /// What its drop does.
    ending: Ending,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    Done,
    GivenBack,
}

impl<'a, T> QueueTask<'a, T> {
    pub(super) fn new(queue: &'a Queue<T>, ticket: Ticket, message: T) -> Self {
        let (generation, was_panicking) = (fork::generation(), thread::panicking());
        QueueTask { claim: Claim { queue, ticket, generation, was_panicking, ending: Ending::Done }, message }
    }

    /// Says that the work is done, as dropping it does.
    ///
    /// # Examples
    ///
    /// See [`give_back_on_drop`](Self::give_back_on_drop).
    pub fn done(self) {
        self.into_inner();
    }

    /// The message; the work is done.
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = crossproc::Queue::new(4)?;
    /// queue.put("text".to_string())?;
    /// let text: String = queue.get_task()?.into_inner();
    /// assert!(queue.join_timeout(std::time::Duration::ZERO));
    /// # assert_eq!(text, "text");
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn into_inner(self) -> T {
        self.end(Ending::Done)
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
        self.end(Ending::GivenBack);
    }

    /// The same task, whose drop gives the message back: only [`done`](Self::done) and [`into_inner`](Self::into_inner) say
    /// that the work is done, and an early return does not.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::{Queue, Result};
    ///
    /// fn work(jobs: &Queue<String>, results: &Queue<u32>) -> Result<()> {
    ///     let job = jobs.get_task()?.give_back_on_drop();
    ///     if let Ok(number) = job.parse::<u32>() {
    ///         results.try_put(number)?;
    ///     }
    ///     job.done();
    ///     Ok(())
    /// }
    ///
    /// let (jobs, results) = (Queue::new(4)?, Queue::new(1)?);
    /// jobs.put("1")?;
    /// jobs.put("2")?;
    /// work(&jobs, &results)?;
    /// assert!(work(&jobs, &results).is_err(), "no room for another result");
    /// assert_eq!(jobs.len(), 1);
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    pub fn give_back_on_drop(mut self) -> Self {
        self.claim.ending = Ending::GivenBack;
        self
    }

    fn end(self, ending: Ending) -> T {
        let QueueTask { claim, message } = self;
        claim.end(ending);
        mem::forget(claim);
        message
    }
}

impl<T> Claim<'_, T> {
    fn end(&self, ending: Ending) {
        // A forked copy of the process that got it has nothing to say about it.
        if self.generation != fork::generation() {
            return;
        }
        let cells = self.queue.cells();
        if ending == Ending::GivenBack {
            self.ticket.give_back(&cells);
            return;
        }
        self.queue.cursors.release(&cells, self.ticket);
        crash_point!("task.released");
        let body = self.queue.placed.body();
        body.done.notify_all();
        if self.queue.presence.ends.with_producers {
            body.control.items.notify_all(); // somebody may be waiting for the end, and so for us
        }
    }
}

impl<T> Deref for QueueTask<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.message
    }
}

impl<T> DerefMut for QueueTask<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.message
    }
}

impl<T> Drop for Claim<'_, T> {
    fn drop(&mut self) {
        let panics = thread::panicking() && !self.was_panicking;
        self.end(if panics { Ending::GivenBack } else { self.ending });
    }
}

impl<T: fmt::Debug> fmt::Debug for QueueTask<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("QueueTask").field(&self.message).finish()
    }
}
