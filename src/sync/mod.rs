//! Locks and what is built like them.

mod lock;
mod semaphore;

pub use lock::{Lock, LockGuard};
pub use semaphore::{BoundedSemaphore, Permit, Semaphore, SemaphoreBuilder};
