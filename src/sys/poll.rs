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
            0 if deadline.has_passed() => return Ok(Vec::new()),
            0 => {}
            -1 => match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::Interrupted => {}
                error => return Err(Error::os("poll descriptors", error)),
            },
            _ => return Ok((0..entries.len()).filter(|&index| entries[index].revents != 0).collect()),
        }
    }
}
