//! A fence in two unequal halves, for the one ordering that acquire and release do not give: of two processes of which
//! each stores and then loads what the other has stored, at least one sees the other's store.
//!
//! The frequent side calls [`light`], which costs nothing; the rare side, which is about to sleep anyway, calls [`heavy`],
//! which has the kernel make every other registered process pass a fence (membarrier(2), `GLOBAL_EXPEDITED`). Where the
//! call is refused, `light` is a fence of its own, and [`is_available`] tells sleepers not to rely on the others'.
//!
//! Source: the asymmetric fences of folly and of P1202R5.

#![allow(unsafe_code)]

use std::sync::atomic::{AtomicU8, Ordering, compiler_fence, fence};

// linux/membarrier.h
const GLOBAL_EXPEDITED: libc::c_int = 1 << 1;
const REGISTER_GLOBAL_EXPEDITED: libc::c_int = 1 << 2;

const UNKNOWN: u8 = 0;
const AVAILABLE: u8 = 1;
const REFUSED: u8 = 2;

/// Whether this process is registered. A forked copy is, too: the registration belongs to the address space, and is copied
/// with it.
static STATE: AtomicU8 = AtomicU8::new(UNKNOWN);

/// Has this process take part in the [`heavy`] fences of others, from now on.
///
/// Cheapest while the process has one thread; with several it waits for the kernel's grace period, some milliseconds, once.
pub(crate) fn register() {
    if STATE.load(Ordering::Relaxed) == UNKNOWN {
        let registered = membarrier(REGISTER_GLOBAL_EXPEDITED);
        STATE.store(if registered { AVAILABLE } else { REFUSED }, Ordering::Relaxed);
    }
}

/// Whether [`heavy`] makes the others' [`light`] a fence.
#[inline]
pub(crate) fn is_available() -> bool {
    STATE.load(Ordering::Relaxed) == AVAILABLE
}

/// The half for whoever is in a hurry.
#[inline]
pub(crate) fn light() {
    if is_available() {
        compiler_fence(Ordering::SeqCst);
    } else {
        fence(Ordering::SeqCst);
    }
}

/// A fence right behind a read-modify-write; on x86-64 that was one already, whatever its ordering.
#[inline]
pub(crate) fn after_change() {
    if cfg!(target_arch = "x86_64") {
        compiler_fence(Ordering::SeqCst);
    } else {
        fence(Ordering::SeqCst);
    }
}

/// The half for whoever is about to sleep.
pub(crate) fn heavy() {
    fence(Ordering::SeqCst);
    if is_available() && !membarrier(GLOBAL_EXPEDITED) {
        STATE.store(REFUSED, Ordering::Relaxed); // by a filter of system calls that was set up meanwhile
    }
}

fn membarrier(command: libc::c_int) -> bool {
    // SAFETY: the call has no memory arguments.
    unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
}
