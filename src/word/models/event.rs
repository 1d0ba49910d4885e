use std::sync::Arc;

use loom::cell::Cell;
use loom::thread;

use super::{deaths, every_mutant_fails, explore, explore_deaths, victim};
use crate::sys::atomic::{AtomicU64, Ordering::Relaxed};
use crate::sys::clock::Deadline;
use crate::sys::futex::sleepers;
use crate::sys::spin::Spin;
use crate::word::event::EventWord;

/// An event, and what is done before it is set.
struct Door {
    event: EventWord,
    /// Loom fails an execution in which a waiter reads it while the setter writes.
    done: Cell<u32>,
    work: AtomicU64,
}

impl Door {
    fn new() -> Arc<Self> {
        #[expect(
            clippy::arc_with_non_send_sync,
            reason = "loom runs all threads of a model on one, and checks the rest"
        )]
        Arc::new(Door { event: EventWord::new(), done: Cell::new(0), work: AtomicU64::new(0) })
    }

    fn open(&self) {
        self.done.set(1);
        self.event.set();
    }

    /// Whether it has taken a setting.
    fn take(&self, deadline: Deadline) -> bool {
        let has_taken = self.event.take(deadline, &Spin);
        if has_taken {
            assert_eq!(self.done.get(), 1);
        }
        has_taken
    }

    fn pass(&self) {
        assert!(self.event.wait(Deadline::Never, &Spin), "nobody gives up");
        assert_eq!(self.done.get(), 1);
    }
}

fn process<R: 'static>(
    door: &Arc<Door>,
    id: u32,
    death: Option<usize>,
    body: impl FnOnce(&Door) -> R + 'static,
) -> thread::JoinHandle<Option<R>> {
    let door = Arc::clone(door);
    thread::spawn(move || victim(id, death, || body(&door)))
}

/// One setting is for all who wait.
fn two_wait_for_one_setting() {
    let door = Door::new();
    let waiting = [1, 2].map(|id| process(&door, id, None, Door::pass));
    door.open();
    for waiter in waiting {
        waiter.join().unwrap();
    }
    assert!(door.event.is_set());
}

/// Who sleeps when it is set passes, though it is cleared behind it, or at the same time.
fn a_sleeper_passes_a_pulse() {
    let door = Door::new();
    let waiting = process(&door, 1, None, Door::pass);
    let clearing = process(&door, 2, None, |door| door.event.clear());
    let is_asleep = sleepers() == 1;
    door.open();
    clearing.join().unwrap();
    if !is_asleep {
        door.event.set(); // it may not have begun to wait
    }
    waiting.join().unwrap();
}

/// Who clears, and then looks for what was done, finds what was done before a setting that it has cleared.
fn who_clears_sees_what_was_done() {
    let door = Door::new();
    let working = process(&door, 1, None, |door| {
        for work in 1..=2 {
            door.work.store(work, Relaxed);
            door.event.set();
        }
    });
    while door.work.load(Relaxed) < 2 {
        assert!(door.event.wait(Deadline::Never, &Spin), "nobody gives up");
        door.event.clear();
    }
    working.join().unwrap();
}

/// Two clear what was set once: it is not set then.
fn two_clear_at_once() {
    let door = Door::new();
    door.open();
    let other = process(&door, 1, None, |door| door.event.clear());
    door.event.clear();
    assert!(!door.event.is_set());
    other.join().unwrap();
    assert!(!door.event.is_set());
}

/// One that gives up takes no wake-up from the other.
fn one_gives_up() {
    let door = Door::new();
    let impatient = process(&door, 1, None, |door| door.event.wait(Deadline::Passed, &Spin));
    let waiting = process(&door, 2, None, Door::pass);
    door.open();
    waiting.join().unwrap();
    impatient.join().unwrap();
    assert!(door.event.wait(Deadline::Passed, &Spin), "it is set");
}

/// Of two that could, one takes a setting, also where the other does not wait.
fn one_takes_a_setting() {
    let door = Door::new();
    let waiting = process(&door, 1, None, |door| door.take(Deadline::Never));
    let impatient = process(&door, 2, None, |door| door.take(Deadline::Passed));
    door.open();
    if impatient.join().unwrap() == Some(true) {
        door.event.set();
    }
    assert_eq!(waiting.join().unwrap(), Some(true));
    assert!(!door.event.is_set());
}

/// Takes a setting, and sets it again for the next.
fn pass_on(door: &Door) {
    assert!(door.take(Deadline::Never), "nobody gives up");
    door.event.set();
}

/// Of two that sleep, the one that does not get it waits on, and is woken by the next setting.
fn two_take_one_after_the_other() {
    let door = Door::new();
    let taking = [1, 2].map(|id| process(&door, id, None, pass_on));
    door.open();
    for taker in taking {
        taker.join().unwrap();
    }
    assert!(door.event.is_set());
}

/// One that dies before its `step`-th step has taken the setting or not; if not, it is there for the other.
fn a_taker_dies_at(step: usize) {
    let door = Door::new();
    let victim = process(&door, 1, Some(step), pass_on);
    let waiting = process(&door, 2, None, pass_on);
    door.open();
    if victim.join().unwrap().is_none() && !door.event.is_set() {
        door.event.set();
    }
    waiting.join().unwrap();
    assert!(door.event.is_set());
}

/// A waiter that dies before its `step`-th step does not keep another from being woken.
fn a_waiter_dies_at(step: usize) {
    let door = Door::new();
    let victim = process(&door, 1, Some(step), Door::pass);
    let waiting = process(&door, 2, None, Door::pass);
    door.open();
    waiting.join().unwrap();
    victim.join().unwrap();
}

/// A setter that dies before its `step`-th step has set it or not; whom it did not wake looks for itself.
fn a_setter_dies_at(step: usize) {
    let door = Door::new();
    let victim = process(&door, 1, Some(step), |door| door.event.set());
    let waiting = process(&door, 2, None, |door| door.event.wait(Deadline::Never, &Spin));
    if victim.join().unwrap().is_none() && !door.event.is_set() {
        door.event.set();
    }
    assert_eq!(waiting.join().unwrap(), Some(true));
}

const UNHARMED: [fn(); 7] = [
    two_wait_for_one_setting,
    a_sleeper_passes_a_pulse,
    who_clears_sees_what_was_done,
    two_clear_at_once,
    one_gives_up,
    one_takes_a_setting,
    two_take_one_after_the_other,
];
const WAITERS_DEATHS: [fn(); 9] = deaths!(a_waiter_dies_at: 0 1 2 3 4 5 6 7 8);
const TAKERS_DEATHS: [fn(); 15] = deaths!(a_taker_dies_at: 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14);
const SETTERS_DEATHS: [fn(); 3] = deaths!(a_setter_dies_at: 0 1 2);

#[test]
fn no_setting_is_missed() {
    for model in UNHARMED {
        explore(None, 3, model).unwrap();
    }
}

#[test]
fn events_survive_a_death_before_any_step() {
    explore_deaths(3, &WAITERS_DEATHS);
    explore_deaths(3, &TAKERS_DEATHS);
    explore_deaths(3, &SETTERS_DEATHS);
}

#[test]
fn every_mutant_of_the_event_word_fails() {
    let models: Vec<fn()> = UNHARMED.into_iter().chain(SETTERS_DEATHS).collect();
    every_mutant_fails(&["word/event.rs"], 3, &models);
}
