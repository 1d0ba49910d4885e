//! A descriptor that is readable or not, as one says: eventfd(2).

#![allow(unsafe_code)]

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};

use crate::error::{Error, Result};

/// Close-on-exec, and nobody ever waits in it.
pub(crate) struct EventFd(File);

impl EventFd {
    /// One that is not readable.
    pub(crate) fn new() -> Result<Self> {
        // SAFETY: integers only.
        match unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) } {
            -1 => Err(Error::last_os("make a descriptor for `poll`")),
            // SAFETY: the kernel just made this descriptor for us.
            descriptor => Ok(EventFd(unsafe { OwnedFd::from_raw_fd(descriptor) }.into())),
        }
    }

    /// Makes it readable. Fails only where the program has closed a descriptor that it does not own.
    pub(crate) fn raise(&self) {
        let _ = (&self.0).write(&1_u64.to_ne_bytes());
    }

    /// Makes it unreadable, however often it was raised.
    pub(crate) fn clear(&self) {
        let _ = (&self.0).read(&mut [0; size_of::<u64>()]);
    }
}

impl AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
