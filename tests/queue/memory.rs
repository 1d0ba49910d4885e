//! Where a queue lies, how much memory it takes, and what happens when there is none.

use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;

use crossproc::{Arena, AttachError, Error, GetError, Kind, Process, PutError, Queue, Ring, TryPutError, Value};

use crate::IS_FULL;
use crate::common::watchdog;

fn blocks(handle: &impl AsFd) -> u64 {
    File::from(handle.as_fd().try_clone_to_owned().unwrap()).metadata().unwrap().blocks() * 512
}

#[test]
fn a_limit_is_no_size() {
    let _watchdog = watchdog();
    let queue = Queue::<Vec<u8>>::builder().capacity(1_000).max_message(1 << 30).build().unwrap();
    assert_eq!(queue.max_message(), 1 << 30);
    let idle = blocks(&queue.memory_fd());
    assert!(idle <= 1 << 20, "{idle} bytes for an idle queue");
    (0..1_000).for_each(|n| queue.put(vec![n as u8; 100]).unwrap());
    assert_eq!(blocks(&queue.memory_fd()), idle, "short messages lie in their slots");
    (0..1_000).for_each(|n| assert_eq!(queue.get().unwrap(), [n as u8; 100]));
    queue.put(vec![7; 5 << 20]).unwrap();
    let used = blocks(&queue.memory_fd()) - idle;
    assert!((5 << 20..6 << 20).contains(&used), "{used} bytes for a message of 5 MiB");
    assert_eq!(queue.get().unwrap(), vec![7; 5 << 20]);
}

#[test]
fn a_builder_says_how_many_and_how_long() {
    let queue = Queue::<u8>::builder().build().unwrap();
    assert_eq!((queue.capacity(), queue.max_message()), (1_024, 1 << 20));
    assert!(matches!(
        Queue::<u8>::builder().capacity(1 << 30).max_message(usize::MAX).build(),
        Err(Error::NoSpace { .. })
    ));
    assert!(matches!(
        Queue::<u8>::builder().capacity(1 << 30).max_message(1 << 40).build(),
        Err(Error::NoSpace { .. })
    ));
}

#[test]
fn an_arena_holds_several() {
    let _watchdog = watchdog();
    let arena = Arena::new(1 << 20).unwrap();
    let texts = Queue::<String>::builder().capacity(3).max_message(1_000).build_in(&arena).unwrap();
    let numbers = Queue::<u64>::builder().capacity(7).max_message(8).build_in(&arena).unwrap();
    let work = |texts: Queue<String>, numbers: Queue<u64>| {
        texts.iter().for_each(|text| numbers.put(text.unwrap().len() as u64).unwrap());
    };
    let process = Process::spawn(work, (&texts, &numbers)).unwrap();
    for length in [0, 10, 100, 990] {
        texts.put("x".repeat(length)).unwrap();
        assert_eq!(numbers.get(), Ok(length as u64));
    }
    texts.close();
    process.join().unwrap();
    match Queue::<String>::new_in(&arena, 7) {
        Err(Error::NoSpace { needed, available }) => assert!(needed > available),
        other => panic!("{other:?}"),
    }
    numbers.put(5).unwrap();
    assert_eq!(numbers.get(), Ok(5));
}

#[test]
fn no_memory_for_a_message_gives_it_back_and_loses_nothing() {
    let _watchdog = watchdog();
    let queue = Queue::<Vec<u8>>::builder().capacity(4).max_message(4 << 20).build().unwrap();
    let long = vec![9; 3 << 20];
    queue.put(vec![1; 100]).unwrap();
    IS_FULL.set(true);
    let Err(PutError::Failed { message, error }) = queue.put(&long) else { panic!("there is no memory") };
    assert_eq!(message, &long);
    assert!(matches!(error, Error::NoSpace { needed, available } if needed > available), "{error}");
    queue.put(vec![2; 100]).unwrap();
    queue.put(vec![3; 100]).unwrap();
    // The place of the message that was not put is taken until a get has passed it.
    assert_eq!((queue.len(), queue.is_full()), (3, true));
    IS_FULL.set(false);
    assert_eq!(queue.try_put(&long), Err(TryPutError::Full(&long)));
    assert_eq!([(); 3].map(|()| queue.get().unwrap()), [[1; 100], [2; 100], [3; 100]]);
    (0..4).for_each(|n| queue.try_put(vec![n; 3 << 20]).unwrap());
    assert!(queue.is_full());
    // Who may not back a message cannot get it, and leaves it to others.
    let limited = |queue: Queue<Vec<u8>>| {
        IS_FULL.set(true);
        matches!(queue.get(), Err(GetError::Failed(Error::NoSpace { .. })))
    };
    assert!(Process::spawn(limited, (&queue,)).unwrap().join().unwrap());
    let mut got: Vec<_> = (0..4).map(|_| queue.get().unwrap()).collect();
    got.sort_unstable();
    assert!(got.iter().enumerate().all(|(n, message)| message[..] == vec![n as u8; 3 << 20]));
}

#[test]
fn a_message_takes_no_more_memory_than_twice_its_length() {
    let _watchdog = watchdog();
    let capacity = 64;
    let queue = Queue::<Vec<u8>>::new(capacity).unwrap();
    let idle = blocks(&queue.memory_fd());
    for length in [200, 3_000, 5_000, 40_000, 600_000] {
        (0..capacity).for_each(|_| queue.put(vec![0; length]).unwrap());
        (0..capacity).for_each(|_| drop(queue.get().unwrap()));
        let each = (blocks(&queue.memory_fd()) - idle) / capacity as u64;
        assert!(each <= 2 * (length as u64).max(2_048), "{each} bytes for each of {length}");
    }
}

#[test]
fn another_kind_or_type_is_refused_with_both_sides() {
    let queue = Queue::<u32>::new(4).unwrap();
    let fd = || queue.memory_fd().try_clone_to_owned().unwrap();
    let Err(Error::Attach(AttachError::WrongType { found, expected, .. })) = Queue::<String>::from_fd(fd()) else {
        panic!("a queue of u32 is none of String")
    };
    assert_eq!((found.name.as_str(), expected.name.as_str()), ("u32", "String"));
    assert!(matches!(
        Ring::<u32>::from_fd(fd()),
        Err(Error::Attach(AttachError::WrongKind { found: Ok(Kind::Queue), expected: Kind::Ring }))
    ));
    assert!(matches!(
        Value::<u32>::from_fd(fd()),
        Err(Error::Attach(AttachError::WrongKind { found: Ok(Kind::Queue), expected: Kind::Value }))
    ));
    let again = Queue::<u32>::from_fd(fd()).unwrap();
    assert_eq!((again.capacity(), again.max_message()), (4, 1 << 20));
}
