//! Messages for whoever is free: many producers, many consumers, each message for one of them.

mod cells;
mod cursors;
mod encoded;
mod plain;
mod readable;

pub use encoded::{Consumer, Producer, Queue, QueueBuilder, Task};
pub use plain::{Ring, Slot, Taken};
