//! Messages for whoever is free: many producers, many consumers, each message for one of them.

mod cells;
mod cursors;
mod encoded;
mod line;
mod plain;
mod readable;

pub use encoded::{Consumer, Producer, Queue, QueueBuilder, Task};
pub use line::Iter;
pub use plain::{Ring, Slot, Taken};
