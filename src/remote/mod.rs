//! What is kept at a Redis or Valkey server, for processes on several machines.
//!
//! | file | subject |
//! |---|---|
//! | `address` | where a server is |
//! | `stream`, `link`, `client` | bytes within a time, connections, and requests over them |
//! | `idle` | connections that are not used just now |
//! | `doubts` | requests that were given up, and must not be carried out later |
//! | `lua` | scripts, each one step; what they keep is described in `lua/objects.lua` |
//! | `session`, `life` | a process at a server, what it holds there, and who keeps it alive |
//! | `anew` | going on at another process of the server |
//! | `work` | what is told to the server later |
//! | `queue` | messages, until somebody has done them |
//! | `tasks` | chunks of tasks for whoever runs the same program |
//! | `waiting` | sleeping until something may have become possible |
//! | `object` | making what processes wait for, and waking them all |
//! | `giving` | giving back what a process has, also while the server is not to be reached |
//! | `lock` | locks |
//! | `semaphore` | permits, which come back from the dead |
//! | `event` | a flag to wait for |
//! | `condvar` | waiting without a lock until somebody notifies |
//! | `barrier` | parties that wait for each other |
//! | `random` | names that nobody else has |

pub(crate) mod address;
mod anew;
pub(crate) mod barrier;
pub(crate) mod client;
pub(crate) mod condvar;
mod doubts;
pub(crate) mod event;
mod giving;
mod idle;
mod life;
mod link;
pub(crate) mod lock;
pub(crate) mod lua;
pub(crate) mod object;
pub(crate) mod queue;
mod random;
pub(crate) mod semaphore;
pub(crate) mod session;
mod stream;
pub(crate) mod tasks;
#[cfg(test)]
mod tests;
pub(crate) mod waiting;
mod work;
