//! What a process may have, and how much of it it has.

use std::fs;

/// setrlimit(2), for the soft limit of this process.
pub(crate) fn limit(resource: libc::__rlimit_resource_t, most: u64) {
    let mut now = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: writes to a live rlimit.
    assert_eq!(unsafe { libc::getrlimit(resource, &mut now) }, 0);
    now.rlim_cur = most;
    // SAFETY: reads a live rlimit.
    assert_eq!(unsafe { libc::setrlimit(resource, &now) }, 0);
}

/// Bytes of address space that this process uses.
pub(crate) fn address_space() -> u64 {
    let pages: u64 = fs::read_to_string("/proc/self/statm").unwrap().split(' ').next().unwrap().parse().unwrap();
    // SAFETY: has no preconditions.
    pages * unsafe { libc::sysconf(libc::_SC_PAGESIZE) }.cast_unsigned()
}
