//! The machine: everything that talks to the kernel.
//!
//! The atomics, the futex, the clock and the liveness of peers have twins in `model` that loom can run; which of the
//! two the rest of the crate sees is chosen here and nowhere else.

pub(crate) mod clock;
pub(crate) mod constructors;
pub(crate) mod exec;
pub(crate) mod exit;
pub(crate) mod fork;
pub(crate) mod pidfd;
pub(crate) mod program;
pub(crate) mod sealed;
pub(crate) mod socket;
pub(crate) mod spawn;

// Stand-ins until the segment layer brings its own.
pub(crate) fn page_size() -> usize {
    4096
}

#[cfg(crash_points)]
#[allow(unsafe_code)]
pub(crate) fn kill_self() -> ! {
    // SAFETY: ends the process.
    unsafe { libc::raise(libc::SIGKILL) };
    unreachable!()
}

pub(crate) mod map {
    #![allow(unsafe_code)]
    pub(crate) fn anonymous_page() -> std::io::Result<std::ptr::NonNull<libc::c_void>> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: a new mapping disturbs nobody.
        let page = unsafe {
            libc::mmap(std::ptr::null_mut(), super::page_size(), libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0)
        };
        if page == libc::MAP_FAILED {
            return Err(std::io::Error::last_os_error());
        }
        Ok(std::ptr::NonNull::new(page).unwrap())
    }
}
