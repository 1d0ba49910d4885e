//! What only a fork or an exec by the thread itself passes on.

use std::fs;
use std::thread;

use crossproc::Error;

use crate::facts::exec_number;
use crate::zygotes::{exec_is_the_default, from_zygote};

/// Whether a thread that does this can, and then gets executed children that have it, and from the zygote none. They are
/// asked for `line` of /proc/self/status.
fn is_seen(what: &str, change: fn() -> bool, line: &str) {
    let seen = thread::scope(|scope| {
        let changed = scope.spawn(|| {
            let own = || fs::read_to_string("/proc/thread-self/status").unwrap();
            let find = |status: String| status.lines().find(|known| known.starts_with(line)).unwrap_or("").to_string();
            if !change() {
                return None;
            }
            let refused = from_zygote().spawn(|| (), ()).map(drop);
            let look = || (exec_number(), fs::read_to_string("/proc/self/status").unwrap());
            let (number, status) = crossproc::Process::spawn(look, ()).unwrap().join().unwrap();
            Some((refused, number, find(status) == find(own())))
        });
        changed.join().unwrap()
    });
    let Some((refused, number, is_same)) = seen else { return println!("{what}: not allowed here") };
    let Err(refused @ Error::Unsupported { .. }) = refused else { panic!("{what}: {refused:?}") };
    assert!(
        refused.to_string().contains("it has other privileges, namespaces or settings than this thread"),
        "{refused}"
    );
    assert!(number != exec_number() && is_same, "{what}");
    // Other threads are as they were.
    assert!(!exec_is_the_default(), "{what}");
}

fn set_user() -> bool {
    let other = 65534;
    // SAFETY: changes this thread's credentials; no memory is involved.
    unsafe { libc::syscall(libc::SYS_setresuid, other, other, other) == 0 }
}

fn set_groups() -> bool {
    let groups = [4_u32, 5];
    // SAFETY: the kernel reads two numbers.
    unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) == 0 }
}

fn drop_bound() -> bool {
    // SAFETY: changes an attribute of this thread.
    unsafe { libc::prctl(libc::PR_CAPBSET_DROP, 23, 0, 0, 0) == 0 }
}

fn be_modest() -> bool {
    // SAFETY: changes an attribute of this thread.
    unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 }
}

fn filter() -> bool {
    let mut allow = [libc::sock_filter { code: 6, jt: 0, jf: 0, k: libc::SECCOMP_RET_ALLOW }];
    let program = libc::sock_fprog { len: 1, filter: allow.as_mut_ptr() };
    // SAFETY: the kernel reads a program of one step, which allows everything.
    unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) == 0 }
}

fn unshare_names() -> bool {
    // SAFETY: gives this thread a namespace of its own.
    unsafe { libc::unshare(libc::CLONE_NEWUTS) == 0 }
}

fn batch() -> bool {
    let none = libc::sched_param { sched_priority: 0 };
    // SAFETY: the kernel reads a parameter.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_BATCH, &raw const none) == 0 }
}

fn slack() -> bool {
    // SAFETY: changes an attribute of this thread.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 77_777, 0, 0, 0) == 0 }
}

fn secure() -> bool {
    const NO_AMBIENT_RAISE: i32 = 1 << 6;
    // SAFETY: changes an attribute of this thread.
    unsafe { libc::prctl(libc::PR_SET_SECUREBITS, NO_AMBIENT_RAISE, 0, 0, 0) == 0 }
}

fn wait_for_disks() -> bool {
    const OF_A_THREAD: i32 = 1;
    const BEST_EFFORT_7: i32 = 2 << 13 | 7;
    // SAFETY: changes an attribute of this thread.
    unsafe { libc::syscall(libc::SYS_ioprio_set, OF_A_THREAD, 0, BEST_EFFORT_7) == 0 }
}

fn look_older() -> bool {
    // SAFETY: changes an attribute of this thread.
    unsafe { libc::personality(libc::UNAME26 as _) != -1 }
}

fn hurry() -> bool {
    // SAFETY: changes an attribute of this thread.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, -1) == 0 }
}

fn merge(pages: bool) -> bool {
    // SAFETY: changes an attribute of this process.
    unsafe { libc::prctl(libc::PR_SET_MEMORY_MERGE, libc::c_ulong::from(pages), 0, 0, 0) == 0 }
}

/// Of the whole process: undone after it was seen.
fn concerns_all(what: &str, change: impl FnOnce() -> bool, undo: impl FnOnce() -> bool) {
    if !change() {
        return println!("{what}: not allowed here");
    }
    let executed = exec_is_the_default();
    assert!(undo() && executed && !exec_is_the_default(), "{what}");
}

fn change_limit(resource: libc::__rlimit_resource_t, by: u64) -> bool {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel writes a limit.
    assert_eq!(unsafe { libc::getrlimit(resource, &raw mut limit) }, 0);
    limit.rlim_max = limit.rlim_max.wrapping_add(by);
    // SAFETY: the kernel reads a limit.
    unsafe { libc::setrlimit(resource, &raw const limit) == 0 }
}

fn new_root() -> bool {
    // A directory tree of this thread's own, which begins elsewhere: but where /proc is still found.
    // SAFETY: the thread stops sharing its directories with the others.
    let alone = unsafe { libc::unshare(libc::CLONE_FS) == 0 };
    // SAFETY: the path is a C string.
    alone && unsafe { libc::chroot(c"/proc".as_ptr()) == 0 }
}

pub(crate) fn whoever_changes_what_only_exec_passes_on_gets_exec() {
    is_seen("groups", set_groups, "Groups");
    is_seen("capabilities", drop_bound, "CapBnd");
    is_seen("no_new_privs", be_modest, "NoNewPrivs");
    is_seen("seccomp", filter, "Seccomp:");
    is_seen("namespaces", unshare_names, "Umask");
    is_seen("scheduling class", batch, "Umask");
    is_seen("timer slack", slack, "Umask");
    is_seen("securebits", secure, "Umask");
    is_seen("I/O priority", wait_for_disks, "Umask");
    is_seen("personality", look_older, "Umask");
    is_seen("nice value", hurry, "Umask");
    is_seen("user", set_user, "Uid");
    let limit = libc::RLIMIT_MSGQUEUE;
    concerns_all("hard limit", || change_limit(limit, 1), || change_limit(limit, 1_u64.wrapping_neg()));
    let mortal = "/proc/self/oom_score_adj";
    let before = fs::read_to_string(mortal).unwrap();
    concerns_all("oom_score_adj", || fs::write(mortal, "999").is_ok(), || fs::write(mortal, before).is_ok());
    concerns_all("merged pages", || merge(true), || merge(false));
    // There, nothing can be executed, but neither does a child come from the zygote.
    let moved = thread::spawn(|| new_root().then(|| from_zygote().spawn(|| (), ()).map(drop))).join().unwrap();
    assert!(matches!(moved, None | Some(Err(_))), "{moved:?}");
    // SAFETY: a session of this process's own.
    if unsafe { libc::setsid() } != -1 {
        assert!(exec_is_the_default());
    }
}

pub(crate) fn whoever_forbids_itself_new_code_gets_exec() {
    const REFUSE_EXEC_GAIN: libc::c_ulong = 1;
    assert!(!exec_is_the_default());
    // SAFETY: changes an attribute of this process, for good.
    match unsafe { libc::prctl(libc::PR_SET_MDWE, REFUSE_EXEC_GAIN, 0, 0, 0) } {
        0 => assert!(exec_is_the_default()),
        _ => println!("new code: cannot be forbidden here"),
    }
}
