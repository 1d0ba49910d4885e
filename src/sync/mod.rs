//! Locks and what is built like them.

mod barrier;
mod condvar;
mod event;
#[cfg(feature = "compat-raw-sync")]
mod event_at;
mod lock;
mod rlock;
mod rwlock;
mod semaphore;

pub(crate) use barrier::describe as describe_barrier;
pub use barrier::{Barrier, BarrierBuilder, BarrierTurn};
pub use condvar::Condvar;
pub(crate) use condvar::describe as describe_condvar;
pub use event::Event;
pub(crate) use event::describe as describe_event;
#[cfg(feature = "compat-raw-sync")]
pub use event_at::EventAt;
pub(crate) use lock::describe as describe_lock;
pub use lock::{Lock, LockGuard};
pub(crate) use rlock::describe as describe_rlock;
pub use rlock::{RLock, RLockGuard};
pub(crate) use rwlock::describe as describe_rwlock;
pub use rwlock::{ReadGuard, RwLock, WriteGuard};
pub(crate) use semaphore::describe as describe_semaphore;
pub use semaphore::{BoundedSemaphore, Permit, Semaphore, SemaphoreBuilder};
