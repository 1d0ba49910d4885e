//! Loom models of the rings, and the mutants that must fail them.

mod event;
mod slots;
