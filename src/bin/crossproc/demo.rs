//! Counting words in several processes, surviving the death of one, and checking the result.

use std::collections::HashMap;
use std::io;
use std::panic;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use crossproc::{Array, Exit, LockError, Process, ProcessError, RawArray};
use serde::{Deserialize, Serialize};

use crate::corpus::{self, Corpus, Share};
use crate::report::{self, Bar, Death, Report, WorkerReport};
use crate::table::Table;
use crate::words::is_word_byte;

/// How much a worker counts before it says how far it is.
const STEP: usize = 64 << 10;

/// How often the parent looks how far the workers are: as often as a progress bar can be seen to move, a guess.
const TICK: Duration = Duration::from_millis(50);

/// How often it looks at the one that it will kill.
const AIM: Duration = Duration::from_millis(1);

/// How many workers may be killed over one share before we give up, a guess: the first death is an accident (or
/// `--kill`), and the third follows from something that starting again does not change.
const MOST_DEATHS: usize = 3;

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Corpus(#[from] corpus::Failure),
    #[error(transparent)]
    Shared(#[from] crossproc::Error),
    #[error(
        "the workers counted {} words, {} of them different; one process counted {} words, {} of them different; \
         {word:?} is there {} and {} times",
        words[0], distinct[0], words[1], distinct[1], times[0], times[1]
    )]
    Mismatch { words: [u64; 2], distinct: [usize; 2], word: String, times: [u64; 2] },
    #[error("cannot print the report")]
    Report { source: io::Error },
}

/// Counts what is below `path` and prints a report.
pub(crate) fn run(path: &Path, workers: usize, kill: bool) -> Result<(), Failure> {
    let corpus = corpus::read(path, workers)?;
    report::name_unreadable(&corpus.unreadable);

    let start = Instant::now();
    let counted = count_in_workers(&corpus, kill)?;
    let parallel = merge(&corpus, &counted)?;
    let parallel_time = start.elapsed();

    let start = Instant::now();
    let single = count_simply(&corpus)?;
    let single_time = start.elapsed();

    compare(&parallel, &single)?;
    let report = Report {
        path,
        corpus: &corpus,
        workers: counted.iter().map(|worker| &worker.report).collect(),
        counts: &parallel,
        parallel_time,
        single_time,
        kill,
    };
    report.print(&mut io::stdout().lock()).map_err(|source| Failure::Report { source })
}

/// How often each word occurs; keys are in lower case.
pub(crate) type Counts = HashMap<Vec<u8>, u64>;

/// What a worker is to do.
#[derive(Clone, Serialize, Deserialize)]
struct Task {
    text: Array<u8>,
    length: u64,
    /// For each share, how many bytes of it are done.
    progress: RawArray<AtomicU64>,
    share: u64,
    /// After how many bytes to wait for the end, lock in hand.
    wait_after: Option<u64>,
}

/// What it says when it is done.
#[derive(Serialize, Deserialize)]
struct Counted {
    table: Table,
    words: u64,
    seconds: f64,
    /// Whether the lock of the text came from a process that had died with it.
    owner_died: bool,
}

/// The body of a worker.
fn count(task: Task) -> crossproc::Result<Counted> {
    let mut owner_died = false;
    let text = task.text.lock().or_else(|error| {
        owner_died = matches!(error, LockError::OwnerDied(_));
        // Workers only read the text: whoever died has left it as it was.
        error.repair()
    })?;
    let start = Instant::now();
    let text = &text[..task.length as usize];
    let goal = task.wait_after.map_or(text.len(), |bytes| bytes as usize);
    let (mut table, mut words, mut done) = (Table::new()?, 0, 0);
    while done < text.len() {
        let end = (done + STEP).min(goal);
        let rest_of_word = text[end - 1..].iter().position(|&byte| !is_word_byte(byte));
        let end = rest_of_word.map_or(text.len(), |length| end + length);
        words += table.count(text, done..end)?;
        done = end;
        // Relaxed: a number for whoever looks; the result travels on its own.
        task.progress[task.share as usize].store(done as u64, Relaxed);
        while task.wait_after.is_some() && done >= goal {
            thread::park();
        }
    }
    Ok(Counted { table, words, seconds: start.elapsed().as_secs_f64(), owner_died })
}

/// What became of a share.
struct Done {
    table: Table,
    report: WorkerReport,
}

/// Has every share counted by a process of its own; with `kill`, the first one is killed half-way.
fn count_in_workers(corpus: &Corpus, kill: bool) -> crossproc::Result<Vec<Done>> {
    let progress = RawArray::<AtomicU64>::new(corpus.shares.len())?;
    let bar = Bar::new(corpus.shares.iter().map(|share| share.length as u64).sum());
    thread::scope(|scope| {
        let (alive, all_ended) = mpsc::channel::<()>();
        let supervise = |(index, share)| {
            let (alive, progress) = (alive.clone(), &progress);
            scope.spawn(move || {
                let _alive = alive;
                supervise(index, share, progress, kill && index == 0)
            })
        };
        let supervisors: Vec<_> = corpus.shares.iter().enumerate().map(supervise).collect();
        drop(alive);
        while all_ended.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
            bar.show(progress.iter().map(|done| done.load(Relaxed)).sum());
        }
        let join =
            |supervisor: thread::ScopedJoinHandle<'_, _>| supervisor.join().unwrap_or_else(|p| panic::resume_unwind(p));
        supervisors.into_iter().map(join).collect()
    })
}

/// Has a share counted, by one process after the other until one is not killed over it.
fn supervise(index: usize, share: &Share, progress: &RawArray<AtomicU64>, kill: bool) -> crossproc::Result<Done> {
    let length = share.length as u64;
    let half = length.div_ceil(2);
    let done = &progress[index];
    let mut killed = Vec::new();
    loop {
        let wait_after = (kill && killed.is_empty()).then_some(half);
        let (text, progress) = (share.text.clone(), progress.clone());
        let task = Task { text, length, progress, share: index as u64, wait_after };
        done.store(0, Relaxed);
        // A daemon: nobody would look at its result if this process were killed.
        let process = Process::builder().name(format!("worker {index}")).daemon(true).spawn(count, (task,))?;
        let pid = process.pid();
        if wait_after.is_some() {
            while process.wait_timeout(AIM).is_none() {
                if done.load(Relaxed) >= half {
                    process.kill()?;
                    process.wait();
                }
            }
        }
        match process.join() {
            Err(ProcessError::Ended { exit: Exit::Signal(_), .. }) if killed.len() + 1 < MOST_DEATHS => {
                killed.push(Death { pid, bytes: done.load(Relaxed) });
            }
            outcome => {
                let Counted { table, words, seconds, owner_died } = outcome??;
                let distinct = table.distinct();
                let report = WorkerReport { pid, bytes: length, words, distinct, seconds, owner_died, killed };
                return Ok(Done { table, report });
            }
        }
    }
}

/// Adds up the workers' tables, reading them, and the words in the shares, where they are.
fn merge(corpus: &Corpus, counted: &[Done]) -> crossproc::Result<Counts> {
    let (mut counts, mut folded) = (Counts::new(), Vec::new());
    for (share, worker) in corpus.shares.iter().zip(counted) {
        worker.table.for_each(&share.text.lock()?, |word, count| {
            folded.clear();
            folded.extend(word.iter().map(u8::to_ascii_lowercase));
            match counts.get_mut(&folded) {
                Some(sum) => *sum += count,
                None => drop(counts.insert(folded.clone(), count)),
            }
        })?;
    }
    Ok(counts)
}

/// Counts all shares in this process, in the way that takes the fewest lines.
fn count_simply(corpus: &Corpus) -> crossproc::Result<Counts> {
    let mut counts = Counts::new();
    for share in &corpus.shares {
        for word in
            share.text.lock()?[..share.length].split(|&byte| !is_word_byte(byte)).filter(|word| !word.is_empty())
        {
            *counts.entry(word.to_ascii_lowercase()).or_default() += 1;
        }
    }
    Ok(counts)
}

/// Fails with the first word, in their order, that is not there as often in one as in the other.
fn compare(parallel: &Counts, single: &Counts) -> Result<(), Failure> {
    let both = [parallel, single];
    let times = |word: &[u8]| both.map(|counts| counts.get(word).copied().unwrap_or(0));
    let differs = |word: &&Vec<u8>| {
        let [one, other] = times(word);
        one != other
    };
    let Some(word) = both.into_iter().flat_map(HashMap::keys).filter(differs).min() else { return Ok(()) };
    Err(Failure::Mismatch {
        words: both.map(|counts| counts.values().sum()),
        distinct: both.map(HashMap::len),
        word: report::shown(word),
        times: times(word),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(text: &str) -> Counts {
        let mut counts = Counts::new();
        for word in text.split(' ') {
            *counts.entry(word.into()).or_default() += 1;
        }
        counts
    }

    #[test]
    fn a_difference_is_shown_with_both_numbers() {
        assert!(compare(&counts("a b a"), &counts("b a a")).is_ok());
        let failure = compare(&counts("a b b c"), &counts("a b d")).unwrap_err();
        assert_eq!(
            failure.to_string(),
            "the workers counted 4 words, 3 of them different; one process counted 3 words, 3 of them different; \"b\" \
             is there 2 and 1 times"
        );
        let failure = compare(&counts("b"), &counts("b x")).unwrap_err();
        assert!(failure.to_string().ends_with("\"x\" is there 0 and 1 times"), "{failure}");
    }
}
