//! Whose children they are, and what becomes of them and of the zygote when somebody dies.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio as Streams};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use crossproc::{Error, Exit, Process, RawValue, Value, active_children, current, parent};

use crate::common::processes::signal;
use crate::common::watchdog;
use crate::facts::{children_of, exec_number};
use crate::zygotes::{
    end_of, exec_is_the_default, executed, from_zygote, nobody_is_left_behind, own_zygote, spare, wait_for,
};

/// Has this program start a thread before all else.
pub(crate) const AFTER_A_THREAD: &str = "--after-a-thread";
/// Has this program be what the next argument says.
pub(crate) const PARENT: &str = "--parent";

fn park() {
    loop {
        thread::park();
    }
}

/// A status that a plain wait finds, or that there is nothing to find.
fn waited_for() -> Option<i32> {
    let mut status = 0;
    // SAFETY: `status` outlives the call.
    let pid = unsafe { libc::waitpid(-1, &mut status, libc::WNOHANG) };
    (pid != -1).then_some(pid)
}

pub(crate) fn children_are_nobody_elses_to_wait_for() {
    static SIGNALS: AtomicU32 = AtomicU32::new(0);
    extern "C" fn count(_: libc::c_int) {
        SIGNALS.fetch_add(1, Ordering::Relaxed);
    }
    // SAFETY: the handler adds to an atomic number.
    unsafe { libc::signal(libc::SIGCHLD, count as *const () as libc::sighandler_t) };
    assert_eq!(waited_for(), None); // not even one that runs
    let process = from_zygote().spawn(|| -> () { std::process::exit(7) }, ()).unwrap();
    wait_for(&end_of(process.pid()));
    assert_eq!(waited_for(), None);
    assert_eq!(process.wait(), Exit::Code(7));
    // SAFETY: installs no code.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
    assert_eq!(from_zygote().spawn(|| -> () { std::process::exit(8) }, ()).unwrap().wait(), Exit::Code(8));
    nobody_is_left_behind();
    assert_eq!(SIGNALS.load(Ordering::Relaxed), 0);
}

/// A parent for tests to kill, to interrupt or to see exit. It says who its zygote is, and its children say when they run.
pub(crate) fn act_as_parent(role: &str) -> ExitCode {
    let _watchdog = watchdog();
    if let Some(starts) = role.strip_prefix("killer ") {
        kill_after(starts.parse().unwrap());
        return ExitCode::SUCCESS;
    }
    println!("zygote {}", own_zygote());
    let ready = |name: String| {
        println!("{name}");
        park();
    };
    let daemon = move |name: &str| drop(from_zygote().daemon(true).spawn(ready, (name,)).unwrap());
    match role {
        "daemons" => {
            daemon("main thread's");
            thread::spawn(move || daemon("other thread's")).join().unwrap();
            park();
        }
        "spare" | "other user" => {
            from_zygote().spawn(|| (), ()).unwrap().join().unwrap();
            println!("{}", spare());
            if role == "other user" {
                // SAFETY: changes this process's credentials, where it may; no memory is involved.
                unsafe { libc::setresuid(65534, 65534, 65534) };
            }
            // SAFETY: the copy waits for the end of its input, as no other thread's doing is in its way.
            if unsafe { libc::fork() } == 0 {
                println!("copied");
                std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
                std::process::exit(0);
            }
            park();
        }
        "waiter" => {
            daemon("daemon");
            let answer = || {
                std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
                println!("parent alive: {}", parent().unwrap().is_alive());
            };
            drop(from_zygote().spawn(answer, ()).unwrap());
        }
        "interrupted" => {
            // SAFETY: installs no code.
            unsafe { libc::signal(libc::SIGINT, libc::SIG_IGN) };
            let own = from_zygote().spawn(park, ()).unwrap();
            // SAFETY: of the group that the test has made, so that it concerns this process and its children alone.
            assert_eq!(unsafe { libc::kill(0, libc::SIGINT) }, 0);
            assert!(own.is_alive(), "it ignores what its parent ignores");
            own.kill().unwrap();
            assert_eq!(from_zygote().spawn(|| 7, ()).unwrap().join(), Ok(7));
            // SAFETY: installs no code.
            unsafe { libc::signal(libc::SIGINT, libc::SIG_DFL) };
            let all = from_zygote().spawn(ready, ("ready",)).unwrap();
            assert!(all.is_alive());
            park();
        }
        other => panic!("{other}"),
    }
    ExitCode::SUCCESS
}

pub(crate) struct Parent {
    pub(crate) process: std::process::Child,
    pub(crate) lines: BufReader<std::process::ChildStdout>,
    pub(crate) zygote: std::os::fd::OwnedFd,
}

pub(crate) fn start_parent(role: &str) -> Parent {
    let mut command = Command::new("/proc/self/exe");
    let command = command.args([PARENT, role]).stdin(Streams::piped()).stdout(Streams::piped()).process_group(0);
    let mut process = command.spawn().unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap());
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    let zygote = end_of(line.trim().strip_prefix("zygote ").unwrap().parse().unwrap());
    Parent { process, lines, zygote }
}

fn rest(mut lines: impl Read) -> String {
    let mut text = String::new();
    lines.read_to_string(&mut text).unwrap();
    text
}

pub(crate) fn a_killed_parent_takes_daemons_and_zygote_along() {
    let mut parent = start_parent("daemons");
    let mut names = [(); 2].map(|()| {
        let mut line = String::new();
        parent.lines.read_line(&mut line).unwrap();
        line
    });
    names.sort();
    assert_eq!(names, ["main thread's\n", "other thread's\n"]);
    parent.process.kill().unwrap();
    // The daemons park for ever: that their output ends at all means that they were killed, too.
    assert_eq!(rest(parent.lines), "");
    wait_for(&parent.zygote);
    parent.process.wait().unwrap();
}

pub(crate) fn an_exiting_parent_waits_for_its_children_and_leaves_no_zygote() {
    // What the parent does not wait for becomes this process's.
    // SAFETY: sets an attribute of this process.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }, 0);
    let mut parent = start_parent("waiter");
    drop(parent.process.stdin.take());
    let text = rest(parent.lines);
    assert!(text.contains("parent alive: true\n"), "{text}");
    assert!(parent.process.wait().unwrap().success());
    wait_for(&parent.zygote);
    assert_eq!(children_of(std::process::id()), [own_zygote()]);
}

pub(crate) fn an_interrupt_of_all_leaves_the_zygote_alone() {
    let mut parent = start_parent("interrupted");
    let mut line = String::new();
    parent.lines.read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    // SAFETY: has no memory arguments; the group is that of a process that has not been waited for.
    assert_eq!(unsafe { libc::kill(-parent.process.id().cast_signed(), libc::SIGINT) }, 0);
    assert_eq!(rest(parent.lines), "");
    wait_for(&parent.zygote);
    use std::os::unix::process::ExitStatusExt;
    assert_eq!(parent.process.wait().unwrap().signal(), Some(libc::SIGINT));
}

pub(crate) fn children_of_a_dead_zygote_are_executed() {
    let (zygote, before) = (own_zygote(), from_zygote().spawn(park, ()).unwrap());
    let end = end_of(zygote);
    spare(); // one of which this process does not know would stay a zombie
    signal(zygote, libc::SIGKILL);
    wait_for(&end); // until then the spare can be started
    assert_eq!(why_refused(from_zygote().spawn(|| (), ())), "it has died");
    assert!(exec_is_the_default());
    assert!(before.is_alive());
    assert_eq!(children_of(std::process::id()), [before.pid()], "a zombie");
    before.kill().unwrap();
    assert_eq!(before.wait(), Exit::Signal(libc::SIGKILL));
}

/// What the error says of a child that the zygote was to start.
fn why_refused<T>(outcome: Result<T, Error>) -> String {
    let Err(Error::Unsupported { what }) = outcome else { panic!("it was to be refused") };
    let why = what.strip_prefix("starting a process from a zygote (").and_then(|rest| rest.strip_suffix(')'));
    why.unwrap_or_else(|| panic!("{what}")).to_string()
}

/// A zygote is killed after that many starts, in the midst of those of four threads.
fn kill_after(starts: u32) {
    const EACH: u32 = 25;
    let count = RawValue::new(AtomicU32::new(0)).unwrap();
    let zygote = own_zygote();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..EACH {
                    let add = |count: RawValue<AtomicU32>| count.fetch_add(1, Ordering::Relaxed);
                    Process::spawn(add, (&count,)).unwrap().join().unwrap();
                }
            });
        }
        while count.load(Ordering::Relaxed) < starts {
            thread::yield_now();
        }
        signal(zygote, libc::SIGKILL);
    });
    assert_eq!(count.load(Ordering::Relaxed), 4 * EACH);
    assert!(active_children().is_empty());
}

pub(crate) fn each_function_runs_once_whenever_the_zygote_dies() {
    // Each in a program of its own, which an executed child is not: it has no zygote.
    for round in 0..20 {
        let status = Command::new("/proc/self/exe").args([PARENT, &format!("killer {round}")]).status().unwrap();
        assert!(status.success(), "killed after {round}");
    }
}

pub(crate) fn a_request_that_cannot_be_sent_leaves_no_child() {
    // The request is larger than files may be.
    let limit = libc::rlimit { rlim_cur: 4096, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: the kernel reads one limit.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_FSIZE, &limit) }, 0);
    let error = from_zygote().spawn(|bytes: Vec<u8>| println!("{}", bytes.len()), (vec![0; 1 << 20],)).unwrap_err();
    assert!(matches!(error, Error::NoSpace { .. }), "{error:?}");
    nobody_is_left_behind();
}

pub(crate) fn processes_start_processes() {
    let nested = || {
        let below = Process::spawn(|| (exec_number(), current().name().to_string(), parent().unwrap().pid()), ());
        let from_zygote = from_zygote().spawn(|| (), ()).map(drop);
        (exec_number(), std::process::id(), below.unwrap().join().unwrap(), from_zygote)
    };
    let (number, pid, below, refused) = from_zygote().spawn(nested, ()).unwrap().join().unwrap();
    assert_eq!(number, exec_number());
    assert!(below.0 != exec_number(), "not executed");
    assert_eq!((below.1.as_str(), below.2), ("Process-1:1", pid));
    let why = "only the process that calls `init_with_zygote` has it, and not its children";
    assert_eq!(why_refused(refused), why);
    let executed = executed().spawn(exec_is_the_default, ()).unwrap();
    assert_eq!(executed.join(), Ok(true));
}

pub(crate) fn a_forked_copy_has_no_zygote() {
    let value = Value::new(0).unwrap();
    // SAFETY: this process has one other thread, the watchdog, which holds nothing.
    match unsafe { libc::fork() } {
        0 => {
            let why = why_refused(from_zygote().spawn(|| (), ()));
            let refused = why == "this is a forked copy of the process that has it";
            let own = Process::spawn(|value: Value<u32>| value.set(parent().unwrap().pid()), (&value,));
            own.unwrap().join().unwrap();
            let right = refused && exec_is_the_default() && value.get() == std::process::id();
            std::process::exit(i32::from(!right))
        }
        copy => {
            let mut status = -1;
            // SAFETY: our child; `status` outlives the call.
            assert_eq!(unsafe { libc::waitpid(copy, &mut status, 0) }, copy);
            assert_eq!(status, 0);
        }
    }
    assert!(!exec_is_the_default(), "the copy's exit has ended the zygote of its original");
}

pub(crate) fn there_is_one_zygote_made_first_of_all() {
    let again = || {
        crossproc::init_with_zygote();
        crossproc::init();
        children_of(std::process::id()).len()
    };
    assert_eq!(again(), 1);
    assert_eq!(from_zygote().spawn(again, ()).unwrap().join(), Ok(0));
    assert_eq!(executed().spawn(again, ()).unwrap().join(), Ok(0));
    assert!(Command::new("/proc/self/exe").arg(AFTER_A_THREAD).status().unwrap().success());
}

pub(crate) fn start_without_a_zygote() -> ExitCode {
    assert!(children_of(std::process::id()).is_empty());
    let why = why_refused(from_zygote().spawn(|| (), ()));
    assert_eq!(why, "other threads ran when `init_with_zygote` was called");
    assert!(exec_is_the_default());
    ExitCode::SUCCESS
}
