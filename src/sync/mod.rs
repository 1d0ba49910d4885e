//! Locks and what is built like them.

mod condvar;
mod lock;

pub use condvar::Condvar;
pub use lock::{Lock, LockGuard};
