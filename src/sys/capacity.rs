//! How much shared memory can still be had.

#![allow(unsafe_code)]

use std::fs::{self, File};
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

/// A guess at the bytes that can be reserved in `file`: the least of what its file system, the machine and the control
/// groups of this process have left. What cannot be read sets no limit.
pub(super) fn available(file: &File) -> u64 {
    let machine = fs::read_to_string("/proc/meminfo").map_or(u64::MAX, |text| memory_of_machine(&text));
    let groups = fs::read_to_string("/proc/thread-self/cgroup")
        .map_or(u64::MAX, |text| memory_of_groups(&text, Path::new("/sys/fs/cgroup")));
    machine.min(groups).min(file_system(file))
}

/// getrlimit(RLIMIT_FSIZE): the size that no file of this process may exceed.
pub(super) fn file_size_limit() -> u64 {
    let mut limit = MaybeUninit::<libc::rlimit>::uninit();
    // SAFETY: the pointer is to a writable rlimit.
    if unsafe { libc::getrlimit(libc::RLIMIT_FSIZE, limit.as_mut_ptr()) } != 0 {
        return u64::MAX;
    }
    // SAFETY: the call succeeded, so it has filled the struct.
    unsafe { limit.assume_init() }.rlim_cur
}

/// fstatvfs(3). The file system of anonymous memory files has no size, which it reports as 0 blocks.
fn file_system(file: &File) -> u64 {
    let mut facts = MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: the descriptor is open, the pointer is to a writable statvfs.
    if unsafe { libc::fstatvfs(file.as_raw_fd(), facts.as_mut_ptr()) } != 0 {
        return u64::MAX;
    }
    // SAFETY: the call succeeded, so it has filled the struct.
    let facts = unsafe { facts.assume_init() };
    if facts.f_blocks == 0 { u64::MAX } else { facts.f_bavail.saturating_mul(facts.f_frsize) }
}

/// The memory and swap of /proc/meminfo that are not in use.
fn memory_of_machine(meminfo: &str) -> u64 {
    let kibibytes = |field: &str| {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok())
    };
    match kibibytes("MemAvailable") {
        Some(memory) => (memory + kibibytes("SwapFree").unwrap_or(0)).saturating_mul(1024),
        None => u64::MAX,
    }
}

/// What the memory controllers, version 1 or 2, leave to the groups named in /proc/self/cgroup and to their parents.
fn memory_of_groups(groups: &str, root: &Path) -> u64 {
    let headroom = |line: &str| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, group) = (fields.next()?, fields.next()?.trim_start_matches('/'));
        let (base, limit, usage): (PathBuf, _, _) = match controllers {
            "" => (root.into(), "memory.max", "memory.current"),
            "memory" => (root.join("memory"), "memory.limit_in_bytes", "memory.usage_in_bytes"),
            _ => return None,
        };
        let group = base.join(group);
        let chain = group.ancestors().take_while(|folder| folder.starts_with(&base));
        chain.filter_map(|folder| headroom_of_group(folder, limit, usage)).min()
    };
    groups.lines().filter_map(headroom).min().unwrap_or(u64::MAX)
}

/// Limit less usage, where the page cache of ordinary files counts as free: the kernel drops it before it runs out.
fn headroom_of_group(folder: &Path, limit: &str, usage: &str) -> Option<u64> {
    let number = |name: &str| fs::read_to_string(folder.join(name)).ok()?.trim().parse::<u64>().ok();
    let limit = number(limit)?;
    let usage = number(usage)?;
    let statistics = fs::read_to_string(folder.join("memory.stat")).unwrap_or_default();
    let field = |name: &str| statistics.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok());
    let cache: u64 = ["inactive_file ", "active_file "].into_iter().filter_map(field).sum();
    Some(limit.saturating_sub(usage.saturating_sub(cache)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_has_what_is_available_and_what_can_be_swapped() {
        let meminfo = "MemTotal:       8 kB\nMemFree:        1 kB\nMemAvailable:   3 kB\nSwapFree:       2 kB\n";
        assert_eq!(memory_of_machine(meminfo), 5 * 1024);
        assert_eq!(memory_of_machine("nothing of this form"), u64::MAX);
    }

    #[test]
    fn the_tightest_group_on_the_way_to_the_root_counts() {
        let root = std::env::temp_dir().join(format!("crossproc-groups-{}", std::process::id()));
        let write = |path: &str, text: &str| {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("a/memory.max", "1000\n");
        write("a/memory.current", "900\n");
        write("a/memory.stat", "anon 500\ninactive_file 250\nactive_file 50\n");
        write("a/b/memory.max", "max\n");
        write("a/b/memory.current", "900\n");
        write("memory/c/memory.limit_in_bytes", "5000\n");
        write("memory/c/memory.usage_in_bytes", "1000\n");
        let second = memory_of_groups("0::/a/b\n", &root);
        let first = memory_of_groups("3:cpu:/c\n2:memory:/c\n", &root);
        fs::remove_dir_all(&root).unwrap();
        assert_eq!((second, first), (400, 4000));
        assert_eq!(memory_of_groups("", &root), u64::MAX);
    }
}
