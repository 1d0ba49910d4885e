//! Bytes that travel as a file: an anonymous one, sealed, so that the receiver may look at them in place.

#![allow(unsafe_code)]

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd};

use memmap2::{Mmap, MmapOptions};

use super::capacity;
use super::memfd::memfd;
use crate::error::{Error, Result};

/// Nobody can change such a file any more: not its bytes, not its length, not this list.
const SEALS: i32 = libc::F_SEAL_WRITE | libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;

/// A file that holds `pieces`, one after the other, and can never be changed.
///
/// # Errors
///
/// [`Error::NoSpace`] beyond the size that files of this process may have: to try would be to get SIGXFSZ.
pub(crate) fn write(pieces: &[&[u8]]) -> Result<OwnedFd> {
    let failed = |error| Error::os("write the file of a message", error);
    let (needed, available) = (pieces.iter().map(|piece| piece.len() as u64).sum(), capacity::file_size_limit());
    if needed > available {
        return Err(Error::NoSpace { needed, available });
    }
    let mut file = File::from(memfd(c"crossproc message").map_err(failed)?);
    for piece in pieces {
        file.write_all(piece).map_err(failed)?;
    }
    // SAFETY: changes the seals of a file; no memory is involved.
    if unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, SEALS) } != 0 {
        return Err(Error::last_os("seal the file of a message"));
    }
    Ok(file.into())
}

/// Maps a file that another process [wrote](write): `length` bytes, which must be all of it.
pub(crate) fn map(file: OwnedFd, length: u64) -> Result<Mmap> {
    let file = File::from(file);
    // SAFETY: asks for the seals of a file; no memory is involved.
    let seals = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GET_SEALS) };
    if seals == -1 || seals & SEALS != SEALS {
        return Err(malformed(format!("seals {seals:#x}, required {SEALS:#x}")));
    }
    let size = file.metadata().map_err(|error| Error::os("look at the file of a message", error))?.len();
    if size != length || length == 0 {
        return Err(malformed(format!("a file of {size} bytes for {length}")));
    }
    // SAFETY: the seals keep everybody, us included, from changing or shortening the file while it is mapped.
    unsafe { MmapOptions::new().map(&file) }.map_err(|error| Error::os("map the file of a message", error))
}

fn malformed(reason: String) -> Error {
    Error::Decode { what: "the file of a message".into(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_mapped() {
        let file = write(&[b"one", b"", b"two"]).unwrap();
        assert_eq!(&map(file, 6).unwrap()[..], b"onetwo");
    }

    #[test]
    fn wrong_lengths_and_missing_seals_are_refused() {
        let refused = map(write(&[b"three"]).unwrap(), 6).unwrap_err();
        assert_eq!(refused.to_string(), "cannot decode the file of a message: a file of 5 bytes for 6");
        assert!(matches!(map(write(&[]).unwrap(), 0), Err(Error::Decode { .. })));
        assert!(matches!(map(memfd(c"unsealed").unwrap(), 0), Err(Error::Decode { .. })));
        assert!(matches!(map(File::open("/dev/null").unwrap().into(), 1), Err(Error::Decode { .. })));
    }
}
