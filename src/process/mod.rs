//! Processes: starting this program anew to run one function, and hearing what became of it.
//!
//! | file | subject |
//! |---|---|
//! | `function` | what can be run in another process, and with which arguments |
//! | `trampoline` | a function as a number that another process of the same build understands |
//! | `builder`, `start_method`, `stdio` | how a child is to be started |
//! | `launch`, `launcher` | the parent's half of a start |
//! | `fork` | plain forks, with a result |
//! | `zygote` | starting from a clean copy of this process, instead of executing the program anew |
//! | `entry`, `unwinding`, `test_support` | the child's half: from `init` to its exit |
//! | `message`, `protocol`, `note` | what the two say to each other |
//! | `child`, `exit_word`, `signals` | a child without the type of its result: whether and how it has ended, how to end it |
//! | `handle`, `close`, `try_join_error` | a child with the type of its result |
//! | `registry` | the children of this process, and what becomes of them at its exit |
//! | `own` | what a process knows about itself |

mod builder;
mod child;
mod close;
mod entry;
mod exit_word;
mod fork;
mod function;
mod handle;
mod launch;
mod launcher;
mod message;
pub(crate) mod note;
mod own;
mod protocol;
mod registry;
mod signals;
mod start_method;
mod stdio;
mod test_support;
mod trampoline;
mod try_join_error;
mod unwinding;
mod zygote;

pub use builder::ProcessBuilder;
pub use child::Child;
pub(crate) use entry::control;
pub(crate) use entry::init;
pub use function::Function;
pub(crate) use function::{Encoded, Encoding, Fault, Step};
pub use handle::Process;
pub(crate) use message::Received;
pub use own::{Current, Parent, cpu_count, current, parent};
pub use registry::active_children;
pub use start_method::StartMethod;
pub use stdio::Stdio;
#[doc(hidden)]
pub use test_support::{Constructor, enter_test_binary};
pub(crate) use trampoline::{offset_of_entry, offset_of_step, run_at, step_in};
pub use try_join_error::TryJoinError;
pub(crate) use unwinding::{be_quiet, describe as describe_panic};
pub(crate) use zygote::init_with_zygote;
