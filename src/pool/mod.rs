//! Many tasks for a fixed number of workers.
//!
//! | file | subject |
//! |---|---|
//! | `handle`, `builder`, `initializer`, `environment`, `ends`, `progress` | a pool as the program sees it |
//! | `maps`, `mapping`, `stream` | its maps |
//! | `task`, `several`, `then`, `try_task_error` | tasks as the program sees them |
//! | `bar` | a bar for people |
//! | `feeder`, `whole` | from the items of an input to chunks, and from all of them to all outcomes |
//! | `job`, `results`, `opened`, `wakers` | what was asked for, its outcomes, encoded and decoded, and whom its end wakes |
//! | `hub` (in it `backlog`, `collect`, `loss`), `unit`, `numbers` | the books: which chunk is where, and what becomes of those that nobody does |
//! | `core`, `gate`, `keeper`, `answers`, `callbacks` | who does the work in this process: threads that wait, and three or four of the pool's own |
//! | `staff`, `mail` | workers as the pool sees them, and what they have said |
//! | `worker`, `original`, `lookout`, `supplies` | a worker's own life, who it is, how it waits for the next order, and what it asks for to do it |
//! | `board`, `desk`, `order` | what the two share, and what they say to each other |
//! | `engine`, `far`, `post` | instead of workers, a server: which chunk is there, and the threads that talk to it |
//! | `host`, `init` | a process that serves such pools |
//! | `wire` | what the two say to each other |
//! | `unserved` | whether anybody serves a pool |

mod answers;
#[cfg(feature = "cli")]
mod bar;
mod board;
mod builder;
mod callbacks;
mod core;
mod desk;
mod ends;
#[cfg(feature = "redis")]
mod engine;
mod environment;
#[cfg(feature = "redis")]
mod far;
mod feeder;
mod gate;
mod handle;
#[cfg(feature = "redis")]
mod host;
mod hub;
mod init;
mod initializer;
mod job;
mod keeper;
mod lookout;
mod mail;
mod mapping;
mod maps;
mod numbers;
mod opened;
mod order;
mod original;
#[cfg(feature = "redis")]
mod post;
mod progress;
mod results;
mod several;
mod staff;
mod stream;
mod supplies;
mod task;
mod then;
mod try_task_error;
mod unit;
#[cfg(feature = "redis")]
mod unserved;
mod wakers;
mod whole;
#[cfg(feature = "redis")]
mod wire;
mod worker;

pub use builder::PoolBuilder;
pub use handle::Pool;
pub use init::{init, init_with_zygote, serve_if_asked};
pub use mapping::Mapping;
pub use progress::Progress;
pub use several::AsCompleted;
pub use stream::{Imap, ImapUnordered};
pub use task::Task;
pub use try_task_error::TryTaskError;
