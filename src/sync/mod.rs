//! Locks and what is built like them.

mod lock;
mod rlock;
mod rwlock;

pub(crate) use lock::describe as describe_lock;
pub use lock::{Lock, LockGuard};
pub(crate) use rlock::describe as describe_rlock;
pub use rlock::{RLock, RLockGuard};
pub(crate) use rwlock::describe as describe_rwlock;
pub use rwlock::{ReadGuard, RwLock, WriteGuard};
