//! `RLock`: what a lock does, and what its owner may do besides.

mod common;

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Instant;

use common::kills::Kills;
use common::locking::{Stage, locking_tests};
use common::processes::forked;
use common::watchdog;
use crossproc::{Arena, Guard, LockError, Process, RLock, RawArray, TryLockError, inspect};

crossproc::test_support!();

locking_tests!(RLock, RLock::new().unwrap(), {
    #[test]
    fn relocking_is_a_level_more() {
        let _watchdog = watchdog();
        let it = RLock::new().unwrap();
        let other = it.clone();
        let guards = [it.lock().unwrap(), other.try_lock().unwrap(), it.lock_timeout(MOMENT).unwrap()];
        let held_elsewhere = || thread::scope(|scope| scope.spawn(|| it.try_lock().is_err()).join().unwrap());
        for guard in guards {
            assert!(held_elsewhere());
            drop(guard);
        }
        assert!(!held_elsewhere());
    }
});

/// In whatever order: the last one that is dropped unlocks.
#[test]
fn a_lock_is_free_when_it_has_been_unlocked_as_often_as_locked() {
    let _watchdog = watchdog();
    let lock = RLock::new().unwrap();
    let is_free = || std::thread::scope(|scope| scope.spawn(|| lock.try_lock().is_ok()).join().unwrap());
    let mut guards: Vec<_> = (0..1_000).map(|_| lock.lock().unwrap()).collect();
    while !guards.is_empty() {
        assert!(!is_free());
        drop(guards.swap_remove(guards.len() / 2));
    }
    assert!(is_free());
}

/// It does not wait for itself, and needs no time to find that out.
#[test]
fn a_thread_that_has_it_gets_it_with_any_form() {
    let _watchdog = watchdog();
    let lock = RLock::new().unwrap();
    let _guard = lock.lock().unwrap();
    let from_fd = RLock::from_fd(lock.memory_fd().try_clone_to_owned().unwrap()).unwrap();
    let _levels = [lock.lock().unwrap(), from_fd.try_lock().unwrap()];
    let other = lock.clone();
    std::thread::spawn(move || {
        let wait = std::time::Duration::from_millis(20);
        let start = Instant::now();
        assert!(matches!(other.lock_timeout(wait), Err(TryLockError::Held)), "threads count, not processes");
        assert!(start.elapsed() >= wait);
    })
    .join()
    .unwrap();
}

fn hold_deeply(lock: RLock, stage: Stage) {
    let _guards = [(); 5].map(|()| lock.lock().unwrap());
    stage.advance();
    loop {
        std::thread::park();
    }
}

/// A thread of the heir does not take the dead owner's levels for its own.
#[test]
fn a_dead_owners_depth_means_nothing() {
    let _watchdog = watchdog();
    let (lock, stage) = (RLock::new().unwrap(), Stage::new());
    let owner = Process::spawn(hold_deeply, (&lock, &stage)).unwrap();
    stage.wait_for(1);
    owner.kill().unwrap();
    owner.wait();
    drop(lock.lock().or_else(LockError::repair).unwrap());
    let elsewhere = Process::spawn(|lock: RLock| lock.try_lock().is_ok(), (&lock,));
    assert!(elsewhere.unwrap().join().unwrap(), "one level was enough");
}

/// What one level repairs is repaired for all, and until then each is told.
#[test]
fn each_level_is_told_of_a_death_until_one_repairs() {
    let _watchdog = watchdog();
    let lock = RLock::new().unwrap();
    let forget = |lock: RLock| std::mem::forget(lock.lock());
    Process::spawn(forget, (&lock,)).unwrap().join().unwrap();
    let Err(LockError::OwnerDied(outer)) = lock.lock() else { panic!("its owner died") };
    let Err(LockError::OwnerDied(mut inner)) = lock.lock() else { panic!("nobody has repaired") };
    inner.repair();
    drop((inner, lock.lock().unwrap(), outer));
    assert!(lock.lock().is_ok());

    Process::spawn(forget, (&lock,)).unwrap().join().unwrap();
    drop(lock.lock());
    let Err(LockError::OwnerDied(mut outer)) = lock.lock() else { panic!("nobody has repaired") };
    outer.repair();
    outer.repair();
    assert!(lock.lock().is_ok());
    drop(outer);
    assert!(lock.lock().is_ok());
}

/// A copy of a guard neither unlocks its parent's lock nor counts as a level of its own.
#[test]
fn a_forked_copy_of_an_inner_guard_leaves_the_depth_alone() {
    let _watchdog = watchdog();
    let lock = RLock::new().unwrap();
    let mut guards = [(); 2].map(|()| Some(lock.lock().unwrap()));
    assert!(forked(|| {
        guards.iter_mut().for_each(|guard| drop(guard.take()));
        matches!(lock.try_lock(), Err(TryLockError::Held))
    }));
    let [outer, inner] = guards;
    drop(inner);
    assert!(Process::spawn(|lock: RLock| lock.try_lock().is_err(), (&lock,)).unwrap().join().unwrap());
    drop(outer);
    assert!(lock.lock().is_ok());
}

#[test]
fn it_is_found_and_seen_by_its_name() {
    let name = format!("test/rlock-{}", std::process::id());
    let made = RLock::create(name.as_str()).unwrap();
    let found = RLock::open(name.as_str()).unwrap();
    let _guards = [made.lock().unwrap(), found.lock().unwrap()];
    let state = inspect(name.as_str()).unwrap().state;
    let depth = state.iter().find(|(fact, _)| fact.starts_with("depth")).map(|(_, value)| value.as_str());
    assert_eq!(depth, Some("2"));
}

#[test]
fn an_arena_has_room_for_many() {
    let arena = Arena::new(1_000 * 256).unwrap();
    let locks: Vec<RLock> = (0..1_000).map(|_| RLock::new_in(&arena).unwrap()).collect();
    let _guards: Vec<_> = locks.iter().chain(&locks).map(|lock| lock.lock().unwrap()).collect();
    let all_held = |locks: Vec<RLock>| locks.iter().all(|lock| lock.try_lock().is_err());
    assert!(Process::spawn(all_held, (&locks,)).unwrap().join().unwrap());
}

/// Two numbers that are the same wherever nobody is at them, and whether it is over.
type Numbers = RawArray<AtomicU64>;

/// Goes in twice, and raises one number in each level. Who finds them different has been told of a death.
fn contend(lock: RLock, numbers: Numbers) {
    while numbers[2].load(SeqCst) == 0 {
        let outer = lock.lock();
        let is_told = matches!(outer, Err(LockError::OwnerDied(_)));
        let outer = outer.or_else(LockError::repair).unwrap();
        let (first, second) = (numbers[0].load(SeqCst), numbers[1].load(SeqCst));
        assert!(first == second || is_told, "{first} and {second}, and nobody was told of a death");
        numbers[1].store(first, SeqCst);
        numbers[0].store(first + 1, SeqCst);
        let inner = lock.lock().unwrap();
        numbers[1].store(first + 1, SeqCst);
        drop((outer, inner));
    }
}

#[test]
fn killed_owners_do_not_stop_eight_contenders() {
    let (lock, numbers) = (RLock::new().unwrap(), Numbers::new(3).unwrap());
    let start = || Process::builder().daemon(true).spawn(contend, (&lock, &numbers)).unwrap();
    let mut contenders = [(); 8].map(|()| start());
    Kills::asked_for(100).each_round(|_, random| {
        let turns = numbers[1].load(SeqCst) + random.below(50);
        while numbers[1].load(SeqCst) <= turns {
            std::thread::yield_now();
        }
        let victim = std::mem::replace(&mut contenders[random.index(8)], start());
        victim.kill().unwrap();
        assert!(victim.join().is_err());
    });
    let _watchdog = watchdog();
    numbers[2].store(1, SeqCst);
    for contender in contenders {
        contender.join().unwrap();
    }
}
