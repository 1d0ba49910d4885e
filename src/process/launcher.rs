//! A thread that lives as long as the process, to start daemon children from.
//!
//! The parent-death signal of a child comes when the *thread* that started it ends (prctl(2)), which is of use only if
//! that thread ends with the process. The main thread does; for all others there is this one.

use std::io;
use std::sync::mpsc::{self, Sender};
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::sys::fork;
use crate::sys::spawn::{self, Failure, Started, Step};

type Job = Box<dyn FnOnce() + Send>;

struct Launcher {
    /// A forked copy of this process has no such thread.
    generation: u32,
    jobs: Sender<Job>,
}

/// Locked only while no fork can happen, so that no copy of this process finds it locked.
static LAUNCHER: Mutex<Option<Launcher>> = Mutex::new(None);

/// Runs `start` on the launcher's thread and returns what it returned.
pub(super) fn run(start: impl FnOnce() -> Result<Started, Failure> + Send + 'static) -> Result<Started, Failure> {
    let (report, started) = mpsc::sync_channel(1);
    let job = Box::new(move || drop(report.send(start())));
    let failure = |error| Failure { step: Step::Clone, error };
    jobs().and_then(|jobs| jobs.send(job).map_err(|_| lost())).map_err(failure)?;
    started.recv().map_err(|_| failure(lost()))?
}

/// Cannot happen, as the thread's jobs do not panic.
fn lost() -> io::Error {
    io::Error::from_raw_os_error(libc::ESRCH)
}

fn jobs() -> io::Result<Sender<Job>> {
    let _no_fork = fork::exclude();
    let mut launcher = LAUNCHER.lock().unwrap_or_else(PoisonError::into_inner);
    let generation = fork::generation();
    match &*launcher {
        Some(launcher) if launcher.generation == generation => Ok(launcher.jobs.clone()),
        _ => {
            let (jobs, inbox) = mpsc::channel::<Job>();
            thread::Builder::new().name("crossproc-spawn".into()).spawn(move || {
                spawn::block_signals();
                inbox.into_iter().for_each(|job| job());
            })?;
            *launcher = Some(Launcher { generation, jobs: jobs.clone() });
            Ok(jobs)
        }
    }
}
