//! Panics of a child's function, on their way to the parent.
//!
//! A hook sees where a panic happened, and what led there, but not whether somebody catches it; `catch_unwind` sees
//! the payload only. So the hook notes the latest panic, and whoever catches the payload asks for the note that fits.
//!
//! A panic that cannot unwind is not caught: it leaves as last words from the hook.

use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{self, Write};
use std::panic::{self, PanicHookInfo};
use std::process;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::own;
use super::protocol::Panic;

/// The latest panic of the recorded thread.
static LATEST: Mutex<Option<Panic>> = Mutex::new(None);

/// What the library says, in a panic of its own, of one that has come to a place from which it cannot unwind further:
/// an `extern "C"` function, or a destructor that runs because of another panic. (`PanicHookInfo::can_unwind` is not
/// stable. Were these texts to change, the parent would hear nothing, as of any abort.)
const STUCK: [&str; 2] = ["panic in a function that cannot unwind", "panic in a destructor during cleanup"];

/// What it says of a contract of an unsafe function that a debug build saw broken; it aborts at once.
const BROKEN_CONTRACT: &str = "unsafe precondition(s) violated";

/// Whether panics of the recorded thread are noted only.
static QUIET: AtomicBool = AtomicBool::new(false);

/// From now on panics of the recorded thread are not printed: whoever asks for the result is told.
pub(crate) fn be_quiet() {
    QUIET.store(true, Ordering::Relaxed); // nothing else hangs on it
}

/// Has the calling thread's panics noted from now on. Where a panic aborts, nobody will catch it: then `last_words` is
/// called with it at once.
pub(super) fn record_panics_of_this_thread(last_words: impl Fn(Panic) + Send + Sync + 'static) {
    /// How often this was called; a copy that a child has forked does so once more, and its original's hook is silent then.
    static INSTALLED: AtomicU32 = AtomicU32::new(0);
    let own = INSTALLED.fetch_add(1, Ordering::Relaxed) + 1; // Relaxed: only the thread that forked has changed it
    let recorded = thread::current().id();
    let previous = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if INSTALLED.load(Ordering::Relaxed) != own {
            return previous(info);
        }
        if thread::current().id() == recorded {
            let panic = note(info);
            let mut latest = LATEST.lock().unwrap_or_else(PoisonError::into_inner);
            if STUCK.contains(&panic.message.as_str()) {
                last_words(latest.take().unwrap_or(panic));
            } else if cfg!(panic = "abort") || panic.message.starts_with(BROKEN_CONTRACT) {
                last_words(panic);
            } else {
                *latest = Some(panic);
            }
            if QUIET.load(Ordering::Relaxed) {
                return;
            }
        }
        // What follows names the thread only, and that is `main`.
        let _ = writeln!(io::stderr(), "crossproc: in process {} ({}):", own::identity().name, process::id());
        previous(info);
    }));
}

fn note(info: &PanicHookInfo<'_>) -> Panic {
    // Costs microseconds to capture, but 64 ms to turn into text; hence only if RUST_BACKTRACE asks for it.
    let backtrace = Backtrace::capture();
    Panic {
        message: text(info.payload()),
        location: info.location().map_or_else(unknown_place, ToString::to_string),
        backtrace: (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string()),
    }
}

/// The panic that `payload` was caught from.
pub(crate) fn describe(payload: &(dyn Any + Send)) -> Panic {
    let message = text(payload);
    let latest = LATEST.lock().unwrap_or_else(PoisonError::into_inner).take();
    // Another message: this panic never saw the hook (`resume_unwind`, or a hook of the function's own).
    latest.filter(|latest| latest.message == message).unwrap_or_else(|| Panic {
        message,
        location: unknown_place(),
        backtrace: None,
    })
}

fn text(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a value that is not a text").to_string()
}

fn unknown_place() -> String {
    "an unknown place".to_string()
}
