use std::sync::Arc;

use loom::cell::Cell;
use loom::sync::Mutex;
use loom::thread;

use crate::ring::ledger::{Account, Role, Side, has_any, is_all_done};
use crate::sys::Process;
use crate::sys::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use crate::sys::fork::Exclusion;
use crate::sys::liveness::{Hold, Liveness};
use crate::word::PeerId;
use crate::word::models::{deaths, every_mutant_fails, explore};

/// By their places: who looks at the accounts sees the taker's before the message's, and that one before the giver's.
const TAKER: usize = 0;
const MESSAGE: usize = 1;
const GIVER: usize = 2;

fn peer(slot: usize) -> PeerId {
    PeerId::new(slot, 2)
}

/// A handle to put with, that one process gives another one in a message, and what its last owner put.
struct Transfer {
    accounts: [Account; 3],
    arrivals: AtomicU64,
    put: Cell<u32>,
    /// What keeps the message's identity alive travels with it.
    message: Mutex<Option<Hold>>,
}

impl Transfer {
    fn new() -> Arc<Self> {
        for slot in [GIVER, TAKER] {
            std::mem::forget(Liveness.hold(peer(slot).get()));
        }
        let transfer = Transfer {
            accounts: std::array::from_fn(|_| Account::of(0, 0, 0)),
            arrivals: AtomicU64::new(0),
            put: Cell::new(0),
            message: Mutex::new(None),
        };
        transfer.enter(GIVER);
        #[expect(clippy::arc_with_non_send_sync, reason = "loom runs all threads of a model on one")]
        Arc::new(transfer)
    }

    fn enter(&self, slot: usize) {
        self.accounts[slot].open_for(peer(slot), &Exclusion);
        self.accounts[slot].enter(Role::Putter, &self.arrivals);
    }

    fn has_putters(&self) -> bool {
        has_any(&self.accounts, &self.arrivals, Side::Putters, &Liveness)
    }

    fn give(&self) {
        let hold = Liveness.hold(peer(MESSAGE).get());
        self.enter(MESSAGE);
        *self.message.lock().unwrap() = hold;
        assert!(self.accounts[GIVER].leave(Role::Putter));
    }

    fn take(&self) {
        // Dropped by a death, as the kernel closes the descriptor.
        let hold = self.message.lock().unwrap().take();
        assert!(hold.is_some());
        self.enter(TAKER);
        assert!(self.accounts[MESSAGE].withdraw(Role::Putter));
        assert!(!self.accounts[MESSAGE].withdraw(Role::Putter), "taken twice");
        drop(hold);
    }

    fn put_and_leave(&self) {
        self.put.set(1);
        assert!(self.accounts[TAKER].leave(Role::Putter));
    }
}

/// However the looks fall: nobody is told that all are gone before the last one is, and what that one put is then to be seen.
fn a_handle_is_never_missed_on_its_way() {
    let transfer = Transfer::new();
    let looking = thread::spawn({
        let transfer = Arc::clone(&transfer);
        move || {
            if !transfer.has_putters() {
                assert_eq!(transfer.put.get(), 1, "gone while somebody has it");
            }
        }
    });
    Process::run(peer(GIVER).get(), None, || transfer.give());
    Process::run(peer(TAKER).get(), None, || {
        transfer.take();
        transfer.put_and_leave();
    });
    looking.join().unwrap();
    assert!(!transfer.has_putters());
}

/// Wherever the giver dies, the handle is gone or in the message; wherever the message then ends, it is gone.
fn the_giver_dies_at(step: usize) {
    let transfer = Transfer::new();
    let looking = thread::spawn({
        let transfer = Arc::clone(&transfer);
        move || transfer.has_putters()
    });
    Process::run(peer(GIVER).get(), Some(step), || transfer.give());
    let is_on_its_way = transfer.message.lock().unwrap().is_some();
    let found_one = looking.join().unwrap();
    assert!(found_one || !is_on_its_way, "a verdict is final");
    assert_eq!(transfer.has_putters(), is_on_its_way);
    drop(transfer.message.lock().unwrap().take());
    assert!(!transfer.has_putters());
}

/// Wherever the taker dies, the handle is gone.
fn the_taker_dies_at(step: usize) {
    let transfer = Transfer::new();
    Process::run(peer(GIVER).get(), None, || transfer.give());
    let looking = thread::spawn({
        let transfer = Arc::clone(&transfer);
        move || transfer.has_putters()
    });
    let lived = Process::run(peer(TAKER).get(), Some(step), || transfer.take()).is_some();
    looking.join().unwrap();
    drop(transfer.message.lock().unwrap().take());
    assert!(!lived && !transfer.has_putters(), "all who had it have ended");
}

/// A word of a slot, as far as a look for messages goes.
const FREE: u64 = 0;
const READY: u64 = 1;
const READING: u64 = 2;
const FINISHED: u64 = 3;

const WORKER: usize = 0;

/// A message, which leads to another one; one worker; and how many messages it has worked on.
struct Work {
    accounts: [Account; 1],
    slots: [AtomicU64; 2],
    worked: Cell<u32>,
}

impl Work {
    /// The account is that of a dead worker, who had got and done so much.
    fn after(gots: u64, dones: u64) -> Arc<Self> {
        #[expect(clippy::arc_with_non_send_sync, reason = "loom runs all threads of a model on one")]
        Arc::new(Work {
            accounts: [Account::of(PeerId::new(WORKER, 1).get(), gots, dones)],
            slots: [READY, FREE].map(AtomicU64::new),
            worked: Cell::new(0),
        })
    }

    fn is_busy(&self) -> bool {
        // Acquire: pairs with the Release of the slot in `work`.
        let words = self.slots.iter().map(|slot| slot.load(Acquire));
        words.take_while(|word| *word != FREE).any(|word| word != FINISHED)
    }

    fn is_all_done(&self) -> bool {
        is_all_done(&self.accounts, &Liveness, || self.is_busy())
    }

    fn work(&self) {
        let [account] = &self.accounts;
        account.open_for(peer(WORKER), &Exclusion);
        for index in 0..self.slots.len() {
            self.slots[index].store(READING, Relaxed);
            account.got();
            self.slots[index].store(FINISHED, Release);
            self.worked.set(self.worked.get() + 1);
            if let Some(next) = self.slots.get(index + 1) {
                next.store(READY, Release);
            }
            assert!(account.done());
        }
    }
}

/// However the looks fall: nobody is told that all is done before it is.
fn all_is_done_after(gots: u64, dones: u64) {
    let work = Work::after(gots, dones);
    std::mem::forget(Liveness.hold(peer(WORKER).get()));
    let joining = thread::spawn({
        let work = Arc::clone(&work);
        move || {
            if work.is_all_done() {
                assert_eq!(work.worked.get(), 2, "done before it is");
            }
        }
    });
    work.work();
    joining.join().unwrap();
    assert!(work.is_all_done());
}

/// The first in its place; one whose predecessor was done; and two whose predecessors died with as much in their hands as
/// the worker counts when it is done with its first message.
const JOINS: [fn(); 4] =
    [|| all_is_done_after(0, 0), || all_is_done_after(1, 1), || all_is_done_after(2, 0), || all_is_done_after(1, 0)];

/// Wherever the worker dies: what it had got is forgiven, and what lies in the ring is not.
fn the_worker_dies_at(step: usize) {
    let work = Work::after(0, 0);
    let joining = thread::spawn({
        let work = Arc::clone(&work);
        move || work.is_all_done()
    });
    Process::run(peer(WORKER).get(), Some(step), || work.work());
    let found_done = joining.join().unwrap();
    assert_eq!(work.is_all_done(), !work.is_busy());
    assert!(!found_done || !work.is_busy(), "done, and then not");
}

/// Two threads of a process are done with a message each: both count, and no third one.
fn two_are_done_at_a_time() {
    let work = Work::after(0, 0);
    let [account] = &work.accounts;
    account.open_for(peer(WORKER), &Exclusion);
    (0..2).for_each(|_| account.got());
    let other = thread::spawn({
        let work = Arc::clone(&work);
        move || work.accounts[0].done()
    });
    assert!(account.done());
    assert!(other.join().unwrap());
    assert!(!account.done(), "more than were got");
}

const GIVERS_DEATHS: [fn(); 10] = deaths!(the_giver_dies_at: 0 1 2 3 4 5 6 7 8 9);
const TAKERS_DEATHS: [fn(); 11] = deaths!(the_taker_dies_at: 0 1 2 3 4 5 6 7 8 9 10);
const WORKERS_DEATHS: [fn(); 15] = deaths!(the_worker_dies_at: 0 3 5 6 7 8 9 10 11 12 13 14 15 17 18);

fn unharmed() -> impl Iterator<Item = fn()> {
    [a_handle_is_never_missed_on_its_way as fn(), two_are_done_at_a_time as fn()].into_iter().chain(JOINS)
}

#[test]
fn nobody_is_missed_who_could_put_and_nothing_that_is_not_done() {
    let models = unharmed().chain(GIVERS_DEATHS).chain(TAKERS_DEATHS).chain(WORKERS_DEATHS);
    models.for_each(|model| _ = explore(None, 3, model).unwrap());
}

#[test]
fn every_mutant_of_the_ledger_fails() {
    every_mutant_fails(&["ring/ledger.rs"], 3, &unharmed().collect::<Vec<_>>());
}
