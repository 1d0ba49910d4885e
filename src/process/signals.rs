use std::os::fd::AsFd;
use std::time::Duration;

use super::child::Child;
use crate::error::{Error, Exit, Result};
use crate::sys::pidfd;

impl Child {
    /// Asks it to end: SIGTERM. Unless it handles that signal, it ends at once, and delivers no result.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] if this process may not signal it, because it runs as somebody else by now. A process that has
    /// ended already is no error.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::{Exit, Process};
    ///
    /// fn main() -> crossproc::Result<()> {
    ///     crossproc::init();
    ///     let process = Process::spawn(std::thread::park, ())?;
    ///     process.terminate()?;
    ///     assert_eq!(process.wait(), Exit::Signal(15));
    ///     Ok(())
    /// }
    /// ```
    pub fn terminate(&self) -> Result<()> {
        self.signal(libc::SIGTERM, "terminate")
    }

    /// Interrupts it, as Ctrl-C does: SIGINT.
    ///
    /// # Errors
    ///
    /// As for [`terminate`](Self::terminate).
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::{Exit, Process};
    ///
    /// fn main() -> crossproc::Result<()> {
    ///     crossproc::init();
    ///     let process = Process::spawn(std::thread::park, ())?;
    ///     process.interrupt()?;
    ///     assert_eq!(process.wait(), Exit::Signal(2));
    ///     Ok(())
    /// }
    /// ```
    pub fn interrupt(&self) -> Result<()> {
        self.signal(libc::SIGINT, "interrupt")
    }

    /// Ends it where it is: SIGKILL. Shared objects survive that; a lock that it held tells its next owner.
    ///
    /// # Errors
    ///
    /// As for [`terminate`](Self::terminate).
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc::{Exit, Process};
    ///
    /// fn main() -> crossproc::Result<()> {
    ///     crossproc::init();
    ///     let process = Process::spawn(std::thread::park, ())?;
    ///     process.kill()?;
    ///     assert_eq!(process.wait(), Exit::Signal(9));
    ///     Ok(())
    /// }
    /// ```
    pub fn kill(&self) -> Result<()> {
        self.signal(libc::SIGKILL, "kill")
    }

    /// Asks it to end and kills it if it has not within `grace`; returns how it ended.
    ///
    /// # Errors
    ///
    /// As for [`terminate`](Self::terminate).
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
    ///     assert_eq!(process.shutdown(Duration::from_secs(60))?, Exit::Signal(15));
    ///     Ok(())
    /// }
    /// ```
    pub fn shutdown(&self, grace: Duration) -> Result<Exit> {
        self.terminate()?;
        match self.wait_timeout(grace) {
            Some(exit) => Ok(exit),
            None => {
                self.kill()?;
                Ok(self.wait())
            }
        }
    }

    fn signal(&self, signal: i32, verb: &str) -> Result<()> {
        pidfd::signal(self.as_fd(), signal)
            .map_err(|error| Error::os(format!("{verb} process {} ({})", self.name(), self.pid()), error))
    }
}
