//! Messages for whoever is free: many producers, many consumers, each message for one of them.

mod cells;
mod cursors;
mod ring;
mod slot;

pub use ring::Ring;
pub use slot::{Slot, Taken};
