//! A clean copy of this process, made in the first line of `main`, that does nothing but fork children on request.
//!
//! ```text
//! parent                                  zygote                        child
//!   ASK, the child's socket    --------->   clone (CLONE_PARENT)  ----->  waits
//!   <----------------------- its number
//!   START, descriptors, REQUEST  (into its socket)  ------------------>  forgets signals
//!   <----------------------------------------------------------- READY   takes its places
//!   PREPARE, once it is known what to give it  ----------------------->  prepares itself, runs the function
//!   ASK, for the next start    --------->   clone  ----------------------------------------->  waits
//! ```
//!
//! So the child of a start has been forked before, but for the first one and those that follow too closely: a *spare*. What the
//! parent has to find out about its own thread it finds out while the child wakes up, or is forked. If the child then is of no use, or the
//! request cannot be sent, the child is ended before it has run anything.
//!
//! | | invariant | so |
//! |---|---|---|
//! | Z1 | The child runs nothing before PREPARE, which is sent only when the parent has a pidfd of it. | A child of which the parent does not know, because the zygote was killed between clone and answer, sees the zygote's end, and ends. The start can be made once more, by exec. |
//! | Z2 | The zygote has one thread, and what the process had in the first line of `main`: no handle, no segment, no child. | A copy of it holds nothing of anybody's. |
//! | Z3 | It draws no random number (`RandomState` is one). | No two children have the same. |
//! | Z4 | The child's parent is the zygote's: the kernel sees a child of the main thread of the calling process. | `getppid`, waiting, and the parent-death signal are as after an exec. |
//! | Z5 | A child ends with the zygote, which ends with the parent, until it has been sent all. The kernel ends it with the parent, too, even if it is stopped, until it says READY, which it does when it has START. Before it ends for want of a message it shuts its socket and looks once more: a start whose messages were all sent, and that has its READY, goes on. | It is never left behind. A spare that somebody has killed, or that is about to end, costs another clone, and no start; one that somebody has stopped goes on. So with a child that was forked for the start, unless several end one after the other. |
//! | Z6 | What signals a spare was sent, it has forgotten when it says READY. | A signal to all of a group concerns those that were started before. |

mod ask;
mod line;
mod serve;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, OnceLock};

use serde::{Deserialize, Serialize};

use super::entry::{self, Mode};
use super::{launch, own};
use crate::sys::heritage::{Attributes, Heritage};
use crate::sys::spawn::Strings;
use crate::sys::zygote::{Cloner, Side};
use crate::sys::{fork, program, socket};

pub(super) use ask::start;

/// What the parent knows of its zygote.
struct Zygote {
    /// Nobody locks it in a forked copy of this process, whose zygote it is not.
    line: Mutex<Line>,
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

/// To the zygote. One thread at a time asks, and takes what comes.
struct Line {
    socket: OwnedFd,
    /// The other end of the socket of a child that has been asked for: the answer is on its way, or lies in the zygote's socket.
    /// It is not sent with the answer: as long as a Unix socket lies in another, the kernel looks for garbage whenever anybody
    /// closes one.
    asked: Option<OwnedFd>,
    /// The number of that child, if the zygote has said it, and this process had no descriptor to spare for it.
    forked: Option<u32>,
}

static ZYGOTE: OnceLock<Zygote> = OnceLock::new();

/// Why this process could not make one.
static WHY_NONE: OnceLock<String> = OnceLock::new();

/// Names of the messages, for errors.
const CHILD: &str = "the answer of a zygote";
const START: &str = "what a zygote's child is to have open";
const PREPARE: &str = "what a zygote's child is to be given";

/// What the zygote waits for.
const ASK: &[u8] = b"+";
/// What the parent waits for.
const READY: &[u8] = b"!";

/// The head of the first message to the child. Descriptors: the directory, and the streams that there are.
#[derive(Serialize, Deserialize)]
struct Start {
    streams: [bool; 3],
}

/// The head of the last one; the environment, if it is another, is the body.
#[derive(Serialize, Deserialize)]
struct Prepare {
    mask: u64,
    /// `None`: those of the zygote.
    attributes: Option<Attributes>,
    /// Whether the body is its environment; otherwise it has the zygote's.
    environment: bool,
}

/// The head of the zygote's answer: the child's number, or an error number. No pidfd: a descriptor for which the parent has no room
/// at this moment would be lost.
type Answer = Result<u32, i32>;

/// What [`init_with_zygote`](crate::init_with_zygote) does about children.
pub(crate) fn init_with_zygote() {
    if entry::start(Mode::Program, || ())
        && let Err(why) = make()
    {
        let _ = WHY_NONE.set(why);
    }
}

/// This process's zygote, if it has ever had one.
fn of_this_process() -> Option<&'static Zygote> {
    ZYGOTE.get().filter(|zygote| zygote.generation == fork::generation())
}

/// Why this process has no zygote, or none that lives.
fn why_none() -> &'static str {
    match ZYGOTE.get() {
        Some(zygote) if zygote.generation != fork::generation() => "this is a forked copy of the process that has it",
        Some(_) => "it has died",
        None => match WHY_NONE.get() {
            Some(why) => why,
            None if own::parent().is_some() => {
                "only the process that calls `init_with_zygote` has it, and not its children"
            }
            None => "`init_with_zygote` has not been called",
        },
    }
}

/// Ends the zygote, and its spare, when this process exits. It would end by itself, but then it is for somebody else to collect.
pub(super) fn end() {
    if let Some(zygote) = of_this_process() {
        zygote.end();
    }
}

/// Returns in this process only. Without a zygote, children are executed; why there is none then.
fn make() -> Result<(), String> {
    // What is not written yet would be written by every child, too.
    let _ = io::stdout().flush();
    let heritage = Heritage::of_this_thread().map_err(|error| format!("it could not be made: {error}"))?;
    let cloner = match Cloner::new(&heritage) {
        Some(cloner) => cloner,
        None if heritage.is_only_thread => return Err("this system does not say what its copy would need".into()),
        None => return Err("other threads ran when `init_with_zygote` was called".into()),
    };
    let (here, there) = socket::pair().map_err(|error| format!("it could not be given a socket: {error}"))?;
    let parent = std::process::id();
    let generation = fork::generation();
    let environment = launch::environment(false, &BTreeMap::new());
    let environment = environment.map_err(|error| format!("it could not be given the environment: {error:?}"))?;
    // So that not each child has to look for it, or to make it.
    let _ = program::this();
    let _ = std::thread::current();
    match cloner.zygote() {
        Err(error) => Err(format!("it could not be started: {error}")),
        Ok(Side::Original(started)) => {
            let zygote = Zygote {
                line: Mutex::new(Line { socket: here, asked: None, forked: None }),
                pidfd: started.pidfd,
                generation,
                heritage,
                environment,
                is_gone: AtomicBool::new(false),
                did_differ: AtomicBool::new(false),
            };
            let _ = ZYGOTE.set(zygote);
            Ok(())
        }
        Ok(Side::Copy) => {
            // Its number is no longer this one's when `settle` has closed it.
            std::mem::forget(here);
            serve::serve(there, parent, &cloner)
        }
    }
}
