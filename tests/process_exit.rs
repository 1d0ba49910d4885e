//! What becomes of children when their parent ends, and of what they leave behind.

mod common;

use std::fs;
use std::io::{BufRead, BufReader, PipeReader, PipeWriter, Read, Write, pipe, stdin};
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use common::watchdog;
use crossproc::{Error, Exit, Process, ProcessBuilder, Stdio, TryJoinError, active_children, parent};

crossproc::test_support!();

const SHORT: Duration = Duration::from_millis(100);

fn park() {
    loop {
        thread::park();
    }
}

fn exit_with(code: i32) {
    std::process::exit(code)
}

/// Blocks until standard input ends.
fn wait_for_input() -> String {
    std::io::read_to_string(stdin()).unwrap()
}

/// Two pipes, for a child that reads one and writes the other.
fn piped() -> (ProcessBuilder, PipeWriter, BufReader<PipeReader>) {
    let (input, to_child) = pipe().unwrap();
    let (from_child, output) = pipe().unwrap();
    (Process::builder().stdin(input).stdout(output), to_child, BufReader::new(from_child))
}

fn rest(mut reader: impl Read) -> String {
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn children_are_waited_for_at_their_parents_exit() {
    let _watchdog = watchdog();
    for code in [None, Some(5)] {
        let (builder, to_child, from_child) = piped();
        let start = |code: Option<i32>| {
            let report = || {
                wait_for_input();
                println!("parent alive: {}", parent().unwrap().is_alive());
            };
            Process::spawn(report, ()).unwrap();
            if let Some(code) = code {
                std::process::exit(code);
            }
        };
        let process = builder.spawn(start, (code,)).unwrap();
        let Err(TryJoinError::Running(process)) = process.join_timeout(SHORT) else { panic!("did not wait") };
        drop(to_child);
        assert_eq!(process.wait(), Exit::Code(code.unwrap_or(0)));
        assert_eq!(rest(from_child), "parent alive: true\n");
    }
}

#[test]
fn daemons_are_ended_at_their_parents_exit() {
    let _watchdog = watchdog();
    for stubborn in [false, true] {
        let (builder, _to_child, mut from_child) = piped();
        let start = |stubborn: bool| {
            let daemon = |stubborn: bool| {
                if stubborn {
                    // SAFETY: ignoring a signal installs no code.
                    unsafe { libc::signal(libc::SIGTERM, libc::SIG_IGN) };
                }
                println!("ready");
                park();
            };
            let (mut ready, output) = pipe().unwrap();
            let daemon = Process::builder().daemon(true).stdout(output).spawn(daemon, (stubborn,)).unwrap();
            ready.read_exact(&mut [0; 6]).unwrap();
            println!("{}", daemon.pid());
        };
        let process = builder.spawn(start, (stubborn,)).unwrap();
        let mut pid = String::new();
        from_child.read_line(&mut pid).unwrap();
        process.join().unwrap();
        assert!(!Path::new("/proc").join(pid.trim()).exists());
    }
}

#[test]
fn a_killed_parent_takes_its_daemons_along() {
    let _watchdog = watchdog();
    for from_main_thread in [true, false] {
        let (builder, _to_child, mut from_child) = piped();
        let start = |from_main_thread: bool| {
            let start = || {
                let say = || {
                    println!("ready");
                    park();
                };
                Process::builder().daemon(true).spawn(say, ()).unwrap();
            };
            if from_main_thread {
                start();
            } else {
                thread::spawn(start).join().unwrap();
            }
            park();
        };
        let process = builder.spawn(start, (from_main_thread,)).unwrap();
        from_child.read_line(&mut String::new()).unwrap();
        process.kill().unwrap();
        // The daemon parks for ever: that its output ends at all means that it was killed, too.
        assert_eq!(rest(from_child), "");
    }
}

/// Gives up a capability that exec gives back to root.
fn drop_capability() {
    #[repr(C)]
    #[derive(Default, Clone, Copy)]
    struct Capabilities {
        effective: u32,
        permitted: u32,
        inheritable: u32,
    }
    // _LINUX_CAPABILITY_VERSION_3, and this thread.
    let header = [0x2008_0522_u32, 0];
    let mut capabilities = [Capabilities::default(); 2];
    // SAFETY: version 3 has two structs, which the kernel fills in.
    assert_eq!(unsafe { libc::syscall(libc::SYS_capget, &header, &mut capabilities) }, 0);
    capabilities[0].effective &= !1; // CAP_CHOWN
    capabilities[0].permitted &= !1;
    // SAFETY: as above; it reads them.
    assert_eq!(unsafe { libc::syscall(libc::SYS_capset, &header, &capabilities) }, 0);
}

#[test]
fn a_daemon_that_regains_capabilities_dies_with_its_parent_too() {
    let _watchdog = watchdog();
    let (builder, _to_child, mut from_child) = piped();
    let start = || {
        drop_capability();
        let say = || {
            println!("ready");
            park();
        };
        Process::builder().daemon(true).spawn(say, ()).unwrap();
        park();
    };
    let process = builder.spawn(start, ()).unwrap();
    from_child.read_line(&mut String::new()).unwrap();
    process.kill().unwrap();
    assert_eq!(rest(from_child), "");
}

#[test]
fn a_killed_parent_leaves_other_children_alone() {
    let _watchdog = watchdog();
    let (builder, to_child, mut from_child) = piped();
    let start = || {
        let answer = || {
            println!("ready");
            wait_for_input();
            println!("parent alive: {}", parent().unwrap().is_alive());
        };
        Process::spawn(answer, ()).unwrap();
        park();
    };
    let process = builder.spawn(start, ()).unwrap();
    from_child.read_line(&mut String::new()).unwrap();
    process.kill().unwrap();
    process.wait();
    drop(to_child);
    assert_eq!(rest(from_child), "parent alive: false\n");
}

#[test]
fn a_daemon_outlives_the_thread_that_started_it() {
    let _watchdog = watchdog();
    let (builder, mut to_child, _from_child) = piped();
    let (daemon, thread) = thread::spawn(|| {
        let daemon = builder.daemon(true).spawn(wait_for_input, ()).unwrap();
        // SAFETY: has no preconditions.
        (daemon, unsafe { libc::gettid() })
    })
    .join()
    .unwrap();
    // The kernel takes the thread apart a moment after it has been joined.
    while Path::new("/proc/self/task").join(thread.to_string()).exists() {
        thread::yield_now();
    }
    to_child.write_all(b"still here").unwrap();
    drop(to_child);
    assert_eq!(daemon.join().unwrap(), "still here");
}

#[test]
fn an_exiting_process_starts_no_more() {
    let _watchdog = watchdog();
    let (builder, to_child, mut from_child) = piped();
    let start = || {
        Process::spawn(wait_for_input, ()).unwrap();
        thread::spawn(|| {
            loop {
                match Process::spawn(|| (), ()) {
                    Ok(process) => process.join().unwrap(),
                    Err(error) => return println!("{}", error == Error::Exiting),
                }
            }
        });
    };
    let process = builder.spawn(start, ()).unwrap();
    let mut answer = String::new();
    from_child.read_line(&mut answer).unwrap();
    assert_eq!(answer, "true\n");
    drop(to_child);
    process.join().unwrap();
}

#[test]
fn a_forked_copy_leaves_its_parents_children_alone() {
    let _watchdog = watchdog();
    let fork = || {
        let daemon = Process::builder().daemon(true).spawn(park, ()).unwrap();
        let other = Process::spawn(park, ()).unwrap();
        // SAFETY: this process has one thread, so that its copy may do anything.
        match unsafe { libc::fork() } {
            0 => {
                let inherited = active_children().len();
                let own = Process::spawn(|a: i32| a + 1, (1,)).unwrap().join().unwrap();
                assert!(daemon.is_alive());
                std::process::exit(i32::from(inherited != 0 || own != 2))
            }
            copy => {
                let mut status = -1;
                // SAFETY: `copy` is ours, and `status` outlives the call.
                unsafe { libc::waitpid(copy, &mut status, 0) };
                let alive = (daemon.exit(), other.exit());
                let listed = active_children().len();
                other.kill().unwrap();
                (status, alive, listed)
            }
        }
    };
    assert_eq!(Process::spawn(fork, ()).unwrap().join().unwrap(), (0, (None, None), 2));
}

#[test]
fn a_forked_copy_of_a_child_does_not_answer_in_its_place() {
    let _watchdog = watchdog();
    for panics in [false, true] {
        let fork = |panics: bool| {
            // SAFETY: this process has one thread, so that its copy may do anything.
            match unsafe { libc::fork() } {
                0 if panics => panic!("the copy"),
                0 => "copy".to_string(),
                copy => {
                    let mut status = -1;
                    // SAFETY: `copy` is ours, and `status` outlives the call.
                    unsafe { libc::waitpid(copy, &mut status, 0) };
                    format!("child, its copy exited with {}", libc::WEXITSTATUS(status))
                }
            }
        };
        let process = Process::builder().stderr(Stdio::null()).spawn(fork, (panics,)).unwrap();
        let code = if panics { 101 } else { 0 };
        assert_eq!(process.join().unwrap(), format!("child, its copy exited with {code}"));
    }
}

#[test]
fn an_exit_that_nobody_collects_is_known_or_unknown() {
    let _watchdog = watchdog();
    let ignoring = || {
        // SAFETY: ignoring a signal installs no code.
        unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
        let exits = (0..20).map(|code| Process::spawn(exit_with, (code,)).unwrap().wait()).collect::<Vec<_>>();
        let result = Process::spawn(|| 7, ()).unwrap().join().unwrap();
        (exits, result)
    };
    let (exits, result) = Process::spawn(ignoring, ()).unwrap().join().unwrap();
    assert_eq!(result, 7);
    for (code, exit) in (0..).zip(exits) {
        assert!(exit == Exit::Code(code) || exit == Exit::Unknown, "{exit:?} for {code}");
    }
}

#[test]
fn a_status_collected_by_somebody_else_is_known_or_unknown() {
    let _watchdog = watchdog();
    let robbed = || {
        let process = Process::spawn(|| 8, ()).unwrap();
        let mut status = 0;
        // SAFETY: a child of this process, collected behind crossproc's back.
        unsafe { libc::waitpid(process.pid() as i32, &mut status, 0) };
        (process.wait(), process.exit(), process.join().unwrap())
    };
    let (waited, exit, result) = Process::spawn(robbed, ()).unwrap().join().unwrap();
    assert_eq!((Some(waited), result), (exit, 8));
    assert!(waited == Exit::Code(0) || waited == Exit::Unknown, "{waited:?}");
}

/// Runs `work` in a process of its own, and fails if it leaves a zombie or a descriptor behind.
fn leaves_nothing(work: impl Fn()) {
    let descriptors = || fs::read_dir("/proc/self/fd").unwrap().count();
    Process::spawn(|| (), ()).unwrap().join().unwrap();
    let before = descriptors();
    work();
    assert_eq!(descriptors(), before);
    // SAFETY: collects any child, of which there must be none.
    assert_eq!(unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) }, -1);
    assert_eq!(std::io::Error::last_os_error().raw_os_error(), Some(libc::ECHILD));
}

#[test]
fn a_hundred_processes_run_at_once_and_leave_nothing() {
    let _watchdog = watchdog();
    let hundred = || {
        leaves_nothing(|| {
            let (input, to_children) = pipe().unwrap();
            let start = |_| Process::builder().stdin(input.try_clone().unwrap()).spawn(wait_for_input, ()).unwrap();
            let processes: Vec<_> = (0..100).map(start).collect();
            assert!(processes.iter().all(|process| process.is_alive()));
            assert_eq!(active_children().len(), 100);
            drop(to_children);
            for process in processes {
                assert_eq!(process.join().unwrap(), "");
            }
        });
    };
    Process::spawn(hundred, ()).unwrap().join().unwrap();
}

#[test]
fn a_hundred_processes_are_terminated_and_leave_nothing() {
    let _watchdog = watchdog();
    let hundred = || {
        leaves_nothing(|| {
            let processes: Vec<_> = (0..100).map(|_| Process::spawn(park, ()).unwrap()).collect();
            for process in &processes {
                process.terminate().unwrap();
            }
            for process in &processes {
                assert_eq!(process.wait(), Exit::Signal(libc::SIGTERM));
            }
            drop(processes);
            assert!(active_children().is_empty());
        });
    };
    Process::spawn(hundred, ()).unwrap().join().unwrap();
}

#[test]
fn failed_starts_leave_nothing() {
    let _watchdog = watchdog();
    let failing = || {
        leaves_nothing(|| {
            for _ in 0..10 {
                Process::builder().current_dir("/no/where").spawn(|| (), ()).unwrap_err();
            }
        });
    };
    Process::spawn(failing, ()).unwrap().join().unwrap();
}

#[test]
fn a_process_without_room_for_descriptors_waits_for_its_children() {
    let _watchdog = watchdog();
    let poor = || {
        let (input, to_child) = pipe().unwrap();
        let process = Process::builder().stdin(input).spawn(wait_for_input, ()).unwrap();
        let (input, to_other) = pipe().unwrap();
        Process::builder().stdin(input).spawn(wait_for_input, ()).unwrap();
        let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: the kernel reads one limit.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &none) }, 0);
        let asked = Instant::now();
        let Err(TryJoinError::Running(process)) = process.join_timeout(SHORT) else { panic!("did not wait") };
        assert!(asked.elapsed() >= SHORT);
        drop((to_child, to_other));
        process.join().unwrap()
    };
    assert_eq!(Process::spawn(poor, ()).unwrap().join().unwrap(), "");
}

#[test]
fn the_end_of_a_traced_process_is_waited_for_until_its_tracer_lets_it_go() {
    let _watchdog = watchdog();
    let trace = |pid: i32| {
        // SAFETY: attaches to a process; no memory is involved.
        let attached = unsafe { libc::ptrace(libc::PTRACE_SEIZE, pid, 0, 0) } == 0;
        println!("{attached}");
        wait_for_input();
        // SAFETY: no status is asked for.
        attached && unsafe { libc::waitpid(pid, std::ptr::null_mut(), libc::__WALL) } == pid
    };
    let process = Process::spawn(park, ()).unwrap();
    let (builder, to_tracer, mut from_tracer) = piped();
    let tracer = builder.spawn(trace, (process.pid() as i32,)).unwrap();
    let mut attached = String::new();
    from_tracer.read_line(&mut attached).unwrap();
    process.kill().unwrap();
    if attached == "true\n" {
        let mut entry = libc::pollfd { fd: process.as_fd().as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one entry, which outlives the call.
        while unsafe { libc::poll(&raw mut entry, 1, -1) } != 1 {}
        let asked = Instant::now();
        assert_eq!(process.wait_timeout(SHORT), None);
        assert!(asked.elapsed() >= SHORT);
    }
    drop(to_tracer);
    assert_eq!(process.wait(), Exit::Signal(libc::SIGKILL));
    assert_eq!(tracer.join().unwrap(), attached == "true\n"); // where tracing is forbidden, there is nothing to see
}
