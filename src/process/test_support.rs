//! Recognising children in test binaries, whose `main` belongs to libtest.

#![allow(unsafe_code)]

use std::ffi::{c_char, c_int};

use super::entry::{self, Mode};
use crate::sys::constructors;

pub use crate::sys::constructors::Constructor;

/// Makes a test binary able to start processes: put it at the top level of each file in `tests/`, and once into a
/// library whose unit tests start processes, under `#[cfg(test)]`.
///
/// It does for a test binary what [`init`](crate::init) does in the first line of `main`, before `main`: libtest's own
/// would run tests in every child. It works under `cargo test`, `cargo nextest` and in doctests. Programs, examples and
/// benches without a harness call `init`; where both are used, the second does nothing.
///
/// In a child, other constructors of the program have run by then; Rust's runtime has not: the child's thread has no
/// name, and a stack overflow is a plain SIGSEGV. When the test binary exits, it waits for children that its tests have
/// left running for ten seconds at most, then kills and names them.
///
/// # Examples
///
/// ```standalone_crate
/// use crossproc::Process;
///
/// crossproc::test_support!();
///
/// // A `#[test]`, in a test binary.
/// fn a_child_adds() {
///     assert_eq!(Process::spawn(|a: i32, b: i32| a + b, (1, 2)).unwrap().join().unwrap(), 3);
/// }
/// # fn main() {
/// #     a_child_adds();
/// # }
/// ```
#[macro_export]
macro_rules! test_support {
    () => {
        #[allow(unsafe_code)]
        const _: () = {
            // The only way to run before a `main` that is not ours; the one attribute that is unsafe about it.
            #[used]
            #[unsafe(link_section = ".init_array")]
            static ENTRY: $crate::__Constructor = enter;

            unsafe extern "C" fn enter(
                count: ::core::ffi::c_int,
                arguments: *const *const ::core::ffi::c_char,
                environment: *const *const ::core::ffi::c_char,
            ) {
                // SAFETY: `ENTRY` is where the C library found this function, which it calls with these arguments.
                unsafe { $crate::__enter_test_binary(&ENTRY, count, arguments, environment) };
                $crate::__serve_if_asked();
            }
        };
    };
}

/// What the constructor of [`test_support!`](crate::test_support) does; `place` is its entry in the list of
/// constructors.
///
/// # Safety
///
/// `place` is an entry of this executable's `.init_array`; the C library has just called it, with the other arguments.
#[doc(hidden)]
pub unsafe fn enter_test_binary(
    place: &'static Constructor,
    count: c_int,
    arguments: *const *const c_char,
    environment: *const *const c_char,
) {
    entry::start(Mode::Test, || {
        // Left out, they would leave a child with less than its parent has: whatever registers itself before `main`.
        // SAFETY: what this function, too, asks for.
        unsafe { constructors::run_after(place, count, arguments, environment) };
        constructors::ignore_broken_pipes();
    });
}
