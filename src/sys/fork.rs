//! Plain forks: knowing that one happened, and keeping one from happening.
//!
//! A forked child is a copy that must not act for its parent: not unlock the parent's locks, not give up its parent's
//! identity, not wait for its parent's children. Everything that stands for a process therefore remembers the
//! *generation* in which it was made. The number lives in a page that the kernel clears in every forked child
//! (`MADV_WIPEONFORK`, madvise(2)); whoever finds it cleared writes the next one, counted in ordinary memory, so that
//! a child's number differs from those of all its ancestors. An `atfork` handler alone would not do: it does not run
//! for a raw `clone`.
//!
//! `vfork` and `clone(CLONE_VM)` share the page, rightly: until its exec, such a child *is* this address space.

#![allow(unsafe_code)]

use std::cell::{Cell, UnsafeCell};
use std::io;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use super::pidfd;
use super::spawn::Started;
use crate::error::{Error, OsError, Result};

/// The wiped page, null until `prepare`.
static PAGE: AtomicPtr<AtomicU32> = AtomicPtr::new(ptr::null_mut());

/// The highest generation given out in this process's line of ancestors.
static LAST: AtomicU32 = AtomicU32::new(0);

/// Makes [`generation`] work. Everything that stores a generation has called this first.
pub(crate) fn prepare() -> Result<()> {
    if !PAGE.load(Ordering::Acquire).is_null() {
        return Ok(()); // Acquire: pairs with the Release below
    }
    // Before the page can be seen: whoever finds it counts on forks being kept away.
    register_handlers()?;
    let page = super::map::anonymous_page().map_err(|error| Error::os("map a page", error))?;
    // SAFETY: the page was just mapped, private and anonymous, and nobody else knows it.
    if unsafe { libc::madvise(page.as_ptr(), super::map::page_size(), libc::MADV_WIPEONFORK) } != 0 {
        return Err(Error::last_os("have a page cleared on fork"));
    }
    // Release: publishes the mapped and advised page to the Acquire in `generation`. A thread that loses the race
    // leaks its page, once in a process's life.
    let _ = PAGE.compare_exchange(ptr::null_mut(), page.as_ptr().cast(), Ordering::Release, Ordering::Relaxed);
    Ok(())
}

/// Nobody waits for a thread that is at it, which a copy of this process might not have. So two threads may both register
/// the handlers, or a copy once more; they nest.
fn register_handlers() -> Result<()> {
    static ARE_REGISTERED: AtomicBool = AtomicBool::new(false);
    // Relaxed: the C library orders the handlers, and what they touch is const.
    if ARE_REGISTERED.load(Ordering::Relaxed) {
        return Ok(());
    }
    // SAFETY: the three handlers are `extern "C"`, take no argument and live as long as the program.
    match unsafe { libc::pthread_atfork(Some(before_fork), Some(after_fork), Some(after_fork)) } {
        0 => {
            ARE_REGISTERED.store(true, Ordering::Relaxed);
            Ok(())
        }
        code => Err(Error::os("register fork handlers", OsError::from_code(code))),
    }
}

pub(crate) enum Forked {
    Original(Started),
    Copy,
}

/// fork(3), which has the C library put its own house in order.
///
/// # Safety
///
/// The copy has this thread only, and does what other threads cannot have broken by not being there.
pub(crate) unsafe fn fork() -> io::Result<Forked> {
    // SAFETY: the caller's promise.
    let pid = match unsafe { libc::fork() } {
        -1 => return Err(io::Error::last_os_error()),
        0 => return Ok(Forked::Copy),
        pid => pid,
    };
    // Its number is its own: nobody waits for what nobody knows. (Unless all children are waited for, or SIGCHLD is ignored: then
    // it would have to end at once, and another process to get the same number.)
    let pidfd = pidfd::open(pid as u32).inspect_err(|_| {
        // SAFETY: has no memory arguments.
        unsafe { libc::kill(pid, libc::SIGKILL) };
        // SAFETY: no status is asked for.
        unsafe { libc::waitpid(pid, ptr::null_mut(), 0) };
    })?;
    Ok(Forked::Original(Started { pid: pid as u32, pidfd }))
}

/// A number that differs between this process and every process it was forked from; 0 before [`prepare`].
#[inline]
pub(crate) fn generation() -> u32 {
    let page = PAGE.load(Ordering::Acquire); // pairs with the Release in `prepare`
    if page.is_null() {
        return 0;
    }
    // SAFETY: `prepare` mapped the page and nobody unmaps it; any bytes are an AtomicU32.
    let generation = unsafe { &*page };
    // Relaxed: the number is all there is; it publishes nothing.
    match generation.load(Ordering::Relaxed) {
        0 => renew(generation),
        generation => generation,
    }
}

#[cold]
fn renew(generation: &AtomicU32) -> u32 {
    let next = LAST.fetch_add(1, Ordering::Relaxed) + 1;
    match generation.compare_exchange(0, next, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => next,
        Err(first) => first,
    }
}

/// No plain fork of this process happens while one of these exists, and there is one at a time.
pub(crate) struct Exclusion {
    _guard: MutexGuard<'static, ()>,
}

/// Keeps forks away: a forked child would inherit a descriptor that exists only for a moment, or a mutex that a thread
/// it does not have would never unlock.
pub(crate) fn exclude() -> Exclusion {
    Exclusion { _guard: EXCLUSION.lock().unwrap_or_else(PoisonError::into_inner) }
}

static EXCLUSION: Mutex<()> = Mutex::new(());

/// What is in `once`: `value`, unless another thread was faster. No copy finds it half filled and waits for a thread that
/// it does not have.
pub(crate) fn fill<T>(once: &OnceLock<T>, value: T) -> &T {
    let _no_fork = exclude();
    once.get_or_init(|| value)
}

/// The guard that a forking thread holds from before the fork until after it, on both sides.
struct HeldOverFork(UnsafeCell<Option<Exclusion>>);

// SAFETY: only the thread that holds EXCLUSION touches the cell.
unsafe impl Sync for HeldOverFork {}

static HELD_OVER_FORK: HeldOverFork = HeldOverFork(UnsafeCell::new(None));

thread_local! {
    /// How often `before_fork` has been called for the fork that this thread is at.
    static NESTED: Cell<u32> = const { Cell::new(0) };
}

extern "C" fn before_fork() {
    if NESTED.replace(NESTED.get() + 1) == 0 {
        let guard = exclude();
        // SAFETY: this thread holds EXCLUSION, which guards the cell.
        unsafe { *HELD_OVER_FORK.0.get() = Some(guard) };
    }
}

extern "C" fn after_fork() {
    // None at all: the handlers were registered between the two halves of this fork.
    let Some(rest) = NESTED.get().checked_sub(1) else { return };
    NESTED.set(rest);
    if rest == 0 {
        // SAFETY: this thread, or its copy in the child, has held EXCLUSION since the first `before_fork`.
        let guard = unsafe { (*HELD_OVER_FORK.0.get()).take() };
        drop(guard);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forked_child_has_another_generation() {
        prepare().unwrap();
        let here = generation();
        // SAFETY: the child only loads, compares and exits.
        match unsafe { libc::fork() } {
            0 => {
                let differs = generation() != here && generation() == generation();
                // SAFETY: ends the child at once, without destructors.
                unsafe { libc::_exit(i32::from(!differs)) }
            }
            child => {
                let mut status = -1;
                // SAFETY: `child` is ours, and `status` outlives the call.
                unsafe { libc::waitpid(child, &mut status, 0) };
                assert_eq!(status, 0);
                assert_eq!(generation(), here);
            }
        }
    }
}
