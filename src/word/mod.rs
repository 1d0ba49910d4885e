//! The words in shared memory and who may change them: pure state machines over the atomics of `sys`, checked by loom.

#![forbid(unsafe_code)]

pub(crate) mod barrier;
pub(crate) mod condvar;
pub(crate) mod errand;
pub(crate) mod event;
pub(crate) mod eventcount;
pub(crate) mod flip;
mod id;
pub(crate) mod lock;
pub(crate) mod meeting;
#[cfg(all(test, loom))]
pub(crate) mod models;
pub(crate) mod overtaken;
pub(crate) mod owners;
pub(crate) mod parties;
pub(crate) mod peers;
pub(crate) mod rlock;
pub(crate) mod rwlock;
pub(crate) mod semaphore;
pub(crate) mod undo;

pub(crate) use id::PeerId;
