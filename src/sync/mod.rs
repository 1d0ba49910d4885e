//! Locks and what is built like them.

mod lock;

pub use lock::{Lock, LockGuard};
