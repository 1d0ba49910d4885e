//! Running before `main`: for test binaries only, whose `main` belongs to libtest.

#![allow(unsafe_code)]

use std::ffi::{c_char, c_int};
use std::{mem, ptr};

/// A constructor, as glibc calls it: with the arguments of `main`.
pub type Constructor = unsafe extern "C" fn(c_int, *const *const c_char, *const *const c_char);

unsafe extern "C" {
    /// The end of the executable's list of constructors; the linker defines it.
    #[link_name = "__init_array_end"]
    static END: [*const (); 0];
}

/// Runs the constructors that come after the one in `place`, as the C library would have done had that one returned.
///
/// # Safety
///
/// `place` is an entry of this executable's `.init_array`; the C library has just called it, with the other arguments.
pub(crate) unsafe fn run_after(
    place: &'static Constructor,
    count: c_int,
    arguments: *const *const c_char,
    environment: *const *const c_char,
) {
    let end: *const *const () = (&raw const END).cast();
    let mut next: *const *const () = ptr::from_ref(place).cast::<*const ()>().wrapping_add(1);
    while next < end {
        // SAFETY: between `place`, which is in the list that the linker made of `.init_array`, and the end of that.
        let entry = unsafe { *next };
        next = next.wrapping_add(1);
        // The System V ABI has these two stand for no constructor.
        if entry.is_null() || entry.addr() == usize::MAX {
            continue;
        }
        // SAFETY: entries are constructors; that they take these three arguments, or ignore them, is what glibc, too,
        // relies on.
        let constructor: Constructor = unsafe { mem::transmute(entry) };
        // SAFETY: its turn has come, with the arguments that the C library would have passed.
        unsafe { constructor(count, arguments, environment) };
    }
}

/// Does what Rust's runtime has not come to do yet: a write to a pipe that nobody reads is an error, not the end.
pub(crate) fn ignore_broken_pipes() {
    // SAFETY: ignoring a signal installs no code.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
}
