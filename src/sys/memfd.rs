//! Anonymous files: memfd_create(2).

#![allow(unsafe_code)]

use std::ffi::CStr;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

/// An anonymous file: empty, close-on-exec, open to seals, never executable. Its name is only for people.
pub(super) fn memfd(name: &CStr) -> io::Result<OwnedFd> {
    let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    create(name, flags | libc::MFD_NOEXEC_SEAL).or_else(|error| match error.raw_os_error() {
        // MFD_NOEXEC_SEAL came with Linux 6.3; older kernels refuse what they do not know. Other errors would only come
        // again.
        Some(libc::EINVAL) => create(name, flags),
        _ => Err(error),
    })
}

fn create(name: &CStr, flags: libc::c_uint) -> io::Result<OwnedFd> {
    // SAFETY: the name is a C string, and the kernel copies it.
    match unsafe { libc::memfd_create(name.as_ptr(), flags) } {
        -1 => Err(io::Error::last_os_error()),
        // SAFETY: the kernel just made this descriptor for us.
        descriptor => Ok(unsafe { OwnedFd::from_raw_fd(descriptor) }),
    }
}
