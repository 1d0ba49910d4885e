//! A manager under a name, for as long as this process is wanted.
//!
//! One process serves a name: it has a lock on the manager's file (flock(2)), which the kernel drops with the process. The library's own
//! locks there are of another kind, and none of these two hinders the other. Whoever serves, unless it is
//! killed, removes the name before it gives the lock back.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::process::{self, ExitCode};

use crossproc::{Error, Kind, Manager, Name};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::complain;
use crate::objects::{list_of, say_why};

/// What this process serves, and the lock that says so.
struct Service {
    manager: Manager,
    _lock: File,
}

/// Why this process does not serve a name.
enum Refusal {
    /// Another one does, of this number if that can be seen.
    IsServed(Option<u32>),
    Failed(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Refusal::Failed(error)
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Refusal::Failed(error.into())
    }
}

pub(crate) fn run(name: &str, existing: bool) -> io::Result<ExitCode> {
    // Before there is a name that a signal could leave behind.
    let mut signals = Signals::new(heeded()?)?;
    let service = match take(name, existing) {
        Ok(service) => service,
        Err(refusal) => return Ok(say_refusal(name, &refusal)),
    };
    let announced = announce(name);
    if announced.is_ok() {
        signals.forever().next();
    }
    let removed = service.manager.unlink();
    announced?;
    match removed {
        // `crossproc rm` was faster.
        Ok(()) | Err(Error::NoSuchName { .. }) => Ok(ExitCode::SUCCESS),
        Err(error) => {
            say_why(name, &error);
            Ok(ExitCode::FAILURE)
        }
    }
}

fn announce(name: &str) -> io::Result<()> {
    let mut output = io::stdout().lock();
    writeln!(output, "Manager::connect({name:?}) leads here until process {} ends", process::id())?;
    output.flush()
}

/// The manager of a name, which nobody else serves from now on.
fn take(name: &str, existing: bool) -> Result<Service, Refusal> {
    loop {
        // It persists: if somebody else comes to serve it before this process does, the name must not go with this one's handle.
        let named = Name::new(name).persist();
        let manager = if existing { Manager::open_or_create(named)? } else { Manager::create(named)? };
        let lock = file_of(&manager)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Refusal::IsServed(server_of(&lock))),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        // Whoever had the lock before may have removed the name.
        if is_called(&lock, name)? {
            return Ok(Service { manager, _lock: lock });
        }
    }
}

fn file_of(manager: &Manager) -> io::Result<File> {
    let descriptor = manager.fd().ok_or_else(|| io::Error::other("the manager is not on this machine"))?;
    descriptor.try_clone_to_owned().map(File::from)
}

/// Whether a name stands for the manager in this file.
fn is_called(file: &File, name: &str) -> Result<bool, Refusal> {
    let (here, there) = match Manager::open(name) {
        Ok(manager) => (file.metadata()?, file_of(&manager)?.metadata()?),
        Err(Error::NoSuchName { .. }) => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    Ok((here.dev(), here.ino()) == (there.dev(), there.ino()))
}

/// Which process has the lock on a file: proc(5), /proc/locks. `None` also if it is in a pid namespace that cannot be seen from here.
fn server_of(file: &File) -> Option<u32> {
    let facts = file.metadata().ok()?;
    let (major, minor) = (libc::major(facts.dev()), libc::minor(facts.dev()));
    let place = format!("{major:02x}:{minor:02x}:{}", facts.ino());
    let locks = fs::read_to_string("/proc/locks").ok()?;
    locks.lines().find_map(|line| match *line.split_whitespace().collect::<Vec<_>>() {
        // Its number, what kind of lock, advisory or not, of whom, on what, and from where to where.
        [_, "FLOCK", _, "WRITE", pid, found, ..] if found == place => pid.parse().ok().filter(|&pid| pid != 0),
        _ => None,
    })
}

fn say_refusal(name: &str, refusal: &Refusal) -> ExitCode {
    match refusal {
        Refusal::IsServed(server) => {
            complain(&format!("{name}: {}", served_by(*server)));
            ExitCode::from(2)
        }
        Refusal::Failed(error @ Error::NameTaken { .. }) => {
            complain(&format!("{name}: {error}{}", remedy(name).map_or_else(String::new, |what| format!("; {what}"))));
            ExitCode::from(2)
        }
        Refusal::Failed(error) => {
            say_why(name, error);
            if is_about_the_name(error) { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}

fn served_by(server: Option<u32>) -> String {
    let who = server.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"));
    format!("{who} serves it, until it is asked to end (SIGTERM)")
}

/// What can be done about a name that is taken. All of it may be stale.
fn remedy(name: &str) -> Option<String> {
    let found = crossproc::inspect(name).ok()?;
    match found.kind {
        Ok(Kind::Manager) => {}
        Ok(other) => return Some(format!("it is {other}")),
        Err(_) => return None,
    }
    let go_on = format!("`crossproc serve --existing {name}` goes on with it");
    if found.peers.is_empty() {
        return Some(format!("nobody uses it, as when its server was killed: {go_on}, `crossproc gc` removes it"));
    }
    let server = Manager::open(name).ok().and_then(|manager| server_of(&file_of(&manager).ok()?));
    Some(match server {
        Some(_) => served_by(server),
        None => format!("used by {}: {go_on}, `crossproc rm {name}` takes the name away", list_of(&found.peers)),
    })
}

fn is_about_the_name(error: &Error) -> bool {
    use Error::{Attach, InvalidName, NameTaken, PermissionDenied};
    matches!(error, NameTaken { .. } | InvalidName { .. } | PermissionDenied { .. } | Attach(_))
}

/// The signals that end this process, but for those that it was started to ignore: nohup(1) means what it says.
fn heeded() -> io::Result<Vec<i32>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    let is_heeded = |signal: &i32| ignored & (1 << (signal - 1)) == 0;
    Ok([SIGINT, SIGTERM, SIGHUP].into_iter().filter(is_heeded).collect())
}
