//! A function as a number that another process of the same build understands, and back.

#![allow(unsafe_code)]

use std::mem;
use std::os::fd::OwnedFd;
use std::ptr::NonNull;

use super::function::{Entry, Run, Step, Stride};
use super::message::Received;
use crate::error::{Error, Result};
use crate::sys::program::{self, Build};

/// Fails the build, in words, for a function that has a value of its own.
pub(super) const fn assert_captures_nothing<F>() {
    assert!(
        size_of::<F>() == 0,
        "a function that captures variables cannot run in another process: pass them as its arguments, in the tuple \
         that `spawn` and `apply` take, or with each item that `map` takes (`starmap` takes tuples); a function \
         pointer cannot, either: pass the function itself"
    );
}

/// A function's value, out of nothing.
pub(super) fn conjure<F: Copy + Send + 'static>() -> F {
    const { assert_captures_nothing::<F>() };
    // SAFETY: F has no bytes, so that every aligned pointer can be read from. It is inhabited: this code is only
    // reached through an `Entry` or a `Step`, which was made from a value of F. That a second value does no harm is what
    // `Copy` says, and that it may appear on another thread, `Send`.
    unsafe { NonNull::<F>::dangling().read() }
}

/// Where `entry` is in the program; `function` names it in the error.
pub(super) fn offset_of(entry: Entry, function: &'static str) -> Result<u64> {
    offset(entry.0 as usize, function)
}

/// The same, for [`run_at`].
pub(crate) fn offset_of_entry(entry: Entry, function: &'static str) -> Result<[u8; 8]> {
    Ok(offset_of(entry, function)?.to_ne_bytes())
}

/// The same for a function that runs again and again.
pub(crate) fn offset_of_step(step: Step, function: &'static str) -> Result<u64> {
    offset(step.0 as usize, function)
}

fn offset(address: usize, function: &'static str) -> Result<u64> {
    let foreign = || Error::ForeignFunction { function: function.to_string() };
    program::this()?.offset_of(address).ok_or_else(foreign)
}

/// The function at an offset that [`offset_of`] gave to a process of `build`, if this is one, too.
pub(super) fn at(build: &Build, offset: u64) -> Result<Entry> {
    let program = program::this()?;
    if *build != program.build {
        return Err(malformed(format!("from {build:?}, this is {:?}", program.build)));
    }
    let address = address(offset)?;
    // SAFETY: the address is one of the program's own code. The parent, which is this user's process and runs the same
    // build, as just compared, took it from a function of this type.
    Ok(Entry(unsafe { mem::transmute::<usize, Run>(address) }))
}

/// Runs the function whose offset stands before its encoded arguments; what it says if it returns an `Err`.
pub(crate) fn run_at(bytes: &[u8], descriptors: Vec<OwnedFd>) -> Result<Option<String>> {
    let none = || malformed("there is none".into());
    let (offset, arguments) = bytes.split_first_chunk().ok_or_else(none)?;
    let entry = at(&program::this()?.build, u64::from_ne_bytes(*offset))?;
    Ok((entry.0)(arguments, descriptors)?.error)
}

/// The function whose offset, from [`offset_of_step`], is the body of a note of the parent of this process. Not of anything in
/// shared memory: whoever can write there could have this process jump anywhere.
pub(crate) fn step_in(note: &Received<()>) -> Result<Step> {
    let offset =
        note.body().try_into().map_err(|_| malformed("the parent has handed out none of this number".into()))?;
    let address = address(u64::from_ne_bytes(offset))?;
    // SAFETY: the address is one of the program's own code. The parent, which runs the same build, as compared when this
    // process began, took it from a function of this type; it came through the socket that is those two processes' alone. A parent that
    // serves a pool at a server has it from there: it is trusted as far as that is, to which nobody may write whom the programs under its
    // prefix do not trust, as `PoolBuilder::engine` says. The tasks there are those of this build alone.
    Ok(Step(unsafe { mem::transmute::<usize, Stride>(address) }))
}

fn address(offset: u64) -> Result<usize> {
    program::this()?.address_of(offset).ok_or_else(|| malformed(format!("offset {offset:#x} is outside the program")))
}

fn malformed(reason: String) -> Error {
    Error::Decode { what: "a function".into(), reason }
}
