//! A time limit in a program that a timer interrupts all the time.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};
use std::{mem, ptr};

use crossproc::managed::{Event, List};
use crossproc::{Error, Manager, Process};

use crate::common::processes::signal;
use crate::common::watchdog;
use crate::redis::Server;

/// How often this process's first thread was interrupted.
static INTERRUPTED: AtomicU32 = AtomicU32::new(0);

extern "C" fn interrupt(_: libc::c_int) {
    // SAFETY: has no arguments.
    if unsafe { libc::gettid() }.cast_unsigned() == std::process::id() {
        INTERRUPTED.fetch_add(1, Relaxed);
    }
}

/// Has a signal interrupt this process each millisecond, of which no call is begun again by the kernel.
fn interrupt_all_the_time() {
    // SAFETY: integers only; all zeroes is a value.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    action.sa_sigaction = interrupt as *const () as usize;
    // SAFETY: a handler of that form, which does what a handler may; the action outlives the call.
    assert_eq!(unsafe { libc::sigaction(libc::SIGALRM, &action, ptr::null_mut()) }, 0);
    let millisecond = libc::timeval { tv_sec: 0, tv_usec: 1_000 };
    let timer = libc::itimerval { it_interval: millisecond, it_value: millisecond };
    // SAFETY: the timer outlives the call.
    assert_eq!(unsafe { libc::setitimer(libc::ITIMER_REAL, &timer, ptr::null_mut()) }, 0);
}

/// How long it took, and how often it was interrupted meanwhile.
fn measured<R>(work: impl FnOnce() -> R) -> (R, Duration, u32) {
    let (start, before) = (Instant::now(), INTERRUPTED.load(Relaxed));
    let result = work();
    (result, start.elapsed(), INTERRUPTED.load(Relaxed) - before)
}

/// What is done to a server that is stopped.
#[derive(Clone, Copy, serde::Serialize, serde::Deserialize)]
enum Task {
    Read,
    /// More than a socket takes.
    Write,
    Connect,
}

/// What this thread, interrupted all the time, is told of a stopped server, and when.
fn ask(url: String, task: Task, ready: Event, stopped: Event) -> (crossproc::Result<()>, Duration, u32) {
    // SAFETY: has no arguments.
    assert_eq!(std::process::id(), unsafe { libc::gettid() }.cast_unsigned());
    interrupt_all_the_time();
    let list: List<String> = Manager::connect(&url).unwrap().at("list").list().unwrap();
    let long = "x".repeat(8 << 20);
    list.push(&long).unwrap();
    ready.set().unwrap();
    stopped.wait().unwrap();
    measured(|| match task {
        Task::Read => list.get(0).map(drop),
        Task::Write => list.push(&long),
        // Of another lease: another session.
        Task::Connect => Manager::connect(&format!("{url}&lease_ms=9999")).map(drop),
    })
}

fn is_told_in_time(task: Task, limit: Duration) {
    let _watchdog = watchdog();
    let server = Server::start();
    let local = Manager::start().unwrap();
    let (ready, stopped) = (local.event().unwrap(), local.event().unwrap());
    let url = format!("{}?timeout_ms={}", server.url(), limit.as_millis());
    let process = Process::spawn(ask, (url, task, &ready, &stopped)).unwrap();
    ready.wait().unwrap();
    signal(server.pid(), libc::SIGSTOP);
    stopped.set().unwrap();
    let (told, took, interrupted) = process.join().unwrap();
    signal(server.pid(), libc::SIGCONT);
    let error = told.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. } | Error::Unanswered { .. }), "{error}");
    assert!(took >= limit, "{took:?}");
    assert!(interrupted > 20, "{interrupted} signals only");
}

#[test]
fn an_answer_is_waited_for_no_longer_than_told() {
    for limit in [300, 1_700] {
        is_told_in_time(Task::Read, Duration::from_millis(limit));
    }
}

#[test]
fn a_request_is_written_no_longer_than_told() {
    is_told_in_time(Task::Write, Duration::from_millis(1_300));
}

#[test]
fn a_server_is_connected_to_no_longer_than_told() {
    is_told_in_time(Task::Connect, Duration::from_millis(1_300));
}
