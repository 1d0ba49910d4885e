//! The thread on which callbacks run, one at a time.

use std::any::Any;
use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, ThreadId};

use super::job::Callback;
use crate::error::{Error, Result};
use crate::sys::clock::Deadline;

/// It is there from the pool's start on, and ends with this: whoever has taken in a task's end could run no callback in its place, as it may
/// hold what the callback waits for.
pub(super) struct Callbacks {
    thread: Sender<Callback>,
    id: ThreadId,
}

impl Callbacks {
    /// Starts the thread.
    pub(super) fn start() -> Result<Self> {
        let (thread, callbacks) = mpsc::channel::<Callback>();
        let run = move || callbacks.into_iter().for_each(contain);
        let started = thread::Builder::new().name("crossproc-callbacks".into()).spawn(run);
        let started = started.map_err(|error| Error::os("start a thread of a pool", error))?;
        Ok(Callbacks { thread, id: started.thread().id() })
    }

    /// Has it run behind those that came before.
    pub(super) fn run(&self, callback: Callback) {
        let _ = self.thread.send(callback); // it does not end before this
    }

    /// Whether the calling thread is that thread.
    pub(super) fn are_here(&self) -> bool {
        self.id == thread::current().id()
    }

    /// Waits until all that there are by now have run, or until the deadline: `false`. Not if the caller is one.
    pub(super) fn wait(&self, deadline: Deadline) -> bool {
        if self.are_here() {
            return true;
        }
        let (done, all) = mpsc::channel::<()>();
        self.run(Box::new(move || drop(done)));
        // It is closed.
        deadline.remaining().map_or_else(
            || all.recv().is_err(),
            |left| matches!(all.recv_timeout(left), Err(RecvTimeoutError::Disconnected)),
        )
    }
}

/// Calls what the program has given us. A panic is printed, as that of a thread, and harms nobody else.
pub(super) fn contain(call: impl FnOnce()) {
    if let Err(payload) = panic::catch_unwind(AssertUnwindSafe(call)) {
        dispose(payload);
    }
}

/// Drops what a panic has left, which may panic, too.
pub(super) fn dispose(payload: Box<dyn Any + Send>) {
    if let Err(further) = panic::catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        mem::forget(further); // whoever goes that far may leak
    }
}
