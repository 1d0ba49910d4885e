//! The pool's answers to what its workers ask for.
//!
//! Arguments that a worker asks for are encoded, and written into a file of their own if they are long: that takes as long as copying them
//! twice. A thread does so with those that are very long, one after the other, as there is then one such copy at a time; the keeper hears
//! of all else meanwhile. A worker asks for one thing at a time: it is not listened to before it has been sent what it has asked for.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use super::core::Core;
use super::order::Load;
use crate::error::Result;
use crate::process::{Process, note};
use crate::segment::handle::Parcel;

/// So many bytes of arguments take a good deal of a millisecond, beside which a thread's awakening is little. A guess.
const LONG: usize = 1 << 20;

pub(super) enum Answer {
    Parcel(Parcel),
    Load(Load),
}

impl Answer {
    fn is_long(&self) -> bool {
        matches!(self, Answer::Load(load) if load.size() > LONG)
    }

    fn send(self, process: &Process<()>) -> Result<()> {
        let parcel = match self {
            Answer::Parcel(parcel) => parcel,
            // Of numbers and bytes: it encodes.
            Answer::Load(load) => Parcel::of_bytes(postcard::to_stdvec(&load).unwrap_or_default()),
        };
        note::send(process.control(), &parcel).or_else(|error| {
            let is_dead = note::nobody_listens(&error);
            if is_dead { Ok(()) } else { Err(error) }
        })
    }
}

#[derive(Default)]
pub(super) struct Answers {
    /// The numbers of workers to which something is on its way.
    awaited: Vec<u32>,
    /// Made by the first long one; it ends with this.
    thread: Option<(Sender<Due>, Receiver<Sent>)>,
}

/// An answer that the thread is to send.
struct Due {
    core: Arc<Core>,
    worker: u32,
    process: Arc<Process<()>>,
    answer: Answer,
}

/// What has been sent to a worker, or why not.
type Sent = (u32, Result<()>);

impl Answers {
    /// Whether something is on its way to this worker.
    pub(super) fn are_awaited_by(&self, worker: u32) -> bool {
        self.awaited.contains(&worker)
    }

    /// Sends an answer to a worker; `None`: it is on its way, and the alarm tells when [`finished`](Self::finished) has more to say.
    pub(super) fn send(
        &mut self,
        core: &Arc<Core>,
        worker: u32,
        process: Arc<Process<()>>,
        answer: Answer,
    ) -> Option<Result<()>> {
        if !answer.is_long() {
            return Some(answer.send(&process));
        }
        self.begin();
        let Some((to_thread, _)) = &self.thread else { return Some(answer.send(&process)) };
        match to_thread.send(Due { core: Arc::clone(core), worker, process, answer }) {
            Ok(()) => {
                self.awaited.push(worker);
                None
            }
            Err(mpsc::SendError(due)) => Some(due.answer.send(&due.process)),
        }
    }

    /// Starts the thread, if there is none but one to be had.
    fn begin(&mut self) {
        if self.thread.is_none() {
            let ((to_thread, due), (sent, from_thread)) = (mpsc::channel(), mpsc::channel());
            let write = move || due.into_iter().for_each(|due| deliver(due, &sent));
            let started = thread::Builder::new().name("crossproc-answers".into()).spawn(write);
            self.thread = started.ok().map(|_| (to_thread, from_thread));
        }
    }

    /// Those that were on their way, and are not any more.
    pub(super) fn finished(&mut self) -> Vec<Sent> {
        let sent: Vec<Sent> = self.thread.iter().flat_map(|(_, sent)| sent.try_iter()).collect();
        self.awaited.retain(|awaited| sent.iter().all(|(worker, _)| worker != awaited));
        sent
    }
}

fn deliver(due: Due, sent: &Sender<Sent>) {
    let Due { core, worker, process, answer } = due;
    // For one that is dead by now, nothing is written.
    let result = if process.exit().is_some() { Ok(()) } else { answer.send(&process) };
    let _ = sent.send((worker, result));
    core.alarm.raise();
}
