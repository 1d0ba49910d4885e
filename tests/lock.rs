//! `Lock`: within a process, across processes, after a death.

mod common;

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};

use common::locking::{Stage, locking_tests};
use common::watchdog;
use crossproc::{Arena, Guard, Lock, LockError, Process, RawValue};

crossproc::test_support!();

locking_tests!(Lock, Lock::new().unwrap());

/// What the section of the torture looks like from inside.
#[derive(Clone, serde::Serialize, serde::Deserialize)]
struct Section {
    lock: Lock,
    /// Who is in the section: a contender's number, or VICTIM.
    inside: RawValue<AtomicU32>,
    entries: RawValue<AtomicU64>,
    stop: RawValue<AtomicU32>,
}

const VICTIM: u32 = u32::MAX;

/// Enters and leaves until told to stop. Whoever finds somebody inside must have been told of a death.
fn contend(section: Section, me: u32) {
    while section.stop.load(SeqCst) == 0 {
        let (guard, died) = match section.lock.lock() {
            Ok(guard) => (guard, false),
            Err(LockError::OwnerDied(mut guard)) => {
                guard.repair();
                (guard, true)
            }
            Err(other) => panic!("{other}"),
        };
        let found = section.inside.swap(me, SeqCst);
        assert!(found == 0 || (found == VICTIM && died), "{found} is in the section");
        section.entries.fetch_add(1, SeqCst);
        assert_eq!(section.inside.swap(0, SeqCst), me, "somebody else came in");
        drop(guard);
        std::thread::yield_now(); // locks are not fair, and the victim must get its turn
    }
}

/// Takes the lock and waits for its end.
fn die_inside(section: Section, stage: Stage) {
    let _guard = section.lock.lock().or_else(LockError::repair).unwrap();
    section.inside.store(VICTIM, SeqCst);
    stage.advance();
    loop {
        std::thread::park();
    }
}

#[test]
fn a_thousand_killed_owners_do_not_stop_eight_contenders() {
    let _watchdog = watchdog();
    let deaths = if cfg!(debug_assertions) { 100 } else { 1_000 };
    let number = || RawValue::new(AtomicU32::new(0)).unwrap();
    let entries = RawValue::new(AtomicU64::new(0)).unwrap();
    let section = Section { lock: Lock::new().unwrap(), inside: number(), entries, stop: number() };
    let start = |me| Process::builder().daemon(true).spawn(contend, (&section, me)).unwrap();
    let contenders: Vec<_> = (1..=8).map(start).collect();
    for _ in 0..deaths {
        let stage = Stage::new();
        let victim = Process::spawn(die_inside, (&section, &stage)).unwrap();
        stage.wait_for(1);
        let before = section.entries.load(SeqCst);
        victim.kill().unwrap();
        assert!(victim.join().is_err());
        while section.entries.load(SeqCst) == before {
            std::thread::yield_now();
        }
    }
    section.stop.store(1, SeqCst);
    for contender in contenders {
        contender.join().unwrap();
    }
}

#[test]
fn ten_thousand_locks_in_an_arena_are_one_descriptor() {
    let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let arena = Arena::new(10_000 * 256).unwrap();
    let before = descriptors();
    let locks: Vec<Lock> = (0..10_000).map(|_| Lock::new_in(&arena).unwrap()).collect();
    let guards: Vec<_> = locks.iter().map(|lock| lock.lock().unwrap()).collect();
    assert!(descriptors() < before + 100, "other tests open some, too, but not ten thousand");
    drop(guards);
    let all_free = |locks: Vec<Lock>| locks.iter().all(|lock| lock.try_lock().is_ok());
    assert!(Process::spawn(all_free, (&locks,)).unwrap().join().unwrap());
}
