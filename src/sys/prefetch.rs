//! Asking for cache lines before they are needed.

#![allow(unsafe_code)]

use std::ptr::NonNull;

/// Has the cache line of `place` brought here to be written, without waiting for it: a
/// read-modify-write that has to fetch its line itself lets nothing else go on meanwhile.
#[inline]
pub(crate) fn for_writing(place: NonNull<u8>) {
    // Where a processor does not know the instruction, it is one that does nothing. The compiler's own intrinsic becomes
    // one that fetches for reading, unless told that the processor knows this one.
    #[cfg(target_arch = "x86_64")]
    {
        // SAFETY: a hint, which changes nothing.
        unsafe { std::arch::asm!("prefetchw [{}]", in(reg) place.as_ptr(), options(nostack, preserves_flags)) };
    }
    #[cfg(target_arch = "aarch64")]
    {
        // SAFETY: a hint, which changes nothing.
        unsafe {
            std::arch::asm!("prfm pstl1keep, [{}]", in(reg) place.as_ptr(), options(nostack, preserves_flags));
        };
    }
}

/// Has the cache line of `place` brought here to be read, without waiting for it.
#[inline]
pub(crate) fn for_reading(place: NonNull<u8>) {
    #[cfg(target_arch = "x86_64")]
    {
        // SAFETY: a hint, which changes nothing.
        unsafe { std::arch::asm!("prefetcht0 [{}]", in(reg) place.as_ptr(), options(nostack, preserves_flags)) };
    }
    #[cfg(target_arch = "aarch64")]
    {
        // SAFETY: a hint, which changes nothing.
        unsafe {
            std::arch::asm!("prfm pldl1keep, [{}]", in(reg) place.as_ptr(), options(nostack, preserves_flags));
        };
    }
}
