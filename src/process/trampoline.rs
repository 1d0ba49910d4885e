//! A function as a number that another process of the same build understands, and back.

#![allow(unsafe_code)]

use std::mem;
use std::ptr::NonNull;

use super::function::{Entry, Run};
use crate::error::{Error, Result};
use crate::sys::program::{self, Build};

/// Fails the build, in words, for a function that has a value of its own.
pub(super) const fn assert_captures_nothing<F>() {
    assert!(
        size_of::<F>() == 0,
        "a function that captures variables cannot run in another process: pass them in `args` (a function pointer \
         cannot, either: pass the function itself)"
    );
}

/// A function's value, out of nothing.
pub(super) fn conjure<F: Copy + Send + 'static>() -> F {
    const { assert_captures_nothing::<F>() };
    // SAFETY: F has no bytes, so that every aligned pointer can be read from. It is inhabited: this code is only
    // reached through an `Entry`, which was made from a value of F. That a second value does no harm is what `Copy`
    // says, and that it may appear on another thread, `Send`.
    unsafe { NonNull::<F>::dangling().read() }
}

/// Where `entry` is in the program; `function` names it in the error.
pub(super) fn offset_of(entry: Entry, function: &'static str) -> Result<u64> {
    program::this()?
        .offset_of(entry.0 as usize)
        .ok_or_else(|| Error::ForeignFunction { function: function.to_string() })
}

/// The function at an offset that [`offset_of`] gave to a process of `build`, if this is one, too.
pub(super) fn at(build: &Build, offset: u64) -> Result<Entry> {
    let malformed = |reason| Error::Decode { what: "a function".into(), reason };
    let program = program::this()?;
    if *build != program.build {
        return Err(malformed(format!("from {build:?}, this is {:?}", program.build)));
    }
    let outside = || malformed(format!("offset {offset:#x} is outside the program"));
    let address = program.address_of(offset).ok_or_else(outside)?;
    // SAFETY: the address is one of the program's own code. The parent, which is this user's process and runs the same
    // build, as just compared, took it from a function of this type.
    Ok(Entry(unsafe { mem::transmute::<usize, Run>(address) }))
}
