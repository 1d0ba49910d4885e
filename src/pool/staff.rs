//! Workers as their pool sees them.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use super::core::Core;
use super::order::{Ask, Boot, Failure};
use super::worker;
use crate::error::{Error, Exit, ProcessError, Result, TaskError};
use crate::pipe::{PipeBuilder, Receiver};
use crate::process::note::{self, Heard};
use crate::process::{Process, Received};
use crate::sys::clock::Deadline;

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
}

/// The pool's end of the socket of a worker.
pub(super) struct Socket {
    pub(super) process: Arc<Process<()>>,
    /// By their numbers; each begins so many bytes behind the beginning of its message.
    results: VecDeque<(u64, Received<()>, usize)>,
    /// Something came that this process could not take in, for want of a descriptor.
    has_lost: bool,
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
    Function(u64),
    Load(u32),
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
        Ok(Worker { number, results, socket: Socket::new(process), verdict: None, ready_by })
    }

    /// Ends the worker, which waits for an answer that could not be sent, and its task with this error.
    pub(super) fn fail(&mut self, error: &Error) {
        self.verdict.get_or_insert_with(|| TaskError::encode(error));
        let _ = self.socket.process.kill();
    }

    /// How long its initializer may still take; `None`: as long as it likes, or it has ended.
    pub(super) fn time_left(&self) -> Option<Duration> {
        let has_ended = self.socket.is_ready || self.socket.failure.is_some();
        if has_ended { None } else { self.ready_by.remaining() }
    }

    /// Ends it, as its initializer has taken longer than that.
    pub(super) fn time_out(&mut self, limit: Duration) {
        self.socket.failure = Some(Failure::TimedOut(limit));
        let _ = self.socket.process.kill();
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
            _ => TaskError::WorkerDied { pid, exit, task: 0 },
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
            Some(Failure::TimedOut(limit)) => ProcessError::InitializerTimedOut { name, pid, limit },
            Some(Failure::Failed(error)) => ProcessError::Failed { name, pid, source: Box::new(error) },
            None => ProcessError::Ended { name, pid, exit },
        };
        error.into()
    }
}

impl Socket {
    fn new(process: Process<()>) -> Self {
        let process = Arc::new(process);
        Socket { process, results: VecDeque::new(), has_lost: false, is_ready: false, has_ended: false, failure: None }
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
                    self.lose(error);
                    return None;
                }
            }
        }
    }

    /// A message is lost. It was a result if the worker was ready: all else is short.
    fn lose(&mut self, error: Error) {
        if self.is_ready {
            self.has_lost = true;
        } else {
            self.failure = Some(Failure::Failed(error));
        }
    }

    fn understand(&mut self, received: Received<()>) -> Option<Question> {
        let body = received.body();
        match postcard::take_from_bytes::<Ask>(body) {
            Ok((Ask::Ready, _)) => self.is_ready = true,
            Ok((Ask::NotReady(failure), _)) => self.failure = Some(failure),
            Ok((Ask::Segment(number), _)) => return Some(Question::Segment(number)),
            Ok((Ask::Function(number), _)) => return Some(Question::Function(number)),
            Ok((Ask::Load(cell), _)) => return Some(Question::Load(cell)),
            Ok((Ask::Result(number), rest)) => {
                let start = body.len() - rest.len();
                self.results.push_back((number, received, start));
            }
            Err(error) => {
                self.lose(Error::Decode { what: "what a worker says".into(), reason: error.to_string() });
            }
        }
        None
    }

    /// The result that came this way under the number in a record. If it is lost, no other one is taken for it.
    pub(super) fn take_result(&mut self, number: &[u8]) -> Result<(Received<()>, usize)> {
        let missing = || Error::Decode { what: "a result".into(), reason: "it could not be taken in".into() };
        let number = u64::from_ne_bytes(number.try_into().map_err(|_| missing())?);
        // No question comes before a result: who asks waits for the answer. But where something is lost, it may be the result.
        while !self.has_lost
            && self.results.back().is_none_or(|(last, ..)| *last < number)
            && let Ok(Some(Heard::Note(received))) = note::receive(self.process.control())
        {
            self.understand(received);
        }
        self.has_lost = false;
        self.results.retain(|(found, ..)| *found >= number);
        let (_, received, start) = self.results.pop_front_if(|(found, ..)| *found == number).ok_or_else(missing)?;
        Ok((received, start))
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.process.control()
    }
}
