//! Locks and what is built like them.

mod barrier;
mod event;
#[cfg(feature = "compat-raw-sync")]
mod event_at;
mod lock;

pub(crate) use barrier::describe as describe_barrier;
pub use barrier::{Barrier, BarrierBuilder, BarrierTurn};
pub use event::Event;
pub(crate) use event::describe as describe_event;
#[cfg(feature = "compat-raw-sync")]
pub use event_at::EventAt;
pub(crate) use lock::describe as describe_lock;
pub use lock::{Lock, LockGuard};
