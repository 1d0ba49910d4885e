//! Messages: what may be sent, and how it is encoded.

pub(crate) mod codec;
mod sends;

pub use sends::Sends;
