use std::fmt;
use std::marker::PhantomData;
use std::mem;
use std::ops::Deref;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::builder::ProcessBuilder;
use super::child::Child;
use super::function::{Function, RESULT};
use super::message::{self, Received};
use super::protocol::{ANSWER, Answer};
use super::registry;
use super::try_join_error::TryJoinError;
use crate::error::{Error, Exit, ProcessError, Result};
use crate::message::codec::unpack;
use crate::sys::clock::Deadline;

/// A function that runs in a process of its own, and will return an `R`.
///
/// The child is this same program, started anew (or a copy of it as it was in the first line of `main`, after
/// [`init_with_zygote`](crate::init_with_zygote)): nothing is copied but the arguments, and it has no descriptors but its
/// standard streams, those of the handles among its arguments, and one socket to its parent. It shares what its
/// arguments share. Everything that a [`Child`] can do, a `Process` can.
///
/// A child that is killed takes nothing along: its parent learns of it ([`ProcessError::Ended`]), and so do the next
/// owners of the locks that it held. If the parent is killed, daemon children die with it, within moments; others go
/// on.
///
/// Dropping a `Process` neither waits nor kills, but nobody can ask for the result any more: it is gone, and so are the
/// handles in it and the ends of channels, pipes and queues. If it is an `Err`, and the child comes to that only then, it
/// says so on its standard error; one that had come to it before is not heard of. A child that nobody has joined is
/// waited for when this process exits (by a return from `main`, or by `exit`), or ended, if it is a daemon.
///
/// # Examples
///
/// ```
/// use crossproc::Process;
///
/// fn add(a: i32, b: i32) -> i32 {
///     a + b
/// }
///
/// fn main() -> crossproc::Result<()> {
///     crossproc::init();
///     let process = Process::spawn(add, (1, 2))?;
///     assert_eq!(process.join()?, 3);
///     Ok(())
/// }
/// ```
pub struct Process<R> {
    child: Child,
    /// The parent's end of the socket, in which the answer lies until somebody asks. It belongs to who can: when it is
    /// closed, the kernel drops what is in it.
    answer: OwnedFd,
    result: PhantomData<fn() -> R>,
}

impl Process<()> {
    /// More about a child than its function and arguments.
    ///
    /// # Examples
    ///
    /// See [`ProcessBuilder`].
    pub fn builder() -> ProcessBuilder {
        ProcessBuilder::new()
    }
}

impl<R> Process<R> {
    /// Starts a process that runs `f` with the arguments in the tuple `args`.
    ///
    /// `f` is a function, or a closure that captures nothing; see [`Function`] for what it may be, and
    /// [`Sends`](crate::Sends) for what may be passed. Arguments of any size travel, and handles at any depth in them;
    /// moved ones are dropped here once they are on their way.
    ///
    /// Returns when the child has been created; not yet, therefore, when it has begun to run. Any thread may start
    /// processes, any number of them at the same time.
    ///
    /// # Errors
    ///
    /// [`Error::NotInitialised`] if neither [`init`](crate::init) nor [`test_support!`](crate::test_support) has run,
    /// [`Error::Exiting`] while this process exits, [`Error::ForeignFunction`] if `f` belongs to a shared library,
    /// [`Error::Encode`] if an argument cannot be encoded, [`Error::Os`] if the system refuses: too many processes,
    /// too many descriptors, not enough memory.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::{Process, Value};
    ///
    /// fn main() -> crossproc::Result<()> {
    ///     crossproc::init();
    ///     let lengths = |words: Vec<String>, shared: Value<u64>| {
    ///         shared.update(|n| n + words.len() as u64);
    ///         words.iter().map(String::len).collect::<Vec<_>>()
    ///     };
    ///     let (words, shared) = (["one".to_string(), "three".to_string()], Value::new(40)?);
    ///     let process = Process::spawn(lengths, (&words[..], &shared))?;
    ///     assert_eq!(process.join()?, [3, 5]);
    ///     assert_eq!(shared.get(), 42);
    ///     Ok(())
    /// }
    /// ```
    pub fn spawn<F, S, P>(f: F, args: S) -> Result<Process<R>>
    where
        F: Function<S, P, Output = R>,
    {
        ProcessBuilder::new().spawn(f, args)
    }

    /// The parent's end of the socket; see [`note`](super::note).
    pub(crate) fn control(&self) -> BorrowedFd<'_> {
        self.answer.as_fd()
    }

    pub(super) fn new(child: Child, answer: OwnedFd) -> Self {
        Process { child, answer, result: PhantomData }
    }

    /// The process without the type of its result, for keeping several together; clone it to keep it beyond
    /// [`join`](Self::join).
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::{Exit, Process};
    ///
    /// fn main() -> crossproc::Result<()> {
    ///     crossproc::init();
    ///     let numbers = Process::spawn(|| 7, ())?;
    ///     let words = Process::spawn(|| "seven".to_string(), ())?;
    ///     let children = [numbers.child().clone(), words.child().clone()];
    ///     assert_eq!((numbers.join()?, words.join()?), (7, "seven".to_string()));
    ///     assert!(children.iter().all(|child| child.exit() == Some(Exit::Code(0))));
    ///     Ok(())
    /// }
    /// ```
    pub fn child(&self) -> &Child {
        &self.child
    }
}

impl<R: DeserializeOwned> Process<R> {
    /// Waits until the process has ended, and returns what its function returned.
    ///
    /// A function that itself returns a `Result` is joined with `join()??`, as an [`Error`] can be made from either.
    /// The process has ended by then, with all that belongs to its exit; its own non-daemon children have, too. A result
    /// that it had sent before it was killed, in the midst of its exit, counts: [`exit`](Child::exit) tells how it ended.
    ///
    /// Until somebody joins it, or nobody can any more, the handles in its result are descriptors in flight, of which
    /// the kernel lets a user without privileges have as many as `RLIMIT_NOFILE` says (unix(7), `ETOOMANYREFS`).
    ///
    /// # Errors
    ///
    /// [`ProcessError::Panicked`] if the function panicked, [`ProcessError::Ended`] if it was killed or called `exit`,
    /// [`ProcessError::NeverStarted`] if the program ended before its `init`, [`ProcessError::Failed`] if the
    /// arguments or the result could not be handed over.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::Process;
    ///
    /// fn parse(text: String) -> crossproc::Result<u32, String> {
    ///     text.parse().map_err(|_| format!("{text:?} is no number"))
    /// }
    ///
    /// fn main() -> crossproc::Result<()> {
    ///     crossproc::init();
    ///     assert_eq!(Process::spawn(parse, ("12",))?.join()?, Ok(12));
    ///     assert_eq!(Process::spawn(parse, ("twelve",))?.join()?, Err("\"twelve\" is no number".into()));
    ///     Ok(())
    /// }
    /// ```
    pub fn join(self) -> Result<R, ProcessError> {
        let exit = self.child.wait();
        self.outcome(exit)
    }

    /// What the function returned, if the process has ended; does not wait.
    ///
    /// # Errors
    ///
    /// [`TryJoinError::Running`] gives the process back if it has not ended; [`TryJoinError::Failed`] is what
    /// [`join`](Self::join) fails with.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::{Process, TryJoinError};
    ///
    /// fn main() -> crossproc::Result<()> {
    ///     crossproc::init();
    ///     let mut process = Process::spawn(|| 7, ())?;
    ///     let result = loop {
    ///         match process.try_join() {
    ///             Ok(result) => break result,
    ///             Err(TryJoinError::Running(running)) => process = running,
    ///             Err(TryJoinError::Failed(error)) => return Err(error.into()),
    ///         }
    ///         std::thread::yield_now(); // or something useful
    ///     };
    ///     assert_eq!(result, 7);
    ///     Ok(())
    /// }
    /// ```
    pub fn try_join(self) -> Result<R, TryJoinError<R>> {
        let exit = self.child.exit();
        self.outcome_of(exit)
    }

    /// Waits until the process has ended, but no longer than `timeout` (monotonic), and returns what its function
    /// returned.
    ///
    /// # Errors
    ///
    /// [`TryJoinError::Running`] gives the process back when the time is up; [`TryJoinError::Failed`] is what
    /// [`join`](Self::join) fails with.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use crossproc::{Process, TryJoinError};
    ///
    /// fn main() -> crossproc::Result<()> {
    ///     crossproc::init();
    ///     let process = Process::spawn(std::thread::park, ())?;
    ///     match process.join_timeout(Duration::from_millis(1)) {
    ///         Err(TryJoinError::Running(process)) => process.kill(),
    ///         other => panic!("{other:?}"),
    ///     }
    /// }
    /// ```
    pub fn join_timeout(self, timeout: Duration) -> Result<R, TryJoinError<R>> {
        let exit = self.child.wait_until(Deadline::after(timeout));
        self.outcome_of(exit)
    }

    fn outcome_of(self, exit: Option<Exit>) -> Result<R, TryJoinError<R>> {
        match exit {
            None => Err(TryJoinError::Running(self)),
            Some(exit) => self.outcome(exit).map_err(TryJoinError::Failed),
        }
    }

    fn outcome(self, exit: Exit) -> Result<R, ProcessError> {
        registry::forget(&self.child);
        let mut received = receive_answer(&self.child, self.answer.as_fd(), exit)?;
        let descriptors = mem::take(&mut received.descriptors);
        unpack(RESULT, received.body(), descriptors).map_err(|error| failed(&self.child, error))
    }
}

/// What a process that has ended left behind in the socket: the message that it returned, or why there is none.
fn receive_answer(child: &Child, socket: BorrowedFd<'_>, exit: Exit) -> Result<Received<Answer>, ProcessError> {
    let (name, pid) = (child.name().to_string(), child.pid());
    let receive = || message::receive::<Answer>(ANSWER, socket).map_err(|error| failed(child, error));
    match receive()? {
        None => return Err(ProcessError::NeverStarted { name, pid, exit }),
        Some(Received { head: Answer::Hello, .. }) => {}
        Some(other) => return Err(out_of_order(child, &other.head)),
    }
    let Some(received) = receive()? else { return Err(ProcessError::Ended { name, pid, exit }) };
    match received.head {
        Answer::Returned => Ok(received),
        Answer::Panicked(panic) => Err(ProcessError::Panicked {
            name,
            pid,
            message: panic.message,
            location: panic.location,
            backtrace: panic.backtrace,
        }),
        Answer::Failed(error) => Err(failed(child, error)),
        Answer::Hello | Answer::Note => Err(out_of_order(child, &received.head)),
    }
}

fn failed(child: &Child, source: Error) -> ProcessError {
    ProcessError::Failed { name: child.name().to_string(), pid: child.pid(), source: Box::new(source) }
}

fn out_of_order(child: &Child, head: &Answer) -> ProcessError {
    failed(child, Error::Decode { what: ANSWER.into(), reason: format!("out of order: {head:?}") })
}

impl<R> Deref for Process<R> {
    type Target = Child;

    fn deref(&self) -> &Child {
        &self.child
    }
}

/// A pidfd: readable, for `poll` and its kin, once the process has ended.
impl<R> AsFd for Process<R> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.child.as_fd()
    }
}

impl<R> fmt::Debug for Process<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Process").field(&self.child).finish()
    }
}
