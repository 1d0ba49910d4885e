//! The thread on which callbacks run, one at a time.

use std::any::Any;
use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::sync::OnceLock;
use std::sync::mpsc::{self, Sender};
use std::thread::{self, ThreadId};

use super::job::Callback;
use crate::error::{Error, Result};

#[derive(Default)]
pub(super) struct Callbacks {
    /// It is there from the pool's start on, and ends with this: whoever has taken in a task's end could run no callback in its place,
    /// as it may hold what the callback waits for.
    thread: OnceLock<(Sender<Callback>, ThreadId)>,
}

impl Callbacks {
    /// Starts the thread.
    pub(super) fn start(&self) -> Result<()> {
        let (sender, callbacks) = mpsc::channel::<Callback>();
        let run = move || callbacks.into_iter().for_each(contain);
        let started = thread::Builder::new().name("crossproc-callbacks".into()).spawn(run);
        let thread = started.map_err(|error| Error::os("start a thread of a pool", error))?;
        self.thread.get_or_init(|| (sender, thread.thread().id()));
        Ok(())
    }

    /// Has it run behind those that came before.
    pub(super) fn run(&self, callback: Callback) {
        if let Some((sender, _)) = self.thread.get() {
            let _ = sender.send(callback);
        }
    }

    /// Whether the calling thread is that thread.
    pub(super) fn are_here(&self) -> bool {
        self.thread.get().is_some_and(|(_, id)| *id == thread::current().id())
    }

    /// Waits until all that there are by now have run; not if the caller is one.
    pub(super) fn wait(&self) {
        let (done, all) = mpsc::channel::<()>();
        if !self.are_here() {
            self.run(Box::new(move || drop(done)));
            let _ = all.recv(); // it is closed
        }
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
