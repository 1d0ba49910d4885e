//! What a child starts with: its environment, directory, streams, descriptors and signals.

mod common;

use std::env;
use std::fs;
use std::mem;
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{self, Command};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use common::{starting, watchdog};
use crossproc::{Error, Exit, Process, ProcessError, Stdio, active_children, cpu_count};

crossproc::test_support!();

/// What holds for every start method.
macro_rules! as_started_by_exec {
    ($($test:ident)*) => {
        $(
            #[test]
            fn $test() {
                let _watchdog = watchdog();
                starting::$test(Process::builder);
            }
        )*
    };
}

as_started_by_exec! {
    a_child_has_its_parents_environment_with_changes
    a_child_starts_in_the_directory_asked_for
    a_directory_that_cannot_be_entered_is_an_error_that_names_it
    streams_go_where_they_are_sent
    null_streams_are_empty_and_swallow
    a_process_knows_itself_and_its_parent
}

#[test]
fn variables_that_no_environment_can_hold_are_an_error() {
    let _watchdog = watchdog();
    for (name, value) in [("", "value"), ("A=B", "value"), ("NUL\0", "value"), ("A", "nul\0")] {
        let error = Process::builder().env(name, value).spawn(|| (), ()).unwrap_err();
        assert_eq!(error.to_string(), format!("cannot set environment variable {name:?} in a new process"));
    }
}

#[test]
fn a_child_has_its_parents_arguments() {
    let _watchdog = watchdog();
    let arguments = Process::spawn(|| env::args().collect::<Vec<_>>(), ()).unwrap().join().unwrap();
    assert_eq!(arguments, env::args().collect::<Vec<_>>());
}

/// The descriptors of this process.
fn descriptors() -> Vec<i32> {
    // SAFETY: asks for a flag; no memory is involved.
    (0..4096).filter(|&descriptor| unsafe { libc::fcntl(descriptor, libc::F_GETFD) } != -1).collect()
}

#[test]
fn a_child_has_its_streams_and_one_socket_whatever_its_parent_opens() {
    let _watchdog = watchdog();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    // SAFETY: the path is a C string. The descriptors are not close-on-exec.
                    let opened = [(); 8].map(|()| unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDONLY) });
                    for descriptor in opened.into_iter().filter(|&descriptor| descriptor >= 0) {
                        // SAFETY: just opened, and nobody else's.
                        drop(unsafe { OwnedFd::from_raw_fd(descriptor) });
                    }
                }
            });
        }
        let found = (0..40).map(|_| Process::spawn(descriptors, ()).unwrap().join().unwrap()).collect::<Vec<_>>();
        stop.store(true, Ordering::Relaxed);
        assert!(found.iter().all(|found| found == &[0, 1, 2, 3]), "{found:?}");
    });
}

#[test]
fn descriptors_of_a_child_are_the_same_when_its_streams_are_its_parents_low_ones() {
    let _watchdog = watchdog();
    // In a process of its own, whose descriptors 0 to 2 are exchanged and whose socket ends are low numbers.
    let crossed = || {
        let (reader, writer) = std::io::pipe().unwrap();
        // SAFETY: closes this process's standard input, which is not used.
        unsafe { libc::close(0) };
        let process = Process::builder().stdout(writer).stderr(Stdio::null()).spawn(
            || {
                print!("{:?}", descriptors());
            },
            (),
        );
        let text = std::io::read_to_string(reader).unwrap();
        process.unwrap().join().unwrap();
        text
    };
    assert_eq!(Process::spawn(crossed, ()).unwrap().join().unwrap(), "[0, 1, 2, 3]");
}

fn mask() -> Vec<i32> {
    // SAFETY: integers only; all zeroes is a value.
    let mut set: libc::sigset_t = unsafe { mem::zeroed() };
    // SAFETY: asks for the mask.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, std::ptr::null(), &mut set) };
    // SAFETY: an initialised set.
    (1..=64).filter(|&signal| unsafe { libc::sigismember(&set, signal) } == 1).collect()
}

fn processors() -> Vec<usize> {
    // SAFETY: integers only; all zeroes is a value.
    let mut set: libc::cpu_set_t = unsafe { mem::zeroed() };
    // SAFETY: the kernel writes at most the size of the set.
    unsafe { libc::sched_getaffinity(0, mem::size_of_val(&set), &mut set) };
    // SAFETY: an initialised set, and a number in its range.
    (0..1024).filter(|&cpu| unsafe { libc::CPU_ISSET(cpu, &set) }).collect()
}

#[test]
fn a_child_inherits_mask_and_affinity_of_the_thread_that_starts_it() {
    let _watchdog = watchdog();
    let last = *processors().last().unwrap();
    let inside = thread::spawn(move || {
        // SAFETY: integers only; all zeroes is a value.
        let mut set: libc::sigset_t = unsafe { mem::zeroed() };
        // SAFETY: a set, and a signal's number.
        unsafe { libc::sigaddset(&mut set, libc::SIGUSR1) };
        // SAFETY: sets this thread's mask.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &set, std::ptr::null_mut()) };
        // SAFETY: integers only; all zeroes is a value.
        let mut cpus: libc::cpu_set_t = unsafe { mem::zeroed() };
        // SAFETY: a set, and a number in its range.
        unsafe { libc::CPU_SET(last, &mut cpus) };
        // SAFETY: sets this thread's affinity.
        unsafe { libc::sched_setaffinity(0, mem::size_of_val(&cpus), &cpus) };
        [false, true].map(|daemon| {
            let process = Process::builder().daemon(daemon).spawn(|| (mask(), processors()), ()).unwrap();
            process.join().unwrap()
        })
    });
    assert_eq!(inside.join().unwrap(), [(); 2].map(|()| (vec![libc::SIGUSR1], vec![last])));
    assert_eq!(Process::spawn(mask, ()).unwrap().join().unwrap(), mask());
}

#[test]
fn active_children_are_those_that_run() {
    let _watchdog = watchdog();
    let count = || {
        let start = |name: &str| Process::builder().name(name).spawn(thread::park, ()).unwrap();
        let (first, second) = (start("first"), start("second"));
        let names = || active_children().iter().map(|child| child.name().to_string()).collect::<Vec<_>>().join(" ");
        let both = names();
        first.kill().unwrap();
        first.wait();
        let one = names();
        second.kill().unwrap();
        let _ = second.join();
        [both, one, names()]
    };
    assert_eq!(Process::spawn(count, ()).unwrap().join().unwrap(), ["first second", "second", ""]);
}

#[test]
fn cpu_count_heeds_the_affinity() {
    let _watchdog = watchdog();
    assert!((1..=processors().len()).contains(&cpu_count()));
    let pinned = || {
        // SAFETY: integers only; all zeroes is a value.
        let mut cpus: libc::cpu_set_t = unsafe { mem::zeroed() };
        // SAFETY: a set, and a number in its range.
        unsafe { libc::CPU_SET(processors()[0], &mut cpus) };
        // SAFETY: sets this thread's affinity.
        unsafe { libc::sched_setaffinity(0, mem::size_of_val(&cpus), &cpus) };
        cpu_count()
    };
    assert_eq!(Process::spawn(pinned, ()).unwrap().join(), Ok(1));
}

#[test]
fn a_program_that_ends_before_init_never_started() {
    let _watchdog = watchdog();
    if !fs::read_to_string("/proc/self/maps").unwrap().contains("ld-linux") {
        return; // statically linked: there is no loader to end the program
    }
    let process =
        Process::builder().env("LD_TRACE_LOADED_OBJECTS", "1").stdout(Stdio::null()).spawn(|| (), ()).unwrap();
    let (name, pid) = (process.name().to_string(), process.pid());
    assert_eq!(process.join(), Err(ProcessError::NeverStarted { name, pid, exit: Exit::Code(0) }));
}

/// Switches the calling thread, alone, to an effective user and group; whether that was allowed.
fn act_as(user: libc::uid_t, group: libc::gid_t) -> bool {
    let unchanged = libc::uid_t::MAX;
    // SAFETY: changes credentials; no memory is involved.
    let grouped = unsafe { libc::syscall(libc::SYS_setresgid, unchanged, group, unchanged) } == 0;
    // SAFETY: as above.
    grouped && unsafe { libc::syscall(libc::SYS_setresuid, unchanged, user, unchanged) } == 0
}

#[test]
fn a_process_that_acts_for_another_user_starts_none() {
    let _watchdog = watchdog();
    for (user, group) in [(65534, 0), (0, 65534)] {
        let acting = |user, group| act_as(user, group).then(|| Process::spawn(|| (), ()).map(drop));
        match Process::spawn(acting, (user, group)).unwrap().join().unwrap() {
            None => return, // only root may do that
            Some(outcome) => assert!(matches!(outcome, Err(Error::Unsupported { .. })), "{outcome:?}"),
        }
    }
}

#[test]
fn a_child_of_another_user_ends_rather_than_run_the_program() {
    let _watchdog = watchdog();
    let start = || {
        if !act_as(65534, 0) {
            return None; // only root may do that
        }
        let mut ends = [-1; 2];
        // SAFETY: there is room for two descriptors, of which the second is to survive exec.
        let answer = unsafe { libc::socketpair(libc::AF_UNIX, libc::SOCK_SEQPACKET, 0, ends.as_mut_ptr()) };
        assert!(answer == 0 && act_as(0, 0));
        let message = b"crossp\0\x01";
        // SAFETY: the kernel reads as many bytes as there are.
        assert_eq!(unsafe { libc::send(ends[0], message.as_ptr().cast(), message.len(), 0) }, 8);
        let mut command = Command::new("/proc/self/exe");
        command.arg("--list").stdout(process::Stdio::null());
        let take_place = move || {
            // SAFETY: copies a descriptor; no memory is involved.
            unsafe { libc::dup2(ends[1], 3) };
            Ok(())
        };
        // SAFETY: the function makes one system call.
        unsafe { command.pre_exec(take_place) };
        command.status().unwrap().code()
    };
    let code = Process::spawn(start, ()).unwrap().join().unwrap();
    assert!(matches!(code, None | Some(1)), "{code:?}");
}

#[test]
fn arguments_and_results_beyond_the_size_of_files_are_an_error() {
    let _watchdog = watchdog();
    let limited = || {
        let limit = libc::rlimit { rlim_cur: 4096, rlim_max: 4096 };
        // SAFETY: the kernel reads one limit.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_FSIZE, &limit) }, 0);
        let sent = Process::spawn(|bytes: Vec<u8>| bytes.len(), (vec![0_u8; 1 << 20],)).map(drop);
        let Err(ProcessError::Failed { source, .. }) = Process::spawn(|| vec![0_u8; 1 << 20], ()).unwrap().join()
        else {
            panic!("there was room")
        };
        (sent, *source)
    };
    let (sent, returned) = Process::spawn(limited, ()).unwrap().join().unwrap();
    assert!(matches!(sent, Err(Error::NoSpace { needed: 0x10_0000.., available: 4096 })), "{sent:?}");
    assert!(matches!(returned, Error::NoSpace { needed: 0x10_0000.., available: 4096 }), "{returned:?}");
}

#[test]
fn a_program_started_through_the_loader_starts_no_processes() {
    let _watchdog = watchdog();
    const INSIDE: &str = "CROSSPROC_TEST_LOADER";
    if env::var_os(INSIDE).is_some() {
        let error = Process::spawn(|| (), ()).unwrap_err();
        assert_eq!(error.to_string(), "a program started through the dynamic loader is not supported here");
        println!("refused");
        return;
    }
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let loader = maps.lines().filter_map(|line| line.split_whitespace().nth(5)).find(|path| path.contains("/ld-linux"));
    let Some(loader) = loader else { return }; // statically linked
    let mut command = Command::new(loader);
    command.arg(env::current_exe().unwrap()).args(["--exact", thread::current().name().unwrap(), "--nocapture"]);
    let output = command.env(INSIDE, "").output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("refused"), "{output:?}");
}

/// Nice value, and whether exec may add privileges: attributes of a thread.
fn attributes() -> (i32, bool) {
    // SAFETY: has no preconditions.
    let nice = unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) };
    // SAFETY: asks for an attribute.
    (nice, unsafe { libc::prctl(libc::PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) } == 1)
}

#[test]
fn a_child_inherits_niceness_and_modesty_of_the_thread_that_starts_it() {
    let _watchdog = watchdog();
    let start = || {
        thread::spawn(|| {
            // SAFETY: changes an attribute of this thread.
            assert_eq!(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 7) }, 0);
            // SAFETY: as above.
            assert_eq!(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }, 0);
            [false, true].map(|daemon| Process::builder().daemon(daemon).spawn(attributes, ()).unwrap().join().unwrap())
        })
    };
    // First a daemon of a thread that changed nothing: it has the launcher's thread made.
    let plain = || thread::spawn(|| Process::builder().daemon(true).spawn(attributes, ()).unwrap().join().unwrap());
    assert_eq!(plain().join().unwrap(), attributes());
    assert_eq!(start().join().unwrap(), [(7, true); 2]);
    assert_eq!(plain().join().unwrap(), attributes());
}
