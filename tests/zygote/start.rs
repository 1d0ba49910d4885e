//! What a child starts with, and what comes back from it.

use std::env;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::mem;
use std::os::fd::IntoRawFd;
use std::ptr;
use std::thread;

use crossproc::{Exit, ProcessError, Stdio, Value};

use crate::common::processes::forked;
use crate::common::starting;
use crate::facts::{Facts, descriptors, exec_number, facts};
use crate::zygotes::{exec_is_the_default, executed, from_zygote, nobody_is_left_behind, own_zygote};

pub(crate) fn results_come_back() {
    assert_eq!(from_zygote().spawn(u64::pow, (2, 10)).unwrap().join(), Ok(1024));
    let bytes = vec![7_u8; 3 << 20];
    let back = from_zygote().spawn(|bytes: Vec<u8>| bytes, (&bytes,)).unwrap().join().unwrap();
    assert!(back == bytes);
    let values: Vec<_> = (0..300).map(|n| Value::new(n).unwrap()).collect();
    let add = |values: Vec<Value<i32>>| values.iter().map(|value| value.update(|n| n + 1)).sum::<i32>();
    assert_eq!(from_zygote().spawn(add, (&values,)).unwrap().join().unwrap(), (1..=300).sum());
    assert!(values.iter().zip(1..).all(|(value, n)| value.get() == n));
}

pub(crate) fn failures_come_back() {
    for code in [0, 1, 77, 101, 255] {
        let process = from_zygote().spawn(|code: i32| -> () { std::process::exit(code) }, (code,)).unwrap();
        assert_eq!(process.wait(), Exit::Code(code));
        assert!(matches!(process.join(), Err(ProcessError::Ended { exit, .. }) if exit == Exit::Code(code)));
    }
    let start = || from_zygote().spawn(thread::park, ()).unwrap();
    let (killed, asked, interrupted) = (start(), start(), start());
    killed.kill().unwrap();
    asked.terminate().unwrap();
    interrupted.interrupt().unwrap();
    let exits = [&killed, &asked, &interrupted].map(|process| process.wait());
    assert_eq!(exits, [libc::SIGKILL, libc::SIGTERM, libc::SIGINT].map(Exit::Signal));
    let fail = |reason: String| -> () { panic!("no luck: {reason}") };
    let error = from_zygote().stderr(Stdio::null()).spawn(fail, ("rain",)).unwrap().join().unwrap_err();
    assert!(
        matches!(&error, ProcessError::Panicked { message, location, .. }
            if message == "no luck: rain" && location.starts_with("tests/zygote/start.rs:")),
        "{error:?}"
    );
    let odd = from_zygote().spawn(|| Err::<(), _>("odd".to_string()), ()).unwrap();
    assert_eq!(odd.wait(), Exit::Code(1));
    assert_eq!(odd.join().unwrap(), Err("odd".to_string()));
}

pub(crate) fn children_are_copies_with_descriptors_of_their_own() {
    let opened: Vec<_> = (0..8)
        .map(|_| {
            // SAFETY: the path is a C string. The descriptor is not close-on-exec.
            unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDONLY) }
        })
        .collect();
    assert!(opened.iter().all(|&descriptor| descriptor > 3));
    let look = || (exec_number(), descriptors());
    assert_eq!(from_zygote().spawn(look, ()).unwrap().join().unwrap(), (exec_number(), vec![0, 1, 2, 3]));
    let (number, open) = executed().spawn(look, ()).unwrap().join().unwrap();
    assert!(number != exec_number() && open == [0, 1, 2, 3]);
    assert!(!exec_is_the_default());
    // Its streams, its socket and its parent, once it is done with the next child.
    let of_the_zygote = || std::fs::read_dir(format!("/proc/{}/fd", own_zygote())).unwrap().count();
    while of_the_zygote() != 5 {
        thread::yield_now();
    }
}

/// Those of a child from the zygote and of an executed one.
fn of_both() -> [Facts; 2] {
    [from_zygote(), executed()].map(|builder| builder.spawn(facts, ()).unwrap().join().unwrap())
}

pub(crate) fn a_child_has_what_the_thread_that_starts_it_has() {
    let [first, same] = of_both();
    assert_eq!(first, same);
    let directory = env::temp_dir().join(format!("crossproc-zygote-{}", std::process::id()));
    std::fs::create_dir(&directory).unwrap();
    env::set_current_dir(&directory).unwrap();
    // It need not have a path any more; `facts` asks for one, though.
    // SAFETY: no other thread reads or writes the environment.
    unsafe { env::set_var("CROSSPROC_TEST", "changed") };
    // SAFETY: sets an attribute.
    unsafe { libc::umask(0o077) };
    for (resource, soft) in [(libc::RLIMIT_NOFILE, 100), (libc::RLIMIT_CORE, 0), (libc::RLIMIT_STACK, 1 << 20)] {
        let limit = libc::rlimit { rlim_cur: soft, rlim_max: soft };
        // SAFETY: the kernel reads one limit.
        assert_eq!(unsafe { libc::setrlimit(resource, &limit) }, 0);
    }
    for (signal, action) in
        [(libc::SIGUSR1, libc::SIG_IGN), (libc::SIGHUP, libc::SIG_IGN), (libc::SIGPIPE, libc::SIG_DFL)]
    {
        // SAFETY: installs no code.
        unsafe { libc::signal(signal, action) };
    }
    // SAFETY: a new group of this process alone.
    assert_eq!(unsafe { libc::setpgid(0, 0) }, 0);
    let changed = thread::spawn(|| {
        // SAFETY: integers only; all zeroes is a value.
        let mut set: libc::sigset_t = unsafe { mem::zeroed() };
        for signal in [libc::SIGUSR2, libc::SIGRTMAX()] {
            // SAFETY: a set, and a signal's number.
            unsafe { libc::sigaddset(&mut set, signal) };
        }
        // SAFETY: sets this thread's mask.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &set, ptr::null_mut()) };
        let cpus = 1_u64;
        // SAFETY: the kernel reads one word. It is not always allowed, which is no matter.
        unsafe { libc::sched_setaffinity(0, 8, ptr::from_ref(&cpus).cast()) };
        // SAFETY: sets an attribute of this thread.
        assert_eq!(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 19) }, 0);
        of_both()
    });
    let [zygotes, executed] = changed.join().unwrap();
    assert_eq!(zygotes, executed);
    assert!(zygotes != first);
    // A directory that has no path any more is inherited, too.
    std::fs::remove_dir(&directory).unwrap();
    let is_nowhere = || env::current_dir().is_err();
    assert_eq!(from_zygote().spawn(is_nowhere, ()).unwrap().join(), Ok(true));
}

/// Those of this process, as they are now, are the child's: also one that it has closed.
pub(crate) fn closed_streams_are_null() {
    let streams = || [0, 1, 2].map(|n| std::fs::read_link(format!("/proc/self/fd/{n}")).unwrap().display().to_string());
    let before = streams();
    let file = File::open("/proc/self/status").unwrap().into_raw_fd();
    // SAFETY: replaces this process's standard input, which nobody uses.
    assert_eq!(unsafe { libc::dup2(file, 0) }, 0);
    // SAFETY: closes this process's standard output, which nobody uses from now on.
    unsafe { libc::close(1) };
    let [zygotes, executed] =
        [from_zygote(), executed()].map(|builder| builder.spawn(streams, ()).unwrap().join().unwrap());
    assert_eq!(zygotes, executed);
    assert!(zygotes[0].ends_with("/status"), "{zygotes:?}");
    assert_eq!([&*zygotes[1], &zygotes[2]], ["/dev/null", &before[2]]);
}

/// The name of the test, for `main`.
pub(crate) const ENDS: &str = "a_child_ends_as_a_program_does";

/// Also what this process had not written before it made its zygote is written once: `main` prints a word first.
pub(crate) fn a_child_ends_as_a_program_does() {
    extern "C" fn last() {
        print!(" at exit");
    }
    let linger = || {
        // SAFETY: the handler is code of this program, and does not unwind.
        assert_eq!(unsafe { libc::atexit(last) }, 0);
        thread::spawn(|| {
            loop {
                std::hint::spin_loop();
            }
        });
        print!("returned,");
    };
    let (output, writer) = std::io::pipe().unwrap();
    let process = from_zygote().stdout(writer).spawn(linger, ()).unwrap();
    assert_eq!(std::io::read_to_string(output).unwrap(), "returned, at exit");
    assert_eq!(process.wait(), Exit::Code(0));
}

/// More than a packet holds; and the child may change it.
pub(crate) fn a_long_environment_is_the_childs_own() {
    let long = "x".repeat(100_000);
    let change = || {
        // SAFETY: this process has one thread.
        unsafe { env::set_var("C", "3") };
        // SAFETY: as above.
        unsafe { env::remove_var("B") };
        env::vars().map(|(name, value)| name.len() + value.len()).sum::<usize>()
    };
    let process = from_zygote().env_clear().env("A", &long).env("B", "x=y").spawn(change, ()).unwrap();
    assert_eq!(process.join().unwrap(), 100_001 + 2);
}

pub(crate) fn a_start_that_fails_leaves_no_child() {
    starting::a_directory_that_cannot_be_entered_is_an_error_that_names_it(from_zygote);
    nobody_is_left_behind();
}

/// What holds for every start method.
macro_rules! as_started_by_the_zygote {
    ($($test:ident)*) => {
        $(
            pub(crate) fn $test() {
                starting::$test(from_zygote);
            }
        )*
    };
}

as_started_by_the_zygote! {
    a_child_has_its_parents_environment_with_changes
    a_child_starts_in_the_directory_asked_for
    streams_go_where_they_are_sent
    null_streams_are_empty_and_swallow
    a_process_knows_itself_and_its_parent
}

pub(crate) fn children_share_no_seeds() {
    let seed = || RandomState::new().hash_one(());
    let mut seeds: Vec<_> = (0..20).map(|_| from_zygote().spawn(seed, ()).unwrap().join().unwrap()).collect();
    seeds.push(seed());
    seeds.sort_unstable();
    seeds.dedup();
    assert_eq!(seeds.len(), 21);
}

/// What the C library notes of a thread is that of the child. A thread's clock has its number in it (CPUCLOCK_SCHED, of a
/// thread).
pub(crate) fn the_c_library_knows_the_childs_thread() {
    let noted = || {
        let mut clock = 0;
        // SAFETY: has no preconditions.
        let own = unsafe { libc::pthread_self() };
        // SAFETY: the calling thread, and a place for the answer.
        assert_eq!(unsafe { libc::pthread_getcpuclockid(own, &mut clock) }, 0);
        (!clock >> 3) as u32 == std::process::id()
    };
    assert!(noted());
    assert_eq!(from_zygote().spawn(noted, ()).unwrap().join(), Ok(true));
    // SAFETY: has no preconditions.
    let abort = || -> () { unsafe { libc::abort() } };
    assert_eq!(from_zygote().spawn(abort, ()).unwrap().wait(), Exit::Signal(libc::SIGABRT));
    let robust_list = || {
        let (mut head, mut length) = (0_usize, 0_usize);
        // SAFETY: the kernel writes a pointer and a length.
        assert_eq!(unsafe { libc::syscall(libc::SYS_get_robust_list, 0, &raw mut head, &raw mut length) }, 0);
        (head, length)
    };
    assert_eq!(from_zygote().spawn(robust_list, ()).unwrap().join().unwrap(), robust_list());
    let threads = || (0..8).map(|n| thread::spawn(move || n)).map(|thread| thread.join().unwrap()).sum::<u32>();
    assert_eq!(from_zygote().spawn(threads, ()).unwrap().join(), Ok(28));
}

pub(crate) fn a_copy_of_a_child_is_told_apart() {
    let fork = |value: Value<i32>| {
        let mut guard = value.lock().unwrap();
        *guard += 1;
        let inert = forked(|| value.try_lock().is_err());
        drop(guard);
        inert && forked(|| value.update(|n| n + 1) == 2)
    };
    let value = Value::new(0).unwrap();
    assert_eq!(from_zygote().spawn(fork, (&value,)).unwrap().join(), Ok(true));
    assert_eq!(value.get(), 2);
}
