//! What a process knows about itself.

use std::os::unix::process::parent_id;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use super::protocol::{Identity, Request};
use crate::sys::fork;

struct Own {
    identity: Identity,
    daemon: bool,
    parent: Option<Parent>,
    /// How many children it has started.
    started: AtomicU32,
    /// Who it is instead, if it is a copy that [`Process::fork`](crate::Process::fork) has made.
    copy: OnceLock<Box<Own>>,
}

impl Own {
    fn new(identity: Identity, daemon: bool, parent: Option<Parent>) -> Self {
        Own { identity, daemon, parent, started: AtomicU32::new(0), copy: OnceLock::new() }
    }
}

static OWN: OnceLock<Own> = OnceLock::new();

fn own() -> &'static Own {
    let mut own = OWN.get().unwrap_or_else(|| {
        let identity = Identity { name: "MainProcess".into(), line: Vec::new() };
        fork::fill(&OWN, Own::new(identity, false, None))
    });
    while let Some(copy) = own.copy.get() {
        own = copy;
    }
    own
}

/// Tells this process who it is; once, before anything has asked.
pub(super) fn become_child(request: &Request) {
    let parent = Parent { pid: request.parent_pid, name: request.parent_name.clone() };
    // Something did ask, before `init`: then it stays a main process in name.
    fork::fill(&OWN, Own::new(request.child.clone(), request.daemon, Some(parent)));
}

/// Tells a forked copy of a process, whose only thread this is, who it is.
pub(super) fn become_copy(identity: Identity, parent: Parent) {
    let _ = own().copy.set(Box::new(Own::new(identity, false, Some(parent))));
}

/// This process, as its children know it.
pub(super) fn as_parent() -> Parent {
    Parent { pid: std::process::id(), name: own().identity.name.clone() }
}

pub(super) fn identity() -> &'static Identity {
    &own().identity
}

/// Who this process's next child is: named as Python does, `Process-2:1` being the first child of the second child.
pub(super) fn next_child(name: Option<String>) -> Identity {
    let own = own();
    let mut line = own.identity.line.clone();
    line.push(own.started.fetch_add(1, Ordering::Relaxed) + 1);
    let numbers = || line.iter().map(u32::to_string).collect::<Vec<_>>().join(":");
    Identity { name: name.unwrap_or_else(|| format!("Process-{}", numbers())), line }
}

/// The process that runs this, as its parent knows it.
///
/// # Examples
///
/// See [`current`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Current {
    pid: u32,
    name: String,
    is_daemon: bool,
}

impl Current {
    /// Its process id.
    ///
    /// # Examples
    ///
    /// See [`current`].
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Its name; `MainProcess` if crossproc did not start it.
    ///
    /// # Examples
    ///
    /// See [`current`].
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it ends with its parent.
    ///
    /// # Examples
    ///
    /// See [`current`].
    pub fn is_daemon(&self) -> bool {
        self.is_daemon
    }
}

/// The process that runs this.
///
/// # Examples
///
/// ```
/// use crossproc::{Process, current};
///
/// fn main() -> crossproc::Result<()> {
///     crossproc::init();
///     assert_eq!(current().name(), "MainProcess");
///     let look = || (current().name().to_string(), current().pid(), current().is_daemon());
///     let process = Process::spawn(look, ())?;
///     let pid = process.pid();
///     assert_eq!(process.join()?, ("Process-1".to_string(), pid, false));
///     Ok(())
/// }
/// ```
pub fn current() -> Current {
    let own = own();
    Current { pid: std::process::id(), name: own.identity.name.clone(), is_daemon: own.daemon }
}

/// The process that started this one.
///
/// # Examples
///
/// See [`parent`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parent {
    pid: u32,
    name: String,
}

impl Parent {
    /// Its process id; after its end, perhaps another process's.
    ///
    /// # Examples
    ///
    /// See [`parent`].
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Its name; `MainProcess` if crossproc did not start it.
    ///
    /// # Examples
    ///
    /// See [`parent`].
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is still running. Exact when asked, as a child whose parent ends gets another one; "yes" may be stale
    /// the moment it is returned, "no" is final.
    ///
    /// # Examples
    ///
    /// See [`parent`].
    pub fn is_alive(&self) -> bool {
        parent_id() == self.pid
    }
}

/// The process that started this one, or `None` if crossproc did not start it.
///
/// # Examples
///
/// ```
/// use crossproc::{Process, parent};
///
/// fn main() -> crossproc::Result<()> {
///     crossproc::init();
///     assert_eq!(parent(), None);
///     let look = || parent().map(|parent| (parent.name().to_string(), parent.pid(), parent.is_alive()));
///     let process = Process::spawn(look, ())?;
///     assert_eq!(process.join()?, Some(("MainProcess".to_string(), std::process::id(), true)));
///     Ok(())
/// }
/// ```
pub fn parent() -> Option<Parent> {
    own().parent.clone()
}

/// How many processes can run at the same time: processors that this process may use, by its affinity and by the CPU
/// quota of its control group; 1 if that cannot be found out.
///
/// # Examples
///
/// ```
/// assert!(crossproc::cpu_count() >= 1);
/// ```
pub fn cpu_count() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}
