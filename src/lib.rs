//! Python's `multiprocessing` for Rust, rebuilt on shared memory.

#![deny(unsafe_code)]
// Under loom only the words are built, which do not use everything below them.
#![cfg_attr(all(test, loom), allow(dead_code, unused_imports))]

#[cfg(not(all(target_os = "linux", target_endian = "little", any(target_arch = "x86_64", target_arch = "aarch64"))))]
compile_error!("crossproc runs on Linux, x86-64 and (little-endian) aarch64 only");

mod error;
mod fault;

// The layers, lowest first: a module uses only those above it in this list.
#[cfg(not(all(test, loom)))]
mod sys;
#[cfg(all(test, loom))]
#[path = "sys/model.rs"]
mod sys;
mod word;
#[cfg(not(all(test, loom)))]
mod segment;
#[cfg(not(all(test, loom)))]
mod cell;
#[cfg(not(all(test, loom)))]
mod sync;
#[cfg(not(all(test, loom)))]
mod process;

#[cfg(not(all(test, loom)))]
pub use cell::{Array, ArrayGuard, RawArray, RawValue, Value, ValueGuard};
pub use error::{
    AttachError, Error, Exit, Guard, Kind, LockError, OsError, ProcessError, Result, TryLockError, TypeStamp,
};
#[cfg(not(all(test, loom)))]
pub use process::{
    Child, Current, Function, Parent, Process, ProcessBuilder, Sends, Stdio, TryJoinError, active_children, cpu_count,
    current, init, parent,
};
#[cfg(not(all(test, loom)))]
#[doc(hidden)]
pub use process::{Constructor as __Constructor, enter_test_binary as __enter_test_binary};
#[cfg(not(all(test, loom)))]
pub use segment::{Arena, Atomics, Shared};
#[cfg(not(all(test, loom)))]
pub use sync::{Lock, LockGuard};
