//! Objects under names: making, opening and removing them; whose they are; races; deaths.

#[path = "../common/mod.rs"]
mod common;

mod access;
mod attached;
mod basics;
mod deaths;
mod directories;
mod races;

use common::naming::{TestName, in_own_directory, remover};
use crossproc::{Error, unlink};

crossproc::test_support!();

fn is_missing<T>(outcome: &Result<T, Error>) -> bool {
    matches!(outcome, Err(Error::NoSuchName { .. }))
}

/// What is persistent and done with.
fn remove(name: &TestName) {
    unlink(name.as_str()).unwrap();
}
