//! Mapped memory.

#![allow(unsafe_code)]

use std::ffi::c_void;
use std::io;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use memmap2::{MmapOptions, MmapRaw};

use super::memory::MemoryFile;
use crate::error::{Error, Result};

/// Bytes in a page.
pub(crate) fn page_size() -> usize {
    /// 0 until it is known. Not a `OnceLock`: a copy that is forked while another thread asks would wait for that thread.
    static SIZE: AtomicUsize = AtomicUsize::new(0);
    match SIZE.load(Relaxed) {
        0 => {
            // SAFETY: sysconf has no preconditions.
            let size = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096);
            SIZE.store(size, Relaxed);
            size
        }
        size => size,
    }
}

/// A whole memory file in this process's address space: bytes that peers read and write at the same time, so nothing
/// here ever makes a slice of them.
pub(crate) struct Mapping {
    raw: MmapRaw,
}

impl Mapping {
    /// Maps the first `length` bytes of `file`, which must hold that many for as long as the mapping lives (P4: sealed).
    pub(crate) fn of(file: &MemoryFile, length: u64) -> Result<Self> {
        let no_space = || Error::NoSpace { needed: length, available: 0 };
        let length =
            usize::try_from(length).ok().filter(|&length| length <= isize::MAX as usize).ok_or_else(no_space)?;
        match MmapOptions::new().len(length).map_raw(file.descriptor()) {
            Ok(raw) => {
                // A core dump of one process is no place for memory that belongs to all; and an exit that need not
                // consider a dump of it is faster. Only an improvement, so a refusal is not an error.
                // SAFETY: the range was just mapped.
                unsafe { libc::madvise(raw.as_mut_ptr().cast(), raw.len(), libc::MADV_DONTDUMP) };
                Ok(Mapping { raw })
            }
            Err(error) if error.raw_os_error() == Some(libc::ENOMEM) => Err(no_space()),
            Err(error) => Err(Error::os("map a segment", error)),
        }
    }

    /// The first byte; page-aligned.
    pub(crate) fn start(&self) -> NonNull<u8> {
        NonNull::new(self.raw.as_mut_ptr()).expect("mmap never returns null for a mapping that succeeded")
    }

    pub(crate) fn len(&self) -> u64 {
        self.raw.len() as u64
    }
}

/// A page of private, zeroed memory.
pub(super) fn anonymous_page() -> io::Result<NonNull<c_void>> {
    page(libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1)
}

/// One page that cannot be read or written, whose only use is that it keeps the open file `descriptor` alive.
pub(super) fn anchor_page(descriptor: libc::c_int) -> io::Result<NonNull<c_void>> {
    page(libc::PROT_NONE, libc::MAP_SHARED, descriptor)
}

fn page(protection: libc::c_int, flags: libc::c_int, descriptor: libc::c_int) -> io::Result<NonNull<c_void>> {
    // SAFETY: a new mapping at an address of the kernel's choosing touches nothing that exists.
    let page = unsafe { libc::mmap(ptr::null_mut(), page_size(), protection, flags, descriptor, 0) };
    if page == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    Ok(NonNull::new(page).expect("mmap does not place a mapping at address 0 unasked"))
}
