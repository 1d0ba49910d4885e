//! Python's `multiprocessing` for Rust, rebuilt on shared memory.

#![deny(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(not(all(target_os = "linux", target_endian = "little", any(target_arch = "x86_64", target_arch = "aarch64"))))]
compile_error!("crossproc runs on Linux, x86-64 and (little-endian) aarch64 only");

mod error;
mod fault;

// The layers, lowest first: a module uses only those above it in this list.
mod cell;
mod process;
mod segment;
mod sync;
mod sys;
mod word;

pub use error::{AttachError, Error, Exit, Kind, OsError, ProcessError, Result, TypeStamp};
pub use process::{
    Child, Current, Function, Parent, Process, ProcessBuilder, Sends, Stdio, TryJoinError, active_children, cpu_count,
    current, init, parent,
};
#[doc(hidden)]
pub use process::{Constructor as __Constructor, enter_test_binary as __enter_test_binary};
