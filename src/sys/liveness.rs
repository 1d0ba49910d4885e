//! Who is alive: open file description locks (fcntl(2), `F_OFD_SETLK`) on bytes of a segment's file.
//!
//! A peer holds a write lock on one byte that belongs to its identity alone. The kernel drops it when the process is
//! gone, zombie or not, whatever its pid namespace, and asking costs less than a microsecond.
//!
//! L1. The lock belongs to an open file description that nothing keeps alive but one mapped page: no descriptor, so
//!     that neither a `closefrom` nor an exec'd or forked child can end or prolong it.
//! L2. The page is not inherited by a forked child (`MADV_DONTFORK`), so a killed parent's lock falls although its
//!     child lives. The descriptor exists only while plain forks are excluded.
//! L3. A verdict "dead" is given only by the file itself: if the program has closed our descriptor, or put another file
//!     in its place, everybody counts as alive.
//!
//! L4. The one exception to L1 and L2 is an identity that travels (`hold_by_descriptor`): it belongs to a message, and so
//!     hangs on a descriptor that the message carries.
//!
//! A `vfork`ed child that is stopped before its exec shares the address space, page included: its killed parent looks
//! alive until it goes on. A delay, never a wrong verdict.

#![allow(unsafe_code)]

use std::ffi::c_void;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;

use super::fork::{self, Exclusion};
use super::map;
use super::memory::{FileKey, MemoryFile};
use crate::error::{Error, OsError, Result};

/// The byte of identity `id` is `BASE + id`: far behind the content of any segment.
const BASE: i64 = 1 << 40;

/// How many identities there can be.
const IDENTITIES: i64 = 1 << 31;

/// The byte that whoever removes the file's name holds.
const NAME: i64 = BASE - 1;

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

    /// F_OFD_GETLK: whether the owner of identity `id` can no longer run. Final for an identity that has been ACTIVE (see
    /// `word/peers.rs`, I3).
    pub(crate) fn is_dead(&self, id: u32) -> bool {
        let mut lock = write_lock(of_identity(id), 1);
        // SAFETY: `lock` is a live flock; if the descriptor is closed the call fails.
        let asked = unsafe { libc::fcntl(self.file.as_fd().as_raw_fd(), libc::F_OFD_GETLK, &raw mut lock) };
        let unlocked = asked == 0 && i32::from(lock.l_type) == libc::F_UNLCK;
        unlocked && self.file.key().is_ok_and(|key| key == self.key) // (L3)
    }

    /// Marks identity `id` alive for as long as the result lives; `None` if somebody else holds its byte.
    pub(crate) fn hold(&self, id: u32, _forks_excluded: &Exclusion) -> Result<Option<Hold>> {
        let description = self.file.reopen(self.key)?;
        let page = map::anchor_page(description.as_raw_fd()).map_err(|error| Error::os("map a page", error))?;
        let hold = Hold { page, generation: fork::generation() };
        // SAFETY: the page was just mapped.
        if unsafe { libc::madvise(page.as_ptr(), map::page_size(), libc::MADV_DONTFORK) } != 0 {
            return Err(Error::last_os("keep a page from forked children"));
        }
        Ok(lock(&description, of_identity(id), 1)?.then_some(hold))
    }

    /// Marks identity `id` alive for as long as the result is open anywhere: here, in a message, or in the process that
    /// received it. `None` if somebody else holds its byte.
    ///
    /// A plain fork meanwhile copies the descriptor, and then the copy has to go, too.
    pub(crate) fn hold_by_descriptor(&self, id: u32, _forks_excluded: &Exclusion) -> Result<Option<OwnedFd>> {
        let description = self.file.reopen(self.key)?;
        Ok(lock(&description, of_identity(id), 1)?.then_some(description))
    }
}

/// The name byte of a file, held by an open file description of its own.
pub(crate) struct NameLock {
    description: OwnedFd,
    /// A copy of the process would hold it, too. Dropped last.
    _forks_excluded: Exclusion,
}

impl NameLock {
    /// `None` if somebody else holds it.
    pub(crate) fn take(file: &MemoryFile, key: FileKey) -> Result<Option<Self>> {
        let forks = fork::exclude();
        let description = file.reopen(key)?;
        Ok(lock(&description, NAME, 1)?.then_some(NameLock { description, _forks_excluded: forks }))
    }

    /// Whether nobody has an identity, and nobody can get one as long as this lives.
    pub(crate) fn shut_out(&self) -> Result<bool> {
        lock(&self.description, BASE, IDENTITIES)
    }
}

fn of_identity(id: u32) -> i64 {
    BASE + i64::from(id)
}

/// F_OFD_SETLK: whether these bytes are now this open file description's.
fn lock(description: &OwnedFd, start: i64, length: i64) -> Result<bool> {
    let lock = write_lock(start, length);
    // SAFETY: `lock` is a live flock and the descriptor is open.
    if unsafe { libc::fcntl(description.as_raw_fd(), libc::F_OFD_SETLK, &raw const lock) } == 0 {
        return Ok(true);
    }
    match OsError::last() {
        error if error.code() == libc::EAGAIN || error.code() == libc::EACCES => Ok(false),
        error => Err(Error::os("lock a byte of a segment", error)),
    }
}

impl AsFd for Liveness {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

fn write_lock(start: i64, length: i64) -> libc::flock {
    libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: start,
        l_len: length,
        l_pid: 0, // required of OFD locks
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
            // SAFETY: `hold` mapped the page for this value alone, in this process.
            unsafe { libc::munmap(self.page.as_ptr(), map::page_size()) };
        }
    }
}
