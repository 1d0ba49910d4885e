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

use super::name::Name;
use super::place::Home;
use super::{Segment, header};
use crate::error::{AttachError, Error, Kind, OsError, Result};
use crate::fault::crash_point;
use crate::sys::clock::Deadline;
use crate::sys::directory;
use crate::sys::facts::FileFacts;
use crate::sys::fork;
use crate::sys::liveness::{NameLock, PATIENCE};
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
    H::attached(segment, offset)
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

/// Making an object under a name, for a handle with a function `make(home, arguments)`. In brackets, what an object that is
/// there must have in common with the one that would be made: its name, the argument, and the method that gives it.
macro_rules! impl_create {
    (
        $handle:ident $(<$element:ident: $bound:ident $(+ $more:ident)*>)?,
        ($($argument:ident: $type:ty),*),
        [$($what:literal: $expected:ident == $getter:ident),*]
    ) => {
        impl $(<$element: $bound $(+ $more)*>)? $handle $(<$element>)? {
            #[doc = concat!("As [`new`](Self::new), under a name: a new `", stringify!($handle), "` that other processes can")]
            /// [open](Self::open).
            ///
            /// # Errors
            ///
            /// [`NameTaken`](crate::Error::NameTaken) if there is one already; [`InvalidName`](crate::Error::InvalidName);
            /// and those of `new`.
            ///
            /// # Examples
            ///
            /// See [`Name`](crate::Name).
            pub fn create(name: impl Into<crate::Name> $(, $argument: $type)*) -> crate::Result<Self> {
                crate::segment::named::create(name.into(), |home| Self::make(home $(, $argument)*))
            }

            #[doc = concat!("The `", stringify!($handle), "` of this name, or a [new](Self::new) one if there is none.")]
            ///
            /// Of any number of processes that call it at once, one makes the object and the others find it whole.
            ///
            /// # Errors
            ///
            /// Those of [`open`](Self::open) and [`create`](Self::create), but that there is none, or one already; and
            /// [`Attach`](crate::Error::Attach) if the one that is there is of another kind, type or shape.
            ///
            /// # Examples
            ///
            /// See [`Name`](crate::Name).
            pub fn open_or_create(name: impl Into<crate::Name> $(, $argument: $type)*) -> crate::Result<Self> {
                let check = |found: &Self| {
                    let _ = found; // where nothing has to be the same
                    $(crate::segment::named::check_same(crate::Kind::$handle, $what, found.$getter(), $expected)?;)*
                    Ok(())
                };
                crate::segment::named::open_or_create(name.into(), |home| Self::make(home $(, $argument)*), check)
            }
        }
    };
}

pub(crate) use impl_create;

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

fn stands_for(entry: &str, key: FileKey) -> bool {
    directory::look_at(entry).is_ok_and(|facts| facts.key == key)
}

/// The file of a name, if this process may open it.
fn find(name: &Name) -> Result<(MemoryFile, FileFacts)> {
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

/// The file of a name, if it is a segment of this user's, for who removes names.
fn find_ours(name: &Name) -> Result<(MemoryFile, FileFacts)> {
    let (file, facts) = find(name)?;
    if !facts.is_this_users() {
        return Err(not_ours(name.as_str(), &facts));
    }
    header::check(&file.first_bytes()?, file.size()?)?; // of another format, nobody here knows who uses it
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
    let name = segment.name.get().filter(|_| offset == segment.first_object()).ok_or(Error::Nameless { object })?;
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
/// A forked copy of a process is not attached by what it has inherited, until it uses that.
///
/// # Errors
///
/// [`Os`](Error::Os) or [`Unsupported`](Error::Unsupported) if it could not look at the directory, or at one of its objects;
/// the others are looked at even so.
///
/// # Examples
///
/// ```no_run
/// // At the start of a service, what its killed predecessors have left:
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

impl Segment {
    /// The segment of a name.
    fn open(name: &Name) -> Result<Arc<Self>> {
        // Again only if somebody removes the name meanwhile.
        let deadline = Deadline::after(PATIENCE);
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
            if deadline.has_passed() {
                return Err(Error::os(format!("open {name}"), OsError::from_code(libc::EBUSY)));
            }
        }
    }
}
