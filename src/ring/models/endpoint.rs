use std::sync::Arc;

use loom::cell::Cell;
use loom::sync::Mutex;
use loom::thread;

use crate::ring::endpoint::Endpoint;
use crate::sys::Process;
use crate::sys::liveness::{Hold, Liveness};
use crate::word::PeerId;
use crate::word::models::{deaths, every_mutant_fails, explore};

fn peer(slot: usize) -> PeerId {
    PeerId::new(slot, 1)
}

const GIVER: usize = 1;
const TAKER: usize = 2;
const MESSAGE: usize = 3;

/// An end that one process gives another one in a message, and what its owner did to the stream last.
struct Transfer {
    end: Endpoint,
    done: Cell<u32>,
    /// What keeps the message's identity alive travels with it.
    message: Mutex<Option<Hold>>,
}

impl Transfer {
    fn new() -> Arc<Self> {
        for slot in [GIVER, TAKER] {
            std::mem::forget(Liveness.hold(peer(slot).get()));
        }
        #[expect(clippy::arc_with_non_send_sync, reason = "loom runs all threads of a model on one")]
        Arc::new(Transfer { end: Endpoint::of(peer(GIVER)), done: Cell::new(0), message: Mutex::new(None) })
    }

    fn give(&self) {
        let hold = Liveness.hold(peer(MESSAGE).get());
        assert!(self.end.pass(peer(GIVER), peer(MESSAGE)));
        *self.message.lock().unwrap() = hold;
        // It is another's: closing does nothing any more.
        self.end.close(peer(GIVER));
    }

    fn take(&self) {
        // Dropped by a death, as the kernel closes the descriptor.
        let hold = self.message.lock().unwrap().take();
        assert!(hold.is_some() && self.end.pass(peer(MESSAGE), peer(TAKER)));
        assert!(!self.end.pass(peer(MESSAGE), peer(GIVER)), "taken twice");
        drop(hold);
    }
}

/// However the looks fall: the end is not gone before its last owner is, and what that one did is then to be seen.
fn it_is_never_gone_on_its_way() {
    let transfer = Transfer::new();
    let looking = thread::spawn({
        let transfer = Arc::clone(&transfer);
        move || {
            if transfer.end.is_gone(&Liveness) {
                assert_eq!(transfer.done.get(), 1, "gone while somebody has it");
            }
        }
    });
    Process::run(peer(GIVER).get(), None, || transfer.give());
    Process::run(peer(TAKER).get(), None, || {
        transfer.take();
        transfer.done.set(1);
        transfer.end.close(peer(TAKER));
    });
    looking.join().unwrap();
    assert!(transfer.end.is_gone(&Liveness));
}

/// Wherever the giver dies, the end is gone or in the message; wherever the message then ends, it is gone.
fn the_giver_dies_at(step: usize) {
    let transfer = Transfer::new();
    let looking = thread::spawn({
        let transfer = Arc::clone(&transfer);
        move || transfer.end.is_gone(&Liveness)
    });
    Process::run(peer(GIVER).get(), Some(step), || transfer.give());
    let is_on_its_way = transfer.message.lock().unwrap().is_some();
    let found_gone = looking.join().unwrap();
    assert_eq!(transfer.end.is_gone(&Liveness), !is_on_its_way);
    assert!(!found_gone || !is_on_its_way, "a verdict is final");
    drop(transfer.message.lock().unwrap().take());
    assert!(transfer.end.is_gone(&Liveness));
}

/// Wherever the taker dies, the end is gone.
fn the_taker_dies_at(step: usize) {
    let transfer = Transfer::new();
    Process::run(peer(GIVER).get(), None, || transfer.give());
    let looking = thread::spawn({
        let transfer = Arc::clone(&transfer);
        move || transfer.end.is_gone(&Liveness)
    });
    Process::run(peer(TAKER).get(), Some(step), || transfer.take());
    let found_gone = looking.join().unwrap();
    drop(transfer.message.lock().unwrap().take());
    assert!(transfer.end.is_gone(&Liveness) || !found_gone);
    assert!(transfer.end.is_gone(&Liveness), "all who had it have ended");
}

const GIVERS_DEATHS: [fn(); 6] = deaths!(the_giver_dies_at: 0 1 2 3 4 5);
const TAKERS_DEATHS: [fn(); 6] = deaths!(the_taker_dies_at: 0 1 2 3 4 5);

#[test]
fn an_end_is_gone_when_nobody_has_it_and_not_before() {
    for model in [it_is_never_gone_on_its_way as fn()].into_iter().chain(GIVERS_DEATHS).chain(TAKERS_DEATHS) {
        explore(None, 3, model).unwrap();
    }
}

#[test]
fn every_mutant_of_the_endpoint_fails() {
    let models: Vec<fn()> =
        [it_is_never_gone_on_its_way as fn()].into_iter().chain(GIVERS_DEATHS).chain(TAKERS_DEATHS).collect();
    every_mutant_fails(&["ring/endpoint.rs"], 3, &models);
}
