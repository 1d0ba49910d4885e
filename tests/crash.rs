//! SIGKILL at each crash point: a child dies there, and the state that it leaves is what the table says.
//!
//! Only in builds with `--cfg crash_points`.

#![cfg(crash_points)]

mod common;

use common::locking::{Stage, Told, asleep, told};
use common::naming::TestName;
use common::processes::{dies_at, is_killed};
use common::watchdog;
use crossproc::{
    Arena, Array, Error, Lock, Process, ShareableItem, ShareableList, SharedMemory, Value, unlink, unlink_abandoned,
};

crossproc::test_support!();

const OLD: [u64; 4] = [1; 4];
const NEW: [u64; 4] = [2; 4];

#[test]
fn a_child_dies_at_the_crash_point_asked_for() {
    let _watchdog = watchdog();
    dies_at!("process.called", 0, || (), ());
    let process = Process::builder().crash_at_nth("process.called", 1).spawn(|| (), ()).unwrap();
    assert_eq!(process.join(), Ok(()));
}

#[test]
fn a_lock_after_a_death_at_each_point() {
    let _watchdog = watchdog();
    for (point, expected) in [("lock.claimed", Told::OwnerDied), ("lock.released", Told::Nothing)] {
        let lock = Lock::new().unwrap();
        dies_at!(point, 0, |lock: Lock| drop(lock.lock()), (&lock,));
        assert_eq!(told(lock.lock()), expected, "{point}");
    }
}

#[test]
fn a_lock_after_a_death_at_each_point_of_an_owner_with_waiters() {
    let _watchdog = watchdog();
    for (point, passes, expected) in [("lock.claimed", 1, Told::OwnerDied), ("lock.released", 0, Told::Nothing)] {
        let (lock, stage) = (Lock::new().unwrap(), Stage::new());
        let own = |lock: Lock, stage: Stage| {
            let guard = lock.lock();
            stage.advance();
            stage.wait_for(2);
            drop(guard);
            drop(lock.lock());
        };
        let owner = Process::builder().crash_at_nth(point, passes).spawn(own, (&lock, &stage)).unwrap();
        stage.wait_for(1);
        let wait = |lock: Lock, stage: Stage| {
            stage.advance();
            told(lock.lock()) == Told::OwnerDied
        };
        let waiter = asleep!(wait, &lock);
        stage.advance();
        is_killed(point, owner);
        let waiter_was_told = waiter.join().unwrap();
        assert!(expected == Told::OwnerDied || !waiter_was_told, "{point}");
        // The waiter may have come in between the owner's two turns; whoever is next learns what is true.
        assert_eq!(told(lock.lock()), expected, "{point}");
    }
}

#[test]
fn a_lock_after_the_death_of_a_waiter() {
    let _watchdog = watchdog();
    let lock = Lock::new().unwrap();
    let guard = lock.lock().unwrap();
    dies_at!("lock.announced", 0, |lock: Lock| drop(lock.lock()), (&lock,));
    drop(guard);
    assert_eq!(told(lock.lock()), Told::Nothing);
}

#[test]
fn a_value_after_a_death_at_each_point_of_a_commit() {
    let _watchdog = watchdog();
    for (point, expected) in [
        ("lock.claimed", OLD),
        ("value.writing", OLD),
        ("value.written", OLD),
        ("value.committed", NEW),
        ("lock.released", NEW),
    ] {
        let value = Value::new(OLD).unwrap();
        dies_at!(point, 0, |value: Value<[u64; 4]>| value.set(NEW), (&value,));
        assert_eq!(value.get(), expected, "{point}");
        assert_eq!(told(value.lock()), Told::Nothing, "{point}: a commit is atomic, so nobody need know");
        assert_eq!(value.update(|v| v.map(|word| word + 1)), expected.map(|word| word + 1), "{point}");
    }
}

#[test]
fn a_value_after_a_death_at_each_point_of_a_guards_commit() {
    let _watchdog = watchdog();
    for (point, expected, death) in [
        ("lock.claimed", OLD, Told::OwnerDied),
        ("value.writing", OLD, Told::OwnerDied),
        ("value.written", OLD, Told::OwnerDied),
        ("value.committed", NEW, Told::OwnerDied),
        ("lock.released", NEW, Told::Nothing),
    ] {
        let value = Value::new(OLD).unwrap();
        let change = |value: Value<[u64; 4]>| *value.lock().unwrap() = NEW;
        dies_at!(point, 0, change, (&value,));
        assert_eq!(value.get(), expected, "{point}");
        assert_eq!(told(value.lock()), death, "{point}");
    }
}

#[test]
fn an_array_after_a_death_at_each_point_of_a_set() {
    let _watchdog = watchdog();
    for (point, expected) in [
        ("lock.claimed", OLD),
        ("array.saved", OLD),
        ("array.writing", OLD),
        ("array.written", OLD),
        ("lock.released", NEW),
    ] {
        let array = Array::from_iter([OLD; 3]).unwrap();
        let set = |array: Array<[u64; 4]>| array.set(1, NEW).unwrap();
        dies_at!(point, 0, set, (&array,));
        assert_eq!(array.get(1), Ok(expected), "{point}");
        assert_eq!(told(array.lock()), Told::Nothing, "{point}");
        assert_eq!(array.to_vec(), [OLD, expected, OLD], "{point}");
    }
}

/// A death while the element that a dead process was replacing is put back leaves the same to do.
#[test]
fn an_array_after_a_death_while_it_is_mended() {
    let _watchdog = watchdog();
    let array = Array::from_iter([OLD; 3]).unwrap();
    dies_at!("array.written", 0, |array: Array<[u64; 4]>| array.set(1, NEW).unwrap(), (&array,));
    for _ in 0..2 {
        dies_at!("array.restored", 0, |array: Array<[u64; 4]>| array.get(0).unwrap(), (&array,));
    }
    assert_eq!(array.to_vec(), [OLD; 3]);
    assert_eq!(told(array.lock()), Told::Nothing);
}

#[test]
fn bytes_after_a_death_at_each_point_of_a_write() {
    let _watchdog = watchdog();
    for (point, expected, death) in [
        ("lock.claimed", b"old", Told::OwnerDied),
        ("memory.written", b"new", Told::OwnerDied),
        ("lock.released", b"new", Told::Nothing),
    ] {
        let memory = SharedMemory::create(3).unwrap();
        memory.write_at(0, b"old").unwrap();
        dies_at!(point, 0, |memory: SharedMemory| memory.write_at(0, b"new").unwrap(), (&memory,));
        assert_eq!(memory.to_vec(), expected, "{point}");
        assert_eq!(told(memory.lock()), death, "{point}");
        memory.write_at(0, b"on!").unwrap();
    }
}

#[test]
fn a_list_after_a_death_at_each_point_of_a_commit() {
    let _watchdog = watchdog();
    let [left, old, new, right] = ["left", "old, and longer", "new", "right"].map(ShareableItem::from);
    let set = |list: ShareableList| list.set(1, "new").unwrap();
    let update = |list: ShareableList| drop(list.update(1, |_| "new".into()).unwrap());
    for (point, expected) in [
        ("lock.claimed", &old),
        ("value.writing", &old),
        ("value.written", &old),
        ("value.committed", &new),
        ("lock.released", &new),
    ] {
        let lists = [(); 2].map(|()| ShareableList::new([left.clone(), old.clone(), right.clone()]).unwrap());
        dies_at!(point, 0, set, (&lists[0],));
        dies_at!(point, 0, update, (&lists[1],));
        for list in lists {
            assert_eq!(list.to_vec(), Ok(vec![left.clone(), expected.clone(), right.clone()]), "{point}");
            list.try_set(1, "next").unwrap();
            assert_eq!(list.to_vec(), Ok(vec![left.clone(), "next".into(), right.clone()]), "{point}");
        }
    }
}

#[test]
fn an_arena_after_a_death_while_an_object_is_made() {
    let _watchdog = watchdog();
    let arena = Arena::new(4096).unwrap();
    let before = arena.remaining();
    dies_at!("create.allocated", 0, |arena: Arena| drop(Lock::new_in(&arena)), (&arena,));
    assert_eq!(before - arena.remaining(), 256, "the room of that one object is lost, and no more");
    assert!(Lock::new_in(&arena).unwrap().lock().is_ok());
}

#[cfg(feature = "compat-shared-memory")]
#[test]
fn an_arena_in_a_shmem_after_a_death_at_each_point_of_its_making() {
    use shared_memory::ShmemConf;

    const BYTES: usize = 1 << 14;
    let _watchdog = watchdog();
    let make = |id: String| drop(Arena::in_shmem(&ShmemConf::new().os_id(id).open().unwrap()));
    for point in ["shmem.begun", "shmem.laid_out"] {
        let id = format!("test-crossproc-{}", std::process::id());
        let shmem = ShmemConf::new().os_id(&id).size(BYTES).create().unwrap();
        dies_at!(point, 0, make, (&id,));
        assert_eq!(&std::fs::read(format!("/dev/shm/{id}")).unwrap()[..8], b"crosspr-", "{point}");
        let arena = Arena::in_shmem(&shmem).unwrap();
        assert_eq!(arena.remaining(), BYTES - (128 + 256 * 8 + 128), "{point}: all but headers and peers");
        assert!(Lock::new_in(&arena).unwrap().lock().is_ok(), "{point}");
    }
}

/// More deaths than places: a dead peer's place is given away again, wherever it died.
#[test]
fn an_attachment_after_a_death_at_each_point() {
    let _watchdog = watchdog();
    for point in ["attach.claimed", "attach.held", "attach.active", "detach.freed"] {
        let value = Value::new(5_u64).unwrap();
        for _ in 0..260 {
            dies_at!(point, 0, |value: Value<u64>| drop(value), (&value,));
        }
        let read = |value: Value<u64>| value.update(|n| n + 1);
        assert_eq!(Process::spawn(read, (&value,)).unwrap().join().unwrap(), 6, "{point}");
    }
}

fn create(name: String) {
    drop(Value::create(name, 5_u64));
}

/// Whole, or not there at all.
#[test]
fn a_name_after_a_death_of_its_maker_at_each_point() {
    let _watchdog = watchdog();
    let name = TestName::new();
    for point in ["create.allocated", "value.writing", "value.committed", "name.removed"] {
        dies_at!(point, 0, create, (name.as_str(),));
        assert!(matches!(Value::<u64>::open(name.as_str()), Err(Error::NoSuchName { .. })), "{point}");
    }
    for point in ["create.linked", "name.compared"] {
        dies_at!(point, 0, create, (name.as_str(),));
        assert_eq!(Value::<u64>::open(name.as_str()).unwrap().get(), 5, "{point}");
        assert_eq!(unlink_abandoned(name.as_str()), Ok(true), "{point}");
    }
}

#[test]
fn a_name_after_a_death_of_who_opens_or_removes_it_at_each_point() {
    let _watchdog = watchdog();
    let name = TestName::new();
    let value = Value::create(name.as_str(), 5_u64).unwrap();
    for point in ["attach.claimed", "attach.held", "attach.active", "open.attached"] {
        dies_at!(point, 0, |name: String| drop(Value::<u64>::open(name)), (name.as_str(),));
        assert_eq!(unlink_abandoned(name.as_str()), Ok(false), "{point}");
    }
    dies_at!("name.compared", 0, |name: String| unlink(name).is_ok(), (name.as_str(),));
    assert_eq!(Value::<u64>::open(name.as_str()).unwrap().get(), 5);
    dies_at!("name.removed", 0, |name: String| unlink(name).is_ok(), (name.as_str(),));
    assert!(matches!(unlink(name.as_str()), Err(Error::NoSuchName { .. })));
    assert_eq!(value.get(), 5);
}
