use std::os::fd::AsFd;
use std::time::Duration;

use crate::error::Result;
use crate::sys::clock::Deadline;
use crate::sys::poll;

/// Waits until at least one of several things is ready, for `timeout` at most (monotonic; `None`: as long as it takes); the
/// indices of all that are, in order. An empty list when the time is up.
///
/// A [`Receiver`](crate::Receiver), [`Connection`](crate::Connection), [`Queue`](crate::Queue) or [`Ring`](crate::Ring) is
/// ready when there is a message, or an end: closed and drained, end of file. A [`Process`](crate::Process) or
/// [`Child`](crate::Child) is ready when it has ended, an [`Event`](crate::Event) while it is set. Anything else with a
/// descriptor (a socket, a pipe) is ready when that is readable, hung up, or in error. Nothing is taken by waiting.
///
/// Locks, semaphores, barriers and what they guard cannot be waited for here, and so are not `AsFd`: wait for them in a thread of
/// your own, which then sets an event.
///
/// ```compile_fail,E0277
/// let lock = crossproc::Lock::new().unwrap();
/// let ready = crossproc::wait_any(&[&lock], None);
/// ```
///
/// An empty list without a timeout returns at once, since nothing could ever end the wait.
///
/// # Cost
///
/// Each queue, ring, event or end of a channel that this process waits for in this way has a thread here (128 KiB of
/// address space, of which some pages are used) and a descriptor, from the first time until the handle and its clones are gone. The
/// thread wakes up 20 times a second to look for deaths: a hundred of them were measured to cost 2.4 % of a core though nothing
/// happened. Processes, sockets and other descriptors cost nothing but while they are waited for. A forked copy of the process keeps
/// what it has of these, and so of their memory, until it ends.
///
/// For many, have fewer things to wait for: one queue into which everybody puts, with who it is in the message, in place of a
/// channel each; or a thread in `get` or `recv`, if there would be only one thing to wait for.
///
/// # Concurrency
///
/// Where others get from the same queue or ring, what was ready may be gone: use the `try_` forms. One that others have
/// drained, or an event that they have cleared, looks ready for up to 50 ms more.
///
/// # Death
///
/// The end that the death of a sender is, and a message or a set flag whose sender or setter was killed before it woke anybody, are
/// seen within 50 ms.
///
/// # Errors
///
/// [`Os`](crate::Error::Os) for more descriptors than the process may have, or without memory.
///
/// # Panics
///
/// As the `as_fd` of the things: those of this crate panic where `readiness` is an error.
///
/// # Examples
///
/// Jobs, until somebody says that it is enough:
///
/// ```
/// use crossproc::{Event, Process, Queue, Result, wait_any};
///
/// fn work(stop: Event, jobs: Queue<u32>, results: Queue<u32>) -> Result<()> {
///     while !wait_any(&[&stop, &jobs], None)?.contains(&0) {
///         if let Ok(job) = jobs.try_get() {
///             results.put(job * job)?;
///         }
///     }
///     Ok(())
/// }
///
/// fn main() -> Result<()> {
///     crossproc::init();
///     let (stop, jobs, results) = (Event::new()?, Queue::new(4)?, Queue::new(4)?);
///     let worker = Process::spawn(work, (&stop, &jobs, &results))?;
///     jobs.put(7)?;
///     assert_eq!(results.get()?, 49);
///     stop.set();
///     worker.join()?
/// }
/// ```
///
/// Whatever a process has to say, until it has ended:
///
/// ```
/// use std::time::Duration;
/// use crossproc::{Process, Queue, Result, Sender, channel, wait_any};
///
/// fn work(jobs: Queue<u32>, mut log: Sender<String>) -> Result<()> {
///     log.send("starting")?;
///     Ok(jobs.put(7)?)
/// }
///
/// fn main() -> Result<()> {
///     crossproc::init();
///     let (jobs, (sender, mut log)) = (Queue::new(4)?, channel()?);
///     assert!(wait_any(&[&jobs, &log], Some(Duration::from_millis(1)))?.is_empty());
///
///     let worker = Process::spawn(work, (&jobs, sender))?;
///     let (mut lines, mut numbers, mut has_ended) = (Vec::new(), Vec::new(), false);
///     while !has_ended {
///         for ready in wait_any(&[&jobs, &log, &worker], None)? {
///             match ready {
///                 0 => numbers.extend(jobs.try_get()),
///                 1 => lines.extend(log.try_recv()),
///                 _ => has_ended = true,
///             }
///         }
///     }
///     lines.extend(log.try_recv());
///     numbers.extend(jobs.try_get());
///     assert_eq!((lines, numbers), (vec!["starting".to_string()], vec![7]));
///     worker.join()?
/// }
/// ```
pub fn wait_any(things: &[&dyn AsFd], timeout: Option<Duration>) -> Result<Vec<usize>> {
    if things.is_empty() && timeout.is_none() {
        return Ok(Vec::new());
    }
    let descriptors: Vec<_> = things.iter().map(|thing| thing.as_fd()).collect();
    poll::readable(&descriptors, timeout.map_or(Deadline::NEVER, Deadline::after))
}
