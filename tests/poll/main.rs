//! Descriptors for `poll`, and `wait_any`: what is readable when, across processes and deaths, and in event loops.

#[path = "../common/mod.rs"]
mod common;

mod any;
mod ends;
mod epoll;
mod events;
mod receivers;
mod stream;
mod streams;

use std::os::fd::AsFd;
use std::thread;
use std::time::Duration;

use crossproc::wait_any;

crossproc::test_support!();

/// One wake-up each, of which the watcher must not keep any: at 50 ms for each message the watchdog would bark.
const ROUNDS: u32 = if cfg!(debug_assertions) { 2_000 } else { 3_000 };

fn is_readable(thing: &dyn AsFd) -> bool {
    !wait_any(&[thing], Some(Duration::ZERO)).unwrap().is_empty()
}

fn wait_for(thing: &dyn AsFd) {
    assert_eq!(wait_any(&[thing], None), Ok(vec![0]));
}

/// Threads of this process that watch, and its descriptors that are eventfds. In a process of its own: tests run in threads.
fn watchers() -> (usize, usize) {
    let names = std::fs::read_dir("/proc/self/task").unwrap().flatten().map(|task| task.path().join("comm"));
    let threads = names.filter(|name| std::fs::read_to_string(name).is_ok_and(|name| name.trim() == "crossproc-watch"));
    let links = std::fs::read_dir("/proc/self/fd").unwrap().flatten().map(|entry| std::fs::read_link(entry.path()));
    let eventfds = links.flatten().filter(|link| link.to_string_lossy().contains("[eventfd]"));
    (threads.count(), eventfds.count())
}

/// For what other processes did, which is seen within the detection bound.
fn wait_until_unreadable(thing: &dyn AsFd) {
    while is_readable(thing) {
        thread::yield_now();
    }
}
