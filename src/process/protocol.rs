//! What a parent and its child say to each other: one request, one greeting, at most one answer. What else the two sides of a
//! pool have to say are notes, in either direction.
//!
//! The request lies in the child's socket before the child exists; the child's two messages lie in the parent's until
//! the child has ended. So each side reads without waiting, and neither needs the other alive.

use serde::{Deserialize, Serialize};

use crate::sys::program::Build;

/// Names of the messages, for errors.
pub(super) const REQUEST: &str = "a request to run a function";
pub(super) const ANSWER: &str = "the answer of a process";

/// The head of what a parent asks for; the encoded arguments are the body.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Request {
    pub(super) build: Build,
    /// The function's [`offset_of`](super::trampoline::offset_of).
    pub(super) function: u64,
    pub(super) child: Identity,
    pub(super) daemon: bool,
    pub(super) parent_pid: u32,
    pub(super) parent_name: String,
    /// Where the child is to be killed, and how often it passes there unharmed; heeded with `cfg(crash_points)` only.
    pub(super) crash: Option<(String, u32)>,
}

/// Who a process is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Identity {
    pub(super) name: String,
    /// The numbers of its ancestors among their parents' children, then its own; empty for a main process.
    pub(super) line: Vec<u32>,
}

/// The head of what a child says.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    /// The program has recognised itself as a child.
    Hello,
    /// The body is the encoded result.
    Returned,
    /// The body is what those who run in the two processes agree on.
    Note,
    /// The body is empty.
    Panicked(Panic),
    /// The arguments or the result could not be handed over, and why.
    Failed(crate::error::Error),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Panic {
    pub(crate) message: String,
    pub(crate) location: String,
    pub(crate) backtrace: Option<String>,
}
