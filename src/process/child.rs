use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use super::exit_word::ExitWord;
use crate::error::Exit;
use crate::sys::clock::Deadline;
use crate::sys::pidfd::{self, Seen};

/// A process that this one started, whatever the type of its result.
///
/// [`Process`](crate::Process) gives access to all of this; a `Child` is for keeping several kinds together, for
/// signalling from another thread while one waits, and it is what [`active_children`](crate::active_children) returns.
/// Clones stand for the same process. It is known by a descriptor (a pidfd), never by its number, so that no signal
/// reaches a stranger who has got the same number later.
///
/// Any number of threads may wait and ask at the same time. Whoever asks first after its end collects its status; all
/// later answers are the same.
///
/// # Examples
///
/// ```
/// use crossproc::{Exit, Process};
///
/// fn give_up() {
///     std::process::exit(3)
/// }
///
/// fn main() -> crossproc::Result<()> {
///     crossproc::init();
///     let process = Process::spawn(give_up, ())?;
///     let child = process.child().clone();
///     let error = process.join().unwrap_err();
///     assert_eq!(child.exit(), Some(Exit::Code(3)));
///     let expected = format!("process Process-1 ({}) exited with code 3 before it returned a result", child.pid());
///     assert_eq!(error.to_string(), expected);
///     Ok(())
/// }
/// ```
#[derive(Clone)]
pub struct Child(Arc<State>);

struct State {
    pidfd: OwnedFd,
    pid: u32,
    name: String,
    daemon: bool,
    exit: ExitWord,
}

impl Child {
    pub(super) fn new(pid: u32, pidfd: OwnedFd, name: String, daemon: bool) -> Self {
        Child(Arc::new(State { pidfd, pid, name, daemon, exit: ExitWord::new() }))
    }

    pub(super) fn is(&self, other: &Child) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Its process id. Once it has ended and its status has been collected, another process may get the same number.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::Process;
    ///
    /// fn main() -> crossproc::Result<()> {
    ///     crossproc::init();
    ///     let process = Process::spawn(std::process::id, ())?;
    ///     let pid = process.pid();
    ///     assert_eq!(process.join()?, pid);
    ///     Ok(())
    /// }
    /// ```
    pub fn pid(&self) -> u32 {
        self.0.pid
    }

    /// Its name: the one given to [`ProcessBuilder::name`](crate::ProcessBuilder::name), or `Process-1` and so on.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::Process;
    ///
    /// fn main() -> crossproc::Result<()> {
    ///     crossproc::init();
    ///     let first = Process::spawn(|| (), ())?;
    ///     let second = Process::builder().name("second").spawn(|| (), ())?;
    ///     assert_eq!((first.name(), second.name()), ("Process-1", "second"));
    ///     Ok(())
    /// }
    /// ```
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Whether it ends with this process. See [`ProcessBuilder::daemon`](crate::ProcessBuilder::daemon).
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::Process;
    ///
    /// fn main() -> crossproc::Result<()> {
    ///     crossproc::init();
    ///     assert!(!Process::spawn(|| (), ())?.is_daemon());
    ///     assert!(Process::builder().daemon(true).spawn(|| (), ())?.is_daemon());
    ///     Ok(())
    /// }
    /// ```
    pub fn is_daemon(&self) -> bool {
        self.0.daemon
    }

    /// Whether it is still running. "Yes" may be stale the moment it is returned; "no" is final.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::Process;
    ///
    /// fn main() -> crossproc::Result<()> {
    ///     crossproc::init();
    ///     let process = Process::spawn(std::thread::park, ())?;
    ///     assert!(process.is_alive());
    ///     process.kill()?;
    ///     process.wait();
    ///     assert!(!process.is_alive());
    ///     Ok(())
    /// }
    /// ```
    pub fn is_alive(&self) -> bool {
        self.exit().is_none()
    }

    /// How it ended, or `None` while it runs. Does not wait.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::{Exit, Process};
    ///
    /// fn main() -> crossproc::Result<()> {
    ///     crossproc::init();
    ///     let process = Process::spawn(std::thread::park, ())?;
    ///     assert_eq!(process.exit(), None);
    ///     process.kill()?;
    ///     assert_eq!(process.wait(), Exit::Signal(9));
    ///     assert_eq!(process.exit(), Some(Exit::Signal(9)));
    ///     Ok(())
    /// }
    /// ```
    pub fn exit(&self) -> Option<Exit> {
        if let Some(exit) = self.0.exit.get() {
            return Some(exit);
        }
        match pidfd::look(self.as_fd()) {
            Seen::Running => None,
            Seen::Ended(exit) => {
                // Kept before it is collected: a thread that comes too late to look finds it here.
                let exit = self.0.exit.set(exit);
                pidfd::reap(self.as_fd());
                Some(exit)
            }
            Seen::NotOurs => self.exit_seen_by_others(),
        }
    }

    /// Another thread has just collected the status, or somebody else has: a handler for SIGCHLD, or the kernel, when
    /// that signal is ignored. Or this is a forked copy of the parent, whose child it is not.
    #[cold]
    fn exit_seen_by_others(&self) -> Option<Exit> {
        if let Some(exit) = self.0.exit.get() {
            return Some(exit);
        }
        if !pidfd::wait(self.as_fd(), Deadline::after(Duration::ZERO)) {
            return None;
        }
        // The kernel reports the end a moment before it records it for those who come later; a hundred rounds, a guess,
        // are far more than that moment.
        let recorded = (0..100).find_map(|_| {
            pidfd::recorded_exit(self.as_fd()).or_else(|| {
                std::thread::yield_now();
                self.0.exit.get()
            })
        });
        Some(self.0.exit.set(recorded.unwrap_or(Exit::Unknown)))
    }

    /// Waits until it has ended.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::{Exit, Process};
    ///
    /// fn main() -> crossproc::Result<()> {
    ///     crossproc::init();
    ///     assert_eq!(Process::spawn(|| (), ())?.wait(), Exit::Code(0));
    ///     Ok(())
    /// }
    /// ```
    pub fn wait(&self) -> Exit {
        loop {
            if let Some(exit) = self.wait_until(Deadline::NEVER) {
                return exit;
            }
        }
    }

    /// Waits until it has ended, or until `timeout` (monotonic) has passed, which is `None`.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use crossproc::{Exit, Process};
    ///
    /// fn main() -> crossproc::Result<()> {
    ///     crossproc::init();
    ///     let process = Process::spawn(std::thread::park, ())?;
    ///     assert_eq!(process.wait_timeout(Duration::from_millis(1)), None);
    ///     process.terminate()?;
    ///     assert_eq!(process.wait_timeout(Duration::from_secs(60)), Some(Exit::Signal(15)));
    ///     Ok(())
    /// }
    /// ```
    pub fn wait_timeout(&self, timeout: Duration) -> Option<Exit> {
        self.wait_until(Deadline::after(timeout))
    }

    pub(super) fn wait_until(&self, deadline: Deadline) -> Option<Exit> {
        if self.0.exit.get().is_none() {
            pidfd::wait(self.as_fd(), deadline);
        }
        self.exit()
    }
}

/// A pidfd: readable, for `poll` and its kin, once the process has ended.
impl AsFd for Child {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.pidfd.as_fd()
    }
}

impl fmt::Debug for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Child")
            .field("pid", &self.pid())
            .field("name", &self.name())
            .field("is_daemon", &self.is_daemon())
            .field("exit", &self.0.exit.get())
            .finish()
    }
}
