//! `SharedMemory`: within a process, across processes, after a death, under names.

mod common;

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use common::kills::Kills;
use common::locking::{Stage, locking_tests, wait_for_state};
use common::naming::TestName;
use common::processes::{forked, signal};
use common::watchdog;
use crossproc::{Arena, AttachError, Error, Kind, LockError, Name, Process, RawValue, SharedMemory};

crossproc::test_support!();

locking_tests!(SharedMemory, SharedMemory::create(3).unwrap());

fn is_missing(name: &str) -> bool {
    SharedMemory::open(name).unwrap_err() == Error::NoSuchName { name: name.into() }
}

#[test]
fn it_is_as_long_as_it_was_asked_to_be() {
    let name = TestName::new();
    let arena = Arena::new(1 << 20).unwrap();
    for length in [1, 10, 63, 64, 65, 511, 4096, 4097, 100_000] {
        let here = SharedMemory::create_named(name.as_str(), length).unwrap();
        let memories = [
            SharedMemory::open(name.as_str()).unwrap(),
            here,
            SharedMemory::create(length).unwrap(),
            SharedMemory::new_in(&arena, length).unwrap(),
        ];
        for memory in memories {
            assert_eq!((memory.len(), memory.lock().unwrap().len()), (length, length));
            assert_eq!(memory.to_vec(), vec![0; length], "new bytes are zero");
        }
    }
}

#[test]
fn no_bytes_at_all_are_refused() {
    let name = TestName::new();
    let arena = Arena::new(1 << 10).unwrap();
    for made in [
        SharedMemory::create(0),
        SharedMemory::create_named(name.as_str(), 0),
        SharedMemory::open_or_create(name.as_str(), 0),
        SharedMemory::new_in(&arena, 0),
    ] {
        let refused = made.unwrap_err();
        assert_eq!(refused.to_string(), "a SharedMemory cannot be made for 0, only for 1 to 9223372036854775807");
    }
    assert!(is_missing(name.as_str()));
}

#[test]
fn more_bytes_than_there_are_is_an_error() {
    for length in [1 << 50, isize::MAX as usize, usize::MAX] {
        assert!(matches!(SharedMemory::create(length), Err(Error::NoSpace { .. })), "{length}");
    }
    assert!(matches!(SharedMemory::new_in(&Arena::new(100).unwrap(), 4096), Err(Error::NoSpace { .. })));
}

#[test]
fn what_is_written_is_read() {
    let memory = SharedMemory::create(1000).unwrap();
    let mut oracle = vec![0; 1000];
    for (offset, length) in [(0, 1000), (0, 0), (1000, 0), (999, 1), (3, 500), (17, 64), (501, 7)] {
        let bytes: Vec<u8> = (0..length).map(|index| (index * 7 + offset + 1) as u8).collect();
        memory.write_at(offset, &bytes).unwrap();
        oracle[offset..offset + length].copy_from_slice(&bytes);
        let mut back = vec![0xEE; length];
        memory.read_at(offset, &mut back).unwrap();
        assert_eq!(back, bytes);
        assert_eq!(memory.to_vec(), oracle);
        assert_eq!(*memory.lock().unwrap(), *oracle);
    }
}

#[test]
fn out_of_range_names_both_sides_and_changes_nothing() {
    let memory = SharedMemory::create(10).unwrap();
    for (offset, count) in [(11, 0), (10, 1), (0, 11), (9, 2), (usize::MAX, 1), (usize::MAX, 0), (usize::MAX - 4, 5)] {
        let refused = Error::BytesOutOfRange { offset, count, length: 10 };
        let mut bytes = vec![7; count];
        assert_eq!(memory.read_at(offset, &mut bytes), Err(refused.clone()));
        assert_eq!(memory.write_at(offset, &bytes), Err(refused.clone()));
        assert_eq!(memory.try_write_at(offset, &bytes), Err(refused.clone()));
        assert_eq!(memory.write_at_timeout(offset, &bytes, Duration::ZERO), Err(refused));
        assert_eq!((bytes, memory.to_vec()), (vec![7; count], vec![0; 10]));
    }
}

#[test]
fn neighbours_in_an_arena_share_nothing() {
    let arena = Arena::new(1 << 16).unwrap();
    let memories: Vec<_> = (1..100).map(|length| SharedMemory::new_in(&arena, length).unwrap()).collect();
    for (memory, byte) in memories.iter().zip(1..) {
        memory.lock().unwrap().fill(byte);
    }
    for (memory, byte) in memories.iter().zip(1..) {
        assert_eq!(memory.to_vec(), vec![byte; memory.len()]);
    }
}

#[test]
fn another_process_finds_it_by_name_or_gets_it() {
    let _watchdog = watchdog();
    let name = TestName::new();
    let memory = SharedMemory::create_named(name.as_str(), 512).unwrap();
    let by_name = |name: String| SharedMemory::open(name)?.write_at(0, b"howdy");
    Process::spawn(by_name, (name.as_str(),)).unwrap().join().unwrap().unwrap();
    assert_eq!(&memory.lock().unwrap()[..6], b"howdy\0");
    let by_handle = |memory: SharedMemory| memory.lock().unwrap()[..5].copy_from_slice(b"HELLO");
    Process::spawn(by_handle, (&memory,)).unwrap().join().unwrap();
    assert_eq!(&memory.to_vec()[..6], b"HELLO\0");
    let in_arena = SharedMemory::new_in(&Arena::new(1024).unwrap(), 7).unwrap();
    Process::spawn(by_handle, (&in_arena,)).unwrap().join().unwrap();
    assert_eq!(in_arena.to_vec(), b"HELLO\0\0");
}

#[test]
fn a_name_is_given_once_and_finds_what_is_there() {
    let name = TestName::new();
    assert!(is_missing(name.as_str()));
    let memory = SharedMemory::create_named(name.as_str(), 512).unwrap();
    memory.write_at(0, b"x").unwrap();
    let again = SharedMemory::create_named(name.as_str(), 512).unwrap_err();
    assert_eq!(again, Error::NameTaken { name: name.as_str().into() });
    assert_eq!(SharedMemory::open_or_create(name.as_str(), 512).unwrap().to_vec(), memory.to_vec());
    let other = SharedMemory::open_or_create(name.as_str(), 511).unwrap_err();
    let (found, expected) = (512, 511);
    let wrong = AttachError::WrongShape { object: Kind::SharedMemory, what: "length".into(), found, expected };
    assert_eq!(other, Error::Attach(wrong));
    assert!(matches!(crossproc::Array::<u8>::open(name.as_str()), Err(Error::Attach(AttachError::WrongKind { .. }))));
    drop(memory);
    assert!(is_missing(name.as_str()), "the name goes with its creator's last handle");
}

#[test]
fn a_name_is_removed_once() {
    let name = TestName::new();
    let gone = Err(Error::NoSuchName { name: name.as_str().into() });
    let memory = SharedMemory::create_named(name.as_str(), 10).unwrap();
    let opened = SharedMemory::open(name.as_str()).unwrap();
    assert_eq!(opened.clone().unlink(), Ok(()));
    assert!(is_missing(name.as_str()));
    assert_eq!((memory.unlink(), opened.unlink()), (gone.clone(), gone.clone()));
    memory.write_at(0, b"still here").unwrap();
    assert_eq!(opened.to_vec(), b"still here");
    // Another object that has the name now is none of theirs to remove.
    let next = SharedMemory::create_named(name.as_str(), 10).unwrap();
    assert_eq!((memory.unlink(), opened.unlink()), (gone.clone(), gone));
    assert_eq!(next.unlink(), Ok(()));
}

#[test]
fn who_opens_it_in_another_process_may_remove_its_name() {
    let _watchdog = watchdog();
    let name = TestName::new();
    let memory = SharedMemory::create_named(Name::new(name.as_str()).persist(), 10).unwrap();
    let remove = |name: String| SharedMemory::open(name)?.unlink();
    assert_eq!(Process::spawn(remove, (name.as_str(),)).unwrap().join().unwrap(), Ok(()));
    assert!(is_missing(name.as_str()));
    assert_eq!(memory.unlink(), Err(Error::NoSuchName { name: name.as_str().into() }));
}

#[test]
fn who_does_not_know_a_name_cannot_remove_it() {
    let _watchdog = watchdog();
    let name = TestName::new();
    let nameless = Err(Error::Nameless { object: Kind::SharedMemory });
    assert_eq!(SharedMemory::create(10).unwrap().unlink(), nameless);
    let arena = Arena::create(name.as_str(), 1 << 12).unwrap();
    assert_eq!(SharedMemory::new_in(&arena, 10).unwrap().unlink(), nameless, "the name is the arena's");
    drop(arena);
    let memory = SharedMemory::create_named(name.as_str(), 10).unwrap();
    let received = |memory: SharedMemory| memory.unlink();
    assert_eq!(Process::spawn(received, (&memory,)).unwrap().join().unwrap(), nameless);
    assert_eq!(memory.unlink(), Ok(()));
}

#[test]
fn writing_past_the_own_guard_is_refused() {
    let memory = SharedMemory::create(4).unwrap();
    let guard = memory.lock().unwrap();
    let held = Err(Error::AlreadyHeld { object: Kind::SharedMemory });
    assert_eq!(memory.write_at(0, b"x"), held);
    assert_eq!(memory.try_write_at(0, b"x"), held);
    assert_eq!(memory.write_at_timeout(0, b"x", Duration::from_secs(9)), held);
    assert_eq!(*guard, [0; 4]);
}

/// What a guard lends does not change under its owner's eyes, and copies are had all the same.
#[test]
fn writing_past_anothers_guard_waits_as_long_as_it_may_and_reading_does_not() {
    let _watchdog = watchdog();
    let memory = SharedMemory::create(4).unwrap();
    let mut guard = memory.lock().unwrap();
    guard[0] = 7;
    let elsewhere = |memory: SharedMemory| {
        let held = Err(Error::Held { object: Kind::SharedMemory });
        assert_eq!(memory.try_write_at(0, b"x"), held);
        let (wait, start) = (Duration::from_millis(30), Instant::now());
        assert_eq!(memory.write_at_timeout(0, b"x", wait), held);
        assert!(start.elapsed() >= wait);
        let mut first = [0];
        memory.read_at(0, &mut first).unwrap();
        (first[0], memory.to_vec())
    };
    let found = Process::spawn(elsewhere, (&memory,)).unwrap().join().unwrap();
    assert_eq!(found, (7, vec![7, 0, 0, 0]));
    assert_eq!(*guard, [7, 0, 0, 0]);
    drop(guard);
    thread::scope(|scope| scope.spawn(|| memory.write_at(0, b"x")).join().unwrap()).unwrap();
    assert_eq!(memory.to_vec(), *b"x\0\0\0");
}

#[test]
fn a_copy_can_be_had_from_under_a_stopped_owner() {
    let _watchdog = watchdog();
    let (memory, stage) = (SharedMemory::create(4).unwrap(), Stage::new());
    let hold = |memory: SharedMemory, stage: Stage| {
        let mut guard = memory.lock().unwrap();
        guard.fill(9);
        stage.advance();
        stage.wait_for(2);
    };
    let owner = Process::spawn(hold, (&memory, &stage)).unwrap();
    stage.wait_for(1);
    signal(owner.pid(), libc::SIGSTOP);
    wait_for_state(owner.pid(), 'T');
    assert_eq!(memory.to_vec(), [9; 4]);
    assert!(matches!(memory.try_write_at(0, b"x"), Err(Error::Held { .. })));
    stage.advance();
    signal(owner.pid(), libc::SIGCONT);
    memory.write_at(0, b"x").unwrap();
    owner.join().unwrap();
}

/// Who dies with the lock in hand leaves what was written so far, and writers that take no guard go on.
#[test]
fn a_killed_owner_leaves_what_it_has_written() {
    let _watchdog = watchdog();
    let (memory, stage) = (SharedMemory::create(4).unwrap(), Stage::new());
    fn hold(memory: SharedMemory, stage: Stage) {
        let mut guard = memory.lock().unwrap();
        guard[1] = 5;
        stage.advance();
        loop {
            thread::park();
        }
    }
    let owner = Process::spawn(hold, (&memory, &stage)).unwrap();
    stage.wait_for(1);
    owner.kill().unwrap();
    memory.write_at(2, &[6]).unwrap();
    let Err(crossproc::LockError::OwnerDied(guard)) = memory.lock() else { panic!("the next guard says so") };
    assert_eq!(*guard, [0, 5, 6, 0]);
}

#[test]
fn an_open_guard_in_a_forked_copy_holds_nothing() {
    let _watchdog = watchdog();
    let memory = SharedMemory::create(4).unwrap();
    let guard = memory.lock().unwrap();
    assert!(forked(|| {
        let borrowed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| guard.len()));
        borrowed.is_err() && matches!(memory.try_write_at(0, b"x"), Err(Error::Held { .. }))
    }));
    assert_eq!(*guard, [0; 4]);
}

/// Fills it with one byte after another. Who finds different ones has been told of a death.
fn fill(memory: SharedMemory, turns: RawValue<AtomicU64>) {
    while turns.load(SeqCst) != u64::MAX {
        let guard = memory.lock();
        let is_told = matches!(guard, Err(LockError::OwnerDied(_)));
        let mut guard = guard.or_else(LockError::repair).unwrap();
        let is_whole = guard.iter().all(|byte| *byte == guard[0]);
        assert!(is_whole || is_told, "{:?}, and nobody was told of a death", &guard[..]);
        let next = guard[0].wrapping_add(1);
        guard.fill(next);
        drop(guard);
        let _ = turns.fetch_update(SeqCst, SeqCst, |turns| (turns != u64::MAX).then_some(turns + 1));
    }
}

#[test]
fn killed_owners_do_not_stop_eight_contenders() {
    let (memory, turns) = (SharedMemory::create(1_000).unwrap(), RawValue::new(AtomicU64::new(0)).unwrap());
    let start = || Process::builder().daemon(true).spawn(fill, (&memory, &turns)).unwrap();
    let mut contenders = [(); 8].map(|()| start());
    Kills::asked_for(100).each_round(|_, random| {
        let until = turns.load(SeqCst) + random.below(50);
        while turns.load(SeqCst) <= until {
            std::thread::yield_now();
        }
        let victim = std::mem::replace(&mut contenders[random.index(8)], start());
        victim.kill().unwrap();
        assert!(victim.join().is_err());
    });
    let _watchdog = watchdog();
    turns.store(u64::MAX, SeqCst);
    for contender in contenders {
        contender.join().unwrap();
    }
}
