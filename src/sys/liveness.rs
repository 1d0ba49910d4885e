//! Who is alive: open file description locks (fcntl(2), `F_OFD_SETLK`) on bytes of a segment's file.
//!
//! A peer holds a write lock on one byte that belongs to its identity alone. The kernel drops it when the process is
//! gone, zombie or not, whatever its pid namespace. Asking costs half a microsecond for some 64 peers (`segment/header.rs`).
//!
//! L1. The lock belongs to an open file description that nothing keeps alive but one mapped page: no descriptor, so
//!     that neither a `closefrom` nor an exec'd or forked child can end or prolong it.
//! L2. The page is not inherited by a forked child (`MADV_DONTFORK`), so a killed parent's lock falls although its
//!     child lives. The descriptor exists only while plain forks are excluded.
//! L3. A verdict "dead" is given only by the file itself: if the program has closed our descriptor, or put another file
//!     in its place, everybody counts as alive.
//!
//! L4. The one exception to L1 and L2 is an identity that travels ([`Entrance::carrier`]): it belongs to a message, and so
//!     hangs on a descriptor that the message carries.
//! L5. Identities are locked under a read lock on the name byte (an [`Entrance`]). So whoever has the write lock on it (a
//!     [`NameLock`]) and finds no identity locked knows that nobody becomes a peer until it lets go.
//!
//! A `vfork`ed child that is stopped before its exec shares the address space, page included: its killed parent looks
//! alive until it goes on. A delay, never a wrong verdict.

#![allow(unsafe_code)]

use std::ffi::c_void;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::thread;
use std::time::Duration;

use super::clock::Deadline;
use super::fork::{self, Exclusion};
use super::map;
use super::memory::{FileKey, MemoryFile};
use crate::error::{Error, OsError, Result};

/// The byte of identity `id` is `BASE + id`: far behind the content of any segment.
const BASE: i64 = 1 << 40;

/// How many identities there can be.
const IDENTITIES: i64 = 1 << 31;

/// The byte that whoever removes the file's name holds, and for a moment whoever becomes a peer.
const NAME: i64 = BASE - 1;

/// How long others are waited for who hold the name byte, which takes them a few system calls, unless they are stopped.
/// A guess.
const PATIENCE: Duration = Duration::from_millis(500);

/// A segment's file as the register of who is alive.
pub(crate) struct Liveness {
    file: MemoryFile,
    key: FileKey,
}

impl Liveness {
    pub(crate) fn of(file: MemoryFile) -> Result<Self> {
        let key = file.key()?;
        Ok(Liveness { file, key })
    }

    pub(crate) fn file(&self) -> &MemoryFile {
        &self.file
    }

    pub(crate) fn key(&self) -> FileKey {
        self.key
    }

    /// Whether the owner of identity `id` can no longer run. Final for an identity that has been ACTIVE (see
    /// `word/peers.rs`, I3).
    pub(crate) fn is_dead(&self, id: u32) -> bool {
        let is_free = is_free(self.file.as_fd(), of_identity(id), 1).unwrap_or(false);
        is_free && self.file.key().is_ok_and(|key| key == self.key) // (L3)
    }

    /// The way in for a new peer. Waits for those who are removing the file's name.
    pub(crate) fn enter(&self) -> Result<Entrance> {
        let attempt = || Door::open(&self.file, self.key, libc::F_RDLCK);
        let door = patiently(attempt)?.ok_or_else(|| busy("attach to a shared object whose name somebody removes"))?;
        Ok(Entrance { door })
    }
}

/// A new open file description of a segment's file, with a lock on the name byte.
struct Door {
    description: OwnedFd,
    /// A copy of the process would have the description, too. Dropped last.
    forks: Exclusion,
}

impl Door {
    /// `None` if others have locked the byte against this kind of lock.
    fn open(file: &MemoryFile, key: FileKey, kind: libc::c_int) -> Result<Option<Self>> {
        let forks = fork::exclude();
        let description = file.reopen(key)?;
        Ok(lock(&description, kind, NAME)?.then_some(Door { description, forks }))
    }
}

impl Drop for Door {
    /// The description may live on: for the sake of identities, or in a child that another thread has cloned and that has not come
    /// to its exec yet.
    fn drop(&mut self) {
        let _ = lock(&self.description, libc::F_UNLCK, NAME);
    }
}

/// The name byte, locked together with others who become peers. As long as it lives, nobody removes the file's name for want
/// of peers (L5).
pub(crate) struct Entrance {
    door: Door,
}

impl Entrance {
    pub(crate) fn forks(&self) -> &Exclusion {
        &self.door.forks
    }

    /// What the identities that are [locked](Self::lock) here hang on: they are alive as long as it lives.
    pub(crate) fn anchor(&self) -> Result<Hold> {
        let page =
            map::anchor_page(self.door.description.as_raw_fd()).map_err(|error| Error::os("map a page", error))?;
        let hold = Hold { page, generation: fork::generation() };
        // SAFETY: the page was just mapped.
        if unsafe { libc::madvise(page.as_ptr(), map::page_size(), libc::MADV_DONTFORK) } != 0 {
            return Err(Error::last_os("keep a page from forked children"));
        }
        Ok(hold)
    }

    /// As [`anchor`](Self::anchor): alive as long as this is open anywhere: here, in a message, or in the process that received
    /// it (L4).
    ///
    /// A plain fork meanwhile copies the descriptor, and then the copy has to go, too.
    pub(crate) fn carrier(&self) -> Result<OwnedFd> {
        self.door.description.try_clone().map_err(|error| Error::os("duplicate a descriptor", error))
    }

    /// Marks identity `id` alive, unless somebody else holds its byte.
    pub(crate) fn lock(&self, id: u32) -> Result<bool> {
        lock(&self.door.description, libc::F_WRLCK, of_identity(id))
    }
}

/// The name byte, locked alone: nobody else removes the file's name, and nobody becomes a peer (L5).
pub(crate) struct NameLock {
    door: Door,
}

impl NameLock {
    /// `None` if somebody else holds it.
    pub(crate) fn take(file: &MemoryFile, key: FileKey) -> Result<Option<Self>> {
        Ok(Door::open(file, key, libc::F_WRLCK)?.map(|door| NameLock { door }))
    }

    /// As [`take`](Self::take). Waits for those who hold it. `attempt`: what it is wanted for.
    pub(crate) fn wait(file: &MemoryFile, key: FileKey, attempt: &'static str) -> Result<Self> {
        patiently(|| NameLock::take(file, key))?.ok_or_else(|| busy(attempt))
    }

    /// Whether nobody has an identity; so it stays as long as this lives.
    pub(crate) fn nobody_is_attached(&self) -> Result<bool> {
        is_free(self.door.description.as_fd(), BASE, IDENTITIES)
    }
}

/// What `attempt` gives in the end; `None` if it has given none for too long.
fn patiently<T>(attempt: impl Fn() -> Result<Option<T>>) -> Result<Option<T>> {
    let deadline = Deadline::after(PATIENCE);
    loop {
        let outcome = attempt()?;
        if outcome.is_some() || deadline.has_passed() {
            return Ok(outcome);
        }
        thread::sleep(Duration::from_millis(1));
    }
}

fn busy(attempt: &'static str) -> Error {
    Error::os(attempt, OsError::from_code(libc::EBUSY))
}

fn of_identity(id: u32) -> i64 {
    BASE + i64::from(id)
}

/// F_OFD_SETLK: whether this byte is now this open file description's, with a lock of this kind.
fn lock(description: &OwnedFd, kind: libc::c_int, byte: i64) -> Result<bool> {
    let lock = flock(kind, byte, 1);
    // SAFETY: `lock` is a live flock and the descriptor is open.
    if unsafe { libc::fcntl(description.as_raw_fd(), libc::F_OFD_SETLK, &raw const lock) } == 0 {
        return Ok(true);
    }
    match OsError::last() {
        error if error.code() == libc::EAGAIN || error.code() == libc::EACCES => Ok(false),
        error => Err(Error::os("lock a byte of a segment", error)),
    }
}

/// F_OFD_GETLK: whether no other open file description has a lock on any of these bytes.
fn is_free(description: BorrowedFd<'_>, start: i64, length: i64) -> Result<bool> {
    let mut lock = flock(libc::F_WRLCK, start, length);
    // SAFETY: `lock` is a live flock; if the descriptor is closed the call fails.
    if unsafe { libc::fcntl(description.as_raw_fd(), libc::F_OFD_GETLK, &raw mut lock) } != 0 {
        return Err(Error::last_os("look at the locks of a segment"));
    }
    Ok(libc::c_int::from(lock.l_type) == libc::F_UNLCK)
}

fn flock(kind: libc::c_int, start: i64, length: i64) -> libc::flock {
    libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: start,
        l_len: length,
        l_pid: 0, // required of OFD locks
    }
}

impl AsFd for Liveness {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// A held identity byte: the page that keeps the lock's open file description alive (L1).
pub(crate) struct Hold {
    page: NonNull<c_void>,
    /// The fork generation that mapped it.
    generation: u32,
}

// SAFETY: a Hold is an address that only its Drop uses, once.
unsafe impl Send for Hold {}

impl Drop for Hold {
    fn drop(&mut self) {
        // In a forked copy there is no such page (L2); the address may be something else by now.
        if self.generation == fork::generation() {
            // SAFETY: `anchor` mapped the page for this value alone, in this process.
            unsafe { libc::munmap(self.page.as_ptr(), map::page_size()) };
        }
    }
}
