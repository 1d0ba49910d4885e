//! The machine: everything that talks to the kernel.
//!
//! The atomics, the futex, the clock and the liveness of peers have twins in `model` that loom can run; which of the
//! two the rest of the crate sees is chosen here and nowhere else.

pub(crate) mod clock;
pub(crate) mod fork;
