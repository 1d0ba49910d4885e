//! A program that is run as a host of pools.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Becomes the program; why it could not.
pub(crate) fn run(engine: &str, workers: Option<u16>, program: &[OsString]) -> io::Error {
    let Some((program, arguments)) = program.split_first() else {
        return io::Error::other("there is no program to run");
    };
    // Not an argument, which everybody could read: there may be a password in it.
    let order = format!("{} {engine}", workers.unwrap_or(0));
    let error = Command::new(program).args(arguments).env("CROSSPROC_HOST", order).exec();
    io::Error::new(error.kind(), format!("cannot run {}: {error}", program.display()))
}
