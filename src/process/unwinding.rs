//! Panics of a child's function, on their way to the parent.
//!
//! A hook sees where a panic happened, and what led there, but not whether somebody catches it; `catch_unwind` sees
//! the payload only. So the hook notes the latest panic, and whoever catches the payload asks for the note that fits.

use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::{self, PanicHookInfo};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::protocol::Panic;

/// The latest panic of the recorded thread.
static LATEST: Mutex<Option<Panic>> = Mutex::new(None);

/// Has the calling thread's panics noted from now on. Where a panic aborts, nobody will catch it: then `last_words` is
/// called with it at once.
pub(super) fn record_panics_of_this_thread(last_words: impl Fn(Panic) + Send + Sync + 'static) {
    let recorded = thread::current().id();
    let previous = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if thread::current().id() == recorded {
            let panic = note(info);
            if cfg!(panic = "abort") {
                last_words(panic);
            } else {
                *LATEST.lock().unwrap_or_else(PoisonError::into_inner) = Some(panic);
            }
        }
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
pub(super) fn describe(payload: &(dyn Any + Send)) -> Panic {
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
