//! Asking the zygote for children, and taking them; ending both.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use super::super::message;
use super::ask::{failed, no_zygote};
use super::{ASK, Answer, CHILD, Line, Zygote};
use crate::error::{Error, Result};
use crate::sys::clock::Deadline;
use crate::sys::spawn::Started;
use crate::sys::{pidfd, poll, socket};

/// A child of the zygote that has not been told what to do.
pub(super) struct Child {
    pub(super) started: Started,
    pub(super) control: OwnedFd,
}

impl Child {
    /// Ends it, and leaves no zombie. One that may not be signalled ends when it finds its socket closed.
    pub(super) fn end(self) {
        drop(self.control);
        end(self.started.pidfd.as_fd());
    }
}

/// How long a killed zygote, or child, may take to end, a guess.
const PATIENCE: Duration = Duration::from_secs(1);

/// Ends a process, if it lives at all, and leaves no zombie.
fn end(process: BorrowedFd<'_>) {
    let _ = pidfd::signal(process, libc::SIGKILL);
    // Not for ever: a tracer may keep it.
    pidfd::wait(process, Deadline::after(PATIENCE));
    pidfd::reap(process);
}

impl Zygote {
    fn lock(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A child, and whether it is one that was asked for before.
    pub(super) fn next_child(&self) -> Result<(Child, bool)> {
        let mut line = self.lock();
        if self.is_gone.load(Ordering::Relaxed) {
            return Err(no_zygote());
        }
        // A spare of a dead one may be about to end, too.
        if pidfd::wait(self.pidfd.as_fd(), Deadline::after(Duration::ZERO)) {
            return Err(self.bury(&mut line));
        }
        // Why there was none then says nothing about now.
        if line.asked.is_some()
            && let Ok(spare) = self.answer(&mut line)?
        {
            return Ok((spare, true));
        }
        line.ask().map_err(|error| if message::nobody_listens(&error) { self.bury(&mut line) } else { error })?;
        match self.answer(&mut line)? {
            Ok(child) => Ok((child, false)),
            Err(code) => Err(failed(io::Error::from_raw_os_error(code))),
        }
    }

    /// Has the next start find a child that waits. If somebody else is at it, that one's start does.
    pub(super) fn ask_ahead(&self) {
        if let Ok(mut line) = self.line.try_lock()
            && line.asked.is_none()
        {
            let _ = line.ask(); // who needs it sees that there is no zygote
        }
    }

    /// Waits for what was asked for: a child, or the error number of why there is none.
    fn answer(&self, line: &mut Line) -> Result<Result<Child, i32>> {
        poll::readable(&[line.socket.as_fd(), self.pidfd.as_fd()], Deadline::NEVER)?;
        // A pidfd for which there is no room would be lost.
        drop(line.socket.try_clone().map_err(failed)?);
        line.take().ok_or_else(|| self.bury(line))
    }

    fn bury(&self, line: &mut Line) -> Error {
        self.is_gone.store(true, Ordering::Relaxed);
        // What it had answered before it ended lies in the socket.
        let _ = pidfd::signal(self.pidfd.as_fd(), libc::SIGKILL);
        pidfd::wait(self.pidfd.as_fd(), Deadline::after(PATIENCE));
        if let Some(Ok(child)) = line.take() {
            child.end();
        }
        line.asked = None; // a child that nobody knows of
        end(self.pidfd.as_fd());
        no_zygote()
    }

    /// Ends the zygote and its spare, for which it waits: one that the zygote is about to make would be left behind.
    pub(super) fn end(&self) {
        let mut line = self.lock();
        if line.asked.is_some() {
            let _ = poll::readable(&[line.socket.as_fd(), self.pidfd.as_fd()], Deadline::after(PATIENCE));
        }
        self.bury(&mut line);
    }
}

impl Line {
    fn ask(&mut self) -> Result<()> {
        let (here, there) = socket::pair().map_err(failed)?;
        socket::send(self.socket.as_fd(), &[IoSlice::new(ASK)], &[there.as_fd()]).map_err(failed)?;
        self.asked = Some(here);
        Ok(())
    }

    /// The zygote's answer, if there is one.
    fn take(&mut self) -> Option<Result<Child, i32>> {
        let mut answer = message::receive::<Answer>(CHILD, self.socket.as_fd()).ok().flatten()?;
        let control = self.asked.take();
        match (answer.head, answer.descriptors.pop(), control) {
            (Ok(pid), Some(pidfd), Some(control)) => Some(Ok(Child { started: Started { pid, pidfd }, control })),
            (Err(code), ..) => Some(Err(code)),
            _ => None,
        }
    }
}
