use std::panic::Location;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::atomic::AtomicU64;
use super::clock::Deadline;
use super::{Change, DEATHS_SEEN, Kernel, Sleeping, engine, is_changed, step, with_kernel};

pub(crate) const BOUND: std::time::Duration = std::time::Duration::ZERO;

/// One wait, which may take several sleeps.
pub(crate) struct Sleeper;

impl Sleeper {
    pub(crate) fn new() -> Self {
        Sleeper
    }

    pub(crate) fn watchful() -> Self {
        Sleeper
    }

    #[expect(clippy::unused_self, reason = "the twin of a method")]
    pub(crate) fn sleep(&mut self, word: &AtomicU64, expected: u32, deadline: Deadline) -> bool {
        wait(word, expected, deadline)
    }
}

fn wait(word: &AtomicU64, expected: u32, _deadline: Deadline) -> bool {
    step();
    let is_woken = Arc::new(AtomicBool::new(false));
    let falls_asleep = with_kernel(|kernel| {
        let bound_passes = DEATHS_SEEN.with(|seen| seen.replace(kernel.deaths)) < kernel.deaths;
        if bound_passes || word.latest() as u32 != expected {
            return false;
        }
        let thread = engine::thread::current();
        kernel.sleepers.push(Sleeping { word: ptr::from_ref(word).addr(), thread, is_woken: is_woken.clone() });
        true
    });
    while falls_asleep && !is_woken.load(Relaxed) {
        engine::thread::park();
    }
    falls_asleep
}

/// How many sleep now.
pub(crate) fn sleepers() -> usize {
    with_kernel(|kernel| kernel.sleepers.len())
}

#[track_caller]
pub(crate) fn wake_one(word: &AtomicU64) -> bool {
    wake(word, 1, Location::caller()) > 0
}

#[track_caller]
pub(crate) fn wake_all(word: &AtomicU64) {
    wake(word, usize::MAX, Location::caller());
}

fn wake(word: &AtomicU64, most: usize, site: &'static Location<'static>) -> usize {
    step();
    if is_changed(site, Change::Silence) {
        return 0;
    }
    with_kernel(|kernel| {
        let mut woken = 0;
        while let Some(first) = kernel.sleepers.iter().position(|one| one.word == ptr::from_ref(word).addr()) {
            if woken == most {
                break;
            }
            Kernel::wake(&kernel.sleepers.remove(first));
            woken += 1;
        }
        woken
    })
}
