//! Being asked to end, for a process that has something to finish first: sigaction(2).

#![allow(unsafe_code)]

use std::mem;
use std::ptr;
use std::sync::OnceLock;

use super::eventfd::EventFd;
use crate::error::{Error, Result};

static ASKED: OnceLock<EventFd> = OnceLock::new();

/// A write to a descriptor: signal-safety(7).
extern "C" fn note(_signal: libc::c_int) {
    if let Some(asked) = ASKED.get() {
        asked.raise();
    }
}

/// What is readable once SIGTERM or SIGINT has come. The next one of the same number ends the process, as ever.
pub(crate) fn watch() -> Result<&'static EventFd> {
    if ASKED.get().is_none() {
        let _ = ASKED.set(EventFd::new()?);
    }
    // SAFETY: integers and a pointer; all zeroes is a value.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    action.sa_sigaction = note as extern "C" fn(libc::c_int) as usize;
    action.sa_flags = libc::SA_RESTART | libc::SA_RESETHAND;
    for signal in [libc::SIGTERM, libc::SIGINT] {
        // SAFETY: `action` is initialised, and its handler does only what a handler may.
        unsafe { libc::sigaction(signal, &raw const action, ptr::null_mut()) };
    }
    ASKED.get().ok_or(Error::Exiting)
}
