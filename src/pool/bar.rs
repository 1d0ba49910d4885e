//! A bar that shows how far a map has come.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::core::Core;
use super::job::Job;
use crate::sys::clock::Deadline;

/// How often it moves: faster than people look, and rarely enough to cost nothing. A guess.
const TICK: Duration = Duration::from_millis(100);

const STYLE: &str = "{wide_bar} {human_pos}/{human_len} {per_sec} {eta}";

pub(super) struct Bar {
    bar: ProgressBar,
}

impl Bar {
    /// For an input of `hint` items.
    pub(super) fn new(hint: (usize, Option<usize>)) -> Self {
        let bar = hint.1.map_or_else(ProgressBar::no_length, |length| ProgressBar::new(length as u64));
        Bar { bar: ProgressStyle::with_template(STYLE).map_or(bar.clone(), |style| bar.with_style(style)) }
    }

    /// Shows it until the job is done.
    pub(super) fn watch(&self, core: &Core, job: &Job) {
        loop {
            let is_done = core.wait(Deadline::after(TICK), || job.is_complete());
            let (calls, finished) = job.counts();
            self.bar.set_length(calls);
            self.bar.set_position(finished);
            if is_done || core.is_copied() {
                self.bar.finish_and_clear();
                return;
            }
        }
    }
}
