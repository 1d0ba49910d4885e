//! A clean copy of this process, made in the first line of `main`, that does nothing but fork children on request.
//!
//! ```text
//! parent                                 zygote                        child
//!   START, descriptors      ------------>  clone (CLONE_PARENT)  ------>  takes its places
//!   PREPARE, REQUEST  (into the child's socket)  --------------------->  prepares itself, reads the request
//!   <---------------- STARTED, pidfd       closes the descriptors
//!   GO       (into the child's socket)  ------------------------------->  runs the function
//! ```
//!
//! What the parent has to find out about its own thread it finds out while the zygote forks. If the child then is of no use, or the
//! request cannot be sent, the child is ended before it has run anything.
//!
//! | | invariant | so |
//! |---|---|---|
//! | Z1 | The child runs nothing before the parent has its pidfd, and says so. | A child of which the parent does not know, because the zygote was killed between clone and answer, finds its socket closed, and ends. The start can be made once more, by exec. |
//! | Z2 | The zygote has one thread, and what the process had in the first line of `main`: no handle, no segment, no child. | A copy of it holds nothing of anybody's. |
//! | Z3 | It draws no random number (`RandomState` is one). | No two children have the same. |
//! | Z4 | The child's parent is the zygote's: the kernel sees a child of the main thread of the calling process. | `getppid`, waiting, and the parent-death signal are as after an exec. |

mod ask;
mod serve;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, OnceLock};

use serde::{Deserialize, Serialize};

use super::entry::{self, Mode};
use super::launch;
use crate::sys::heritage::{Attributes, Heritage};
use crate::sys::spawn::Strings;
use crate::sys::zygote::{Cloner, Side};
use crate::sys::{fork, program, socket};

pub(super) use ask::start;

/// What the parent knows of its zygote.
struct Zygote {
    /// One thread at a time asks. Nobody locks it in a forked copy of this process, whose zygote it is not.
    socket: Mutex<OwnedFd>,
    pidfd: OwnedFd,
    /// Whose zygote it is.
    generation: u32,
    /// What the zygote has, and with it its children.
    heritage: Heritage,
    environment: Strings,
    /// It did not answer once, and is not asked again.
    is_gone: AtomicBool,
    /// The last thread that wanted a child had what the zygote cannot give. Then the next one is looked at first.
    did_differ: AtomicBool,
}

static ZYGOTE: OnceLock<Zygote> = OnceLock::new();

/// Names of the messages, for errors.
const START: &str = "a request to fork a child";
const STARTED: &str = "the answer of a zygote";
const PREPARE: &str = "what a zygote's child is to be given";

/// What a child waits for.
const GO: &[u8] = b"!";

/// The head of what the zygote is asked for. Descriptors: the control socket, the directory, and the streams that there are.
#[derive(Serialize, Deserialize)]
struct Start {
    streams: [bool; 3],
}

/// The head of the first message to the child; the environment, if it is another, is the body.
#[derive(Serialize, Deserialize)]
struct Prepare {
    mask: u64,
    /// `None`: those of the zygote.
    attributes: Option<Attributes>,
    /// Whether the body is its environment; otherwise it has the zygote's.
    environment: bool,
}

/// The head of its answer: the child's number, with whose pidfd it comes, or an error number.
type Answer = Result<u32, i32>;

/// Does what [`init`](crate::init) does, and forks a *zygote*, from which children are started in about half the time: call it
/// in the first line of `main`.
///
/// The zygote is a copy of this process as it is now, which does nothing but make copies of itself when this process wants
/// a child. So children do not start in an empty program but here, in this call: what the program did before it, they find
/// done, and no constructors run in them. Nothing that this process does afterwards is in them, and everything that
/// [`Process`](crate::Process) and [`ProcessBuilder`](crate::ProcessBuilder) say of children holds for them: arguments,
/// descriptors, the parent, results, daemons. From the thread that starts them they have what an executed child has:
/// directory, environment, umask, signal mask, ignored signals, limits, affinity, nice value and process group.
///
/// What is different:
///
/// - They are no business of a plain `waitpid(-1)`, nor of a handler for `SIGCHLD`: their end sends no signal, and only
///   `__WALL` waits for them. How they ended is therefore always known.
/// - They have the zygote's control group, I/O priority, memory policy and Landlock rules, and the address space layout that
///   this process has, too.
/// - They have what was drawn at random before this call. A `HashMap` that the main thread makes before it gives all
///   children the same seeds.
/// - A daemon ends when the main thread of this process ends, whichever thread has started it.
///
/// Where the zygote cannot be used, a child is executed, as after [`init`](crate::init): if this was not the first call of it
/// and [`init`](crate::init), if other threads were running, or with a C library other than glibc; once credentials,
/// capabilities, `no_new_privs`, seccomp filters, security label, session, namespaces, root directory or scheduling class of
/// the calling thread are not those at this call; after the zygote has died; in forked copies of this process; and in its
/// children, whose own children are executed.
/// [`ProcessBuilder::start_method`](crate::ProcessBuilder::start_method) chooses for one child.
///
/// The zygote has no descriptors of this process, sits in `/`, blocks all signals, and dies with this process, be it by
/// SIGKILL. `waitpid(-1)` does not see it, and nobody waits for it.
///
/// # Panics
///
/// As [`init`](crate::init).
///
/// # Examples
///
/// ```
/// use crossproc::Process;
///
/// fn main() -> crossproc::Result<()> {
///     crossproc::init_with_zygote();
///     let children: Vec<_> = (0..8_u64).map(|n| Process::spawn(|n: u64| n * n, (n,))).collect::<Result<_, _>>()?;
///     let squares: Vec<_> = children.into_iter().map(|child| child.join()).collect::<Result<_, _>>()?;
///     assert_eq!(squares, [0, 1, 4, 9, 16, 25, 36, 49]);
///     Ok(())
/// }
/// ```
pub fn init_with_zygote() {
    if entry::start(Mode::Program, || ()) {
        make();
    }
}

/// This process's zygote, if it has ever had one.
fn own() -> Option<&'static Zygote> {
    ZYGOTE.get().filter(|zygote| zygote.generation == fork::generation())
}

/// Ends the zygote when this process exits. It would end by itself, but then it is for somebody else to collect.
pub(super) fn end() {
    if let Some(zygote) = own() {
        zygote.bury();
    }
}

/// Returns in this process only. Without a zygote, children are executed.
fn make() {
    // What is not written yet would be written by every child, too.
    let _ = io::stdout().flush();
    let Ok(heritage) = Heritage::of_this_thread() else { return };
    let Some(cloner) = Cloner::new(&heritage) else { return };
    let Ok((here, there)) = socket::pair() else { return };
    let parent = std::process::id();
    let generation = fork::generation();
    let Ok(environment) = launch::environment(false, &BTreeMap::new()) else { return };
    // So that not each child has to look for it, or to make it.
    let _ = program::this();
    let _ = std::thread::current();
    match cloner.zygote() {
        Err(_) => {}
        Ok(Side::Original(started)) => {
            let zygote = Zygote {
                socket: Mutex::new(here),
                pidfd: started.pidfd,
                generation,
                heritage,
                environment,
                is_gone: AtomicBool::new(false),
                did_differ: AtomicBool::new(false),
            };
            let _ = ZYGOTE.set(zygote);
        }
        Ok(Side::Copy) => {
            // Its number is no longer this one's when `settle` has closed it.
            std::mem::forget(here);
            serve::serve(there, parent, &cloner)
        }
    }
}
