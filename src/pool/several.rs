//! Several tasks at once: the first that is done, or all of them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use super::task::Task;
use super::wakers::Waiter;
use crate::error::TryNextError;
use crate::sys::clock::Deadline;

impl<R> Task<R> {
    /// The tasks, each when it is done. [`AsCompleted::next_timeout`] waits for no longer than it is told to.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::{Event, Pool, Task};
    ///
    /// # fn main() -> crossproc::Result<()> {
    /// crossproc::init();
    /// let (pool, go) = (Pool::new(2)?, Event::new()?);
    /// let second = pool.apply_async(|go: Event| go.wait(), (&go,));
    /// let first = pool.apply_async(|go: Event| go.set(), (&go,));
    /// for task in Task::as_completed([second, first]) {
    ///     task.get()?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn as_completed(tasks: impl IntoIterator<Item = Task<R>>) -> AsCompleted<R> {
        AsCompleted { tasks: tasks.into_iter().collect(), ready: VecDeque::new() }
    }

    /// Waits until at least one is done, for `timeout` at most (monotonic; `None`: as long as it takes); the indices of all that
    /// are. The tasks may be of several pools. An empty list when the time is up, or if there are none.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::{Pool, Task};
    ///
    /// # fn main() -> crossproc::Result<()> {
    /// crossproc::init();
    /// let pool = Pool::new(2)?;
    /// let tasks = [pool.apply_async(std::thread::park, ()), pool.apply_async(|| (), ())];
    /// assert_eq!(Task::wait_any(&tasks, None), [1]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn wait_any(tasks: &[Task<R>], timeout: Option<Duration>) -> Vec<usize> {
        let deadline = timeout.map_or(Deadline::NEVER, Deadline::after);
        let waker = UNPARK.with(Waker::clone);
        loop {
            // First the wakers, then the look: what ends in between wakes us.
            let has_ended = |task: &Task<R>| {
                !task.core.is_copied()
                    && (!task.job.wake_at_end(&waker, Waiter::Thread) || task.core.is_over(&task.job))
            };
            let ready: Vec<_> = (0..tasks.len()).filter(|&index| has_ended(&tasks[index])).collect();
            let is_copied = tasks.first().is_none_or(|task| task.core.is_copied());
            if !ready.is_empty() || is_copied || deadline.has_passed() {
                return ready;
            }
            match deadline.remaining() {
                Some(left) => thread::park_timeout(left),
                None => thread::park(),
            }
        }
    }

    /// Waits until all are done, for `timeout` at most (monotonic; `None`: as long as it takes); whether they are.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::{Pool, Task};
    ///
    /// # fn main() -> crossproc::Result<()> {
    /// crossproc::init();
    /// let pool = Pool::new(2)?;
    /// let tasks: Vec<_> = (0..4_u32).map(|n| pool.apply_async(u32::count_ones, (n,))).collect();
    /// assert!(Task::wait_all(&tasks, None));
    /// # Ok(())
    /// # }
    /// ```
    pub fn wait_all(tasks: &[Task<R>], timeout: Option<Duration>) -> bool {
        let deadline = timeout.map_or(Deadline::NEVER, Deadline::after);
        tasks.iter().all(|task| task.core.wait(deadline, || task.core.is_over(&task.job)))
    }
}

/// The iterator that [`Task::as_completed`] returns.
///
/// # Examples
///
/// See [`Task::as_completed`].
#[derive(Debug)]
pub struct AsCompleted<R> {
    tasks: Vec<Task<R>>,
    ready: VecDeque<Task<R>>,
}

impl<R> AsCompleted<R> {
    /// The next task that is done, if there is one by now; `None` when there are no more. See [`next_timeout`](Self::next_timeout).
    ///
    /// # Errors
    ///
    /// As for [`next_timeout`](Self::next_timeout).
    ///
    /// # Examples
    ///
    /// See [`next_timeout`](Self::next_timeout).
    pub fn try_next(&mut self) -> Result<Option<Task<R>>, TryNextError> {
        self.next_timeout(Duration::ZERO)
    }

    /// Waits for the next task that is done, for `timeout` at most (monotonic); `None` when there are no more. However the task has
    /// ended, it is the task that says so.
    ///
    /// # Errors
    ///
    /// [`TryNextError::NotYet`] when the time is up: the tasks stay here, and the next call waits for them again.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use crossproc::{Event, Pool, Task, TryNextError};
    ///
    /// # fn main() -> crossproc::Result<()> {
    /// crossproc::init();
    /// let (pool, go) = (Pool::new(1)?, Event::new()?);
    /// let mut tasks = Task::as_completed([pool.apply_async(|go: Event| go.wait(), (&go,))]);
    /// assert_eq!(tasks.try_next().unwrap_err(), TryNextError::NotYet);
    /// assert_eq!(tasks.next_timeout(Duration::from_millis(1)).unwrap_err(), TryNextError::NotYet);
    /// go.set();
    /// let task = tasks.next_timeout(Duration::from_secs(60))?.expect("the only one");
    /// task.get()?;
    /// assert!(tasks.try_next()?.is_none());
    /// # Ok(())
    /// # }
    /// ```
    pub fn next_timeout(&mut self, timeout: Duration) -> Result<Option<Task<R>>, TryNextError> {
        self.look(Some(timeout));
        match self.ready.pop_front() {
            None if !self.is_at_end() => Err(TryNextError::NotYet),
            task => Ok(task),
        }
    }

    fn look(&mut self, timeout: Option<Duration>) {
        if self.ready.is_empty() {
            for index in Task::wait_any(&self.tasks, timeout).into_iter().rev() {
                self.ready.push_front(self.tasks.swap_remove(index));
            }
        }
    }

    /// Whether none of those that are not done ever will be, here: in a forked copy, that is so.
    fn is_at_end(&self) -> bool {
        self.tasks.first().is_none_or(|task| task.core.is_copied())
    }
}

impl<R> Iterator for AsCompleted<R> {
    type Item = Task<R>;

    fn next(&mut self) -> Option<Task<R>> {
        self.look(None);
        self.ready.pop_front()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.tasks.len() + self.ready.len();
        (left, Some(left))
    }
}

thread_local! {
    /// One for each thread: a job that it is told to wake by again knows it already.
    static UNPARK: Waker = Waker::from(Arc::new(Unpark(thread::current())));
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
