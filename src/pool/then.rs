//! What a task's end sets going: callbacks, and who awaits it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use serde::de::DeserializeOwned;

use super::callbacks;
use super::job::Job;
use super::opened::Lent;
use super::task::Task;
use super::wakers::Waiter;
use crate::error::TaskError;

impl<R: DeserializeOwned> Task<R> {
    /// Has `callback` called with the outcome: in this process, on one thread for all callbacks of the pool, one at a time, in the
    /// order in which the tasks end. At once if the task is done. The pool has that thread from its start on, which fails if there is none
    /// to be had, until nobody has the pool or a task of it any more.
    ///
    /// It may do what it likes, also submit to the pool, or terminate it; while it runs, others wait. It may ask this task, too, but
    /// for the outcome, which it has: [`get`](Self::get) is an error there. A panic of it is printed, and changes nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::mpsc;
    /// use crossproc::Pool;
    ///
    /// # fn main() -> crossproc::Result<()> {
    /// crossproc::init();
    /// let (pool, (sender, results)) = (Pool::new(2)?, mpsc::channel());
    /// for n in 1..=3_u32 {
    ///     let sender = sender.clone();
    ///     pool.apply_async(u32::pow, (n, 2)).on_done(move |result| sender.send(result.clone()).unwrap());
    /// }
    /// pool.join();
    /// drop(sender);
    /// assert_eq!(results.iter().map(Result::unwrap).sum::<u32>(), 14);
    /// # Ok(())
    /// # }
    /// ```
    pub fn on_done(self, callback: impl FnOnce(&Result<R, TaskError>) + Send + 'static) -> Self
    where
        R: Send + 'static,
    {
        if self.core.is_copied() {
            return self;
        }
        let (core, job, opened, how) =
            (Arc::downgrade(&self.core), Arc::clone(&self.job), Arc::clone(&self.opened), self.open);
        let call = Box::new(move || {
            // Also after a panic.
            let _called = Called { job: &job, wake: &|| core.upgrade().into_iter().for_each(|core| core.stir()) };
            Lent::new(&opened, &job, how).show(callback);
        });
        if let Some(call) = self.job.call_at_end(call) {
            self.core.callbacks.run(call);
        }
        self
    }

    /// As [`on_done`](Self::on_done), for tasks that end without a result.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::mpsc;
    /// use crossproc::Pool;
    ///
    /// # fn main() -> crossproc::Result<()> {
    /// crossproc::init();
    /// let (pool, (sender, errors)) = (Pool::new(1)?, mpsc::channel());
    /// let task = pool.apply_async(|a: u32| 6 / a, (0,)).on_error(move |error| sender.send(error.clone()).unwrap());
    /// assert_eq!(task.get().unwrap_err(), errors.recv().unwrap());
    /// # Ok(())
    /// # }
    /// ```
    pub fn on_error(self, callback: impl FnOnce(&TaskError) + Send + 'static) -> Self
    where
        R: Send + 'static,
    {
        self.on_done(move |outcome| {
            if let Err(error) = outcome {
                callback(error);
            }
        })
    }
}

/// A callback that runs.
struct Called<'a> {
    job: &'a Job,
    wake: &'a dyn Fn(),
}

impl Drop for Called<'_> {
    fn drop(&mut self) {
        self.job.has_called().into_iter().for_each(|waker| callbacks::contain(|| waker.wake()));
        (self.wake)();
    }
}

/// # Panics
///
/// If it is polled again after it was ready, as other futures do.
impl<R: DeserializeOwned> Future for Task<R> {
    type Output = Result<R, TaskError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        assert!(!self.is_taken, "a task was polled after it was ready");
        if !self.core.is_copied()
            && self.job.wake_at_end(context.waker(), Waiter::Poll)
            && !self.core.is_over(&self.job)
        {
            return Poll::Pending;
        }
        self.is_taken = true;
        Poll::Ready(self.take())
    }
}

// Nothing in it is pinned.
impl<R> Unpin for Task<R> {}
