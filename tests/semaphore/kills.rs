//! Contenders that are killed at random instants, and never more inside than there are permits.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use crossproc::{Permit, Process, RawArray, RawValue, Semaphore};
use serde::{Deserialize, Serialize};

use crate::common::kills::Kills;
use crate::common::watchdog;

/// What contenders for permits write down.
#[derive(Clone, Serialize, Deserialize)]
struct Room {
    semaphore: Semaphore,
    /// One for each contender that has been: how often it has gone in and out. Odd: it is inside.
    steps: RawArray<AtomicU64>,
    /// One for each contender: it is about to be killed.
    doomed: RawArray<AtomicU32>,
    entries: RawValue<AtomicU64>,
    violations: RawValue<AtomicU64>,
    stop: RawValue<AtomicU32>,
}

const PERMITS: usize = 3;
const CONTENDERS: usize = 8;

impl Room {
    /// How many were inside at one instant and are not doomed: the steps were the same before and after it.
    fn inside(&self) -> Option<usize> {
        let steps = || self.steps.iter().map(|steps| steps.load(SeqCst)).collect::<Vec<_>>();
        let before = steps();
        if steps() != before {
            return None;
        }
        let counts = |contender: &usize| before[*contender] % 2 == 1 && self.doomed[*contender].load(SeqCst) == 0;
        Some((0..before.len()).filter(counts).count())
    }

    fn go_in(&self, turn: u64) -> Option<Permit<'_>> {
        match turn % 3 {
            0 => Some(self.semaphore.acquire().unwrap()),
            1 => self.semaphore.acquire_timeout(Duration::from_millis(1)).ok(),
            _ => self.semaphore.try_acquire().ok(),
        }
    }
}

fn contend(room: Room, me: usize) {
    let mut turn = 0;
    while room.stop.load(SeqCst) == 0 {
        turn += 1;
        let Some(permit) = room.go_in(turn) else {
            thread::yield_now();
            continue;
        };
        room.steps[me].fetch_add(1, SeqCst);
        if room.inside().is_some_and(|inside| inside > PERMITS) {
            room.violations.fetch_add(1, SeqCst);
        }
        room.entries.fetch_add(1, SeqCst);
        room.steps[me].fetch_add(1, SeqCst);
        drop(permit);
    }
}

/// The seed that it prints replays its schedule: `common/kills.rs`.
#[test]
fn eight_contenders_for_three_permits_are_killed_at_random() {
    let kills = Kills::asked_for(100);
    let most = CONTENDERS + kills.rounds as usize;
    let number = || RawValue::new(AtomicU64::new(0)).unwrap();
    let room = Room {
        semaphore: Semaphore::new(PERMITS).unwrap(),
        steps: RawArray::new(most).unwrap(),
        doomed: RawArray::new(most).unwrap(),
        entries: number(),
        violations: number(),
        stop: RawValue::new(AtomicU32::new(0)).unwrap(),
    };
    let start = |me| (me, Process::builder().daemon(true).spawn(contend, (&room, me)).unwrap());
    let mut contenders: Vec<_> = (0..CONTENDERS).map(start).collect();
    kills.each_round(|round, random| {
        let before = room.entries.load(SeqCst);
        let entries = random.below(200);
        while room.entries.load(SeqCst) <= before + entries {
            thread::yield_now();
        }
        let (me, victim) = contenders.swap_remove(random.index(CONTENDERS));
        room.doomed[me].store(1, SeqCst);
        victim.kill().unwrap();
        assert!(victim.join().is_err());
        contenders.push(start(CONTENDERS + round as usize));
    });
    let _watchdog = watchdog();
    room.stop.store(1, SeqCst);
    let killed_inside = room.steps.iter().zip(room.doomed.iter());
    let killed_inside = killed_inside.filter(|(steps, doomed)| steps.load(SeqCst) % 2 == 1 && doomed.load(SeqCst) == 1);
    println!("{} entries, {} killed inside", room.entries.load(SeqCst), killed_inside.count());
    for (_, contender) in contenders {
        contender.join().unwrap();
    }
    assert_eq!(room.violations.load(SeqCst), 0, "more were inside than there are permits");
    assert_eq!(room.semaphore.value(), PERMITS, "all are back");
}
