//! Many tasks for a fixed number of workers.
//!
//! | file | subject |
//! |---|---|
//! | `handle`, `builder`, `environment`, `mapping`, `stream`, `task`, `try_task_error`, `progress` | what the program sees |
//! | `bar` | a bar for people |
//! | `feeder`, `whole` | from the items of an input to chunks, and from all of them to all outcomes |
//! | `job`, `results` | what was asked for, and its outcomes |
//! | `hub`, `unit` | the books: which chunk is where |
//! | `core`, `gate`, `keeper`, `callbacks` | who does the work in this process: threads that wait, and three of the pool's own |
//! | `staff` | workers as the pool sees them |
//! | `worker` | a worker's own life |
//! | `board`, `desk`, `order` | what the two share, and what they say to each other |

#[cfg(feature = "cli")]
mod bar;
mod board;
mod builder;
mod callbacks;
mod core;
mod desk;
mod environment;
mod feeder;
mod gate;
mod handle;
mod hub;
mod job;
mod keeper;
mod mapping;
mod order;
mod progress;
mod results;
mod staff;
mod stream;
mod task;
mod try_task_error;
mod unit;
mod whole;
mod worker;

pub use builder::PoolBuilder;
pub use handle::Pool;
pub use mapping::Mapping;
pub use progress::Progress;
pub use stream::{Imap, ImapUnordered};
pub use task::{AsCompleted, Task};
pub use try_task_error::TryTaskError;
