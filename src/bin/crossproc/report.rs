//! What people see: the progress bar, the report, and errors.

use std::cmp::Reverse;
use std::error::Error;
use std::io::{self, IsTerminal, Write};
use std::iter;
use std::path::Path;
use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::corpus::{Corpus, Unreadable};
use crate::demo::Counts;

/// How many of the most frequent words are shown.
const TOP: usize = 10;

/// How much of a word or name is shown, in characters.
const WIDEST: usize = 40;

/// How much is counted, if standard error is a terminal; it disappears when dropped.
pub(crate) struct Bar(ProgressBar);

impl Bar {
    pub(crate) fn new(bytes: u64) -> Self {
        let terminal = io::stderr().is_terminal();
        let target = if terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let style = ProgressStyle::with_template("{wide_bar} {binary_bytes} of {binary_total_bytes}");
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        Bar(ProgressBar::with_draw_target(Some(bytes), target).with_style(style))
    }

    pub(crate) fn show(&self, bytes: u64) {
        self.0.set_position(bytes);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// All that was found out.
pub(crate) struct Report<'a> {
    pub(crate) path: &'a Path,
    pub(crate) corpus: &'a Corpus,
    pub(crate) workers: Vec<&'a WorkerReport>,
    pub(crate) counts: &'a Counts,
    /// From before the first worker was started until their results were added up.
    pub(crate) parallel_time: Duration,
    pub(crate) single_time: Duration,
    /// Whether a worker was to be killed.
    pub(crate) kill: bool,
}

/// What one worker did.
pub(crate) struct WorkerReport {
    pub(crate) pid: u32,
    pub(crate) bytes: u64,
    pub(crate) words: u64,
    pub(crate) distinct: u64,
    pub(crate) seconds: f64,
    /// Whether the lock of its share said that an owner had died.
    pub(crate) owner_died: bool,
    /// Those that were killed over its share before it.
    pub(crate) killed: Vec<Death>,
}

/// The end of a worker before it was done.
pub(crate) struct Death {
    pub(crate) pid: u32,
    /// How far it was.
    pub(crate) bytes: u64,
}

impl Report<'_> {
    pub(crate) fn print(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "the words in {}\n", self.path.display())?;
        if !self.counts.is_empty() {
            writeln!(out, "{}\n", self.top().trim_fmt())?;
        }
        writeln!(out, "{}\n", self.totals().trim_fmt())?;
        if self.workers.is_empty() {
            let nobody = if self.kill { ", and nobody to kill" } else { "" };
            return writeln!(out, "nothing to count{nobody}");
        }
        writeln!(out, "{}", self.table_of_workers().trim_fmt())
    }

    fn top(&self) -> Table {
        let mut words: Vec<_> = self.counts.iter().map(|(word, &count)| (Reverse(count), word)).collect();
        words.sort_unstable();
        let mut table = plain();
        for (Reverse(count), word) in words.into_iter().take(TOP) {
            table.add_row([count.to_string(), shown(word)]);
        }
        align(&mut table, &[CellAlignment::Right, CellAlignment::Left]);
        table
    }

    fn totals(&self) -> Table {
        let Corpus { files, bytes, binary, unreadable, .. } = self.corpus;
        let workers = self.workers.len();
        let speed = |time: Duration| format!("{:.3} GiB/s", *bytes as f64 / time.as_secs_f64() / f64::from(1 << 30));
        let seconds = |time: Duration| format!("{:.3} s", time.as_secs_f64());
        let mut table = plain();
        table.add_row(["files", &files.to_string(), &format!("{binary} not text, {} unreadable", unreadable.len())]);
        table.add_row(["bytes", &bytes.to_string(), ""]);
        table.add_row(["words", &self.counts.values().sum::<u64>().to_string(), ""]);
        table.add_row(["different", &self.counts.len().to_string(), ""]);
        let parallel =
            format!("{} in {workers} processes, with starting them and adding up", seconds(self.parallel_time));
        table.add_row(["counted", &speed(self.parallel_time), &parallel]);
        let single = format!("{} in one process, with std's HashMap: the same result", seconds(self.single_time));
        table.add_row(["checked", &speed(self.single_time), &single]);
        align(&mut table, &[CellAlignment::Left, CellAlignment::Right, CellAlignment::Left]);
        table
    }

    fn table_of_workers(&self) -> Table {
        let mut table = plain();
        table.set_header(["worker", "bytes", "words", "different", "seconds", "GiB/s", ""]);
        for worker in &self.workers {
            table.add_row([
                format!("pid {}", worker.pid),
                worker.bytes.to_string(),
                worker.words.to_string(),
                worker.distinct.to_string(),
                format!("{:.3}", worker.seconds),
                format!("{:.3}", worker.bytes as f64 / worker.seconds / f64::from(1 << 30)),
                worker.history(),
            ]);
        }
        let mut alignments = [CellAlignment::Right; 7];
        alignments[6] = CellAlignment::Left;
        align(&mut table, &alignments);
        table
    }
}

impl WorkerReport {
    fn history(&self) -> String {
        let percent = |bytes: u64| bytes as f64 / self.bytes as f64 * 100.0;
        let death =
            |Death { pid, bytes }: &Death| format!("restarted: pid {pid} was killed at {:.0} %", percent(*bytes));
        let repair = self.owner_died.then(|| "lock: owner died, repaired".to_string());
        self.killed.iter().map(death).chain(repair).collect::<Vec<_>>().join("; ")
    }
}

fn plain() -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table
}

fn align(table: &mut Table, alignments: &[CellAlignment]) {
    for (column, &alignment) in table.column_iter_mut().zip(alignments) {
        column.set_cell_alignment(alignment);
    }
}

/// A word as it can be printed anywhere: cut to a width, and without anything that moves a cursor.
pub(crate) fn shown(word: &[u8]) -> String {
    // No character has more than four bytes.
    let text = String::from_utf8_lossy(&word[..word.len().min(4 * (WIDEST + 1))]).into_owned();
    let printable = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
    let more = if text.chars().count() > WIDEST { "…" } else { "" };
    text.chars().take(WIDEST).map(printable).chain(more.chars()).collect()
}

/// Names on standard error what could not be read.
pub(crate) fn name_unreadable(unreadable: &[Unreadable]) {
    for one in unreadable {
        // Where nobody listens, there is nobody to tell.
        let _ = writeln!(io::stderr(), "crossproc: {}", with_sources(one));
    }
}

/// The error, and why, and why that.
pub(crate) fn with_sources(error: &dyn Error) -> String {
    let chain = iter::successors(Some(error), |&error| error.source());
    chain.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
