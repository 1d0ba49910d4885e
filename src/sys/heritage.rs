//! What a child takes over from the thread that starts it: what can be given to it later, and what cannot.
//!
//! A child of a zygote has what the zygote had. What can be set, its parent's thread sends along; where the rest differs,
//! the zygote is of no use.

#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_int, c_ulong};
use std::fs::{self, File};
use std::io::{self, Read};
use std::mem;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};

/// All of it, as the calling thread has it.
pub(crate) struct Heritage {
    pub(crate) fixed: Fixed,
    pub(crate) attributes: Attributes,
    /// Signals that are blocked: bit n is signal n + 1, as for `ignored`.
    pub(crate) mask: u64,
    pub(crate) is_only_thread: bool,
}

/// What only a fork or an exec by the thread itself passes on: credentials and capabilities, seccomp, the security
/// module's label, session, namespaces, root, scheduling class, and what else can be asked for. To be compared, nothing else.
///
/// Landlock, keyrings and control groups are missing: the first cannot be seen, a filter may forbid the question for the
/// second, and the last is not the process's doing.
#[derive(PartialEq, Eq)]
pub(crate) struct Fixed(Vec<u8>);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Attributes {
    umask: u32,
    ignored: u64,
    affinity: Vec<u64>,
    nice: i32,
    process_group: i32,
    /// Soft and hard, by the resources' numbers.
    limits: Vec<(u64, u64)>,
}

/// How many resources have a limit: the kernel's RLIM_NLIMITS.
const RESOURCES: c_int = 16;

const NAMESPACES: [&CStr; 8] =
    [c"cgroup", c"ipc", c"mnt", c"net", c"pid_for_children", c"time_for_children", c"user", c"uts"];

fn missing() -> io::Error {
    io::ErrorKind::InvalidData.into()
}

fn open(path: &CStr, flags: c_int) -> io::Result<OwnedFd> {
    // SAFETY: the path is a C string.
    match unsafe { libc::open(path.as_ptr(), flags | libc::O_CLOEXEC) } {
        -1 => Err(io::Error::last_os_error()),
        // SAFETY: just opened, and nobody else's.
        file => Ok(unsafe { OwnedFd::from_raw_fd(file) }),
    }
}

/// All of a file of the kernel's, in one call, where std makes five; an error if there is no room for all.
fn read<'b>(path: &CStr, room: &'b mut [u8]) -> io::Result<&'b [u8]> {
    let length = File::from(open(path, libc::O_RDONLY)?).read(room)?;
    if length == room.len() { Err(missing()) } else { Ok(&room[..length]) }
}

impl Heritage {
    pub(crate) fn of_this_thread() -> io::Result<Self> {
        // One file says what would take many calls, and the umask, which a call can only change.
        let mut room = [0; 16 << 10]; // the longest lines are those of a machine with 8192 processors, 2 KiB each
        let status = read(c"/proc/thread-self/status", &mut room)?;
        let status = str::from_utf8(status).map_err(|_| missing())?;
        let mut fixed = Vec::with_capacity(2 << 10);
        let (mut umask, mut mask, mut ignored, mut threads) = (None, None, None, None);
        for (name, value) in status.lines().filter_map(|line| line.split_once(':')) {
            let number = |base| u64::from_str_radix(value.trim(), base).ok();
            match name {
                "Umask" => umask = number(8),
                "SigBlk" => mask = number(16),
                "SigIgn" => ignored = number(16),
                "Threads" => threads = number(10),
                "Uid" | "Gid" | "Groups" | "NSsid" | "NoNewPrivs" | "Seccomp" | "Seccomp_filters" => {
                    fixed.extend(value.as_bytes());
                }
                _ if name.starts_with("Cap") || name.starts_with("Speculation") => fixed.extend(value.as_bytes()),
                _ => {}
            }
        }
        let root = fs::metadata("/")?;
        fixed.extend(root.dev().to_le_bytes());
        fixed.extend(root.ino().to_le_bytes());
        label(&mut fixed);
        namespaces(&mut fixed)?;
        settings(&mut fixed);
        let attributes = Attributes {
            umask: umask.ok_or_else(missing)? as u32,
            ignored: ignored.ok_or_else(missing)?,
            affinity: affinity(),
            // SAFETY: has no preconditions.
            nice: unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) },
            // SAFETY: has no preconditions.
            process_group: unsafe { libc::getpgrp() },
            limits: (0..RESOURCES).map(|resource| limit(resource, None)).collect::<Result<_, _>>()?,
        };
        Ok(Heritage {
            fixed: Fixed(fixed),
            attributes,
            mask: mask.ok_or_else(missing)?,
            is_only_thread: threads == Some(1),
        })
    }
}

/// Appends the security label. Where there is none, no module gives one, and the kernel takes none in before it is booted again.
fn label(to: &mut Vec<u8>) {
    static IS_MISSING: AtomicBool = AtomicBool::new(false);
    // Relaxed: the answer is all there is.
    if IS_MISSING.load(Ordering::Relaxed) {
        return;
    }
    match read(c"/proc/thread-self/attr/current", &mut [0; 4 << 10]) {
        Ok(label) => to.extend(label),
        Err(error) => IS_MISSING.store(error.raw_os_error() == Some(libc::EINVAL), Ordering::Relaxed),
    }
}

/// Appends the names of this thread's namespaces, which contain their numbers.
fn namespaces(to: &mut Vec<u8>) -> io::Result<()> {
    let folder = open(c"/proc/thread-self/ns", libc::O_PATH | libc::O_DIRECTORY)?;
    for name in NAMESPACES {
        let mut link = [0_u8; 64]; // `pid_for_children:[4026531836]` is one of the longest
        let room = link.as_mut_ptr().cast::<c_char>();
        // SAFETY: a C string, and room for as many bytes as are said.
        let length = unsafe { libc::readlinkat(folder.as_raw_fd(), name.as_ptr(), room, link.len()) };
        // Older kernels lack some; one that has no process yet cannot be read. Either is a state to compare, too.
        to.extend(&link[..usize::try_from(length).unwrap_or(0)]);
        to.push(0);
    }
    Ok(())
}

/// Appends settings of this thread and process that a file of their own, or a call, says. An error, where there is none, is a state to
/// compare, too.
fn settings(to: &mut Vec<u8>) {
    const OF_A_THREAD: c_int = 1; // IOPRIO_WHO_PROCESS
    const QUESTION: c_ulong = 0xffff_ffff; // which changes nothing
    to.extend(read(c"/proc/self/oom_score_adj", &mut [0; 16]).unwrap_or_default());
    let mut realtime = libc::sched_param { sched_priority: 0 };
    // SAFETY: the kernel writes a parameter.
    unsafe { libc::sched_getparam(0, &raw mut realtime) };
    to.extend(realtime.sched_priority.to_le_bytes());
    // SAFETY: asks for an attribute of this thread, as do all below.
    to.extend(unsafe { libc::sched_getscheduler(0) }.to_le_bytes());
    for attribute in [
        libc::PR_GET_TIMERSLACK,
        libc::PR_GET_SECUREBITS,
        libc::PR_GET_THP_DISABLE,
        libc::PR_GET_MDWE,
        libc::PR_GET_MEMORY_MERGE,
    ] {
        // SAFETY: no memory is involved.
        to.extend(unsafe { libc::prctl(attribute, 0, 0, 0, 0) }.to_le_bytes());
    }
    // SAFETY: no memory is involved.
    to.extend(unsafe { libc::syscall(libc::SYS_ioprio_get, OF_A_THREAD, 0) }.to_le_bytes());
    // SAFETY: no memory is involved.
    to.extend(unsafe { libc::personality(QUESTION) }.to_le_bytes());
}

/// The processors that this thread may use, a bit each.
fn affinity() -> Vec<u64> {
    let mut set = [0_u64; 128]; // 8192, the most that a kernel is built for
    let room = mem::size_of_val(&set);
    // SAFETY: the kernel writes at most as many bytes as are said.
    let length = unsafe { libc::syscall(libc::SYS_sched_getaffinity, 0, room, set.as_mut_ptr()) };
    set[..usize::try_from(length).unwrap_or(0) / 8].to_vec()
}

/// A limit as it was, after which it is `new`, if that is said.
fn limit(resource: c_int, new: Option<(u64, u64)>) -> io::Result<(u64, u64)> {
    let new = new.map(|(soft, hard)| libc::rlimit { rlim_cur: soft, rlim_max: hard });
    let mut old = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    let new = new.as_ref().map_or(ptr::null(), ptr::from_ref);
    // SAFETY: the kernel reads one limit, if there is one, and writes one.
    match unsafe { libc::prlimit(0, resource as _, new, &raw mut old) } {
        0 => Ok((old.rlim_cur, old.rlim_max)),
        _ => Err(io::Error::last_os_error()),
    }
}

impl Attributes {
    /// Whether a process that has `other` can be given these without a privilege: its hard limits can only go down, and its nice value
    /// only up.
    pub(crate) fn can_replace(&self, other: &Attributes) -> bool {
        self.nice >= other.nice && self.limits.iter().zip(&other.limits).all(|(ours, theirs)| ours.1 <= theirs.1)
    }

    /// Gives them to this process, which has one thread.
    pub(crate) fn apply(&self) -> io::Result<()> {
        // SAFETY: sets an attribute of this process, as do all below.
        unsafe { libc::umask(self.umask) };
        for (resource, &wanted) in (0..).zip(&self.limits) {
            limit(resource, Some(wanted))?;
        }
        // SAFETY: has no preconditions.
        if unsafe { libc::getpgrp() } != self.process_group {
            // SAFETY: no memory is involved.
            if unsafe { libc::setpgid(0, self.process_group) } != 0 {
                return Err(io::Error::last_os_error());
            }
        }
        // Processors that have gone meanwhile, and a value that it takes a privilege to reach, are no reason to fail.
        let (set, length) = (self.affinity.as_ptr(), self.affinity.len() * 8);
        // SAFETY: the kernel reads as many bytes as there are.
        unsafe { libc::syscall(libc::SYS_sched_setaffinity, 0, length, set) };
        // SAFETY: no memory is involved.
        unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, self.nice) };
        self.ignore_signals();
        Ok(())
    }

    fn ignore_signals(&self) {
        // Rust's library ignores SIGPIPE in every program, whatever it inherits.
        for signal in (1..=64).filter(|&signal| signal != libc::SIGPIPE) {
            // SAFETY: integers and a pointer; all zeroes is a value: the default action, no flags.
            let mut action: libc::sigaction = unsafe { mem::zeroed() };
            // SAFETY: asks for the action only. The C library's own two signals are refused, as is any that is not there.
            let known = unsafe { libc::sigaction(signal, ptr::null(), &raw mut action) } == 0;
            let wanted = if self.ignored >> (signal - 1) & 1 == 1 { libc::SIG_IGN } else { libc::SIG_DFL };
            if known
                && wanted != action.sa_sigaction
                && (wanted == libc::SIG_IGN || action.sa_sigaction == libc::SIG_IGN)
            {
                action.sa_sigaction = wanted;
                // SAFETY: neither value is code.
                unsafe { libc::sigaction(signal, &raw const action, ptr::null_mut()) };
            }
        }
    }
}

/// Blocks these signals and no others.
pub(crate) fn block(mask: u64) {
    let none = ptr::null_mut::<u64>();
    // SAFETY: the kernel's set of signals is these 8 bytes, on both of our architectures.
    unsafe {
        libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const mask, none, mem::size_of_val(&mask))
    };
}

unsafe extern "C" {
    static mut environ: *mut *mut c_char;
}

/// Replaces this process's environment, for good, by `strings`, each of which ends with a zero byte. There is one thread.
pub(crate) fn replace_environment(strings: &[u8]) {
    let strings: &'static mut [u8] = strings.to_vec().leak();
    let variables = strings.split_inclusive_mut(|&byte| byte == 0).map(|variable| variable.as_mut_ptr().cast());
    let list: &'static mut [*mut c_char] = variables.chain([ptr::null_mut()]).collect::<Vec<_>>().leak();
    // SAFETY: nobody reads it meanwhile; the list ends with a null. Both are the C library's from now on.
    unsafe { environ = list.as_mut_ptr() };
}
