//! The machine: everything that talks to the kernel, and the only callers of libc.
//!
//! `model.rs` and `model/` have twins of the modules that the words need (atomics, futex, clock, spinning, liveness), for models;
//! which of the two is compiled is chosen in `lib.rs` and nowhere else.

pub(crate) mod barrier;
mod capacity;
pub(crate) mod clock;
#[cfg(feature = "redis")]
pub(crate) mod connect;
pub(crate) mod constructors;
pub(crate) mod copy;
pub(crate) mod directory;
#[cfg(feature = "redis")]
pub(crate) mod ending;
pub(crate) mod eventfd;
pub(crate) mod exec;
pub(crate) mod exit;
pub(crate) mod facts;
pub(crate) mod fork;
pub(crate) mod futex;
pub(crate) mod heritage;
pub(crate) mod inherited;
pub(crate) mod interrupt;
pub(crate) mod liveness;
pub(crate) mod map;
#[cfg(feature = "compat-shared-memory")]
pub(crate) mod maps;
mod memfd;
pub(crate) mod memory;
pub(crate) mod pidfd;
pub(crate) mod poll;
pub(crate) mod prefetch;
pub(crate) mod program;
pub(crate) mod sealed;
pub(crate) mod socket;
pub(crate) mod spawn;
pub(crate) mod spin;
pub(crate) mod stack;
pub(crate) mod thread;
pub(crate) mod zygote;

/// The atomics of shared memory.
pub(crate) mod atomic {
    pub(crate) use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
}
