//! The engine of several machines: containers at a Redis or Valkey server (`crate::remote`).
//!
//! A dictionary, a set and a namespace are hashes there, a list, an array and a value (of one item) lists. Each operation is one script.

mod engine;
mod held;
mod queue;
mod row;
mod table;
mod taken;
mod travel;

pub(crate) use engine::Engine;
pub(crate) use held::Held;
pub(crate) use queue::{Get, GetTask, Put, Queue, QueueWire, Task};
pub(crate) use taken::{Holds, head, payload};
pub(crate) use travel::{Storing, Wire, take_out};

/// For what a server does not keep yet.
pub(crate) fn lacks(what: &'static str) -> crate::Error {
    crate::Error::Unsupported { what: what.into() }
}
