use std::time::Duration;

use super::Queue;
use crate::error::{Error, Kind, Result};
use crate::fault::crash_point;
use crate::sys::clock::Deadline;

impl<T> Queue<T> {
    /// Says that a message is done which this process has got, for [`join`](Self::join).
    ///
    /// # Errors
    ///
    /// [`NothingToBeDone`](Error::NothingToBeDone) if it has not got more messages than it has done already: those of tasks
    /// ([`get_task`](Self::get_task)) do not count, they say so themselves.
    ///
    /// # Examples
    ///
    /// See [`join`](Self::join).
    pub fn task_done(&self) -> Result<()> {
        if !self.ledger().done()? {
            return Err(Error::NothingToBeDone { object: Kind::Queue });
        }
        crash_point!("queue.done");
        self.placed.body().done.notify_all();
        Ok(())
    }

    /// Waits until everything that has been put is done: got and, with [`task_done`](Self::task_done) or by its
    /// [`QueueTask`](crate::QueueTask)'s drop, said to be done.
    ///
    /// # Death
    ///
    /// What a process had got with `get` when it ended is not waited for any more; what it had as a task is, until
    /// somebody else has done it.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::{Process, Queue, Result, Value};
    ///
    /// fn work(jobs: Queue<u64>, sum: Value<u64>) -> Result<()> {
    ///     while let Ok(job) = jobs.get() {
    ///         sum.update(|sum| sum + job);
    ///         jobs.task_done()?;
    ///     }
    ///     Ok(())
    /// }
    ///
    /// # fn main() -> Result<()> {
    /// crossproc::init();
    /// let (jobs, sum) = (Queue::new(4)?, Value::new(0)?);
    /// let worker = Process::spawn(work, (&jobs, &sum))?;
    /// (1..=10).try_for_each(|job| jobs.put(job))?;
    /// jobs.join();
    /// assert_eq!(sum.get(), 55);
    /// jobs.close();
    /// worker.join()?
    /// # }
    /// ```
    pub fn join(&self) {
        self.wait_until_done(Deadline::NEVER);
    }

    /// As [`join`](Self::join), for `timeout` at most (monotonic); whether everything is done.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let queue = crossproc::Queue::new(4)?;
    /// assert!(queue.join_timeout(Duration::ZERO));
    /// queue.put(1)?;
    /// assert!(!queue.join_timeout(Duration::from_millis(1)));
    /// drop(queue.get_task()?);
    /// assert!(queue.join_timeout(Duration::ZERO));
    /// # Ok::<(), crossproc::Error>(())
    /// ```
    #[must_use = "whether everything is done"]
    pub fn join_timeout(&self, timeout: Duration) -> bool {
        self.wait_until_done(Deadline::after(timeout))
    }

    fn wait_until_done(&self, deadline: Deadline) -> bool {
        let is_done = || self.ledger().is_all_done(|| self.cursors.is_busy(&self.cells())).then_some(());
        self.placed.body().done.wait(|_| None, deadline, || None, is_done).is_some()
    }
}
