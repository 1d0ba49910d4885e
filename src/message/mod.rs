//! Messages: what may be sent, and how it is encoded.

pub(crate) mod codec;
mod depth;
mod encoder;
mod sends;

pub use sends::Sends;
