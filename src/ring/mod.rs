//! Lock-free rings: which slot is whose, and since when. Pure state machines over atomics, checked by loom; what the
//! slots hold, they do not know.
//!
//! | file | subject |
//! |---|---|
//! | `event` | sleeping until something happens |
//! | `bytes`, `record` | a ring of bytes with one producer and one consumer |
//! | `endpoint` | who has one end of it |
//! | `track` | what its ends share, and how they wait for each other |

#![forbid(unsafe_code)]

pub(crate) mod bytes;
pub(crate) mod endpoint;
mod event;
#[cfg(all(test, loom))]
mod models;
pub(crate) mod record;
pub(crate) mod track;

pub(crate) use event::Event;
