//! A process that does the work of pools at a server: as many threads as it has workers, each with one chunk in hands.

use std::env;
use std::fmt;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::builder::PoolBuilder;
use super::core::Core;
use super::handle::Pool;
use super::job::{Arrival, Job};
use super::results::{Outcomes, Travelling};
use super::unit::Unit;
use super::unserved::Unserved;
use super::wire::{self, Chunk};
use crate::error::{Error, Result, TaskError};
use crate::remote::address::Address;
use crate::remote::session::Session;
use crate::remote::tasks::{Claim, Tasks};
use crate::sys::clock::Deadline;
use crate::sys::eventfd::EventFd;
use crate::sys::{ending, poll, program};

/// What makes a program a host, as the command `crossproc worker` sets it: the number of workers, or 0, a space, and the server.
pub(super) const VARIABLE: &str = "CROSSPROC_HOST";

/// How long it waits after a failure. A guess.
const PAUSE: Duration = Duration::from_millis(200);

/// After so many refusals of a report by a server that answers to something else before and after each, what is told is that there is none.
/// A guess.
const MOST_REFUSALS: u32 = 3;

/// A server takes no message of twice as many bytes, unless it is told to (`proto-max-bulk-len`), and closes the connection.
const MOST_REPORT: usize = 256 << 20;

struct Host {
    core: Arc<Core>,
    session: Arc<Session>,
    build: String,
    /// Those of the server as it is now.
    tasks: Mutex<Arc<Tasks>>,
    unserved: Unserved,
    is_ending: AtomicBool,
    /// Raised by who finds that this process cannot work.
    alarm: &'static EventFd,
}

/// Serves until somebody asks this process to end; then finishes what it has in hands. Never returns.
pub(super) fn serve(order: &str) -> ! {
    process::exit(match run(order) {
        Ok(()) => 0,
        Err(error) => {
            complain(&error);
            1
        }
    })
}

/// Where nobody listens, there is nobody to tell.
fn say(what: impl fmt::Display) {
    let _ = writeln!(io::stderr(), "crossproc: host {}: {what}", process::id());
}

fn complain(error: &Error) {
    say(format_args!("{error:?}"));
}

fn run(order: &str) -> Result<()> {
    let malformed = || Error::Decode { what: VARIABLE.into(), reason: "not a number, a space and an address".into() };
    let (workers, url) = order.split_once(' ').ok_or_else(malformed)?;
    let workers: usize = workers.parse().map_err(|_| malformed())?;
    let address = Address::parse(url)?;
    let session = Session::at(&address)?;
    let build = program::build_name()?;
    let tasks = Mutex::new(Arc::new(Tasks::open(&session, &build)?));
    let builder = PoolBuilder::new().name("Host").env_remove(VARIABLE);
    let pool = if workers > 0 { builder.workers(workers) } else { builder }.start()?;
    let core = Arc::clone(&pool.core);
    let (unserved, is_ending) = (Unserved::new(&build), AtomicBool::new(false));
    let host = Host { core, session, build, tasks, unserved, is_ending, alarm: ending::watch()? };
    host.announce();
    host.work(&pool)
}

impl Host {
    fn work(&self, pool: &Pool) -> Result<()> {
        thread::scope(|scope| {
            for _ in 0..pool.core.options.workers {
                let started = thread::Builder::new().name("crossproc-host".into()).spawn_scoped(scope, || self.take());
                if let Err(error) = started {
                    self.end();
                    return Err(Error::os("start a thread of a host", error));
                }
            }
            poll::readable(&[self.alarm.as_fd()], Deadline::NEVER)?;
            self.end();
            Ok(())
        })?;
        match pool.core.check_open() {
            Err(TaskError::BrokenPool { source, .. }) => Err(*source),
            _ => Ok(()),
        }
    }

    /// All that has to be the same for a pool whose tasks do not come here.
    fn announce(&self) {
        let program = env::current_exe().unwrap_or_else(|_| PathBuf::from("this program"));
        let count = match self.core.options.workers {
            1 => "1 worker".to_owned(),
            count => format!("{count} workers"),
        };
        let (program, build, place) = (program.display(), &self.build, self.place());
        say(format_args!("{count} for tasks of {program} (build {build}) at {place}"));
    }

    /// Without the password.
    fn place(&self) -> String {
        let address = self.session.address();
        format!("{address}, prefix {}", address.prefix)
    }

    /// Says if there are tasks that wait for another host than this one.
    fn look_for_unserved(&self) {
        self.unserved.look(&self.session, |build| {
            let (place, own) = (self.place(), &self.build);
            say(format_args!(
                "tasks of another executable (build {build}) wait at {place}, and nobody does them; this host does those of build {own} alone"
            ));
        });
    }

    fn end(&self) {
        // Release: pairs with `is_ending`, though nothing but the flag counts.
        self.is_ending.store(true, Release);
        self.alarm.raise();
    }

    fn is_ending(&self) -> bool {
        self.is_ending.load(Acquire)
    }

    fn tasks(&self) -> Arc<Tasks> {
        Arc::clone(&self.tasks.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What each thread does: takes a chunk, has it done, and sends what has come of it.
    fn take(&self) {
        let mut has_complained = false;
        while !self.is_ending() {
            let token = self.session.token();
            // Until the server has answered: a chunk may have been read under the token.
            let claimed = loop {
                let tasks = self.tasks();
                let is_over = || {
                    if !self.is_ending() {
                        self.look_for_unserved();
                    }
                    self.is_ending()
                };
                match tasks.claim(&token, is_over) {
                    Ok(claimed) => break claimed.map(|claim| (tasks, claim)),
                    Err(_) if self.is_ending() => break None,
                    Err(Error::Gone { .. }) if self.reopen(&tasks).is_ok() => {}
                    Err(error) => {
                        if !has_complained {
                            complain(&error);
                        }
                        has_complained = true;
                        thread::sleep(PAUSE);
                    }
                }
            };
            if let Some((tasks, claim)) = claimed {
                has_complained = false;
                self.execute(&tasks, &claim);
            }
        }
    }

    /// The server has lost the tasks: goes on with new ones, unless another thread has seen to it.
    fn reopen(&self, lost: &Arc<Tasks>) -> Result<()> {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        if Arc::ptr_eq(&tasks, lost) {
            *tasks = Arc::new(Tasks::open(&self.session, &self.build)?);
        }
        Ok(())
    }

    fn execute(&self, tasks: &Tasks, claim: &Claim) {
        // One that nobody can have sent: whoever has sent something finds that nothing will come of it.
        let mut calls = None;
        let mut report = match Chunk::decode(&claim.chunk) {
            Err(error) => {
                complain(&error);
                Some(Vec::new())
            }
            Ok(chunk) => {
                let (number, count) = (chunk.number, chunk.ends.len());
                calls = Some((number, count));
                self.outcomes(chunk).map(|outcomes| fitting(number, count, wire::report(number, &outcomes)))
            }
        };
        // Until the server knows it: as long as this process is heard, nobody else takes the chunk.
        let mut refusals = 0;
        loop {
            let told = match &report {
                Some(report) => tasks.done(claim, report),
                None => tasks.give_back(claim),
            };
            let Err(error) = told else { return };
            if !matches!(error, Error::ServerFull { .. } | Error::Unreachable { .. } | Error::Unanswered { .. }) {
                complain(&error);
            }
            if self.is_ending() {
                return; // the end of the session gives it to others
            }
            // Is it this report that does not get through, as it is too long, or everything?
            refusals = if tasks.withdraw(&[]).is_ok() { refusals + 1 } else { 0 };
            if refusals >= MOST_REFUSALS
                && report.is_some()
                && let Some((number, count)) = calls.take()
            {
                report = Some(failed(number, count, TaskError::encode(&error)));
            }
            thread::sleep(PAUSE);
        }
    }

    /// Has this process's workers do a chunk. `None`: they could not, and this process ends.
    fn outcomes(&self, chunk: Chunk) -> Option<Vec<Travelling>> {
        let job = Arc::new(Job::new(Arrival::AtOnce));
        let number = job.add_chunk(chunk.ends.len() as u64)?;
        let (function, first, retries) = (chunk.function, chunk.first, chunk.retries);
        self.core.submit(Unit::new(Arc::clone(&job), number, function, first, chunk.into_calls(), retries));
        self.core.follow(job.close());
        self.core.wait(Deadline::NEVER, || job.is_complete());
        if self.core.check_open().is_err() {
            self.end();
            return None;
        }
        let outcomes = job.take_all().unwrap_or_default().into_iter().flat_map(Outcomes::into_travelling);
        Some(outcomes.collect())
    }
}

/// What is sent of so many calls: that there is too much to send, if so.
fn fitting(number: u64, calls: usize, report: Vec<u8>) -> Vec<u8> {
    if report.len() <= MOST_REPORT {
        return report;
    }
    let reason = format!("{} bytes of results, and no more than {MOST_REPORT} get to another machine", report.len());
    failed(number, calls, TaskError::Encode { reason })
}

/// What is sent of so many calls that all have failed.
fn failed(number: u64, calls: usize, error: TaskError) -> Vec<u8> {
    wire::report(number, &std::iter::repeat_n(error, calls).map(Travelling::Failed).collect::<Vec<_>>())
}
