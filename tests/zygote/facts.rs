//! What a process can see of itself.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::mem;

use serde::{Deserialize, Serialize};

/// A number that exec draws: copies of a process have the same.
pub(crate) fn exec_number() -> u128 {
    // SAFETY: asks for a word that the kernel left at the start of the program.
    let place = unsafe { libc::getauxval(libc::AT_RANDOM) } as *const u128;
    // SAFETY: the kernel left 16 bytes there, for good.
    unsafe { place.read_unaligned() }
}

/// The open descriptors, without the one that lists them.
pub(crate) fn descriptors() -> Vec<i32> {
    let number = |name: std::ffi::OsString| name.to_str().unwrap().parse().unwrap();
    let mut all: Vec<_> =
        fs::read_dir("/proc/self/fd").unwrap().map(|entry| number(entry.unwrap().file_name())).collect();
    // SAFETY: asks for a flag; no memory is involved.
    all.retain(|&descriptor| unsafe { libc::fcntl(descriptor, libc::F_GETFD) } != -1);
    all.sort_unstable();
    all
}

/// Children of a process that have not been waited for.
pub(crate) fn children_of(pid: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let children = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("children")).ok());
    let mut all: Vec<_> = children
        .flat_map(|line| line.split_whitespace().map(|pid| pid.parse().unwrap()).collect::<Vec<u32>>())
        .collect();
    all.sort_unstable();
    all
}

/// What children inherit.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Facts {
    arguments: Vec<String>,
    environment: BTreeMap<String, String>,
    directory: String,
    /// Umask, signals, capabilities, processors and the like.
    status: Vec<String>,
    limits: Vec<(u64, u64)>,
    nice: i32,
    scheduler: i32,
    /// Parent, group and session.
    ids: [i32; 3],
    descriptors: Vec<i32>,
}

pub(crate) fn facts() -> Facts {
    let wanted = ["Umask", "PPid", "Uid", "Gid", "Groups", "Threads", "Sig", "Cap", "NoNew", "Seccomp", "Cpus", "Mems"];
    let status = fs::read_to_string("/proc/thread-self/status").unwrap();
    // What is caught is the program's own doing, and `SigQ` counts those of the whole user.
    let is_wanted = |line: &&str| {
        wanted.iter().any(|name| line.starts_with(name)) && !line.starts_with("SigQ") && !line.starts_with("SigCgt")
    };
    let limit = |resource| {
        // SAFETY: integers only; all zeroes is a value.
        let mut limit: libc::rlimit = unsafe { mem::zeroed() };
        // SAFETY: the kernel writes one limit.
        assert_eq!(unsafe { libc::getrlimit(resource, &raw mut limit) }, 0);
        (limit.rlim_cur, limit.rlim_max)
    };
    // Signals that only the C library uses: whoever starts a program through posix_spawn(3) has it begin with these ignored.
    let without_internal = |line: &str| match line.strip_prefix("SigIgn:\t") {
        Some(set) => format!("SigIgn: {:x}", u64::from_str_radix(set, 16).unwrap() & !(3 << 31)),
        None => line.to_string(),
    };
    Facts {
        arguments: env::args().collect(),
        environment: env::vars().collect(),
        directory: env::current_dir().unwrap().to_str().unwrap().to_string(),
        status: status.lines().filter(is_wanted).map(without_internal).collect(),
        limits: (0..16).map(limit).collect(),
        // SAFETY: has no preconditions.
        nice: unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) },
        // SAFETY: has no preconditions.
        scheduler: unsafe { libc::sched_getscheduler(0) },
        ids: [
            // SAFETY: has no preconditions.
            unsafe { libc::getppid() },
            // SAFETY: as above.
            unsafe { libc::getpgrp() },
            // SAFETY: as above.
            unsafe { libc::getsid(0) },
        ],
        descriptors: descriptors(),
    }
}
