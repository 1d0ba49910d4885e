use loom::cell::Cell;
use std::sync::Arc;

use loom::thread;

use super::{deaths, every_mutant_fails, explore, explore_deaths, victim, with_deaths};
use crate::sys::Process;
use crate::sys::atomic::AtomicU64;
use crate::sys::clock::Deadline;
use crate::sys::futex::sleepers;
use crate::sys::liveness::Liveness;
use crate::sys::spin::Spin;
use crate::word::PeerId;
use crate::word::condvar::{Tally, WaiterWord, Waiters};
use crate::word::lock::{Acquired, Claim, LockWord};

/// Things that are made and taken under a lock, and those who wait for them.
struct Stock {
    lock: LockWord,
    things: Cell<u32>,
    tally: Tally,
    words: Vec<WaiterWord>,
}

const ALL: usize = usize::MAX;

impl Stock {
    fn new(words: usize) -> Arc<Self> {
        let words = (0..words).map(|_| WaiterWord::free()).collect();
        #[expect(
            clippy::arc_with_non_send_sync,
            reason = "loom runs all threads of a model on one, and checks the rest"
        )]
        Arc::new(Stock { lock: LockWord::from(AtomicU64::new(0)), things: Cell::new(0), tally: Tally::new(), words })
    }

    fn waiters(&self) -> Waiters<'_> {
        Waiters { tally: &self.tally, words: &self.words, liveness: &Liveness }
    }

    /// Whether an owner has died with it.
    fn lock(&self, me: PeerId) -> bool {
        self.lock.acquire(Claim::new(me), &Liveness, Deadline::Never, &Spin).unwrap() == Acquired::Dirty
    }

    fn unlock(&self) {
        self.lock.release(false);
    }

    /// As a condition variable waits, with the lock in hand; whether it was notified.
    fn wait(&self, me: PeerId, deadline: Deadline) -> bool {
        let place = self.waiters().enter(me).expect("there is a word for everybody");
        self.unlock();
        let is_notified = self.waiters().wait(&place, deadline, &Spin);
        self.lock(me);
        if is_notified {
            place.leave();
        }
        is_notified
    }

    /// Waits once if there is nothing; whether it was notified.
    fn wait_once(&self, me: PeerId, deadline: Deadline) -> bool {
        self.lock(me);
        let is_notified = self.things.get() == 0 && self.wait(me, deadline);
        self.unlock();
        is_notified
    }

    /// Waits until there is a thing, and takes it; how often it was notified.
    fn take(&self, me: PeerId) -> usize {
        self.lock(me);
        let mut notified = 0;
        while self.things.get() == 0 {
            self.wait(me, Deadline::Never);
            notified += 1;
        }
        self.things.set(self.things.get() - 1);
        self.unlock();
        notified
    }

    /// Makes things, and notifies after the lock is given back; how many were woken.
    fn make(&self, me: PeerId, things: u32, most: usize) -> usize {
        self.lock(me);
        self.things.set(self.things.get() + things);
        self.unlock();
        self.waiters().notify(most)
    }
}

/// The process that runs the model.
const US: usize = 9;

fn make(stock: &Stock, things: u32, most: usize) -> usize {
    Process::run(peer(US).get(), None, || stock.make(peer(US), things, most)).unwrap()
}

fn peer(slot: usize) -> PeerId {
    PeerId::new(slot, 1)
}

fn process<R: 'static>(
    stock: &Arc<Stock>,
    slot: usize,
    death: Option<usize>,
    body: impl FnOnce(&Stock, PeerId) -> R + 'static,
) -> thread::JoinHandle<Option<R>> {
    let stock = Arc::clone(stock);
    thread::spawn(move || victim(peer(slot).get(), death, || body(&stock, peer(slot))))
}

/// Somebody who was notified and dies before it has its lock again; the kernel is about to say so.
fn dies_notified(stock: &Stock, slot: usize) {
    Process::run(peer(slot).get(), None, || {
        assert!(stock.waiters().enter(peer(slot)).is_some());
        assert_eq!(stock.waiters().notify(1), 1);
    });
}

/// Two wait, and each gets what the third makes; as many wake as were woken.
fn two_wait_for_one_each() {
    let stock = Stock::new(2);
    let waiting = [1, 2].map(|slot| process(&stock, slot, None, |stock, me| stock.take(me)));
    let woken = make(&stock, 1, 1) + make(&stock, 1, 1);
    let notified: usize = waiting.map(|waiting| waiting.join().unwrap().unwrap()).iter().sum();
    assert_eq!(notified, woken);
}

/// Of two that sleep, one notification wakes the one that came first, and only that.
fn the_first_is_woken_first() {
    let stock = Stock::new(2);
    let first = process(&stock, 1, None, |stock, me| stock.wait_once(me, Deadline::Never));
    let has_come = sleepers() == 1;
    let second = process(&stock, 2, None, |stock, me| stock.wait_once(me, Deadline::Never));
    if has_come && sleepers() == 2 {
        assert_eq!(stock.waiters().notify(1), 1);
        assert_eq!(first.join().unwrap(), Some(true));
        assert_eq!(sleepers(), 1);
        assert_eq!((make(&stock, 1, ALL), second.join().unwrap()), (1, Some(true)));
    } else {
        make(&stock, 1, ALL);
        first.join().unwrap();
        second.join().unwrap();
    }
}

/// One gives up at once; either it was notified, or it was not counted, and the notification is another's.
fn one_gives_up() {
    let stock = Stock::new(2);
    let impatient = process(&stock, 1, None, |stock, me| stock.wait_once(me, Deadline::Passed));
    let patient = process(&stock, 2, None, |stock, me| stock.wait_once(me, Deadline::Never));
    let woken = stock.waiters().notify(1) + make(&stock, 1, ALL);
    let notified = [impatient, patient].map(|waiting| usize::from(waiting.join().unwrap().unwrap()));
    assert_eq!(notified.iter().sum::<usize>(), woken);
}

/// Two that have a lock each enter at once, and each has a word of its own.
fn two_enter_at_once() {
    let stock = Stock::new(2);
    let enter = |stock: &Stock, me| {
        let place = stock.waiters().enter(me).unwrap();
        stock.waiters().wait(&place, Deadline::Passed, &Spin)
    };
    let waiting = [1, 2].map(|slot| process(&stock, slot, None, enter));
    assert_eq!(waiting.map(|waiting| waiting.join().unwrap()), [Some(false); 2], "woken by nobody");
}

/// One waits, and two come before a notifier that has begun looks at the words: it is the first that is woken.
fn two_come_meanwhile() {
    let stock = Stock::new(3);
    Process::run(peer(US).get(), None, || {
        let enter = || stock.waiters().enter(peer(US)).unwrap();
        let first = enter();
        let notifying = process(&stock, 1, None, |stock, _| stock.waiters().notify_longest(1, 1));
        let all = [first, enter(), enter()];
        assert_eq!(notifying.join().unwrap(), Some(1));
        assert_eq!(all.map(|place| stock.waiters().wait(&place, Deadline::Passed, &Spin)), [true, false, false]);
    });
}

/// A notifier without the lock does not hide a waiter from the next one.
fn one_notifies_without_the_lock() {
    let stock = Stock::new(1);
    let waiting = process(&stock, 1, None, |stock, me| stock.take(me));
    let notifying = process(&stock, 2, None, |stock, _| stock.waiters().notify(1));
    let woken = make(&stock, 1, 1);
    // Not to be woken twice; by the one without the lock it may have been woken too early.
    assert_eq!(waiting.join().unwrap().unwrap(), woken + notifying.join().unwrap().unwrap());
}

/// A waiter that dies before its `step`-th step, or is woken and passes that on; another gets what there is.
fn a_waiter_dies_at(step: usize) {
    let stock = Stock::new(2);
    let victim = thread::spawn({
        let stock = Arc::clone(&stock);
        move || {
            victim(peer(1).get(), Some(step), || {
                stock.lock(peer(1));
                if stock.things.get() == 0 {
                    stock.wait(peer(1), Deadline::Never);
                }
                stock.waiters().notify(1);
                stock.unlock();
            });
            // If it died with the lock, the next one is told: what the dead one was to do is its business.
            Process::run(peer(3).get(), None, || {
                let is_told = stock.lock(peer(3));
                stock.unlock();
                if is_told {
                    stock.waiters().notify(1);
                }
            });
            Process::bury(); // a last look, long after
        }
    });
    let survivor = process(&stock, 2, None, |stock, me| stock.take(me));
    make(&stock, 1, 1);
    survivor.join().unwrap();
    make(&stock, 1, ALL);
    victim.join().unwrap();
    // Whatever died in a word does not keep it for ever.
    let enter = |slot: usize| Process::run(peer(slot).get(), None, || stock.waiters().enter(peer(slot)).is_some());
    assert_eq!([4, 5].map(enter), [Some(true); 2]);
}

/// A notifier that dies before its `step`-th step; whoever it has not notified another one does.
fn a_notifier_dies_at(step: usize) {
    let stock = Stock::new(2);
    let victim = process(&stock, 1, Some(step), |stock, me| stock.make(me, 2, ALL));
    let waiting = [2, 3].map(|slot| process(&stock, slot, None, |stock, me| stock.take(me)));
    if victim.join().unwrap().is_none() {
        make(&stock, 2, ALL);
        Process::bury();
    }
    for waiting in waiting {
        waiting.join().unwrap();
    }
}

/// One died with its notification, another gets one of its own at the same time: two are woken.
fn a_notification_is_inherited() {
    let stock = Stock::new(3);
    dies_notified(&stock, 1);
    let heirs = [2, 3].map(|slot| process(&stock, slot, None, |stock, me| stock.wait_once(me, Deadline::Never)));
    if sleepers() == 2 {
        Process::bury();
        stock.waiters().notify(1);
    } else {
        make(&stock, 1, ALL);
    }
    for heir in heirs {
        heir.join().unwrap();
    }
}

/// Two find the notification of one dead; who comes into its word after the first has taken it is not woken for the second.
fn two_inherit_at_once() {
    let stock = Stock::new(4);
    dies_notified(&stock, 1);
    Process::bury();
    let heirs = [2, 3].map(|slot| process(&stock, slot, None, |stock, me| stock.wait_once(me, Deadline::Never)));
    let newcomer = process(&stock, 4, None, |stock, me| stock.wait_once(me, Deadline::Passed));
    assert_eq!(newcomer.join().unwrap(), Some(false), "nobody has notified it");
    make(&stock, 1, ALL);
    for heir in heirs {
        heir.join().unwrap();
    }
}

/// All words are taken, one by somebody dead: a newcomer has it, and is not thrown out with the dead.
fn the_last_word_is_a_dead_ones() {
    let stock = Stock::new(1);
    Process::run(peer(1).get(), None, || stock.waiters().enter(peer(1)).is_some());
    let newcomer = process(&stock, 2, None, |stock, me| stock.wait_once(me, Deadline::Passed));
    let woken = stock.waiters().notify(1);
    assert_eq!(newcomer.join().unwrap().map(usize::from), Some(woken));
}

const UNHARMED: [fn(); 6] = [
    two_wait_for_one_each,
    the_first_is_woken_first,
    one_gives_up,
    two_enter_at_once,
    two_come_meanwhile,
    one_notifies_without_the_lock,
];
const LEFT_BEHIND: [fn(); 3] = [a_notification_is_inherited, two_inherit_at_once, the_last_word_is_a_dead_ones];
const WAITERS_DEATHS: [fn(); 36] = deaths!(a_waiter_dies_at: 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35);
const NOTIFIERS_DEATHS: [fn(); 27] =
    deaths!(a_notifier_dies_at: 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26);

#[test]
fn as_many_wake_as_were_notified() {
    for model in UNHARMED {
        explore(None, 3, model).unwrap();
    }
}

#[test]
fn notifications_survive_a_waiters_death_before_any_step() {
    for model in LEFT_BEHIND {
        explore(None, 2, model).unwrap();
    }
    explore_deaths(with_deaths(2), &WAITERS_DEATHS);
}

#[test]
fn waiters_survive_a_notifiers_death_before_any_step() {
    explore_deaths(with_deaths(2), &NOTIFIERS_DEATHS);
}

#[test]
fn every_mutant_of_the_condvar_fails() {
    let models: Vec<fn()> = UNHARMED.into_iter().chain(LEFT_BEHIND).collect();
    every_mutant_fails(&["word/condvar.rs"], 2, &models);
}
