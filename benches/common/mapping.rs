//! Bare shared memory for the rivals: a memory file, mapped, and nothing else.

use std::ffi::c_void;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd};
use std::process;
use std::ptr::{self, NonNull};
use std::sync::atomic::AtomicU64;

/// Where things begin that different processors write: a pair of cache lines.
pub(crate) const APART: usize = 128;

/// A memory file, mapped shared, of zeroes at first.
pub(crate) struct Mapping {
    file: File,
    address: NonNull<c_void>,
    bytes: usize,
}

// SAFETY: an address that only `Drop` gives back; what lies there is reached through atomics and raw pointers.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    pub(crate) fn new(bytes: usize) -> Self {
        // SAFETY: the name is a C string.
        let descriptor = unsafe { libc::memfd_create(c"bench".as_ptr(), libc::MFD_CLOEXEC) };
        assert!(descriptor >= 0, "{}", io::Error::last_os_error());
        // SAFETY: just created, and nobody else's.
        let file = unsafe { File::from_raw_fd(descriptor) };
        file.set_len(bytes as u64).expect("a memory file grows");
        Mapping::of(file, bytes)
    }

    /// A mapping whose memory is there already, so that no access can fail for want of it.
    pub(crate) fn allocated(bytes: usize) -> Self {
        let mapping = Mapping::new(bytes);
        // SAFETY: the descriptor is open; no memory is involved.
        let failed = unsafe { libc::posix_fallocate(mapping.file.as_raw_fd(), 0, bytes as i64) };
        assert_eq!(failed, 0, "{}", io::Error::from_raw_os_error(failed));
        mapping
    }

    /// The same memory in a child: `path` is what [`path`](Self::path) gave in the parent, which still has it mapped.
    pub(crate) fn open(path: &str) -> Self {
        let file = File::options().read(true).write(true).open(path).expect("the parent has the file open");
        let bytes = file.metadata().expect("a file has a size").len() as usize;
        Mapping::of(file, bytes)
    }

    fn of(file: File, bytes: usize) -> Self {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping, at an address of the kernel's choice.
        let address = unsafe { libc::mmap(ptr::null_mut(), bytes, access, libc::MAP_SHARED, file.as_raw_fd(), 0) };
        assert_ne!(address, libc::MAP_FAILED, "{}", io::Error::last_os_error());
        Mapping { file, address: NonNull::new(address).expect("not mapped at null"), bytes }
    }

    /// How a child finds the memory.
    pub(crate) fn path(&self) -> String {
        format!("/proc/{}/fd/{}", process::id(), self.file.as_raw_fd())
    }

    /// The word at the beginning of the `nth` part, which it shares with nothing.
    pub(crate) fn word(&self, nth: usize) -> &AtomicU64 {
        // SAFETY: `part` gives an aligned address within the mapping, which outlives `self`; any bytes are an AtomicU64.
        unsafe { self.part(nth).cast::<AtomicU64>().as_ref() }
    }

    /// The address of the `nth` part: [`APART`] bytes.
    pub(crate) fn part(&self, nth: usize) -> NonNull<c_void> {
        assert!((nth + 1) * APART <= self.bytes);
        // SAFETY: within the mapping.
        unsafe { self.address.byte_add(nth * APART) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: `of` mapped it for this value alone.
        unsafe { libc::munmap(self.address.as_ptr(), self.bytes) };
    }
}
