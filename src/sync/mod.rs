//! Locks and what is built like them.

mod condvar;
mod lock;

pub use condvar::Condvar;
pub(crate) use condvar::describe as describe_condvar;
pub(crate) use lock::describe as describe_lock;
pub use lock::{Lock, LockGuard};
