//! `RwLock`: readers and writers within a process, across processes, after a death.

mod common;

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use common::kills::Kills;
use common::locking::{Stage, asleep, locking_tests, state_of, wait_for_state};
use common::processes::{forked, signal};
use common::watchdog;
use crossproc::{
    Arena, Guard, LockError, Process, RawValue, ReadGuard, RwLock, Shared, TryLockError, WriteGuard, inspect,
};
use zerocopy::{FromBytes, Immutable, IntoBytes};

crossproc::test_support!();

/// The writers' side of a lock, which is a lock.
#[derive(Clone, serde::Serialize, serde::Deserialize)]
struct Writers(RwLock<u64>);

impl Writers {
    fn lock(&self) -> Result<WriteGuard<'_, u64>, LockError<WriteGuard<'_, u64>>> {
        self.0.write()
    }

    fn try_lock(&self) -> Result<WriteGuard<'_, u64>, TryLockError<WriteGuard<'_, u64>>> {
        self.0.try_write()
    }

    fn lock_timeout(&self, timeout: Duration) -> Result<WriteGuard<'_, u64>, TryLockError<WriteGuard<'_, u64>>> {
        self.0.write_timeout(timeout)
    }
}

locking_tests!(Writers, Writers(RwLock::new(5).unwrap()));

type Words = RwLock<[u64; 8]>;

const MOMENT: Duration = Duration::from_millis(20);

fn words() -> Words {
    RwLock::new([0; 8]).unwrap()
}

fn read_and_hold(lock: Words, stage: Stage, until: u32) {
    let _guard = lock.read().or_else(LockError::repair).unwrap();
    stage.advance();
    stage.wait_for(until);
}

fn write_and_die(lock: Words, stage: Stage) {
    let mut guard = lock.write().or_else(LockError::repair).unwrap();
    guard[0] += 1;
    stage.advance();
    loop {
        thread::park();
    }
}

/// One whose writer has been killed.
fn abandoned() -> Words {
    let (lock, stage) = (words(), Stage::new());
    let writer = Process::spawn(write_and_die, (&lock, &stage)).unwrap();
    stage.wait_for(1);
    writer.kill().unwrap();
    writer.wait();
    lock
}

#[test]
fn readers_share_and_a_writer_waits_for_all_of_them() {
    let _watchdog = watchdog();
    let (lock, stage) = (words(), Stage::new());
    let readers = [0; 3].map(|_| Process::spawn(read_and_hold, (&lock, &stage, 4)).unwrap());
    stage.wait_for(3);
    let (first, second) = (lock.read().unwrap(), lock.try_read().unwrap());
    drop(first);
    assert!(matches!(lock.try_write(), Err(TryLockError::Held)));
    assert!(matches!(lock.write_timeout(MOMENT), Err(TryLockError::Held)));
    drop(second);
    assert!(matches!(lock.try_write(), Err(TryLockError::Held)));
    stage.advance();
    drop(lock.write().unwrap());
    for reader in readers {
        reader.join().unwrap();
    }
}

#[test]
fn a_reader_waits_for_a_writer_and_sees_what_it_wrote() {
    let _watchdog = watchdog();
    let lock = words();
    let mut guard = lock.write().unwrap();
    let read = |lock: Words, stage: Stage| {
        stage.advance();
        *lock.read().unwrap()
    };
    let reader = asleep!(read, &lock);
    *guard = [7; 8];
    thread::scope(|scope| {
        scope.spawn(|| {
            assert!(matches!(lock.try_read(), Err(TryLockError::Held)));
            for wait in [Duration::ZERO, Duration::from_micros(1), MOMENT, MOMENT * 4] {
                let start = Instant::now();
                assert!(matches!(lock.read_timeout(wait), Err(TryLockError::Held)));
                assert!(start.elapsed() >= wait);
            }
        });
    });
    drop(guard);
    assert_eq!(reader.join().unwrap(), [7; 8]);
}

#[test]
fn reading_while_this_thread_writes_is_an_error() {
    let _watchdog = watchdog();
    let lock = words();
    let guard = lock.write().unwrap();
    assert!(matches!(lock.read(), Err(LockError::AlreadyHeld)));
    assert!(matches!(lock.try_read(), Err(TryLockError::AlreadyHeld)));
    assert!(matches!(lock.clone().read_timeout(MOMENT), Err(TryLockError::AlreadyHeld)));
    drop(guard);
    assert!(lock.read().is_ok());
}

#[test]
fn a_dead_writer_is_told_to_all_until_a_writer_repairs() {
    let _watchdog = watchdog();
    let lock = abandoned();
    assert!(matches!(lock.read(), Err(LockError::OwnerDied(_))));
    assert!(matches!(lock.try_read(), Err(TryLockError::OwnerDied(_))));
    assert!(matches!(lock.read_timeout(MOMENT), Err(TryLockError::OwnerDied(_))));
    assert!(matches!(lock.try_write(), Err(TryLockError::OwnerDied(_))));
    // A reader can look, and no more.
    let read = lock.read().or_else(LockError::repair).unwrap();
    assert_eq!(read[0], 1);
    drop(read);
    assert!(matches!(lock.read(), Err(LockError::OwnerDied(_))));
    drop(lock.write().or_else(LockError::repair).unwrap());
    assert!(lock.read().is_ok());
    assert!(lock.write().is_ok());
    // The first to find it may be a reader that only tries, or one that waits.
    assert!(matches!(abandoned().try_read(), Err(TryLockError::OwnerDied(_))));
    assert!(matches!(abandoned().write(), Err(LockError::OwnerDied(_))));
}

#[test]
fn a_sleeping_reader_learns_of_a_writers_death() {
    let _watchdog = watchdog();
    let (lock, stage) = (words(), Stage::new());
    let writer = Process::spawn(write_and_die, (&lock, &stage)).unwrap();
    stage.wait_for(1);
    let wait = |lock: Words, stage: Stage| {
        stage.advance();
        matches!(lock.read(), Err(LockError::OwnerDied(_)))
    };
    let readers = [0; 2].map(|_| asleep!(wait, &lock));
    writer.kill().unwrap();
    assert!(readers.into_iter().all(|reader| reader.join().unwrap()));
}

#[test]
fn a_dead_reader_keeps_no_writer_and_is_nobodys_concern() {
    let _watchdog = watchdog();
    let (lock, stage) = (words(), Stage::new());
    let readers = [0; 2].map(|_| Process::spawn(read_and_hold, (&lock, &stage, 9)).unwrap());
    stage.wait_for(2);
    let wait = |lock: Words, stage: Stage| {
        stage.advance();
        lock.write().is_ok()
    };
    let writer = asleep!(wait, &lock);
    for reader in &readers {
        reader.kill().unwrap();
    }
    assert!(writer.join().unwrap(), "a writer that sleeps");
    let forget = |lock: Words| std::mem::forget(lock.read());
    Process::spawn(forget, (&lock,)).unwrap().join().unwrap();
    assert!(lock.try_write().is_ok(), "and one that does not");
    // Its successor in the table of peers counts for itself.
    Process::spawn(forget, (&lock,)).unwrap().join().unwrap();
    Process::spawn(|lock: Words| drop(lock.read().unwrap()), (&lock,)).unwrap().join().unwrap();
    assert!(lock.try_write().is_ok());
}

fn wait_to_write(lock: Words) {
    drop(lock.write().unwrap());
}

fn wait_to_read(lock: Words, stage: Stage) -> bool {
    stage.advance();
    lock.read().is_ok()
}

#[test]
fn a_waiting_writer_keeps_new_readers_out_and_dies_without_a_trace() {
    let _watchdog = watchdog();
    let lock = words();
    let guard = lock.read().unwrap();
    let writer = Process::spawn(wait_to_write, (&lock,)).unwrap();
    while lock.try_read().is_ok() {
        thread::yield_now(); // it is not there yet
    }
    assert!(matches!(lock.read_timeout(MOMENT), Err(TryLockError::Held)));
    let reader = asleep!(wait_to_read, &lock);
    writer.kill().unwrap();
    assert!(reader.join().unwrap(), "in spite of the first reader");
    drop(guard);
    assert!(lock.write().is_ok(), "it had not begun");
}

/// A writer that keeps readers waiting and is stopped, so that it cannot give up before it goes on.
fn stopped_while_it_waits(lock: &Words) -> Process<bool> {
    let give_up = |lock: Words| matches!(lock.write_timeout(MOMENT * 4), Err(TryLockError::Held));
    loop {
        let writer = Process::spawn(give_up, (lock,)).unwrap();
        while lock.try_read().is_ok() && state_of(writer.pid()) != 'Z' {
            thread::yield_now();
        }
        signal(writer.pid(), libc::SIGSTOP);
        while !matches!(state_of(writer.pid()), 'T' | 'Z') {
            thread::yield_now();
        }
        if lock.try_read().is_err() {
            return writer;
        }
        // It has given up before the signal came.
        signal(writer.pid(), libc::SIGCONT);
        writer.join().unwrap();
    }
}

#[test]
fn a_writer_that_gives_up_lets_in_whom_it_kept_waiting() {
    let _watchdog = watchdog();
    let lock = words();
    let _guard = lock.read().unwrap();
    let writer = stopped_while_it_waits(&lock);
    let readers = [0; 2].map(|_| asleep!(wait_to_read, &lock));
    signal(writer.pid(), libc::SIGCONT);
    assert!(writer.join().unwrap());
    assert!(readers.into_iter().all(|reader| reader.join().unwrap()));
    assert!(lock.try_read().is_ok());
}

#[test]
fn a_stopped_reader_is_waited_for() {
    let _watchdog = watchdog();
    let (lock, stage) = (words(), Stage::new());
    let reader = Process::spawn(read_and_hold, (&lock, &stage, 2)).unwrap();
    stage.wait_for(1);
    signal(reader.pid(), libc::SIGSTOP);
    wait_for_state(reader.pid(), 'T');
    stage.advance();
    assert!(matches!(lock.write_timeout(MOMENT * 4), Err(TryLockError::Held)));
    assert!(lock.try_read().is_ok());
    signal(reader.pid(), libc::SIGCONT);
    assert!(lock.write().is_ok());
    reader.join().unwrap();
}

/// A writer that waits cannot be told from one that is about to write.
#[test]
fn a_stopped_waiting_writer_is_waited_for() {
    let _watchdog = watchdog();
    let lock = words();
    let guard = lock.read().unwrap();
    let writer = Process::spawn(wait_to_write, (&lock,)).unwrap();
    while lock.try_read().is_ok() {
        thread::yield_now();
    }
    signal(writer.pid(), libc::SIGSTOP);
    wait_for_state(writer.pid(), 'T');
    drop(guard);
    assert!(matches!(lock.read_timeout(MOMENT * 4), Err(TryLockError::Held)));
    signal(writer.pid(), libc::SIGCONT);
    assert!(lock.read().is_ok());
    writer.join().unwrap();
}

/// Has a guard at any time, unless it is refused another one for a while.
fn read_without_a_gap(lock: Words, stage: Stage) {
    let mut guard = lock.read().unwrap();
    stage.advance();
    while !stage.has_reached(3) {
        match lock.read_timeout(MOMENT) {
            Ok(next) => drop(std::mem::replace(&mut guard, next)),
            Err(TryLockError::Held) => {
                drop(guard);
                guard = lock.read().unwrap();
            }
            Err(other) => panic!("{other}"),
        }
    }
}

#[test]
fn readers_without_a_gap_do_not_starve_a_writer() {
    let _watchdog = watchdog();
    let (lock, stage) = (words(), Stage::new());
    let start = |_| Process::builder().daemon(true).spawn(read_without_a_gap, (&lock, &stage)).unwrap();
    let readers = [0; 2].map(start);
    stage.wait_for(2);
    for _ in 0..5 {
        lock.write().unwrap()[0] += 1;
    }
    stage.advance();
    for reader in readers {
        reader.join().unwrap();
    }
}

/// Readers come one after the other, and a writer takes the lock again before each has woken up; but no more than eight times,
/// unless it has let the reader go first for as long as a writer does, and the reader did not come. `meanwhile` is done while
/// the writer has it.
fn overtake_readers(meanwhile: impl Fn(&Words)) {
    const MOST_IN_A_ROW: u32 = 8;
    const BOUND: Duration = Duration::from_millis(50);
    let mut unyielding = 0;
    let read = |lock: Words, stage: Stage| {
        stage.advance();
        drop(lock.read().unwrap());
        stage.advance();
    };
    for _ in 0..30 {
        let mut in_a_row = 0;
        let (lock, stage) = (words(), Stage::new());
        let mut guard = lock.write().unwrap();
        let reader = Process::spawn(read, (&lock, &stage)).unwrap();
        stage.wait_for(1);
        while !stage.has_reached(2) {
            if state_of(reader.pid()) == 'S' {
                meanwhile(&lock);
                drop(guard);
                let start = Instant::now();
                guard = lock.write().unwrap();
                in_a_row = if start.elapsed() < BOUND { in_a_row + 1 } else { 0 };
                unyielding = unyielding.max(in_a_row);
            }
        }
        reader.join().unwrap();
    }
    // As many again, where a count was lost.
    assert!(unyielding <= 2 * MOST_IN_A_ROW, "a reader has been overtaken {unyielding} times in a row");
}

#[test]
fn writers_without_a_gap_do_not_starve_a_reader() {
    let _watchdog = watchdog();
    overtake_readers(|_| ());
}

#[test]
fn readers_that_give_up_do_not_starve_one_that_waits() {
    let _watchdog = watchdog();
    let give_up = |lock: &Words| matches!(lock.read_timeout(Duration::from_micros(1)), Err(TryLockError::Held));
    overtake_readers(|lock| assert!(thread::scope(|scope| scope.spawn(|| give_up(lock)).join().unwrap())));
}

#[test]
fn a_forked_copy_of_a_read_guard_holds_nothing() {
    let _watchdog = watchdog();
    let lock = words();
    let mut guard = Some(lock.read().unwrap());
    assert!(forked(|| {
        drop(guard.take());
        let is_held = matches!(lock.try_write(), Err(TryLockError::Held));
        std::mem::forget(lock.read()); // it dies as a reader
        is_held
    }));
    assert!(matches!(lock.try_write(), Err(TryLockError::Held)));
    drop(guard);
    assert!(lock.try_write().is_ok());
}

#[derive(Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, Immutable)]
#[repr(C, align(128))]
struct Wide([u64; 16]);

impl Shared for Wide {}

#[test]
fn any_plain_value_lies_in_it_aligned() {
    let arena = Arena::new(1 << 16).unwrap();
    let wide = RwLock::new_in(&arena, Wide([3; 16])).unwrap();
    let none = RwLock::new_in(&arena, [0_u8; 0]).unwrap();
    let odd = RwLock::new_in(&arena, [9_u8; 13]).unwrap();
    assert_eq!(std::ptr::from_ref(&*wide.read().unwrap()).addr() % 128, 0);
    odd.write().unwrap()[12] = 1;
    let elsewhere = |wide: RwLock<Wide>, none: RwLock<[u8; 0]>, odd: RwLock<[u8; 13]>| {
        let is_whole = wide.read().unwrap().0 == [3; 16] && odd.read().unwrap()[12] == 1;
        wide.write().unwrap().0[15] = 4;
        is_whole && none.read().is_ok() && none.write().is_ok()
    };
    assert!(Process::spawn(elsewhere, (&wide, &none, &odd)).unwrap().join().unwrap());
    assert_eq!((wide.read().unwrap().0[15], *odd.read().unwrap()), (4, [9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 1]));
}

#[test]
fn it_is_found_and_seen_by_its_name() {
    let name = format!("test/rwlock-{}", std::process::id());
    let made = RwLock::create(name.as_str(), 7_u64).unwrap();
    let found = RwLock::open_or_create(name.as_str(), 0_u64).unwrap();
    let _guards = (made.read().unwrap(), found.read().unwrap());
    let state = inspect(name.as_str()).unwrap().state;
    let says = |what: &str| state.iter().find(|(fact, _)| fact == what).map(|(_, value)| value.as_str());
    assert_eq!((says("lock"), says("readers"), says("value")), (Some("free"), Some("2"), Some("7")));
}

#[test]
fn a_guards_debug_is_its_values() {
    let lock = RwLock::new(7).unwrap();
    assert_eq!(format!("{:?}", lock.read().unwrap()), "ReadGuard(7)");
    assert_eq!(format!("{:?}", lock.write().unwrap()), "WriteGuard(7)");
    assert_eq!((ReadGuard::<u64>::KIND, WriteGuard::<u64>::KIND), (crossproc::Kind::RwLock, crossproc::Kind::RwLock));
}

/// What the contenders of the torture share.
#[derive(Clone, serde::Serialize, serde::Deserialize)]
struct Field {
    /// All words equal, unless a writer died.
    lock: Words,
    reads: RawValue<AtomicU64>,
    writes: RawValue<AtomicU64>,
    stop: RawValue<AtomicU32>,
}

fn write_on(field: Field) {
    while field.stop.load(SeqCst) == 0 {
        let mut guard = match field.lock.write() {
            Ok(guard) => {
                assert!(guard.iter().all(|word| *word == guard[0]), "{:?}", *guard);
                guard
            }
            Err(LockError::OwnerDied(mut guard)) => {
                let most = guard.iter().copied().max().unwrap_or(0);
                guard.fill(most);
                guard.repair();
                guard
            }
            Err(other) => panic!("{other}"),
        };
        for word in guard.iter_mut() {
            *word += 1;
        }
        field.writes.fetch_add(1, SeqCst);
    }
}

fn read_on(field: Field) {
    while field.stop.load(SeqCst) == 0 {
        match field.lock.read() {
            Ok(guard) => assert!(guard.iter().all(|word| *word == guard[0]), "{:?}", *guard),
            Err(LockError::OwnerDied(_)) => {}
            Err(other) => panic!("{other}"),
        }
        field.reads.fetch_add(1, SeqCst);
    }
}

/// The seed that it prints replays its schedule: `common/kills.rs`.
#[test]
fn killed_readers_and_writers_do_not_stop_eight_contenders() {
    let number = || RawValue::new(AtomicU64::new(0)).unwrap();
    let stop = RawValue::new(AtomicU32::new(0)).unwrap();
    let field = Field { lock: words(), reads: number(), writes: number(), stop };
    let start = |index: usize| match index % 2 {
        0 => Process::builder().daemon(true).spawn(read_on, (&field,)).unwrap(),
        _ => Process::builder().daemon(true).spawn(write_on, (&field,)).unwrap(),
    };
    let mut contenders: Vec<_> = (0..8).map(start).collect();
    let progress = || (field.reads.load(SeqCst), field.writes.load(SeqCst));
    Kills::asked_for(50).each_round(|_, random| {
        let (reads, writes) = progress();
        let (more_reads, more_writes) = (random.below(20), random.below(20));
        while progress().0 <= reads + more_reads || progress().1 <= writes + more_writes {
            thread::yield_now();
        }
        let index = random.index(8);
        let victim = std::mem::replace(&mut contenders[index], start(index));
        victim.kill().unwrap();
        assert!(victim.join().is_err());
    });
    let _watchdog = watchdog();
    field.stop.store(1, SeqCst);
    for contender in contenders {
        contender.join().unwrap();
    }
}
