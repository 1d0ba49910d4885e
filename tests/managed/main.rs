//! `Manager` and its containers: what many processes do to them at once, and what every death leaves.

#[path = "../common/mod.rs"]
mod common;

mod breaks;
mod counting;
mod handles;
mod kills;
mod leaks;
mod limits;
mod pools;
mod queue;
mod refusals;
mod stops;
mod sync;
mod users;

crossproc::test_support!();

/// Bytes that the manager of this name has taken so far.
fn bytes_used(name: &str) -> u64 {
    let state = crossproc::inspect(name).unwrap().state;
    let (_, bytes) = state.iter().find(|(what, _)| what == "bytes used").unwrap();
    bytes.parse().unwrap()
}
