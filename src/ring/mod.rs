//! Lock-free rings: which slot is whose, and since when. Pure state machines over atomics, checked by loom; what the
//! slots hold, they do not know.

#![forbid(unsafe_code)]

mod event;
#[cfg(all(test, loom))]
mod models;

pub(crate) use event::Event;
