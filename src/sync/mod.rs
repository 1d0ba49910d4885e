//! Locks and what is built like them.

mod lock;
mod rlock;
mod rwlock;

pub use lock::{Lock, LockGuard};
pub use rlock::{RLock, RLockGuard};
pub use rwlock::{ReadGuard, RwLock, WriteGuard};
