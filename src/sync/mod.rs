//! Locks and what is built like them.

mod barrier;
mod event;
mod lock;

pub use barrier::{Barrier, BarrierBuilder, BarrierTurn};
pub use event::Event;
pub use lock::{Lock, LockGuard};
