//! A bar that shows how far a map has come.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::core::Core;
use super::job::Job;
use crate::sys::clock::Deadline;

/// How often it moves: faster than people look, and rarely enough to cost nothing. A guess.
const TICK: Duration = Duration::from_millis(100);

const STYLE: &str = "{wide_bar} {human_pos}/{human_len} {per_sec} {eta}";

/// It has a thread of its own: whoever maps may be kept by the input, or by a pool that has no room for more of it.
pub(super) struct Bar {
    core: Arc<Core>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Bar {
    /// Shows how far the job has come, of an input of `hint` items, as long as the result lives; nothing if there is no thread
    /// to be had.
    pub(super) fn show(core: &Arc<Core>, job: &Arc<Job>, hint: (usize, Option<usize>)) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let (its_core, its_job, its_end) = (Arc::clone(core), Arc::clone(job), Arc::clone(&is_over));
        let watch = move || watch(&its_core, &its_job, &its_end, hint);
        let thread = thread::Builder::new().name("crossproc-bar".into()).spawn(watch).ok();
        Bar { core: Arc::clone(core), is_over, thread }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        // In a copy there is no such thread to wait for, and its handle would be closed.
        let thread = self.thread.take();
        if self.core.is_copied() {
            std::mem::forget(thread);
            return;
        }
        // Relaxed: it is only looked at, and `stir` has locked the gate by the time the thread looks again.
        self.is_over.store(true, Relaxed);
        self.core.stir();
        let _ = thread.map(JoinHandle::join);
    }
}

fn watch(core: &Core, job: &Job, is_over: &AtomicBool, (least, most): (usize, Option<usize>)) {
    let known = if most == Some(least) { least as u64 } else { 0 };
    let style = ProgressStyle::with_template(STYLE).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(known).with_style(style);
    loop {
        let (calls, finished) = job.counts();
        bar.set_length(known.max(calls));
        bar.set_position(finished);
        bar.tick();
        let is_done = || is_over.load(Relaxed) || job.is_complete();
        if core.wait(Deadline::after(TICK), is_done) || core.is_copied() {
            return bar.finish_and_clear();
        }
    }
}
