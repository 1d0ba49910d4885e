//! What a manager has for processes that wait for each other: over the types of the same names at the root, for who is on this machine, and
//! those of `crate::remote`.
//!
//! Every method can fail, as an engine may be somewhere else.

mod barrier;
mod condvar;
mod event;
mod lock;
#[cfg(feature = "redis")]
mod names;
mod rlock;
mod semaphore;

pub use barrier::Barrier;
pub use condvar::Condvar;
pub use event::Event;
pub use lock::{Lock, LockGuard};
pub use rlock::{RLock, RLockGuard};
pub use semaphore::{Permit, Semaphore};
