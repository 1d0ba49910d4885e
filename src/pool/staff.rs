//! Workers as their pool sees them.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use super::core::Core;
use super::order::{Ask, Boot, Failure};
use super::worker;
use crate::error::{Error, Exit, ProcessError, Result, TaskError};
use crate::pipe::{PipeBuilder, Receiver};
use crate::process::note::{self, Heard};
use crate::process::{Process, Received};

/// Bytes of a worker's channel: results that it is ahead of the pool. A guess.
const RESULTS: usize = 256 << 10;

pub(super) struct Worker {
    pub(super) number: u32,
    pub(super) results: Receiver<()>,
    pub(super) socket: Socket,
    /// What its death will mean for the task that it is at, if it is killed for that.
    pub(super) verdict: Option<TaskError>,
}

/// The pool's end of the socket of a worker.
pub(super) struct Socket {
    pub(super) process: Arc<Process<()>>,
    results: VecDeque<(Received<()>, usize)>,
    /// Whether the worker's initializer has run.
    pub(super) is_ready: bool,
    /// Nothing more will come.
    pub(super) has_ended: bool,
    /// Why the worker does not work.
    pub(super) failure: Option<Failure>,
}

/// A question that only the pool's books can answer.
pub(super) enum Question {
    Segment(u64),
    Arguments(u32),
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
        let builder = Process::builder().daemon(true).name(name);
        #[cfg(crash_points)]
        let builder = match &core.options.crash {
            Some((point, passes)) if number == 1 => builder.crash_at_nth(point, *passes),
            _ => builder,
        };
        let process = builder.spawn(worker::work, (boot,))?;
        if let Some(parcel) = &core.options.initializer {
            note::send(process.control(), parcel)?;
        }
        Ok(Worker { number, results, socket: Socket::new(process), verdict: None })
    }

    /// What the death of this worker means for the task that it was at.
    pub(super) fn outcome(&mut self, exit: Exit) -> TaskError {
        if let Some(verdict) = self.verdict.take() {
            return verdict;
        }
        let pid = self.socket.process.pid();
        match self.socket.failure.take() {
            Some(Failure::Panicked(panic)) => TaskError::Panicked {
                message: panic.message,
                location: panic.location,
                backtrace: panic.backtrace,
                pid,
                task: 0,
            },
            _ => TaskError::WorkerDied { pid, exit },
        }
    }

    /// Why it ended before it was ready.
    pub(super) fn start_error(&mut self, exit: Exit) -> Error {
        let process = &self.socket.process;
        let (name, pid) = (process.name().to_string(), process.pid());
        let error = match self.socket.failure.take() {
            Some(Failure::Panicked(panic)) => ProcessError::Panicked {
                name,
                pid,
                message: panic.message,
                location: panic.location,
                backtrace: panic.backtrace,
            },
            Some(Failure::Returned(reason)) => ProcessError::Initializer { name, pid, reason },
            Some(Failure::Failed(error)) => ProcessError::Failed { name, pid, source: Box::new(error) },
            None => ProcessError::Ended { name, pid, exit },
        };
        error.into()
    }
}

impl Socket {
    fn new(process: Process<()>) -> Self {
        let process = Arc::new(process);
        Socket { process, results: VecDeque::new(), is_ready: false, has_ended: false, failure: None }
    }

    /// Takes the next message in; what it asks for, or `None` if there is no more.
    pub(super) fn listen(&mut self) -> Option<Question> {
        loop {
            match note::receive(self.process.control()) {
                Ok(Some(Heard::Note(received))) => {
                    if let Some(question) = self.understand(received) {
                        return Some(question);
                    }
                }
                Ok(Some(Heard::Panicked(panic))) => self.failure = Some(Failure::Panicked(panic)),
                Ok(Some(Heard::Failed(error))) => self.failure = Some(Failure::Failed(error)),
                Ok(Some(Heard::Hello | Heard::Returned)) => {}
                Ok(None) => return None,
                // What comes next would not be understood, either.
                Err(error) => {
                    self.failure = Some(Failure::Failed(error));
                    let _ = self.process.kill();
                    return None;
                }
            }
        }
    }

    fn understand(&mut self, received: Received<()>) -> Option<Question> {
        let body = received.body();
        match postcard::take_from_bytes::<Ask>(body) {
            Ok((Ask::Ready, _)) => self.is_ready = true,
            Ok((Ask::NotReady(failure), _)) => self.failure = Some(failure),
            Ok((Ask::Segment(number), _)) => return Some(Question::Segment(number)),
            Ok((Ask::Arguments(cell), _)) => return Some(Question::Arguments(cell)),
            Ok((Ask::Result, rest)) => {
                let start = body.len() - rest.len();
                self.results.push_back((received, start));
            }
            Err(error) => {
                let error = Error::Decode { what: "what a worker says".into(), reason: error.to_string() };
                self.failure = Some(Failure::Failed(error));
            }
        }
        None
    }

    /// The next of the results that came this way.
    pub(super) fn take_result(&mut self) -> Result<(Received<()>, usize)> {
        while self.results.is_empty()
            && let Ok(Some(Heard::Note(received))) = note::receive(self.process.control())
        {
            // No question comes before a result: who asks waits for the answer.
            self.understand(received);
        }
        let missing = || Error::Decode { what: "a result".into(), reason: "it is not there".into() };
        self.results.pop_front().ok_or_else(missing)
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.process.control()
    }
}
