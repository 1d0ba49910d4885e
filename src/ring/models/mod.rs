//! Models of the rings, and the mutants that must fail them: short ones for loom, and long ones for shuttle.

#[cfg(not(shuttle))]
mod bytes;
mod cells;
#[cfg(not(shuttle))]
mod endpoint;
#[cfg(not(shuttle))]
mod ledger;
#[cfg(shuttle)]
mod long;
#[cfg(not(shuttle))]
mod slots;
mod stream;
