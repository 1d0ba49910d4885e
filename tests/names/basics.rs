use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use crossproc::{
    Arena, Array, AttachError, Barrier, BarrierBuilder, Error, Kind, Lock, Manager, Name, Process, Queue, QueueBuilder,
    RawArray, RawValue, Result, Ring, Semaphore, SemaphoreBuilder, ShareableList, SharedMemory, Value, abandoned, gc,
    names, unlink, unlink_abandoned,
};

use super::common::processes::forked;
use super::common::watchdog;
use super::{TestName, in_own_directory, is_missing, remove};

#[test]
fn each_kind_can_be_made_and_opened() {
    let _watchdog = watchdog();
    let name = TestName::new();
    let name = name.as_str();

    let made = Value::create(name, 5_u64).unwrap();
    Value::<u64>::open(name).unwrap().set(6);
    assert_eq!(made.get(), 6);
    drop(made);

    let made = Array::<u8>::create(name, 3).unwrap();
    Array::<u8>::open(name).unwrap().set(1, 9).unwrap();
    assert_eq!(made.to_vec(), [0, 9, 0]);
    drop(made);

    let made = RawValue::create(name, AtomicU64::new(5)).unwrap();
    assert_eq!(RawValue::<AtomicU64>::open(name).unwrap().fetch_add(1, SeqCst), 5);
    assert_eq!(made.load(SeqCst), 6);
    drop(made);

    let made = RawArray::<AtomicU64>::create(name, 2).unwrap();
    RawArray::<AtomicU64>::open(name).unwrap()[1].store(4, SeqCst);
    assert_eq!(made[1].load(SeqCst), 4);
    drop(made);

    let made = SharedMemory::create_named(name, 3).unwrap();
    SharedMemory::open(name).unwrap().write_at(1, &[9]).unwrap();
    assert_eq!(made.to_vec(), [0, 9, 0]);
    drop(made);

    let made = ShareableList::create(name, [1.into(), "text".into()]).unwrap();
    ShareableList::open(name).unwrap().set(1, 2).unwrap();
    assert_eq!(made.to_vec().unwrap(), [1.into(), 2.into()]);
    drop(made);

    let made = Lock::create(name).unwrap();
    let opened = Lock::open(name).unwrap();
    let guard = made.lock().unwrap();
    assert!(opened.try_lock().is_err());
    drop(guard);
    drop((made, opened));

    let made = Ring::<u64>::create(name, 4).unwrap();
    made.put(7).unwrap();
    assert_eq!(Ring::<u64>::open(name).unwrap().get(), Ok(7));
    drop(made);

    let made = Queue::<String>::create(name, 4).unwrap();
    let long = "x".repeat(1000);
    made.put(&long).unwrap();
    assert_eq!(Queue::<String>::open(name).unwrap().get(), Ok(long));
    drop(made);

    let made = Manager::create(name).unwrap();
    made.at("jobs").list().unwrap().push(7).unwrap();
    assert_eq!(Manager::open(name).unwrap().at("jobs").list::<i32>().unwrap().get(0), Ok(7));
    drop(made);

    let made = Arena::create(name, 1 << 16).unwrap();
    let opened = Arena::open(name).unwrap();
    let _lock = Lock::new_in(&opened).unwrap();
    assert_eq!(made.remaining(), opened.remaining());
    drop((made, opened, _lock));

    assert!(is_missing(&Lock::open(name)));
}

/// Opened by a process that has nothing of its parent's but the name.
#[test]
fn a_name_is_enough_for_another_process() {
    let _watchdog = watchdog();
    let name = TestName::new();
    let counter = Value::create(name.as_str(), 1_u64).unwrap();
    let add = |name: String| Value::<u64>::open(name).unwrap().update(|n| n + 1);
    assert_eq!(Process::spawn(add, (name.as_str(),)).unwrap().join(), Ok(2));
    assert_eq!(counter.get(), 2);
    assert!(name.exists(), "who opens an object does not remove its name");
}

#[test]
fn a_handle_of_a_named_object_travels() {
    let _watchdog = watchdog();
    let name = TestName::new();
    for mode in [0o600, 0o660] {
        let counter = Value::create(Name::new(name.as_str()).mode(mode), 1_u64).unwrap();
        let add = |counter: Value<u64>| counter.update(|n| n + 1);
        assert_eq!(Process::spawn(add, (&counter,)).unwrap().join(), Ok(2));
    }
}

#[test]
fn a_name_that_is_taken_is_an_error() {
    let name = TestName::new();
    let made = Value::create(name.as_str(), 1_u64).unwrap();
    let again = Value::create(name.as_str(), 2_u64);
    assert_eq!(again.unwrap_err(), Error::NameTaken { name: name.as_str().into() });
    assert!(matches!(Lock::create(name.as_str()), Err(Error::NameTaken { .. })));
    assert_eq!(made.get(), 1);
}

#[test]
fn another_kind_type_or_shape_is_an_error() {
    let name = TestName::new();
    let attach_error = |outcome: Error| match outcome {
        Error::Attach(error) => error,
        other => panic!("{other}"),
    };
    let _ring = Ring::<u64>::create(name.as_str(), 4).unwrap();
    let refused = Lock::open(name.as_str()).unwrap_err();
    assert_eq!(attach_error(refused), AttachError::WrongKind { found: Ok(Kind::Ring), expected: Kind::Lock });
    let refused = Ring::<i64>::open(name.as_str()).unwrap_err();
    let said = format!("cannot attach: {:?} has type u64 (8 bytes, alignment 8), expected i64 ", name.as_str());
    assert!(refused.to_string().starts_with(&said), "{refused}");
    assert!(matches!(attach_error(refused), AttachError::WrongType { .. }));
    let refused = Ring::<u64>::open_or_create(name.as_str(), 5).unwrap_err();
    assert_eq!(refused.to_string(), "cannot attach: a Ring with capacity 4, expected 5");
    assert!(Ring::<u64>::open_or_create(name.as_str(), 4).is_ok());
}

/// `found`: whether it opens, or with what message it does not.
fn opens<H>(found: Result<H>) -> std::result::Result<(), String> {
    found.map(drop).map_err(|error| error.to_string())
}

/// What a builder was told must be so; what it was not told is as it was made.
#[test]
fn an_object_is_compared_with_what_was_told() {
    let refused = |text: &str| Err(format!("cannot attach: {text}"));
    let name = TestName::new();
    let builder = Queue::<u8>::builder;
    let queue = builder().capacity(3).max_message(100).end_with_producers(true).create(name.as_str()).unwrap();
    assert_eq!(opens(Queue::<u8>::open_or_create(name.as_str(), 3)), Ok(()));
    let open = |builder: QueueBuilder<u8>| opens(builder.open_or_create(name.as_str()));
    assert_eq!(open(builder()), Ok(()));
    assert_eq!(open(builder().capacity(3)), Ok(()));
    assert_eq!(open(builder().max_message(100).end_with_producers(true).end_with_consumers(false)), Ok(()));
    assert_eq!(open(builder().capacity(4)), refused("a Queue with capacity 3, expected 4"));
    assert_eq!(open(builder().max_message(1 << 20)), refused("a Queue with max_message 100, expected 1048576"));
    assert_eq!(open(builder().end_with_producers(false)), refused("a Queue with end_with_producers 1, expected 0"));
    assert_eq!(open(builder().end_with_consumers(true)), refused("a Queue with end_with_consumers 0, expected 1"));
    drop(queue);

    let name = TestName::new();
    let semaphore = Semaphore::builder().permits(2).max(5).create(name.as_str()).unwrap();
    let open = |builder: SemaphoreBuilder| opens(builder.open_or_create(name.as_str()));
    assert_eq!(opens(Semaphore::open_or_create(name.as_str(), 2)), Ok(()));
    assert_eq!(open(Semaphore::builder().permits(2)), Ok(()));
    assert_eq!(open(Semaphore::builder().max(5)), Ok(()));
    assert_eq!(open(Semaphore::builder().max(6)), refused("a Semaphore with capacity 5, expected 6"));
    drop(semaphore);

    for (timeout, is) in [(None, "no timeout"), (Some(Duration::from_millis(5)), "a timeout of 5ms")] {
        let name = TestName::new();
        let builder = Barrier::builder().parties(3);
        let builder = timeout.into_iter().fold(builder, BarrierBuilder::timeout);
        let _barrier = builder.create(name.as_str()).unwrap();
        let open = |builder: BarrierBuilder| opens(builder.open_or_create(name.as_str()));
        assert_eq!(opens(Barrier::open_or_create(name.as_str(), 3)), Ok(()));
        assert_eq!(open(Barrier::builder()), Ok(()));
        assert_eq!(open(Barrier::builder().timeout(timeout.unwrap_or(Duration::MAX))), Ok(()));
        assert_eq!(open(Barrier::builder().parties(4)), refused("a Barrier with parties 3, expected 4"));
        let other = Barrier::builder().timeout(Duration::from_secs(1));
        assert_eq!(open(other), refused(&format!("a Barrier with {is}, expected a timeout of 1s")));
    }
}

#[test]
fn an_impossible_name_is_an_error_and_takes_nothing() {
    let too_long = "x".repeat(201);
    for text in ["", ".", "..", "a/..", "../a", "/a", "a/", "a//b", "a b", "a%b", "a\0b", "ä", &too_long] {
        let refused = Value::create(text, 0).unwrap_err();
        assert!(matches!(&refused, Error::InvalidName { name, .. } if name == text), "{refused}");
        for refused in [Value::<i32>::open(text).err(), Value::open_or_create(text, 0).err(), unlink(text).err()] {
            assert!(matches!(refused, Some(Error::InvalidName { .. })), "{text:?}");
        }
    }
}

#[test]
fn a_capacity_that_cannot_be_makes_no_name() {
    let name = TestName::new();
    assert!(matches!(Ring::<u64>::create(name.as_str(), 0), Err(Error::Capacity { .. })));
    assert!(matches!(Array::<u8>::create(name.as_str(), 1 << 44), Err(Error::NoSpace { .. })));
    assert!(!name.exists());
}

#[test]
fn the_name_goes_with_its_makers_last_handle() {
    let _watchdog = watchdog();
    let name = TestName::new();
    let first = Value::create(name.as_str(), 1_u64).unwrap();
    let last = first.clone();
    drop(first);
    let opened = Value::<u64>::open(name.as_str()).unwrap();
    drop(last);
    assert!(name.exists(), "this process has a handle yet");
    assert!(forked(move || {
        drop(opened.clone());
        opened.get() == 1
    }));
    assert!(!name.exists());
}

#[test]
fn a_forked_copy_removes_no_name() {
    let _watchdog = watchdog();
    let name = TestName::new();
    let made = Value::create(name.as_str(), 1_u64).unwrap();
    assert!(forked(|| {
        // SAFETY: the copy, which ends without destructors, drops it once; the parent has its own.
        drop(unsafe { std::ptr::read(&made) });
        name.exists()
    }));
    assert!(name.exists());
}

#[test]
fn what_persists_is_there_until_it_is_removed() {
    let name = TestName::new();
    drop(Value::create(Name::new(name.as_str()).persist(), 7_u64).unwrap());
    assert!(names().unwrap().contains(&name.as_str().into()));
    assert_eq!(Value::<u64>::open(name.as_str()).unwrap().get(), 7);
    remove(&name);
    assert!(is_missing(&Value::<u64>::open(name.as_str())));
    assert!(is_missing(&unlink(name.as_str())), "the second time it is an error");
}

/// A maker whose name was removed, and given to something else, leaves that alone.
#[test]
fn a_maker_removes_no_other_objects_name() {
    let name = TestName::new();
    let first = Value::create(name.as_str(), 1_u64).unwrap();
    remove(&name);
    let second = Value::create(name.as_str(), 2_u64).unwrap();
    drop(first);
    assert_eq!(Value::<u64>::open(name.as_str()).unwrap().get(), 2);
    drop(second);
}

#[test]
fn only_what_nobody_uses_is_abandoned() {
    let _watchdog = watchdog();
    let (used, unused) = (TestName::new(), TestName::new());
    let value = Value::create(Name::new(used.as_str()).persist(), 1_u64).unwrap();
    drop(Value::create(Name::new(unused.as_str()).persist(), 1_u64).unwrap());
    let contains = |list: &[String], name: &TestName| list.iter().any(|known| known == name.as_str());
    let listed = abandoned().unwrap();
    assert!(contains(&listed, &unused) && !contains(&listed, &used));
    assert!(unused.exists(), "looking removes nothing");

    let collect = |used: String, unused: String| (unlink_abandoned(used), unlink_abandoned(unused));
    let collected = Process::spawn(collect, (used.as_str(), unused.as_str())).unwrap().join();
    assert_eq!(collected, Ok((Ok(false), Ok(true))));
    assert!(used.exists() && !unused.exists());
    drop(value);
    assert_eq!(unlink_abandoned(used.as_str()), Ok(true));
    assert!(is_missing(&unlink_abandoned(used.as_str())));
}

/// In a directory of its own: a collector takes whatever nobody uses, other programs' objects as well.
#[test]
fn a_collector_takes_all_that_nobody_uses() {
    let _watchdog = watchdog();
    let collect = || {
        in_own_directory(c"").then(|| {
            let _used = Lock::create("app/used").unwrap();
            for name in ["app/b", "a", "app/a"] {
                drop(Lock::create(Name::new(name).persist()).unwrap());
            }
            std::fs::write("/dev/shm/crossproc-foreign", "foreign").unwrap();
            std::fs::write("/dev/shm/foreign", "foreign").unwrap();
            (names().unwrap(), abandoned().unwrap(), gc().unwrap(), names().unwrap())
        })
    };
    let Some((all, unused, gone, left)) = Process::spawn(collect, ()).unwrap().join().unwrap() else {
        eprintln!("not checked: this user cannot mount a file system");
        return;
    };
    assert_eq!(all, ["a", "app/a", "app/b", "app/used", "foreign"]);
    assert_eq!(
        (unused, gone),
        (vec!["a".into(), "app/a".into(), "app/b".into()], vec!["a".into(), "app/a".into(), "app/b".into()])
    );
    assert_eq!(left, ["app/used", "foreign"]);
}
