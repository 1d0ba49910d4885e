//! What is kept at a Redis or Valkey server, for processes on several machines.
//!
//! | file | subject |
//! |---|---|
//! | `address` | where a server is |
//! | `link`, `client` | connections, and requests over them |
//! | `lua` | scripts, each one step; what they keep is described in `lua/objects.lua` |
//! | `session` | a process at a server, and what it holds |
//! | `queue` | messages, until somebody has done them |
//! | `waiting` | sleeping until something may have become possible |
//! | `random` | names that nobody else has |

pub(crate) mod address;
pub(crate) mod client;
mod link;
pub(crate) mod lua;
pub(crate) mod queue;
mod random;
pub(crate) mod session;
#[cfg(test)]
mod tests;
pub(crate) mod waiting;
