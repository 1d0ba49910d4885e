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
use crate::sys::pidfd::{self, Seen};
use crate::sys::spawn::Started;
use crate::sys::{poll, socket, zygote};

/// A child of the zygote that has not been told what to do.
pub(super) struct Child {
    pub(super) started: Started,
    pub(super) control: OwnedFd,
}

impl Child {
    /// Ends it, and leaves no zombie. One that may not be signalled ends when it finds its socket closed.
    pub(super) fn end(self) {
        // Copies of this process may have the socket open, too.
        zygote::shut_down(self.control.as_fd());
        end(self.started.pidfd.as_fd());
    }
}

/// How long a killed zygote, or child, may take to end, a guess.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long a zygote, or child, may take to answer before it is taken for stopped: the time after which any sleeper looks again.
const PROMPT: Duration = Duration::from_millis(50);

/// Waits until one of the descriptors is readable, or until the deadline. The process that is to make one so is continued again and
/// again, as somebody may have stopped it.
///
/// # Errors
///
/// It does not answer, and may not be signalled.
pub(super) fn wait_for(descriptors: &[BorrowedFd<'_>], process: BorrowedFd<'_>, deadline: Deadline) -> Result<()> {
    while poll::readable(descriptors, deadline.within(PROMPT))?.is_empty() && !deadline.has_passed() {
        pidfd::signal(process, libc::SIGCONT).map_err(failed)?;
    }
    Ok(())
}

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
        if line.asked.is_some() {
            match self.answer(&mut line)? {
                Ok(spare) => return Ok((spare, true)),
                Err(error) if line.forked.is_some() => return Err(failed(error)),
                Err(_) => {}
            }
        }
        line.ask().map_err(|error| if message::nobody_listens(&error) { self.bury(&mut line) } else { error })?;
        match self.answer(&mut line)? {
            Ok(child) => Ok((child, false)),
            Err(error) => Err(failed(error)),
        }
    }

    /// Whether a child waits that nobody has taken yet. If somebody else is at it, none may be left.
    pub(super) fn has_spare(&self) -> bool {
        self.line.try_lock().is_ok_and(|line| line.is_answered())
    }

    /// Has the next start find a child that waits. If somebody else is at it, that one's start does.
    pub(super) fn ask_ahead(&self) {
        if let Ok(mut line) = self.line.try_lock()
            && line.asked.is_none()
        {
            let _ = line.ask(); // who needs it sees that there is no zygote
        }
    }

    /// Waits for what was asked for: a child, or why there is none; if it is there, but cannot be had now, the next start gets it.
    fn answer(&self, line: &mut Line) -> Result<io::Result<Child>> {
        if line.forked.is_none() {
            wait_for(&[line.socket.as_fd(), self.pidfd.as_fd()], self.pidfd.as_fd(), Deadline::NEVER)?;
        }
        line.take().ok_or_else(|| self.bury(line))
    }

    fn bury(&self, line: &mut Line) -> Error {
        self.is_gone.store(true, Ordering::Relaxed);
        // Also one that may not be signalled ends then, whoever else has the socket open. What it had answered before lies in it.
        zygote::shut_down(line.socket.as_fd());
        let _ = pidfd::signal(self.pidfd.as_fd(), libc::SIGKILL);
        pidfd::wait(self.pidfd.as_fd(), Deadline::after(PATIENCE));
        let spare = line.number().and_then(io::Result::ok);
        line.forked = None;
        if let Some(control) = line.asked.take() {
            zygote::shut_down(control.as_fd());
        }
        if let Some(Ok(spare)) = spare.map(own_child) {
            end(spare.as_fd());
        }
        end(self.pidfd.as_fd());
        no_zygote()
    }

    /// Ends the zygote and its spare, for which it waits: one that the zygote is about to make would be left behind.
    pub(super) fn end(&self) {
        let mut line = self.lock();
        if line.asked.is_some() {
            let deadline = Deadline::after(PATIENCE);
            let _ = wait_for(&[line.socket.as_fd(), self.pidfd.as_fd()], self.pidfd.as_fd(), deadline);
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

    /// Whether there is an answer of the zygote's that nobody has taken.
    fn is_answered(&self) -> bool {
        let is_there = || poll::readable(&[self.socket.as_fd()], Deadline::after(Duration::ZERO));
        self.forked.is_some() || self.asked.is_some() && is_there().is_ok_and(|answers| !answers.is_empty())
    }

    /// The zygote's answer, if there is one: the number of the child that was asked for.
    fn number(&mut self) -> Option<io::Result<u32>> {
        if let Some(pid) = self.forked {
            return Some(Ok(pid));
        }
        let answer = message::receive::<Answer>(CHILD, self.socket.as_fd()).ok().flatten()?;
        Some(answer.head.map_err(io::Error::from_raw_os_error))
    }

    /// The child that was asked for, if the zygote has answered. One that cannot be had for want of a descriptor stays in `forked`.
    fn take(&mut self) -> Option<io::Result<Child>> {
        let pid = match self.number()? {
            Ok(pid) => pid,
            Err(error) => {
                self.asked = None;
                return Some(Err(error));
            }
        };
        let found = own_child(pid);
        let can_be_had_later = found.as_ref().is_err_and(|error| error.raw_os_error() != Some(libc::ESRCH));
        self.forked = can_be_had_later.then_some(pid);
        let control = if can_be_had_later { None } else { self.asked.take() };
        match found {
            Ok(pidfd) => Some(Ok(Child { started: Started { pid, pidfd }, control: control? })),
            Err(error) => Some(Err(error)),
        }
    }
}

/// A descriptor of a child that the zygote has made: nobody but this process collects it, so that its number is its own. Should
/// the program have collected it nevertheless, there is none (ESRCH).
fn own_child(pid: u32) -> io::Result<OwnedFd> {
    let process = pidfd::open(pid)?;
    match pidfd::look(process.as_fd()) {
        Seen::NotOurs => Err(io::Error::from_raw_os_error(libc::ESRCH)),
        Seen::Running | Seen::Ended(_) => Ok(process),
    }
}
