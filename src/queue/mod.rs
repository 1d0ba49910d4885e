//! Messages for whoever is free: many producers, many consumers, each message for one of them.

mod cells;
mod cursors;
mod describe;
mod encoded;
mod line;
mod plain;
mod readable;

pub(crate) use encoded::describe as describe_queue;
pub use encoded::{Consumer, Producer, Queue, QueueBuilder, QueueTask};
pub use line::Iter;
pub(crate) use plain::describe as describe_ring;
pub use plain::{Ring, Slot, Taken};
