//! Where a task's outcome is in this process, as soon as somebody has asked for it: with the task, with a callback, or taken.

use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::job::Job;
use super::results::{Outcomes, or_panicked};
use crate::error::TaskError;

/// How a task's outcome is made of those of its calls.
pub(super) type Open<R> = fn(Vec<Outcomes>) -> Result<R, TaskError>;

/// A task's outcome in this process.
#[derive(Default)]
pub(super) enum Opened<R> {
    /// Nobody has asked for it yet.
    #[default]
    Not,
    Here(Result<R, TaskError>),
    /// A callback has it in hands, or somebody has taken it; whether it is a result.
    Away(bool),
}

impl<R> Opened<R> {
    pub(super) fn is_ok(&self) -> bool {
        matches!(self, Opened::Here(Ok(_)) | Opened::Away(true))
    }

    pub(super) fn take(&mut self) -> Result<R, TaskError> {
        match mem::replace(self, Opened::Away(self.is_ok())) {
            Opened::Here(outcome) => outcome,
            Opened::Not | Opened::Away(_) => Err(TaskError::Taken),
        }
    }
}

/// An outcome in the hands of a callback, which may ask the task for whatever it likes meanwhile; then it goes back where it was.
pub(super) struct Lent<'a, R> {
    opened: &'a Mutex<Opened<R>>,
    outcome: Option<Result<R, TaskError>>,
    /// If not, somebody has it already, and this is the error that says so.
    was_here: bool,
}

impl<'a, R> Lent<'a, R> {
    pub(super) fn new(opened: &'a Mutex<Opened<R>>, job: &Job, how: Open<R>) -> Self {
        let mut found = open(opened, job, how);
        let was_here = matches!(*found, Opened::Here(_));
        Lent { opened, outcome: Some(found.take()), was_here }
    }

    pub(super) fn show(&self, callback: impl FnOnce(&Result<R, TaskError>)) {
        if let Some(outcome) = &self.outcome {
            callback(outcome);
        }
    }
}

impl<R> Drop for Lent<'_, R> {
    fn drop(&mut self) {
        if let Some(outcome) = self.outcome.take_if(|_| self.was_here) {
            *lock(self.opened) = Opened::Here(outcome);
        }
    }
}

fn lock<R>(opened: &Mutex<Opened<R>>) -> MutexGuard<'_, Opened<R>> {
    opened.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The outcome, decoded by whoever comes first.
pub(super) fn open<'a, R>(opened: &'a Mutex<Opened<R>>, job: &Job, how: Open<R>) -> MutexGuard<'a, Opened<R>> {
    let mut opened = lock(opened);
    if matches!(*opened, Opened::Not) {
        // What is dropped on the way to an error is the program's, too, and may panic.
        let contained = |all| or_panicked(|| how(all).map_err(Box::new)).map_err(|error| *error);
        *opened = Opened::Here(job.take_all().and_then(contained));
    }
    opened
}
