//! What a [`Manager`] manages: containers of any values, in memory that processes share.

mod address;
mod array;
mod codec;
mod dict;
mod engine;
mod entry;
mod exchange;
mod guard;
mod held;
mod impls;
mod kept;
mod list;
mod local;
mod manager;
mod memory;
mod names;
mod namespace;
mod queue;
mod set;
#[cfg(feature = "redis")]
mod server;
mod spot;
mod sync;
mod travel;
mod value;

pub use array::Array;
pub use dict::Dict;
pub use entry::Entry;
pub use guard::DictGuard;
pub use list::List;
pub use manager::Manager;
pub use names::Place;
pub use namespace::Namespace;
pub use queue::{Queue, QueueTask};
pub use set::Set;
pub use sync::{Barrier, Condvar, Event, Lock, LockGuard, Permit, RLock, RLockGuard, Semaphore};
pub use value::Value;

/// So many things are added in one transaction, which has notes for more. A guess.
const STEP: usize = 1_000;
