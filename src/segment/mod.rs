//! Shared bytes.
pub(crate) mod handle;
pub(crate) struct Segment;
