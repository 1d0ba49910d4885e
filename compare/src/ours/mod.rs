//! crossproc's own contenders.

pub(crate) mod channel;
pub(crate) mod ring;
