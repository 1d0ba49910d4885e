use shuttle::thread;

use super::slots::{FIRST_CONSUMER, Life};
use super::{any_below, executions, lives};
use crate::ring::{Consumer, GetRefused, Hold};
use crate::sys::clock::Deadline;
use crate::sys::liveness::Liveness;
use crate::word::models::explore;

impl Life {
    /// Gets messages until the end, as an event loop does: it takes only when a watch says that there is something.
    ///
    /// `alone`: nobody else takes anything.
    fn polling(&self, slot: usize, kills: u32, alone: bool) -> thread::JoinHandle<u32> {
        let Life { ring, account } = self.clone();
        let survives = slot == FIRST_CONSUMER || any_below(2) == 0;
        thread::spawn(move || {
            lives(slot, kills, survives, |me| {
                let consumer = Consumer::new(&*ring);
                let watch = consumer.clone();
                loop {
                    let is_ready = || watch.is_ready(&*ring, me, &Liveness, || false).then_some(());
                    ring.control.items.wait(|_| None, Deadline::Never, || None, is_ready);
                    ring.control.items.notify_one(); // may have been meant for another
                    match ring.sweep(&consumer, me, Hold::Long) {
                        Ok(ticket) => account.got(me, ring.read(&consumer, ticket)),
                        Err(GetRefused::Ended) => break,
                        // A producer may be about to give up what it has claimed behind the end.
                        Err(GetRefused::Empty) => assert!(!alone || ring.control.is_closed(), "it was ready"),
                    }
                }
            })
        })
    }
}

/// Who alone consumes gets what it polls for.
fn alone() {
    let life = Life::new(1 + any_below(4));
    let producers = (0..4).map(|slot| life.producing(slot, 2, any_below(20))).collect();
    let consumers = vec![life.polling(FIRST_CONSUMER, 2, true)];
    life.end(producers, consumers);
}

/// Two that poll, and two that wait.
fn among_others() {
    let life = Life::new(1 + any_below(4));
    let producers = (0..4).map(|slot| life.producing(slot, 1, any_below(20))).collect();
    let polling = (FIRST_CONSUMER..6).map(|slot| life.polling(slot, 1, false));
    let consumers = polling.chain((6..8).map(|slot| life.consuming(slot, 1, None))).collect();
    life.end(producers, consumers);
}

#[test]
fn what_is_ready_can_be_got() {
    explore(None, executions(200), alone).unwrap();
}

#[test]
fn who_polls_among_others_misses_nothing() {
    explore(None, executions(200), among_others).unwrap();
}
