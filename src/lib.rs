//! Python's `multiprocessing` for Rust, rebuilt on shared memory.

#![deny(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(not(all(
    target_os = "linux",
    target_endian = "little",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
compile_error!("crossproc runs on Linux, x86-64 and (little-endian) aarch64 only");

mod error;
mod fault;

// The layers, lowest first: a module uses only those above it in this list.
mod sys;
mod segment;
mod word;
mod cell;
mod sync;
mod process;
