//! Descriptors that poll readable when there is something to be got.
//!
//! Promise: whoever polls the descriptor of a watched object sees it readable from the moment at which there is something to
//! be got, or an end, or from when a flag is set, until there is nothing any more; a change that another process makes and does not tell (it drains the
//! object, or is killed) is seen within the detection bound. Who is not watched does nothing for it.
//!
//! The descriptor is an eventfd of this process alone, and a thread of this process, the *watcher*, makes it readable.
//!
//! | state    | the watcher                                | next                                                |
//! |----------|--------------------------------------------|-----------------------------------------------------|
//! | unready  | sleeps where a `get` or a `wait` does      | ready, by the watcher or by a call of this process  |
//! | ready    | looks every 50 ms                          | unready, by a call of this process, or by that look |
//!
//! T1. The state is changed under a mutex, to what a look under that mutex shows, and the eventfd with it. A call of this
//!     process that has got something, found nothing or cleared a flag settles the state afterwards; so does the watcher
//!     after its sleep, and not who sets a flag, perhaps in a signal handler. The last of those who look sees what the others did.
//!     A call that found nothing just before there was something, and leaves the state ready, raises the eventfd once more:
//!     who waits for an edge (`EPOLLET`) after a call that found nothing gets one.
//! T2. The watcher passes on every wake-up of one: it may have taken one that was meant for a blocked `get`.
//! T3. In a forked copy of the process there is no watcher: it does not touch its parent's watch, and has its own.

#![forbid(unsafe_code)]

mod any;
mod subject;

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};

pub use self::any::wait_any;
pub(crate) use self::subject::{Subject, Watchable};
use crate::error::{Error, Result};
use crate::sys::eventfd::EventFd;
use crate::sys::spawn::Blocked;
use crate::sys::{fork, futex};

/// A place for the watch of one handle, or of a handle and its clones: empty until somebody asks for a descriptor.
#[derive(Default)]
pub(crate) struct Watched {
    watch: OnceLock<Watch>,
    /// In a forked copy of the process that made `watch` (T3).
    in_copy: OnceLock<Box<Watched>>,
}

impl Watched {
    /// The descriptor; starts the watch if there is none.
    pub(crate) fn descriptor<S: Watchable>(&self, subject: impl FnOnce() -> Result<S>) -> Result<BorrowedFd<'_>> {
        let place = self.place();
        if place.watch.get().is_none() {
            let watch = Watch::start(subject()?)?;
            let forks = fork::exclude(); // a copy must not find the place half filled
            let superfluous = place.watch.set(watch); // where another thread was faster
            drop(forks);
            drop(superfluous);
        }
        Ok(place.watch.wait().shared.eventfd.as_fd())
    }

    /// Whether anybody has ever asked for the descriptor.
    #[inline]
    pub(crate) fn is_watched(&self) -> bool {
        self.watch.get().is_some()
    }

    /// Says that a call has got something, or that it has found nothing, or has cleared a flag (T1).
    #[inline]
    pub(crate) fn settle(&self, found_nothing: bool) {
        if self.is_watched() {
            self.settle_watch(found_nothing);
        }
    }

    #[cold]
    fn settle_watch(&self, found_nothing: bool) {
        if let Some(watch) = self.place().watch.get() {
            watch.shared.settle_call(found_nothing);
        }
    }

    /// Where this process's watch is, or will be.
    fn place(&self) -> &Watched {
        match self.watch.get() {
            Some(watch) if watch.generation != fork::generation() => {
                let place = match self.in_copy.get() {
                    Some(place) => place,
                    None => {
                        let _forks = fork::exclude(); // as above
                        self.in_copy.get_or_init(Box::default)
                    }
                };
                place.place()
            }
            _ => self,
        }
    }
}

/// A watcher and its descriptor. Dropping it ends both.
struct Watch {
    shared: Arc<Shared>,
    /// `None` only in its drop.
    watcher: Option<JoinHandle<()>>,
    /// The fork generation that has the watcher.
    generation: u32,
}

struct Shared {
    eventfd: EventFd,
    /// Held by who changes the state (T1).
    changing: Mutex<()>,
    /// Whether the eventfd is readable.
    is_ready: AtomicBool,
    /// Notified when the state becomes unready, and when the watch is over.
    unready: Condvar,
    is_over: AtomicBool,
    subject: Box<dyn Watchable>,
}

/// Enough for a look; a guess, with room for what the C library puts there.
const STACK: usize = 128 << 10;

impl Watch {
    fn start(subject: impl Watchable) -> Result<Self> {
        let shared = Arc::new(Shared {
            eventfd: EventFd::new()?,
            changing: Mutex::new(()),
            is_ready: AtomicBool::new(false),
            unready: Condvar::new(),
            is_over: AtomicBool::new(false),
            subject: Box::new(subject),
        });
        shared.settle(&shared.lock()); // who polls at once sees what is there already
        let watch = Arc::clone(&shared);
        let builder = thread::Builder::new().name("crossproc-watch".into()).stack_size(STACK);
        let blocked = Blocked::new(); // the thread inherits it: no handler of the program runs there
        let watcher = builder.spawn(move || watch.run());
        drop(blocked);
        let watcher = watcher.map_err(|error| Error::os("start a thread that watches for messages", error))?;
        Ok(Watch { shared, watcher: Some(watcher), generation: fork::generation() })
    }
}

impl Drop for Watch {
    /// Waits for the watcher, which sleeps no longer than the detection bound, so that nothing of the object stays in use.
    fn drop(&mut self) {
        let Some(watcher) = self.watcher.take() else { return };
        if self.generation != fork::generation() {
            std::mem::forget(watcher); // (T3)
            return;
        }
        self.shared.end();
        let _ = watcher.join();
    }
}

impl Shared {
    /// What the watcher does.
    fn run(&self) {
        // Relaxed: a state that it misses is one for the next look.
        let is_awake = || self.is_over() || self.is_ready.load(Relaxed) || self.subject.is_ready();
        while !self.is_over() {
            self.subject.sleep_until(&is_awake);
            self.settle(&self.lock());
            self.subject.pass_on(); // (T2)
            self.wait_until_unready();
        }
    }

    /// Sleeps while the state is ready.
    fn wait_until_unready(&self) {
        let mut changing = self.lock();
        while self.is_ready.load(Relaxed) && !self.is_over() {
            (changing, _) = self.unready.wait_timeout(changing, futex::BOUND).unwrap_or_else(PoisonError::into_inner);
            self.settle(&changing);
        }
    }

    /// Changes the state to what there is (T1).
    fn settle(&self, _changing: &MutexGuard<'_, ()>) {
        let is_ready = self.subject.is_ready();
        if self.is_ready.swap(is_ready, Relaxed) == is_ready {
            return;
        }
        if is_ready {
            self.eventfd.raise();
        } else {
            self.eventfd.clear();
            self.unready.notify_one();
        }
    }

    /// After a call of this process.
    fn settle_call(&self, found_nothing: bool) {
        let changing = self.lock();
        let was_ready = self.is_ready.load(Relaxed);
        self.settle(&changing);
        if found_nothing && was_ready && self.is_ready.load(Relaxed) {
            self.eventfd.raise();
        }
    }

    fn end(&self) {
        let changing = self.lock();
        self.is_over.store(true, Relaxed); // the mutex, or the event's fences, are between this and its readers
        drop(changing);
        self.unready.notify_one();
        self.subject.rouse();
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
