use std::sync::Arc;

use shuttle::thread;

use super::executions;
use crate::sys::Process;
use crate::sys::atomic::{
    AtomicU64,
    Ordering::{AcqRel, Acquire},
};
use crate::sys::clock::Deadline;
use crate::sys::futex::sleepers;
use crate::word::eventcount::EventCount;
use crate::word::models::explore;

struct Door {
    is_open: AtomicU64,
    event: EventCount,
}

fn process(door: &Arc<Door>, id: u32, body: impl FnOnce(&Door) + Send + 'static) -> thread::JoinHandle<()> {
    let door = Arc::clone(door);
    thread::spawn(move || Process::run(id, None, || body(&door)).unwrap())
}

impl Door {
    fn wait(&self, look: impl FnMut() -> Option<()>) {
        assert_eq!(self.event.wait(|glance| glance(), Deadline::Never, || None, look), Some(()));
    }
}

/// Whoever finds nobody asleep and clears the flag undoes nothing of what another has notified since: else the word is again
/// what a waiter on its way to its sleep has announced itself in, as soon as anybody announces himself anew; and whoever
/// notifies between the two sees no flag.
fn a_clear_undoes_no_notification() {
    let door = Arc::new(Door { is_open: AtomicU64::new(0), event: EventCount::new() });
    let asleep = process(&door, 1, |door| {
        let mut looks = 0;
        door.wait(|| {
            looks += 1;
            (looks == 4).then_some(()) // asleep after two, and then announced once more
        });
    });
    while sleepers() == 0 {
        thread::yield_now();
    }
    let waiting = process(&door, 2, |door| door.wait(|| (door.is_open.load(Acquire) == 1).then_some(())));
    let waking = process(&door, 3, |door| door.event.notify_one());
    let opening = process(&door, 4, |door| {
        door.is_open.fetch_add(1, AcqRel);
        door.event.notify_all();
    });
    door.event.notify_one();
    for process in [asleep, waiting, waking, opening] {
        process.join().unwrap();
    }
}

#[test]
fn no_notification_is_undone() {
    explore(None, executions(20_000), a_clear_undoes_no_notification).unwrap();
}
