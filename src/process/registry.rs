//! The children of this process, and what becomes of them when it exits.

use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::child::Child;
use super::entry::{self, Mode};
use super::zygote;
use crate::error::{Error, Result};
use crate::sys::clock::Deadline;
use crate::sys::fork;

struct Registry {
    /// Whose children these are: not those of a forked copy of that process. 0 until the first start.
    generation: u32,
    exiting: bool,
    /// How many threads are between [`begin`] and the registration of their child.
    starting: u32,
    children: Vec<Child>,
}

impl Registry {
    const fn of(generation: u32) -> Self {
        Registry { generation, exiting: false, starting: 0, children: Vec::new() }
    }
}

static REGISTRY: Mutex<Registry> = Mutex::new(Registry::of(0));

/// Works on this process's registry; no fork can happen meanwhile, so that no copy finds it locked.
fn with<R>(work: impl FnOnce(&mut Registry) -> R) -> R {
    let _no_fork = fork::exclude();
    let mut registry = REGISTRY.lock().unwrap_or_else(PoisonError::into_inner);
    let generation = fork::generation();
    if registry.generation == 0 {
        registry.generation = generation;
    } else if registry.generation != generation {
        *registry = Registry::of(generation);
    }
    work(&mut registry)
}

/// The children of this process that have not ended, daemons included; it collects those that have.
///
/// The answer may be stale when it is read: a child may have ended since. Children that were started by a plain `fork`
/// of this process, or by other means than crossproc's, are not among them.
///
/// # Examples
///
/// ```
/// use crossproc::{Process, active_children};
///
/// fn main() -> crossproc::Result<()> {
///     crossproc::init();
///     let process = Process::builder().name("sleeper").spawn(std::thread::park, ())?;
///     assert_eq!(active_children().iter().map(|child| child.name()).collect::<Vec<_>>(), ["sleeper"]);
///     process.kill()?;
///     process.wait();
///     assert!(active_children().is_empty());
///     Ok(())
/// }
/// ```
pub fn active_children() -> Vec<Child> {
    with(|registry| {
        registry.children.retain(Child::is_alive);
        registry.children.clone()
    })
}

/// A child that is being started. The exit of this process waits for it to be registered, or given up.
pub(super) struct Starting(());

/// Collects ended children, and makes the exit of this process wait; fails if that has begun.
pub(super) fn begin() -> Result<Starting> {
    with(|registry| {
        if registry.exiting {
            return Err(Error::Exiting);
        }
        registry.children.retain(Child::is_alive);
        registry.starting += 1;
        Ok(Starting(()))
    })
}

impl Starting {
    pub(super) fn complete(self, child: Child) {
        with(|registry| registry.children.push(child));
        drop(self);
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        with(|registry| registry.starting = registry.starting.saturating_sub(1));
    }
}

/// Removes a child whose end has been seen.
pub(super) fn forget(child: &Child) {
    with(|registry| registry.children.retain(|known| !known.is(child)));
}

/// How long daemons get to end on their own when they are asked to, a guess.
const GRACE: Duration = Duration::from_secs(1);

/// How long a test binary waits for children that its tests have left behind, a guess.
const TEST_PATIENCE: Duration = Duration::from_secs(10);

/// What this process does when it exits: ends daemons, waits for other children, in Python's order.
///
/// Thread-locals may be gone, and other threads are running. In a forked copy there are no children.
pub(super) extern "C" fn at_exit() {
    let starting = || {
        with(|registry| {
            registry.exiting = true;
            registry.starting
        })
    };
    while starting() != 0 {
        thread::sleep(Duration::from_millis(1));
    }
    let children = with(|registry| registry.children.clone());
    let (daemons, others): (Vec<_>, Vec<_>) = children.into_iter().partition(Child::is_daemon);

    // Errors: one that we may not signal might never end, so nobody waits for it.
    let asked: Vec<_> = daemons.into_iter().filter(|daemon| daemon.terminate().is_ok()).collect();
    // Each child comes here, and most have none: to ask for the time is among the dearest things that they would do.
    let deadline = if asked.is_empty() { Deadline::NEVER } else { Deadline::after(GRACE) };
    for daemon in &asked {
        if daemon.wait_until(deadline).is_none() && daemon.kill().is_ok() {
            daemon.wait();
        }
    }

    let patience = (entry::mode() == Ok(Mode::Test)).then(|| Deadline::after(TEST_PATIENCE));
    for child in &others {
        match patience {
            None => {
                child.wait();
            }
            Some(deadline) if child.wait_until(deadline).is_none() => abandon(child),
            Some(_) => {}
        }
    }
    zygote::end();
}

/// A test that failed may have left a child that waits for it for ever.
fn abandon(child: &Child) {
    let (name, pid) = (child.name(), child.pid());
    let _ = writeln!(io::stderr(), "crossproc: process {name} ({pid}) outlived its test; killing it");
    if child.kill().is_ok() {
        child.wait();
    }
}
