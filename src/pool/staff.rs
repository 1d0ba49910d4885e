//! Workers as their pool sees them.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use super::core::Core;
use super::mail::{Mail, Question};
use super::order::{Boot, Failure};
use super::worker;
use crate::error::{Error, Exit, ProcessError, Result, TaskError};
use crate::pipe::{PipeBuilder, Receiver};
use crate::process::{Process, Received, note};
use crate::sys::clock::{self, Deadline};
use crate::sys::zygote;

/// Bytes of a worker's channel: results that it is ahead of the pool. A guess.
const RESULTS: usize = 256 << 10;

pub(super) struct Worker {
    pub(super) number: u32,
    pub(super) results: Receiver<()>,
    pub(super) socket: Socket,
    /// What its death will mean for the task that it is at, if it is killed for that.
    pub(super) verdict: Option<TaskError>,
    /// When its initializer will have taken too long.
    pub(super) ready_by: Deadline,
    /// When its pool last did something that it may have waited for; `None` where the time of tasks has no limit.
    relieved: Option<u64>,
}

/// The pool's end of the socket of a worker.
pub(super) struct Socket {
    pub(super) process: Arc<Process<()>>,
    pub(super) mail: Mail,
}

impl Worker {
    /// Starts the worker of this number and place.
    pub(super) fn start(core: &Core, number: u32, place: usize) -> Result<Worker> {
        let (sender, results) = PipeBuilder::new().capacity(RESULTS).channel()?;
        let boot = Boot {
            board: core.board.clone(),
            desks: core.desks.clone(),
            orders: core.orders.clone(),
            bell: core.bell.clone(),
            results: sender,
            worker: number,
            place: place as u32,
            has_initializer: core.options.initializer.is_some(),
            most_calls: core.options.most_calls,
            is_timed: core.options.time_limit.is_some(),
        };
        let name = format!("{}-{number}", core.options.name);
        let builder = core.options.process.clone().daemon(true).name(name);
        #[cfg(crash_points)]
        let builder = match &core.options.crash {
            Some((point, passes)) if number == 1 => builder.crash_at_nth(point, *passes),
            _ => builder,
        };
        let ready_by = core.options.initializer_limit.map_or(Deadline::NEVER, Deadline::after);
        let process = builder.spawn(worker::work, (boot,))?;
        if let Some(parcel) = &core.options.initializer {
            note::send(process.control(), parcel)?;
        }
        let relieved = core.options.time_limit.map(|_| clock::nanoseconds());
        let socket = Socket::new(process);
        Ok(Worker { number, results, socket, verdict: None, ready_by, relieved })
    }

    /// Kills the worker, whose task ends with this error, unless that has another reason already; whether this process may.
    pub(super) fn fail(&mut self, verdict: TaskError) -> bool {
        self.verdict.get_or_insert(verdict);
        self.socket.process.kill().is_ok()
    }

    /// Ends it for good, with what it is at. If it may not be killed, it hears of nothing any more, and nobody of it.
    pub(super) fn end(&self) {
        let _ = self.socket.process.kill();
        zygote::shut_down(self.socket.as_fd());
    }

    /// Its pool has just answered it, or made room for what it says: so long, a task that it has begun may have waited for that.
    pub(super) fn relieve(&mut self) {
        if let Some(at) = &mut self.relieved {
            *at = clock::nanoseconds();
        }
    }

    /// From when on the time counts of a task that it says to have begun at `start`.
    pub(super) fn counted_from(&self, start: u64) -> u64 {
        self.relieved.map_or(start, |relieved| relieved.max(start)).min(clock::nanoseconds())
    }

    /// How long its initializer may still take; `None`: as long as it likes, or it has ended.
    pub(super) fn time_left(&self) -> Option<Duration> {
        let has_ended = self.socket.mail.is_ready || self.socket.mail.failure.is_some();
        if has_ended { None } else { self.ready_by.remaining() }
    }

    /// Ends it, as its initializer has taken longer than that.
    pub(super) fn time_out(&mut self, limit: Duration) {
        self.socket.mail.failure = Some(Failure::TimedOut(limit));
        let _ = self.socket.process.kill();
    }

    /// What the death of this worker means for the task that it was at.
    pub(super) fn outcome(&mut self, exit: Exit) -> TaskError {
        if let Some(verdict) = self.verdict.take() {
            return verdict;
        }
        let pid = self.socket.process.pid();
        match self.socket.mail.failure.take() {
            Some(Failure::Panicked(panic)) => TaskError::Panicked {
                message: panic.message,
                location: panic.location,
                backtrace: panic.backtrace,
                pid,
                task: 0,
            },
            _ => TaskError::WorkerDied { pid, exit, task: 0 },
        }
    }

    /// Why it ended before it was ready.
    pub(super) fn start_error(&mut self, exit: Exit, has_initializer: bool) -> Error {
        let process = &self.socket.process;
        let (name, pid) = (process.name().to_string(), process.pid());
        let error = match self.socket.mail.failure.take() {
            Some(Failure::Panicked(panic)) => ProcessError::Panicked {
                name,
                pid,
                message: panic.message,
                location: panic.location,
                backtrace: panic.backtrace,
            },
            Some(Failure::Returned(reason)) => ProcessError::Initializer { name, pid, reason },
            Some(Failure::TimedOut(limit)) => ProcessError::InitializerTimedOut { name, pid, limit },
            Some(Failure::Failed(error)) => ProcessError::Failed { name, pid, source: Box::new(error) },
            None if has_initializer => ProcessError::InitializerEnded { name, pid, exit },
            None => ProcessError::Ended { name, pid, exit },
        };
        error.into()
    }
}

impl Socket {
    fn new(process: Process<()>) -> Self {
        Socket { process: Arc::new(process), mail: Mail::default() }
    }

    /// As [`Mail::listen`].
    pub(super) fn listen(&mut self) -> Option<Question> {
        self.mail.listen(self.process.control())
    }

    /// As [`Mail::take_result`].
    pub(super) fn take_result(&mut self, number: &[u8]) -> Result<(Received<()>, usize)> {
        self.mail.take_result(self.process.control(), number)
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.process.control()
    }
}
