//! Counting in several processes: they get shares out of one queue, and put what they have counted into another.

use std::mem;
use std::process;
use std::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use std::thread;
use std::time::{Duration, Instant};

use crossproc::{Exit, GetError, LockError, Process, ProcessError, PutError, Queue, RawArray, Result, TryGetError};
use serde::{Deserialize, Serialize};

use crate::corpus::Share;
use crate::report::{Bar, Death, WorkerReport};
use crate::table::{Occurrences, Table};
use crate::words::is_word_byte;

/// How much a worker counts before it says how far it is.
const STEP: usize = 64 << 10;

/// How often the parent looks how far the workers are: as often as a progress bar can be seen to move, a guess.
const TICK: Duration = Duration::from_millis(50);

/// How often it looks for the one that it will kill.
const AIM: Duration = Duration::from_millis(1);

/// How many workers may be killed over one share before we give up, a guess: the first death is an accident (or
/// `--kill`), and the third follows from something that starting again does not change.
const MOST_DEATHS: usize = 3;

/// Encoded bytes of what was counted, for each byte of text: three integers of ten bytes at most, for a word and what
/// separates it from the next.
const ENCODED: usize = 15;

/// Encoded bytes of the rest of a result, and of a word that nothing separates from another.
const ENCODED_ONCE: usize = 128;

/// What became of a share.
pub(crate) struct Done {
    pub(crate) words: Vec<Occurrences>,
    pub(crate) report: WorkerReport,
}

/// Has the shares counted by as many processes; with `kill`, the one that has the first share is killed half-way.
pub(crate) fn count(shares: &[Share], kill: bool) -> Result<Vec<Done>> {
    let Some(longest) = shares.iter().map(|share| share.length).max() else { return Ok(Vec::new()) };
    let jobs = Queue::new(shares.len())?;
    for (share, Share { length, .. }) in shares.iter().enumerate() {
        let wait_after = (kill && share == 0).then_some(length.div_ceil(2));
        jobs.put(Job { share, wait_after })?;
    }
    // Nothing follows. A queue that is closed still has what is in it, what dead workers have left included.
    jobs.close();
    let results = Queue::builder().capacity(shares.len()).max_message(ENCODED * longest + ENCODED_ONCE).build()?;
    Crew { shares, jobs, results, progress: Progress::new(shares.len())? }.run(kill)
}

/// What a worker is to do.
#[derive(Serialize, Deserialize)]
struct Job {
    share: usize,
    /// After how many bytes to wait for the end, lock in hand, unless that has been the end of another worker.
    wait_after: Option<usize>,
}

/// What it has to say when it is done.
#[derive(Serialize, Deserialize)]
struct Counted {
    share: usize,
    pid: u32,
    words: Vec<Occurrences>,
    total: u64,
    seconds: f64,
    /// Whether the lock of the text came from a process that had died with it.
    owner_died: bool,
}

/// Where each worker is: in which share, and how many bytes of it are done.
#[derive(Clone, Serialize, Deserialize)]
struct Progress {
    shares: RawArray<AtomicU64>,
    bytes: RawArray<AtomicU64>,
}

impl Progress {
    fn new(workers: usize) -> Result<Self> {
        Ok(Progress { shares: RawArray::new(workers)?, bytes: RawArray::new(workers)? })
    }

    fn begin(&self, worker: usize, share: usize) {
        self.step(worker, 0);
        // Release: pairs with Acquire in `get`, which so does not see the bytes of the share before with this one.
        self.shares[worker].store(share as u64, Release);
    }

    fn step(&self, worker: usize, bytes: usize) {
        // Relaxed: a number for whoever looks; the result travels on its own.
        self.bytes[worker].store(bytes as u64, Relaxed);
    }

    /// The share, and bytes of it or of the next.
    fn get(&self, worker: usize) -> (usize, u64) {
        let share = self.shares[worker].load(Acquire);
        (share as usize, self.bytes[worker].load(Relaxed))
    }
}

/// The body of a worker, which has a number.
fn work(
    jobs: Queue<Job>,
    results: Queue<Counted>,
    shares: Vec<Share>,
    progress: Progress,
    worker: usize,
) -> Result<()> {
    loop {
        let job = match jobs.get_task() {
            Ok(job) => job.give_back_on_drop(),
            Err(GetError::Closed) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        progress.begin(worker, job.share);
        let counted = count_share(&job, &shares[job.share], |bytes| progress.step(worker, bytes))?;
        match results.put(counted) {
            // Only now is the job done. Whoever dies in between has its share counted twice, rather than never.
            Ok(()) => job.done(),
            // All is counted, this share by a worker that died in between.
            Err(PutError::Closed(_)) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

fn count_share(job: &Job, share: &Share, step: impl Fn(usize)) -> Result<Counted> {
    let mut owner_died = false;
    let text = share.text.lock().or_else(|error| {
        owner_died = matches!(error, LockError::OwnerDied(_));
        // Workers only read the text: whoever died has left it as it was.
        error.repair()
    })?;
    let start = Instant::now();
    let text = &text[..share.length];
    let wait_after = job.wait_after.filter(|_| !owner_died);
    let goal = wait_after.unwrap_or(text.len());
    let (mut table, mut total, mut done) = (Table::new(), 0, 0);
    while done < text.len() {
        let end = (done + STEP).min(goal);
        let rest_of_word = text[end - 1..].iter().position(|&byte| !is_word_byte(byte));
        let end = rest_of_word.map_or(text.len(), |length| end + length);
        total += table.count(text, done..end);
        done = end;
        step(done);
        while wait_after.is_some() && done >= goal {
            thread::park();
        }
    }
    let (words, seconds) = (table.into_occurrences(), start.elapsed().as_secs_f64());
    Ok(Counted { share: job.share, pid: process::id(), words, total, seconds, owner_died })
}

/// What all workers have in common. There are as many of them as shares.
struct Crew<'a> {
    shares: &'a [Share],
    jobs: Queue<Job>,
    results: Queue<Counted>,
    progress: Progress,
}

/// `None`: it has found nothing more to do.
type Worker = Option<Process<Result<()>>>;

impl Crew<'_> {
    fn run(self, mut kill: bool) -> Result<Vec<Done>> {
        let numbers = 0..self.shares.len();
        let mut workers = numbers.clone().map(|number| self.start(number)).collect::<Result<Vec<_>>>()?;
        let mut counted: Vec<Option<Counted>> = numbers.clone().map(|_| None).collect();
        let mut killed: Vec<Vec<Death>> = numbers.clone().map(|_| Vec::new()).collect();
        let bar = Bar::new(self.shares.iter().map(|share| share.length as u64).sum());
        while counted.iter().any(Option::is_none) {
            match self.results.get_timeout(if kill { AIM } else { TICK }) {
                // By its share, since it may have come before: see `work`.
                Ok(result) => {
                    counted[result.share].get_or_insert(result);
                    continue;
                }
                Err(TryGetError::Empty) => {}
                Err(error) => return Err(error.into()),
            }
            bar.show(self.bytes_done(&counted));
            kill = kill && !self.kill_half_way(&workers)?;
            for number in numbers.clone() {
                self.look_after(number, &mut workers[number], &mut killed)?;
            }
            if workers.iter().all(Option::is_none) {
                // No result can follow: should one be missing, the next look finds that out, and does not wait for it.
                self.results.close();
            }
        }
        self.results.close();
        for worker in workers.iter().flatten() {
            worker.wait();
        }
        let done = self.shares.iter().zip(counted.into_iter().flatten()).zip(killed);
        Ok(done.map(|((share, counted), killed)| counted.into_done(share, killed)).collect())
    }

    fn start(&self, number: usize) -> Result<Worker> {
        // Until it has one, the share of its number is the one over which it is killed.
        self.progress.begin(number, number);
        // A daemon: nobody would get its results if this process were killed.
        let builder = Process::builder().name(format!("worker {number}")).daemon(true);
        builder.spawn(work, (&self.jobs, &self.results, self.shares, &self.progress, number)).map(Some)
    }

    fn bytes_done(&self, counted: &[Option<Counted>]) -> u64 {
        let done = self.shares.iter().zip(counted).filter(|(_, counted)| counted.is_some());
        let begun = (0..counted.len()).map(|worker| self.progress.get(worker));
        let open = begun.filter(|&(share, _)| counted[share].is_none());
        done.map(|(share, _)| share.length as u64).sum::<u64>() + open.map(|(_, bytes)| bytes).sum::<u64>()
    }

    /// Kills the worker that waits in the first share; whether there was one.
    fn kill_half_way(&self, workers: &[Worker]) -> Result<bool> {
        let half = self.shares[0].length.div_ceil(2) as u64;
        let waits = |number| matches!(self.progress.get(number), (0, bytes) if bytes >= half);
        let Some(number) = (0..workers.len()).find(|&number| waits(number)) else { return Ok(false) };
        if let Some(worker) = &workers[number] {
            worker.kill()?;
            worker.wait();
        }
        Ok(true)
    }

    /// If the worker has been killed, there is another one from now on.
    fn look_after(&self, number: usize, worker: &mut Worker, killed: &mut [Vec<Death>]) -> Result<()> {
        if worker.as_ref().is_none_or(|worker| worker.exit().is_none()) {
            return Ok(());
        }
        let Some(ended) = mem::take(worker) else { return Ok(()) };
        let (share, bytes) = self.progress.get(number);
        match ended.join() {
            Err(
                ProcessError::Ended { exit: Exit::Signal(_), pid, .. }
                | ProcessError::NeverStarted { exit: Exit::Signal(_), pid, .. },
            ) if killed[share].len() + 1 < MOST_DEATHS => {
                killed[share].push(Death { pid, bytes });
                *worker = self.start(number)?;
                Ok(())
            }
            outcome => outcome?,
        }
    }
}

impl Counted {
    fn into_done(self, share: &Share, killed: Vec<Death>) -> Done {
        let Counted { pid, words, total, seconds, owner_died, .. } = self;
        let (bytes, distinct) = (share.length as u64, words.len() as u64);
        Done { words, report: WorkerReport { pid, bytes, words: total, distinct, seconds, owner_died, killed } }
    }
}
