//! Where a process finds out whether it is a child, and if so, runs what it was started for.

use std::io::{self, Write};
use std::mem;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::panic::{self, AssertUnwindSafe};
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Once, OnceLock};
use std::thread;

use super::function::{Encoded, Returned};
use super::message::{self, MAGIC, Received};
use super::own;
use super::protocol::{ANSWER, Answer, REQUEST, Request};
use super::registry;
use super::trampoline;
use super::unwinding;
use crate::error::{Error, Result};
use crate::fault::crash_point;
use crate::sys::barrier;
use crate::sys::exit;
use crate::sys::fork;
use crate::sys::inherited::{self, Inherited, Kept};
use crate::sys::program;
use crate::sys::spawn::{self, CONTROL};

/// How this program came to recognise its children.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Program,
    Test,
}

/// Set once children can be started, or why they cannot.
static MODE: OnceLock<Result<Mode>> = OnceLock::new();

pub(super) fn mode() -> Result<Mode> {
    MODE.get().cloned().unwrap_or(Err(Error::NotInitialised))
}

/// What [`init`](crate::init) does about children.
pub(crate) fn init() {
    start(Mode::Program, || ());
}

/// Recognises a child, in which it first calls `prepare_child`, and then does not return. Whether this was the first call.
pub(super) fn start(mode: Mode, prepare_child: impl FnOnce()) -> bool {
    static START: Once = Once::new();
    static IS_CHILD: AtomicBool = AtomicBool::new(false);
    let came_early = !START.is_completed();
    let (mut is_first, mut control) = (false, None);
    START.call_once(|| {
        is_first = true;
        // Constructors run on the main thread; `MODE` stays empty, for this call and all later ones.
        if mode == Mode::Program && !spawn::on_main_thread() {
            return;
        }
        control = match inherited::take_inherited(CONTROL, &MAGIC) {
            Inherited::Other => None,
            Inherited::Control(control) => Some(control),
            // To go on would be to run `main` in every child, which would start children in turn.
            Inherited::Untrusted => exit::now(1),
        };
        IS_CHILD.store(control.is_some(), Ordering::Relaxed); // `call_once` orders it for those that come later
        barrier::register(); // now, while there is one thread, it costs nothing
        // Before other threads need it. If it fails, all generations are 0, and copies are not told apart: better than not
        // to run.
        let _ = fork::prepare();
        let _ = MODE.set(exit::at_exit(registry::at_exit).map(|()| mode));
    });
    // Not inside `call_once`: the child's function may call `init` again.
    if let Some(control) = control {
        program::show_name();
        prepare_child();
        run(control, |control| serve(request(control)?));
    }
    assert!(
        MODE.get().is_some(),
        "the first call of `crossproc::init()` is not on the main thread; call it in the first line of `main`, or in a \
         test binary, put `crossproc::test_support!();` at the top level instead"
    );
    // Not the function's call, then, but one of the program, which must not go on in a child.
    while came_early && IS_CHILD.load(Ordering::Relaxed) {
        thread::park();
    }
    is_first
}

/// The parent, as the child sees it.
struct Parent {
    /// The child's end of the socket. It stays open, so that its descriptor's number is not given to anything else; unless the
    /// program closes what is not its own.
    control: Kept,
    /// Whose parent it is: a forked copy of the child must not answer in its place.
    generation: u32,
}

/// Sends an answer to the parent, with the encoded result if there is one; whether anybody can ask for it.
fn send_answer(parent: &Parent, answer: &Answer, result: Option<Encoded>) -> Result<bool> {
    if fork::generation() != parent.generation {
        return Ok(true);
    }
    let parcel = result.map(|Encoded(parcel)| parcel).unwrap_or_default();
    let closed = || Error::os(format!("send {ANSWER}"), io::Error::from_raw_os_error(libc::EBADF));
    let control = parent.control.get().ok_or_else(closed)?;
    match message::send(ANSWER, control, answer, &parcel.bytes, &parcel.descriptors()) {
        // Whoever could have asked for it is gone, or does not want to any more.
        Err(error) if message::nobody_listens(&error) => Ok(false),
        other => other.map(|()| true),
    }
}

/// The last chance to say why this process failed, when nobody can ask any more.
fn complain(reason: &str) {
    let _ = writeln!(io::stderr(), "crossproc: process {} ({}) failed: {reason}", own::identity().name, process::id());
}

static PARENT: OnceLock<&Parent> = OnceLock::new();

/// This process's end of the socket to its parent; `None` if crossproc did not start it, in forked copies, and where the program has
/// closed it: what has its number now is somebody else's, who must get nothing, and be asked for nothing.
pub(crate) fn control() -> Option<BorrowedFd<'static>> {
    PARENT.get().filter(|parent| fork::generation() == parent.generation).and_then(|parent| parent.control.get())
}

/// Does a child's `work`, which gets its end of the socket, sends what comes of it to the parent, and exits.
pub(super) fn run(control: OwnedFd, work: impl FnOnce(BorrowedFd<'_>) -> Result<Returned>) -> ! {
    Child::new(control).run(work)
}

/// A child that has not said anything.
pub(super) struct Child(&'static Parent);

impl Child {
    /// Makes this process one, whose end of the socket this is.
    pub(super) fn new(control: OwnedFd) -> Self {
        let parent: &'static Parent =
            Box::leak(Box::new(Parent { control: Kept::new(control), generation: fork::generation() }));
        let _ = PARENT.set(parent); // a copy that a child has forked keeps the one of its original, which counts for nobody in it
        unwinding::record_panics_of_this_thread(|panic| {
            let _ = send_answer(parent, &Answer::Panicked(panic), None);
        });
        Child(parent)
    }

    /// While no code of the program has run that could have closed it.
    pub(super) fn control(&self) -> BorrowedFd<'static> {
        self.0.control.as_it_began()
    }

    /// Does the `work`, sends what comes of it to the parent, and exits.
    pub(super) fn run(self, work: impl FnOnce(BorrowedFd<'_>) -> Result<Returned>) -> ! {
        let parent = self.0;
        let _ = send_answer(parent, &Answer::Hello, None);
        let failed = match panic::catch_unwind(AssertUnwindSafe(|| work(parent.control.as_it_began()))) {
            Ok(Ok(Returned { result, error })) => match send_answer(parent, &Answer::Returned, Some(result)) {
                Ok(can_be_asked) => {
                    if let Some(reason) = error.as_ref().filter(|_| !can_be_asked) {
                        complain(reason);
                    }
                    process::exit(i32::from(error.is_some()))
                }
                Err(error) => error,
            },
            Ok(Err(error)) => error,
            Err(payload) => {
                let _ = send_answer(parent, &Answer::Panicked(unwinding::describe(&*payload)), None);
                process::exit(101);
            }
        };
        let reason = format!("{failed:?}");
        if !matches!(send_answer(parent, &Answer::Failed(failed), None), Ok(true)) {
            complain(&reason);
        }
        process::exit(1)
    }
}

/// What the parent asks for.
fn request(control: BorrowedFd<'_>) -> Result<Received<Request>> {
    message::receive(REQUEST, control)?
        .ok_or_else(|| Error::Decode { what: REQUEST.into(), reason: "there is none".into() })
}

/// Does what the parent asks for.
pub(super) fn serve(mut request: Received<Request>) -> Result<Returned> {
    let head = &request.head;
    let entry = trampoline::at(&head.build, head.function)?;
    if head.daemon {
        exit::die_with_parent(head.parent_pid);
    }
    own::become_child(head);
    #[cfg(crash_points)]
    if let Some((point, passes)) = &head.crash {
        crate::fault::arm(point.clone(), *passes);
    }
    crash_point!("process.called");
    let descriptors = mem::take(&mut request.descriptors);
    (entry.0)(request.body(), descriptors)
}
