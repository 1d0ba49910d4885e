//! Locks and what is built like them.

mod lock;

pub(crate) use lock::describe as describe_lock;
pub use lock::{Lock, LockGuard};
