//! The directory of named segments: open(2) with `O_TMPFILE`, linkat(2), unlink(2).

#![allow(unsafe_code)]

use std::ffi::CString;
use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::PathBuf;

use super::facts::FileFacts;
use super::memory::MemoryFile;
use crate::error::{Error, OsError, Result};

/// Where the C library's `shm_open` has its files, too.
const DIRECTORY: &str = "/dev/shm";

/// A file that has no name yet, so that nobody can open it half made; it vanishes with its last descriptor.
pub(crate) fn nameless(mode: u32) -> Result<MemoryFile> {
    let file = File::options().read(true).write(true).mode(mode).custom_flags(libc::O_TMPFILE).open(DIRECTORY);
    let file = file.map_err(|error| match error.raw_os_error() {
        Some(libc::ENOENT | libc::ENOTDIR | libc::EOPNOTSUPP | libc::EISDIR) => {
            Error::Unsupported { what: format!("a system without nameless files in {DIRECTORY}").into() }
        }
        Some(libc::ENOSPC) => NO_MORE_FILES,
        _ => Error::os(format!("create a file in {DIRECTORY}"), error),
    })?;
    // As asked for, whatever the process's umask is.
    file.set_permissions(Permissions::from_mode(mode)).map_err(|error| Error::os("set a file's mode", error))?;
    let file = MemoryFile::from(OwnedFd::from(file));
    if !file.is_in_memory()? {
        return Err(Error::Unsupported { what: format!("a system whose {DIRECTORY} lies on a disk").into() });
    }
    Ok(file)
}

/// The file system has none left, however small. A single byte tells them from memory in the text of the error.
const NO_MORE_FILES: Error = Error::NoSpace { needed: 1, available: 0 };

/// linkat(2): gives a nameless file its name; false if that is taken.
pub(crate) fn link(file: &MemoryFile, entry: &str) -> Result<bool> {
    let c_string = |path: String| CString::new(path).unwrap_or_default(); // names have no zero bytes
    let from = c_string(format!("/proc/thread-self/fd/{}", file.as_fd().as_raw_fd()));
    let to = c_string(path(entry).to_string_lossy().into_owned());
    // SAFETY: both are C strings that outlive the call.
    let linked =
        unsafe { libc::linkat(libc::AT_FDCWD, from.as_ptr(), libc::AT_FDCWD, to.as_ptr(), libc::AT_SYMLINK_FOLLOW) };
    match (linked, OsError::last()) {
        (0, _) => Ok(true),
        (_, error) if error.code() == libc::EEXIST => Ok(false),
        (_, error) if error.code() == libc::ENOSPC => Err(NO_MORE_FILES),
        (_, error) => Err(Error::os("give a shared object its name", error)),
    }
}

/// The file of this name. Follows no symbolic link, and waits for nobody.
pub(crate) fn open(entry: &str) -> io::Result<MemoryFile> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file = File::options().read(true).write(true).custom_flags(flags).open(path(entry))?;
    Ok(OwnedFd::from(file).into())
}

/// As [`open`], to read it and no more.
pub(crate) fn open_to_read(entry: &str) -> io::Result<MemoryFile> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file = File::options().read(true).custom_flags(flags).open(path(entry))?;
    Ok(OwnedFd::from(file).into())
}

/// What stands under a name, without opening it or following it.
pub(crate) fn look_at(entry: &str) -> io::Result<FileFacts> {
    fs::symlink_metadata(path(entry)).map(|metadata| FileFacts::of(&metadata))
}

pub(crate) fn remove(entry: &str) -> Result<()> {
    match fs::remove_file(path(entry)) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::os("remove a shared object's name", error)),
        _ => Ok(()),
    }
}

/// All names in the directory, whosever they are.
pub(crate) fn entries() -> Result<Vec<String>> {
    let failed = |error| Error::os(format!("list {DIRECTORY}"), error);
    let mut entries = Vec::new();
    for entry in fs::read_dir(DIRECTORY).map_err(failed)? {
        entries.extend(entry.map_err(failed)?.file_name().into_string().ok());
    }
    Ok(entries)
}

fn path(entry: &str) -> PathBuf {
    PathBuf::from(DIRECTORY).join(entry)
}
