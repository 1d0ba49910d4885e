//! Waiting for descriptors: ppoll(2).

#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use super::clock::Deadline;
use crate::error::{Error, Result};

/// Sleeps until one of the descriptors is readable, or until the deadline; the indices of those that are. A descriptor with an
/// error, or with nobody at its other end, counts as readable.
pub(crate) fn readable(descriptors: &[BorrowedFd<'_>], deadline: Deadline) -> Result<Vec<usize>> {
    let entry = |fd: &BorrowedFd<'_>| libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let mut entries: Vec<_> = descriptors.iter().map(entry).collect();
    match wait(&mut entries, deadline) {
        Ok(_) => Ok((0..entries.len()).filter(|&index| entries[index].revents != 0).collect()),
        Err(error) => Err(Error::os("poll descriptors", error)),
    }
}

/// What a descriptor is waited for to be.
#[cfg(feature = "redis")]
#[derive(Clone, Copy)]
pub(crate) enum Ready {
    ToRead = libc::POLLIN as isize,
    ToWrite = libc::POLLOUT as isize,
}

/// Sleeps until a descriptor is ready, or has an error, or nobody is at its other end; or until the deadline: `false`.
#[cfg(feature = "redis")]
pub(crate) fn one(descriptor: BorrowedFd<'_>, what: Ready, deadline: Deadline) -> io::Result<bool> {
    wait(&mut [libc::pollfd { fd: descriptor.as_raw_fd(), events: what as libc::c_short, revents: 0 }], deadline)
}

/// Whether any is as it is waited for to be.
fn wait(entries: &mut [libc::pollfd], deadline: Deadline) -> io::Result<bool> {
    loop {
        let timeout = deadline.remaining().map(|left| libc::timespec {
            tv_sec: left.as_secs().try_into().unwrap_or(libc::time_t::MAX),
            tv_nsec: left.subsec_nanos().into(),
        });
        let timeout = timeout.as_ref().map_or(ptr::null(), ptr::from_ref);
        let count = entries.len() as libc::nfds_t;
        // SAFETY: so many entries, and a timeout that is null or a valid timespec; all outlive the call.
        match unsafe { libc::ppoll(entries.as_mut_ptr(), count, timeout, ptr::null()) } {
            // The timeout and the deadline are on the same clock, but only the deadline's own answer counts.
            0 if deadline.has_passed() => return Ok(false),
            0 => {}
            -1 => match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::Interrupted => {}
                error => return Err(error),
            },
            _ => return Ok(true),
        }
    }
}
