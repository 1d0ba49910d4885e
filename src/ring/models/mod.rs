//! Loom models of the rings, and the mutants that must fail them.

mod bytes;
mod endpoint;
mod event;
mod ledger;
mod slots;
