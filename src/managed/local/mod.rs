//! The engine of this machine: containers in a heap that processes share (`crate::heap`).
//!
//! Nothing above names the heap.

mod engine;
mod held;
mod names;
mod row;
mod table;
mod taken;
mod travel;

pub(crate) use engine::Engine;
pub(crate) use held::Held;
pub(crate) use taken::Holds;
pub(crate) use travel::{Storing, Wire};

pub(crate) use crate::heap::bytes::{Buffer, Content, Short};
pub(crate) use crate::heap::object::{Object, Shape};
