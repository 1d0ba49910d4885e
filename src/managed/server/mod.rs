//! The engine of several machines: containers at a Redis or Valkey server (`crate::remote`).
//!
//! A dictionary, a set and a namespace are hashes there, a list, an array and a value (of one item) lists. Each operation is one script.

mod engine;
mod held;
mod owned;
mod queue;
mod row;
mod table;
mod taken;
mod travel;
mod waited;

pub(crate) use engine::Engine;
pub(crate) use held::Held;
pub(crate) use owned::{Level, Pass, wait_at};
pub(crate) use queue::{Get, GetTask, Put, Queue, QueueWire, Task};
pub(crate) use taken::{Holds, head, payload};
pub(crate) use travel::{Expected, Storing, Wire, pack, place_of, take_out, unpack};
pub(crate) use waited::{Remote, Waited};
