//! The ends of a pool: all is done, or nothing more is.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::core::Core;
use super::handle::Pool;
use super::hub::Phase;
use super::job::Job;
use crate::error::TaskError;
use crate::sys::clock::Deadline;

/// How long the end of a pool waits for killed workers to be gone, which takes milliseconds unless the kernel is busy with them.
/// A guess.
const LAST_WAIT: Duration = Duration::from_secs(5);

impl Core {
    /// No new tasks; workers end when there is nothing left to do.
    pub(super) fn close(&self) {
        self.with_hub(|hub| {
            if hub.phase == Phase::Open {
                hub.phase = Phase::Closed;
            }
        });
    }

    /// Runs no task any more, and kills the workers; tasks that are not done end with `error`.
    pub(super) fn end(&self, error: &TaskError) {
        self.with_hub(|hub| hub.end(&self.board, error));
        // Those that this process may not kill end where they are idle.
        self.orders.close();
        self.stir();
        self.gate.dismiss();
        self.alarm.raise();
    }

    /// Drops what nobody has started of a job that nobody waits for any more. `kill`: those who are at work on it, too.
    pub(super) fn abandon(&self, job: &Arc<Job>, kill: bool) -> bool {
        if self.is_copied() {
            return false;
        }
        let Some(aftermath) = job.cancel() else { return false };
        self.with_hub(|hub| {
            for (cell, generation, number) in hub.drop_job(job, &self.board, &self.orders) {
                if kill {
                    hub.end_task(&self.board, cell, generation, number, TaskError::Cancelled);
                }
            }
        });
        self.follow(aftermath);
        self.stir();
        self.attend();
        true
    }
}

impl Pool {
    /// No new tasks: whatever is submitted from now on ends as [`TaskError::Closed`]. Workers end when there is nothing left to do.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::{Pool, TaskError};
    ///
    /// # fn main() -> crossproc::Result<()> {
    /// crossproc::init();
    /// let pool = Pool::new(1)?;
    /// let task = pool.apply_async(|| 7, ());
    /// pool.close();
    /// assert_eq!(pool.apply(|| 8, ()), Err(TaskError::Closed));
    /// assert_eq!(task.get()?, 7);
    /// # Ok(())
    /// # }
    /// ```
    pub fn close(&self) {
        if !self.core.is_copied() {
            self.core.close();
        }
    }

    /// Closes it, and waits until all tasks are done, their callbacks have run, and the workers have ended, with all that belongs to
    /// their exit. Results can be asked for later.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::Pool;
    ///
    /// # fn main() -> crossproc::Result<()> {
    /// crossproc::init();
    /// let pool = Pool::new(2)?;
    /// let task = pool.apply_async(|| 7, ());
    /// pool.join();
    /// assert_eq!(task.get()?, 7);
    /// # Ok(())
    /// # }
    /// ```
    pub fn join(&self) {
        self.join_until(Deadline::NEVER);
    }

    /// As [`join`](Self::join), for `timeout` at most (monotonic); whether all has ended. A worker that is stopped does not.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use crossproc::Pool;
    ///
    /// # fn main() -> crossproc::Result<()> {
    /// crossproc::init();
    /// let pool = Pool::new(1)?;
    /// let task = pool.apply_async(std::thread::park, ());
    /// assert!(!pool.join_timeout(Duration::from_millis(1)));
    /// task.cancel();
    /// assert!(pool.join_timeout(Duration::from_secs(60)));
    /// # Ok(())
    /// # }
    /// ```
    pub fn join_timeout(&self, timeout: Duration) -> bool {
        self.join_until(Deadline::after(timeout))
    }

    fn join_until(&self, deadline: Deadline) -> bool {
        if self.core.is_copied() {
            return false;
        }
        self.core.close();
        let are_gone = || self.core.hub().is_deserted();
        self.core.wait(deadline, || self.core.is_idle())
            && self.core.wait(deadline, are_gone)
            && self.core.callbacks.wait(deadline)
    }

    /// Ends it at once: tasks that are not done end as [`Cancelled`](TaskError::Cancelled), and the workers are killed. Returns when
    /// they are gone. A callback may do it, too.
    ///
    /// Where this process may not kill them, as it has changed its user since they were started, they end by themselves: a worker
    /// that is idle at once, one that is at a task when that returns. For those it waits for 5 s.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::{Pool, TaskError};
    ///
    /// # fn main() -> crossproc::Result<()> {
    /// crossproc::init();
    /// let pool = Pool::new(1)?;
    /// let task = pool.apply_async(std::thread::park, ());
    /// pool.terminate();
    /// assert_eq!(task.get(), Err(TaskError::Cancelled));
    /// # Ok(())
    /// # }
    /// ```
    pub fn terminate(&self) {
        if self.core.is_copied() {
            return;
        }
        self.core.end(&TaskError::Cancelled);
        let are_gone = || self.core.hub().is_deserted();
        self.core.wait(Deadline::after(LAST_WAIT), are_gone);
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let threads = std::mem::take(self.threads.get_mut().unwrap_or_else(PoisonError::into_inner));
        if self.core.is_copied() {
            // They are not in this process, and their handles would be closed.
            std::mem::forget(threads);
            return;
        }
        self.terminate();
        // They see the end for themselves; none of them is waited for, as the keeper may be.
        drop(threads);
    }
}
