//! Ctrl-C, for those who leave it to their parent: signal(7).

#![allow(unsafe_code)]

use std::mem;
use std::ptr;

extern "C" fn nothing(_signal: libc::c_int) {}

/// Has SIGINT do nothing to this process. Its own children, started by exec, are not affected: unlike a signal that is
/// ignored, one with a handler is as ever for them.
pub(crate) fn disregard() {
    // SAFETY: integers and a pointer; all zeroes is a value.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    action.sa_sigaction = nothing as extern "C" fn(libc::c_int) as usize;
    action.sa_flags = libc::SA_RESTART;
    // SAFETY: `action` is initialised, and its handler does nothing.
    unsafe { libc::sigaction(libc::SIGINT, &raw const action, ptr::null_mut()) };
}
