//! Objects that are found by name.
//!
//! N1. A segment gets its name when everything else is done: its first object is complete, and its creator a peer. So whoever
//!     opens it finds it whole, and nobody takes it for abandoned.
//! N2. Whoever removes a name holds the lock on the name byte of the file behind it, and has compared the two. Names are
//!     given once (linkat(2) replaces nothing), so that name stands for that file until it is removed under this lock.
//! N3. Who removes a name because nobody is attached looks for that under this lock, under which nobody becomes a peer
//!     (`sys/liveness.rs`, L5). Who then does finds that the name stands for his file no more, and begins again.

use std::io::{self, ErrorKind};
use std::sync::Arc;

use super::Segment;
use super::name::Name;
use super::place::Home;
use crate::error::{AttachError, Error, Kind, Result};
use crate::fault::crash_point;
use crate::sys::directory;
use crate::sys::facts::FileFacts;
use crate::sys::fork;
use crate::sys::memory::{FileKey, MemoryFile, user};

/// A kind of handle that can be had from a name.
pub(crate) trait Named: Sized {
    fn attached(segment: Arc<Segment>, offset: u64) -> Result<Self>;

    fn segment(&self) -> &Arc<Segment>;
}

/// Makes an object under a name, which must be free.
pub(crate) fn create<H: Named>(name: Name, make: impl FnOnce(Home<'_>) -> Result<H>) -> Result<H> {
    let object = make(Home::Named(&name))?;
    if object.segment().link(&name)? { Ok(object) } else { Err(Error::NameTaken { name: name.to_string() }) }
}

/// The object of a name.
pub(crate) fn open<H: Named>(name: &Name) -> Result<H> {
    let segment = Segment::open(name)?;
    let offset = segment.first_object();
    H::attached(segment, offset).map_err(|error| error.at(name.as_str()))
}

/// The object of a name, or a new one if there is none. `check`: whether one that is there is what would have been made.
pub(crate) fn open_or_create<H: Named>(
    name: Name,
    make: impl FnOnce(Home<'_>) -> Result<H>,
    check: impl Fn(&H) -> Result<()>,
) -> Result<H> {
    let find = || match open(&name) {
        Ok(object) => check(&object).map(|()| Some(object)),
        Err(Error::NoSuchName { .. }) => Ok(None),
        Err(error) => Err(error),
    };
    if let Some(object) = find()? {
        return Ok(object);
    }
    let object = make(Home::Named(&name))?;
    // Again only if somebody else has made one and removed it meanwhile.
    loop {
        if object.segment().link(&name)? {
            return Ok(object);
        }
        if let Some(object) = find()? {
            return Ok(object);
        }
    }
}

/// Whether an object that is there is what was asked for.
pub(crate) fn check_same(object: Kind, what: &'static str, found: usize, expected: usize) -> Result<()> {
    let wrong = |found, expected| AttachError::WrongShape { object, what: what.into(), found, expected };
    if found == expected { Ok(()) } else { Err(wrong(found as u64, expected as u64).into()) }
}

pub(super) fn stands_for(entry: &str, key: FileKey) -> bool {
    directory::look_at(entry).is_ok_and(|facts| facts.key == key)
}

/// The file of a name, if this process may open it.
pub(super) fn find(name: &Name) -> Result<(MemoryFile, FileFacts)> {
    find_entry(&name.entry()?, name.as_str(), directory::open)
}

/// The file of a name, if this process may read it.
pub(super) fn find_to_read(name: &Name) -> Result<(MemoryFile, FileFacts)> {
    find_entry(&name.entry()?, name.as_str(), directory::open_to_read)
}

/// The file of a name that its user knows as `name`.
pub(super) fn find_entry(
    entry: &str,
    name: &str,
    open: fn(&str) -> io::Result<MemoryFile>,
) -> Result<(MemoryFile, FileFacts)> {
    let file = open(entry).map_err(|error| match error.raw_os_error() {
        Some(libc::ENOENT) => Error::NoSuchName { name: name.to_string() },
        Some(libc::ELOOP | libc::ENXIO | libc::EISDIR) => AttachError::NotAFile.into(),
        Some(libc::EACCES | libc::EPERM) => match directory::look_at(entry) {
            Ok(facts) => not_ours(name, &facts),
            Err(missing) if missing.kind() == ErrorKind::NotFound => Error::NoSuchName { name: name.to_string() },
            Err(_) => Error::os(format!("open {name}"), error),
        },
        _ => Error::os(format!("open {name}"), error),
    })?;
    let facts = file.facts()?;
    if !facts.is_regular {
        return Err(AttachError::NotAFile.into());
    }
    Ok((file, facts))
}

pub(super) fn not_ours(name: &str, facts: &FileFacts) -> Error {
    denied(name, facts, format!("owned by user {}", user()))
}

pub(super) fn denied(name: &str, facts: &FileFacts, expected: String) -> Error {
    Error::PermissionDenied { name: name.to_string(), found: facts.to_string(), expected }
}

/// The bits of a mode that are for others than the owner. Who can write to a file can also cut it off; who can read it can
/// lock its bytes, and seem alive as somebody who is dead.
pub(super) const OTHERS: u32 = 0o066;

impl Segment {
    /// The segment of a name.
    fn open(name: &Name) -> Result<Arc<Self>> {
        // Again only if somebody removes the name meanwhile.
        loop {
            let (file, facts) = find(name)?;
            let others = name.bits() & OTHERS;
            if !facts.is_this_users() && others == 0 {
                return Err(not_ours(name.as_str(), &facts));
            }
            if facts.mode & OTHERS & !others != 0 {
                return Err(denied(name.as_str(), &facts, format!("mode {:04o} at most", name.bits())));
            }
            let segment = Segment::attach_file(file, others)?;
            crash_point!("open.attached");
            if stands_for(&name.entry()?, facts.key) {
                fork::fill(&segment.name, name.clone());
                return Ok(segment);
            }
        }
    }
}
