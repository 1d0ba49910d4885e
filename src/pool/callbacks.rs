//! The thread on which callbacks run, one at a time.

use std::any::Any;
use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::sync::mpsc::{self, Sender};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, ThreadId};

use super::job::Callback;

#[derive(Default)]
pub(super) struct Callbacks {
    /// Made by the first callback; it ends with this.
    thread: Mutex<Option<(Sender<Callback>, ThreadId)>>,
}

impl Callbacks {
    /// Has it run behind those that came before; at once and here if there is no thread to be had.
    pub(super) fn run(&self, callback: Callback) {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if thread.is_none() {
            let (sender, callbacks) = mpsc::channel::<Callback>();
            let started = thread::Builder::new().name("crossproc-callbacks".into()).spawn(move || {
                callbacks.into_iter().for_each(contain);
            });
            *thread = started.ok().map(|handle| (sender, handle.thread().id()));
        }
        match &*thread {
            Some((sender, _)) => {
                let _ = sender.send(callback);
            }
            None => {
                drop(thread);
                contain(callback);
            }
        }
    }

    /// Whether the calling thread is that thread.
    pub(super) fn are_here(&self) -> bool {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        thread.as_ref().is_some_and(|(_, id)| *id == thread::current().id())
    }

    /// Waits until all that there are by now have run; not if the caller is one.
    pub(super) fn wait(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((sender, id)) = &*thread else { return };
        if *id == thread::current().id() {
            return;
        }
        let (done, all) = mpsc::channel::<()>();
        let sent = sender.send(Box::new(move || drop(done)));
        drop(thread);
        if sent.is_ok() {
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
