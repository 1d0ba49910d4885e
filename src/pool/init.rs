//! What the first line of `main` does in a program that may be a host.

use std::env;

use super::host::{self, VARIABLE};
use crate::process;
use crate::sys::program;

#[doc = include_str!("../process/init.md")]
pub fn init() {
    process::init();
    serve_if_asked();
}

#[doc = include_str!("../process/zygote/init.md")]
pub fn init_with_zygote() {
    process::init_with_zygote();
    serve_if_asked();
}

/// Runs as a host, and never returns, if the command `crossproc worker` has started this process.
#[doc(hidden)]
pub fn serve_if_asked() {
    // Whoever started a program with privileges of its own may not say what it does.
    if program::privileged_by_exec() {
        return;
    }
    if let Ok(order) = env::var(VARIABLE) {
        host::serve(&order);
    }
}
