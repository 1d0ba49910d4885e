//! Stacks: how deep ours is, and those for cloned children.

#![allow(unsafe_code)]

use std::ffi::c_void;
use std::io;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, Ordering};

/// Where the stack of the calling function ends, about. The register and not the address of a local: a sanitizer may keep
/// locals elsewhere.
#[inline(always)]
pub(crate) fn pointer() -> usize {
    let pointer;
    // SAFETY: copies a register.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        std::arch::asm!("mov {}, rsp", out(reg) pointer, options(nomem, nostack, preserves_flags));
    }
    // SAFETY: as above.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        std::arch::asm!("mov {}, sp", out(reg) pointer, options(nomem, nostack, preserves_flags));
    }
    pointer
}

/// Memory for a child's calls until its exec, with a page below it that cannot be touched.
pub(super) struct Stack {
    lowest: NonNull<c_void>,
}

/// A stack that is not in use; one is enough for a process that does not start several children at the same instant.
/// Unmapping it each time would have to interrupt the processor that the child runs on.
static SPARE: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());

impl Stack {
    /// The child makes a few dozen plain calls, without signal handlers; a debug build of them needs less than 4 KiB.
    const SIZE: usize = 64 << 10;
    /// At least a page on every machine that we run on.
    const GUARD: usize = 64 << 10;

    pub(super) fn new() -> io::Result<Self> {
        // Acquire: pairs with the Release in `drop`; the child that last ran on it is done.
        match NonNull::new(SPARE.swap(ptr::null_mut(), Ordering::Acquire)) {
            Some(lowest) => Ok(Stack { lowest }),
            None => Self::map(),
        }
    }

    fn map() -> io::Result<Self> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK | libc::MAP_NORESERVE;
        // SAFETY: a new mapping at a place of the kernel's choice disturbs nobody.
        let lowest = unsafe { libc::mmap(ptr::null_mut(), Self::GUARD + Self::SIZE, libc::PROT_NONE, flags, -1, 0) };
        if lowest == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let usable = lowest.wrapping_byte_add(Self::GUARD);
        // SAFETY: the upper part of the mapping just made.
        if unsafe { libc::mprotect(usable, Self::SIZE, libc::PROT_READ | libc::PROT_WRITE) } != 0 {
            let error = io::Error::last_os_error();
            // SAFETY: just mapped, and no child has run on it.
            unsafe { unmap(lowest) };
            return Err(error);
        }
        NonNull::new(lowest).map(|lowest| Stack { lowest }).ok_or_else(|| io::Error::from_raw_os_error(libc::ENOMEM))
    }

    /// Stacks grow downwards on both of our architectures.
    pub(super) fn top(&self) -> *mut c_void {
        self.lowest.as_ptr().wrapping_byte_add(Self::GUARD + Self::SIZE)
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // Release: our child is done with it, for the Acquire in `new`. Acquire: so is the child of the one that we
        // unmap, whose `drop` released it.
        let other = SPARE.swap(self.lowest.as_ptr(), Ordering::AcqRel);
        if !other.is_null() {
            // SAFETY: the swap gave it to us alone; the child that ran on it has done its exec, or has ended, before
            // its `Stack` was dropped.
            unsafe { unmap(other) };
        }
    }
}

/// # Safety
///
/// `lowest` comes from [`Stack::map`], and nobody uses that mapping any more.
unsafe fn unmap(lowest: *mut c_void) {
    // SAFETY: the caller's promise; the mapping has this length.
    unsafe { libc::munmap(lowest, Stack::GUARD + Stack::SIZE) };
}
