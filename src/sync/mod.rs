//! Locks and what is built like them.

mod lock;
mod semaphore;

pub(crate) use lock::describe as describe_lock;
pub use lock::{Lock, LockGuard};
pub(crate) use semaphore::describe as describe_semaphore;
pub use semaphore::{BoundedSemaphore, Permit, Semaphore, SemaphoreBuilder};
