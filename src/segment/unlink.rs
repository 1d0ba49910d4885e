//! Removing names, and listing them, whosever they are.

use super::name::Name;
use super::named::{find, not_ours, stands_for};
use super::{Segment, header};
use crate::error::{Error, Kind, Result};
use crate::fault::crash_point;
use crate::sys::directory;
use crate::sys::facts::FileFacts;
use crate::sys::fork;
use crate::sys::liveness::NameLock;
use crate::sys::memory::{FileKey, MemoryFile};

/// What a segment that this process has made is called.
pub(super) struct Link {
    entry: String,
    persists: bool,
    /// The fork generation that made it.
    generation: u32,
}

impl Link {
    /// Gives the file its name, unless that is taken.
    pub(super) fn make(file: &MemoryFile, name: &Name) -> Result<Option<Self>> {
        let entry = name.entry()?;
        let linked = directory::link(file, &entry)?;
        crash_point!("create.linked");
        Ok(linked.then(|| Link { entry, persists: name.persists(), generation: fork::generation() }))
    }

    /// When the creator's last handle goes. Nobody hears of a failure; `gc` finds the name. The file is found by its name:
    /// the program may have closed our descriptor.
    pub(super) fn remove(&self, key: FileKey) {
        if !self.persists && self.generation == fork::generation() {
            let _ = directory::open(&self.entry).is_ok_and(|file| remove(&file, key, &self.entry).is_ok());
        }
    }
}

/// Removes a name, if it stands for this file.
fn remove(file: &MemoryFile, key: FileKey, entry: &str) -> Result<bool> {
    let lock = NameLock::wait(file, key, "remove a shared object's name")?;
    remove_locked(&lock, key, entry)
}

fn remove_locked(_lock: &NameLock, key: FileKey, entry: &str) -> Result<bool> {
    if !stands_for(entry, key) {
        return Ok(false);
    }
    crash_point!("name.compared");
    directory::remove(entry)?;
    crash_point!("name.removed");
    Ok(true) // (N2)
}

/// The file of a name, if it is a segment of this user's, for who removes names.
fn find_ours(name: &Name) -> Result<(MemoryFile, FileFacts)> {
    let (file, facts) = find(name)?;
    if !facts.is_this_users() {
        return Err(not_ours(name.as_str(), &facts));
    }
    header::check(&file.first_bytes()?, file.size()?)?; // of another format, nobody here knows who uses it
    Ok((file, facts))
}

/// The names of all shared objects of this machine, whosever they are, in alphabetical order.
///
/// Stale at once where others create and remove.
///
/// # Errors
///
/// [`Os`](Error::Os) if the directory cannot be read.
///
/// # Examples
///
/// ```
/// # let unique = format!("example/names-{}", std::process::id());
/// # let name = unique.as_str();
/// let _lock = crossproc::Lock::create(name)?; // or "app/lock"
/// assert!(crossproc::names()?.iter().any(|known| known == name));
/// # Ok::<(), crossproc::Error>(())
/// ```
pub fn names() -> Result<Vec<String>> {
    let mut names: Vec<_> = directory::entries()?.iter().filter_map(|entry| Name::of_entry(entry)).collect();
    names.sort();
    Ok(names)
}

/// Removes the name of a shared object, whoever made it. Those who have it open keep it; the kernel frees it with the last
/// of them.
///
/// # Errors
///
/// [`NoSuchName`](Error::NoSuchName) if nothing has that name, so also the second time;
/// [`PermissionDenied`](Error::PermissionDenied) if it is another user's; [`Attach`](Error::Attach) if it is no shared
/// object, which then stays where it is.
///
/// # Examples
///
/// ```
/// use crossproc::{Error, Lock, unlink};
///
/// # let unique = format!("example/unlink-{}", std::process::id());
/// # let name = unique.as_str();
/// let lock = Lock::create(name)?; // or "app/lock"
/// unlink(name)?;
/// assert!(matches!(unlink(name), Err(Error::NoSuchName { .. })));
/// assert!(lock.lock().is_ok());
/// # Ok::<(), Error>(())
/// ```
pub fn unlink(name: impl Into<Name>) -> Result<()> {
    let name = name.into();
    // Again only if it was somebody else's in between.
    loop {
        let (file, facts) = find_ours(&name)?;
        if remove(&file, facts.key, &name.entry()?)? {
            return Ok(());
        }
    }
}

/// Removes the name of the object at `offset`, if this process has made that under one, or opened it by one.
pub(crate) fn unlink_object(segment: &Segment, offset: u64, object: Kind) -> Result<()> {
    let name = segment.name_of(offset).ok_or(Error::Nameless { object })?;
    let (file, key) = (segment.liveness.file(), segment.liveness.key());
    let facts = file.facts()?;
    if !facts.is_this_users() {
        return Err(not_ours(name.as_str(), &facts));
    }
    if remove(file, key, &name.entry()?)? { Ok(()) } else { Err(Error::NoSuchName { name: name.to_string() }) }
}

/// Removes the names of this user's shared objects that nobody is attached to: what killed creators have left, and what
/// was to [persist](Name::persist). Which ones.
///
/// It removes nothing that is in use or being made, however it races with those who make, open and remove objects; nor
/// anything that is no shared object, or another user's. In use is what a process is attached to, or what is on its way to one.
/// A forked copy of a process is not attached by what it has inherited, until it does with that what needs an identity: lock, put, get,
/// but not set an event, or change a raw value. What was to persist is collected as
/// well, if nobody is attached to it just now. An object of another layout format, as another version of this crate has made it, is
/// left alone: nobody here knows who uses it.
///
/// # Errors
///
/// [`Os`](Error::Os) or [`Unsupported`](Error::Unsupported) if it could not look at the directory, or at one of its objects;
/// the others are looked at even so.
///
/// # Examples
///
/// ```no_run
/// // Where nothing is to outlive its users, and somebody of them may have been killed:
/// for name in crossproc::gc()? {
///     println!("removed {name}");
/// }
/// # Ok::<(), crossproc::Error>(())
/// ```
pub fn gc() -> Result<Vec<String>> {
    those_abandoned(|name| unlink_abandoned(name))
}

/// Those of all names of which `is_abandoned` says so; an error if it could not say it of one of this user's objects.
fn those_abandoned(is_abandoned: impl Fn(&str) -> Result<bool>) -> Result<Vec<String>> {
    let (mut found, mut failure) = (Vec::new(), None);
    for name in names()? {
        match is_abandoned(&name) {
            Ok(true) => found.push(name),
            Ok(false) | Err(Error::NoSuchName { .. } | Error::PermissionDenied { .. } | Error::Attach(_)) => {}
            Err(error) => failure = Some(error),
        }
    }
    failure.map_or(Ok(found), Err)
}

/// What [`gc`] would remove now.
///
/// # Errors
///
/// As [`gc`].
///
/// # Examples
///
/// ```
/// use crossproc::{Name, Value, abandoned};
///
/// # let unique = format!("example/abandoned-{}", std::process::id());
/// # let name = unique.as_str();
/// let value = Value::create(Name::new(name).persist(), 1)?;
/// assert!(!abandoned()?.iter().any(|known| known == name));
/// drop(value);
/// assert!(abandoned()?.iter().any(|known| known == name));
/// # crossproc::unlink(name)?;
/// # Ok::<(), crossproc::Error>(())
/// ```
pub fn abandoned() -> Result<Vec<String>> {
    those_abandoned(|name| if_abandoned(&name.into(), |_, key, entry| Ok(stands_for(entry, key))))
}

/// As [`unlink`], if nobody is attached to the object; whether it was so. [`gc`] for one name.
///
/// # Errors
///
/// As [`unlink`].
///
/// # Examples
///
/// ```
/// use crossproc::{Name, Value, unlink_abandoned};
///
/// # let unique = format!("example/unused-{}", std::process::id());
/// # let name = unique.as_str();
/// let value = Value::create(Name::new(name).persist(), 1)?;
/// assert!(!unlink_abandoned(name)?);
/// drop(value);
/// assert!(unlink_abandoned(name)?);
/// # Ok::<(), crossproc::Error>(())
/// ```
pub fn unlink_abandoned(name: impl Into<Name>) -> Result<bool> {
    if_abandoned(&name.into(), remove_locked)
}

/// What `body` says of an object to which nobody is attached, and nobody can attach meanwhile (N3).
fn if_abandoned(name: &Name, body: impl FnOnce(&NameLock, FileKey, &str) -> Result<bool>) -> Result<bool> {
    let (file, facts) = find_ours(name)?;
    match NameLock::take(&file, facts.key)? {
        Some(lock) if lock.nobody_is_attached()? => body(&lock, facts.key, &name.entry()?),
        _ => Ok(false),
    }
}
