//! Who a worker is: one process, and one pool's.

use std::os::unix::process::parent_id;

use crate::sys::{exit, fork};

/// The process that was started as the worker, which a copy is not that the program's code has forked and let return.
#[derive(Clone, Copy)]
pub(super) struct Original {
    generation: u32,
    /// The pool's process.
    parent: u32,
}

impl Original {
    pub(super) fn here() -> Self {
        Original { generation: fork::generation(), parent: parent_id() }
    }

    /// Whether the pool's process has ended. The signal that should tell is gone once a process has changed its user (prctl(2)).
    pub(super) fn is_orphan(self) -> bool {
        parent_id() != self.parent
    }

    /// Ends this process if it is a copy, without its parent's exit handlers: the desk and the socket are the worker's, of which there
    /// is one.
    #[inline]
    pub(super) fn end_if_copied(self) {
        if fork::generation() != self.generation {
            exit::now(0);
        }
    }
}
