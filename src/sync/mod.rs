//! Locks and what is built like them.

mod condvar;
mod lock;
mod rlock;
mod rwlock;
mod semaphore;

pub use condvar::Condvar;
pub(crate) use condvar::describe as describe_condvar;
pub(crate) use lock::describe as describe_lock;
pub use lock::{Lock, LockGuard};
pub(crate) use rlock::describe as describe_rlock;
pub use rlock::{RLock, RLockGuard};
pub(crate) use rwlock::describe as describe_rwlock;
pub use rwlock::{ReadGuard, RwLock, WriteGuard};
pub(crate) use semaphore::describe as describe_semaphore;
pub use semaphore::{BoundedSemaphore, Permit, Semaphore, SemaphoreBuilder};
