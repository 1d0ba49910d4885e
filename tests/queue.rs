//! `Queue`: within a process, across processes, after a death.

mod common;

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::panic::{self, AssertUnwindSafe};
use std::time::{Duration, Instant};

use common::locking::{Stage, wait_for_state};
use common::queueing::{Midway, queueing_tests};
use common::system_calls::system_calls;
use common::watchdog;
use crossproc::{
    Arena, AttachError, Error, GetError, Kind, Lock, Process, PutError, Queue, RawValue, Ring, TryGetError,
    TryPutError, Value,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

crossproc::test_support!();

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Message {
    number: u64,
    padding: Vec<u8>,
}

thread_local! {
    /// What this thread does when it next takes memory for a message: between the claim of a slot and its publication.
    static MIDWAY: Cell<Midway> = const { Cell::new(Midway::Nothing) };
    /// Whether it then finds none.
    static IS_FULL: Cell<bool> = const { Cell::new(false) };
}

/// fallocate(2), which this program has in front of the one in its C library.
#[unsafe(no_mangle)]
extern "C" fn fallocate(file: libc::c_int, mode: libc::c_int, offset: libc::off_t, length: libc::off_t) -> libc::c_int {
    MIDWAY.take().act();
    if IS_FULL.get() {
        // SAFETY: no preconditions.
        let errno = unsafe { libc::__errno_location() };
        // SAFETY: this thread's own.
        unsafe { *errno = libc::ENOSPC };
        return -1;
    }
    // SAFETY: the call has no memory arguments.
    unsafe { libc::syscall(libc::SYS_fallocate, file, mode, offset, length) as libc::c_int }
}

type Handle = Queue<Message>;

fn handle(capacity: usize) -> Handle {
    Queue::new(capacity).unwrap()
}

/// Every third is longer than what fits into a slot.
fn message(number: u64) -> Message {
    let padding = if number.is_multiple_of(3) { vec![number as u8; 300] } else { vec![] };
    Message { number, padding }
}

fn number(message: &Message) -> u64 {
    assert!(message.padding.iter().all(|&byte| byte == message.number as u8), "a torn message");
    message.number
}

/// In a process that has not put a long message before.
fn put_midway(queue: Handle, number: u64, midway: Midway) {
    MIDWAY.set(midway);
    queue.put(Message { number, padding: vec![number as u8; 200] }).unwrap();
}

/// A handle that does not know which extents have their memory.
fn fresh<T: Serialize + DeserializeOwned>(queue: &Queue<T>) -> Queue<T> {
    Queue::from_fd(queue.memory_fd().try_clone_to_owned().unwrap()).unwrap()
}

fn give_up(queue: &Handle) {
    IS_FULL.set(true);
    let refused = fresh(queue).try_put(Message { number: 0, padding: vec![0; 200] });
    IS_FULL.set(false);
    assert!(matches!(refused, Err(TryPutError::Failed { error: Error::NoSpace { .. }, .. })));
}

queueing_tests!(get_task, try_get_task, get_task_timeout);

const MOMENT: Duration = Duration::from_millis(20);

/// Sends messages there and back, and through this process.
fn check_messages<T>(messages: impl IntoIterator<Item = T>)
where
    T: Serialize + DeserializeOwned + Clone + PartialEq + std::fmt::Debug + 'static,
{
    fn answer<T: Serialize + DeserializeOwned>(there: Queue<T>, back: Queue<T>) {
        there.iter().for_each(|message| back.put(message.unwrap()).unwrap());
    }
    let (there, back) = (Queue::<T>::new(2).unwrap(), Queue::<T>::new(2).unwrap());
    let process = Process::spawn(answer::<T>, (&there, &back)).unwrap();
    for message in messages {
        there.put(&message).unwrap();
        assert_eq!(back.get(), Ok(message.clone()));
        back.put(message.clone()).unwrap();
        assert_eq!(*back.get_task().unwrap(), message);
    }
    there.close();
    process.join().unwrap();
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Nested {
    Leaf,
    Number(i128),
    Branch { name: String, below: Vec<Nested>, by_name: BTreeMap<String, Option<(u8, f64)>> },
}

#[test]
fn any_serde_type_is_a_message() {
    let _watchdog = watchdog();
    check_messages([u128::MAX, 0, 1 << 93]);
    check_messages([i64::MIN, -1, i64::MAX]);
    check_messages([(), ()]);
    check_messages(['\0', 'ß', '\u{10ffff}']);
    check_messages([Some(Ok::<bool, String>(true)), Some(Err("no".into())), None]);
    check_messages([f64::MIN_POSITIVE, f64::INFINITY, -0.0]);
    check_messages([HashMap::from([(1, "one".to_string()), (2, String::new())])]);
    let leaf =
        Nested::Branch { name: "ä".repeat(50), below: vec![Nested::Leaf, Nested::Number(-3)], by_name: [].into() };
    let by_name = [("a".into(), None), ("b".into(), Some((1, 0.5)))].into();
    check_messages([Nested::Leaf, Nested::Branch { name: "top".into(), below: vec![leaf; 40], by_name }]);
}

#[test]
fn messages_go_by_reference() {
    let (texts, lists) = (Queue::<String>::new(8).unwrap(), Queue::<Vec<u32>>::new(8).unwrap());
    let text = "text".repeat(100);
    texts.put(&text).unwrap();
    texts.put(text.as_str()).unwrap();
    texts.try_put("static").unwrap();
    texts.put_timeout(text.clone(), MOMENT).unwrap();
    assert!(texts.iter().take(4).map(Result::unwrap).eq([&*text, &text, "static", &text]));
    let list = vec![1, 2, 3];
    lists.put(&list).unwrap();
    lists.put(&list[1..]).unwrap();
    lists.put(list).unwrap();
    assert!(lists.iter().take(3).map(Result::unwrap).eq([vec![1, 2, 3], vec![2, 3], vec![1, 2, 3]]));
    texts.close();
    assert_eq!(texts.put("too late"), Err(PutError::Closed("too late")));
    assert_eq!(texts.put(&text), Err(PutError::Closed(&text)));
}

#[test]
fn messages_without_a_byte_count() {
    let _watchdog = watchdog();
    for max_message in [0, 1, 200] {
        let queue = Queue::<()>::builder().capacity(3).max_message(max_message).build().unwrap();
        assert_eq!((queue.capacity(), queue.max_message()), (3, max_message));
        (0..3).for_each(|_| queue.put(()).unwrap());
        assert_eq!((queue.len(), queue.try_put(())), (3, Err(TryPutError::Full(()))));
        queue.close();
        assert_eq!(queue.iter().count(), 3);
    }
}

/// Encoded bytes of a `Bytes` of this length: its length comes first, seven bits to a byte.
fn encoded_size(length: usize) -> usize {
    postcard::to_stdvec(&vec![0_u8; length]).unwrap().len()
}

/// The longest vector of bytes that is encoded in so many.
fn of_encoded_size(size: usize) -> Vec<u8> {
    let length = (0..=size).rev().find(|&length| encoded_size(length) <= size).unwrap();
    (0..length).map(|i| (i * 13 + i / 256 + size) as u8).collect()
}

#[test]
fn messages_of_every_size_around_each_limit_travel_whole() {
    let _watchdog = watchdog();
    const LIMIT: usize = 300_000;
    let queue = Queue::<Vec<u8>>::builder().capacity(2).max_message(LIMIT).build().unwrap();
    let back = queue.clone();
    let around = |at: usize, by: usize| at - by..=at + by;
    let sizes = (1..=130)
        .chain(around(256, 5))
        .chain(around(512, 5))
        .chain(around(4096, 6))
        .chain(around(8192, 6))
        .chain(around(1 << 16, 6))
        .chain(around(2 << 16, 6))
        .chain(around(3 << 16, 6))
        .chain(LIMIT - 6..=LIMIT);
    for size in sizes {
        let message = of_encoded_size(size);
        queue.put(&message).unwrap();
        assert_eq!(back.get().unwrap(), message, "{size} bytes");
    }
}

#[test]
fn a_slot_takes_messages_of_all_sizes_in_turn() {
    let _watchdog = watchdog();
    let queue = Queue::<Vec<u8>>::new(1).unwrap();
    for size in [1, 1 << 19, 112, 113, 1, 200_000, 66_000, 5, 1 << 20, 100] {
        let message = of_encoded_size(size);
        queue.put(&message).unwrap();
        assert_eq!(queue.get().unwrap(), message, "{size} bytes");
    }
}

#[test]
fn one_byte_too_many_is_too_large_and_leaves_the_queue_as_it_was() {
    let _watchdog = watchdog();
    for limit in [1, 5, 111, 112, 113, 127, 128, 300, 4095, 4096, 4097, 65_536, 65_537, 200_000] {
        let queue = Queue::<Vec<u8>>::builder().capacity(2).max_message(limit).build().unwrap();
        // The longest that fits, and one byte more.
        let fits = of_encoded_size(limit);
        let too_large = vec![9; fits.len() + 1];
        let size = encoded_size(too_large.len());
        let error = Error::TooLarge { object: Kind::Queue, size, limit };
        for full in [false, true] {
            let length = queue.len();
            assert_eq!(
                queue.put(&too_large),
                Err(PutError::Failed { message: &too_large, error: error.clone() }),
                "also where put would wait"
            );
            let failed = TryPutError::Failed { message: too_large.clone(), error: error.clone() };
            assert_eq!(queue.put_timeout(too_large.clone(), MOMENT), Err(failed.clone()));
            assert_eq!(queue.try_put(too_large.clone()).unwrap_err().into_message(), too_large);
            assert_eq!(queue.len(), length);
            if !full {
                queue.put(&fits).unwrap();
                queue.put(&fits).unwrap();
            }
        }
        assert_eq!([queue.get().unwrap(), queue.get().unwrap()], [fits.clone(), fits]);
        assert_eq!(queue.try_get(), Err(TryGetError::Empty));
    }
}

/// Fails, or panics, when it is encoded or decoded: early, or after so many bytes that it is a long one.
#[derive(Clone, Debug, PartialEq)]
struct Picky {
    length: usize,
    mood: u8,
}

const FINE: u8 = 0;
const FAILS_TO_ENCODE: u8 = 1;
const PANICS_ENCODING: u8 = 2;
const FAILS_TO_DECODE: u8 = 3;
const PANICS_DECODING: u8 = 4;

impl Serialize for Picky {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Mood(u8);
        impl Serialize for Mood {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self.0 {
                    FAILS_TO_ENCODE => Err(ser::Error::custom("no")),
                    PANICS_ENCODING => panic::resume_unwind(Box::new("while it is encoded")),
                    mood => serializer.serialize_u8(mood),
                }
            }
        }
        (vec![1_u8; self.length], Mood(self.mood)).serialize(serializer)
    }
}

thread_local! {
    /// How often decoding still panics.
    static PANICS: Cell<u32> = const { Cell::new(0) };
}

impl<'de> Deserialize<'de> for Picky {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (bytes, mood) = <(Vec<u8>, u8)>::deserialize(deserializer)?;
        match mood {
            FAILS_TO_DECODE => Err(de::Error::custom("no")),
            PANICS_DECODING if PANICS.get() > 0 => {
                PANICS.set(PANICS.get() - 1);
                panic::resume_unwind(Box::new("while it is decoded"))
            }
            mood => Ok(Picky { length: bytes.len(), mood }),
        }
    }
}

/// Short enough for a slot; too long for it; long enough for several pieces.
const LENGTHS: [usize; 4] = [0, 100, 200, 100_000];

/// The queue holds what it did, and has room for what it had room for.
fn check_two_slots(queue: &Queue<Picky>) {
    let fine = |length| Picky { length, mood: FINE };
    assert_eq!((queue.len(), queue.is_full()), (0, false));
    LENGTHS[..2].iter().for_each(|&length| queue.try_put(fine(length)).unwrap());
    assert_eq!(queue.try_put(fine(300)), Err(TryPutError::Full(fine(300))));
    assert_eq!([queue.get(), queue.get()], [Ok(fine(LENGTHS[0])), Ok(fine(LENGTHS[1]))]);
    assert_eq!(queue.try_get(), Err(TryGetError::Empty));
}

#[test]
fn a_message_that_does_not_encode_comes_back_and_leaves_the_queue_as_it_was() {
    let _watchdog = watchdog();
    let queue = Queue::new(2).unwrap();
    for length in LENGTHS {
        let wrong = || Picky { length, mood: FAILS_TO_ENCODE };
        for _ in 0..5 {
            let Err(PutError::Failed { message, error: Error::Encode { what, .. } }) = queue.put(wrong()) else {
                panic!("it does not encode")
            };
            assert_eq!((message, what), (wrong(), "a message".into()));
        }
        assert!(matches!(queue.try_put(wrong()), Err(TryPutError::Failed { error: Error::Encode { .. }, .. })));
        check_two_slots(&queue);
    }
}

#[test]
fn a_panic_while_a_message_is_encoded_leaves_the_queue_as_it_was() {
    let _watchdog = watchdog();
    let queue = Queue::new(2).unwrap();
    for length in LENGTHS {
        for _ in 0..5 {
            let put = || queue.put(Picky { length, mood: PANICS_ENCODING });
            assert!(panic::catch_unwind(AssertUnwindSafe(put)).is_err());
        }
        check_two_slots(&queue);
    }
}

#[test]
fn a_message_that_does_not_decode_is_an_error_and_gone() {
    let _watchdog = watchdog();
    let queue = Queue::new(2).unwrap();
    for length in LENGTHS {
        let wrong = || Picky { length, mood: FAILS_TO_DECODE };
        queue.put(wrong()).unwrap();
        queue.put(Picky { length, mood: FINE }).unwrap();
        let Err(GetError::Failed(Error::Decode { what, .. })) = queue.get() else { panic!("it does not decode") };
        assert_eq!(what, "a message");
        assert_eq!(queue.get().unwrap().mood, FINE);
        queue.put(wrong()).unwrap();
        assert!(matches!(queue.try_get(), Err(TryGetError::Failed(Error::Decode { .. }))));
        queue.put(wrong()).unwrap();
        assert!(matches!(queue.get_task(), Err(GetError::Failed(Error::Decode { .. }))));
        check_two_slots(&queue);
    }
    queue.put(Picky { length: 0, mood: FINE }).unwrap();
    queue.put(Picky { length: 0, mood: FAILS_TO_DECODE }).unwrap();
    queue.close();
    assert!(matches!(queue.iter().collect::<Vec<_>>()[..], [Ok(_), Err(GetError::Failed(_))]));
    // What does not decode does not keep `join` waiting, once the others are done.
    while queue.task_done().is_ok() {}
    queue.join();
}

#[test]
fn a_panic_while_a_message_is_decoded_leaves_it_where_it_was() {
    let _watchdog = watchdog();
    let queue = Queue::new(2).unwrap();
    for length in LENGTHS {
        queue.put(Picky { length, mood: PANICS_DECODING }).unwrap();
        PANICS.set(2);
        assert!(panic::catch_unwind(AssertUnwindSafe(|| queue.get())).is_err());
        assert_eq!(queue.len(), 1);
        assert!(panic::catch_unwind(AssertUnwindSafe(|| drop(queue.get_task()))).is_err());
        assert_eq!(queue.get().unwrap().length, length);
        check_two_slots(&queue);
    }
}

#[derive(Clone, Serialize, Deserialize)]
struct WithHandle {
    padding: Vec<u8>,
    lock: Lock,
}

#[test]
fn a_handle_is_no_message() {
    let _watchdog = watchdog();
    let queue = Queue::new(1).unwrap();
    for length in [0, 200, 70_000] {
        let message = WithHandle { padding: vec![0; length], lock: Lock::new().unwrap() };
        for _ in 0..3 {
            let Err(TryPutError::Failed { message, error }) = queue.try_put(message.clone()) else {
                panic!("a handle needs a transfer")
            };
            assert_eq!((message.padding.len(), error), (length, Error::HandleOutsideTransfer));
        }
        assert!(queue.is_empty() && !queue.is_full());
    }
}

/// That a handle was refused somewhere else is no explanation for what fails later.
#[test]
fn an_older_refusal_of_a_handle_is_forgotten() {
    let value = Value::new(1).unwrap();
    assert!(postcard::to_stdvec(&value).is_err());
    let queue = Queue::new(1).unwrap();
    let wrong = Picky { length: 0, mood: FAILS_TO_ENCODE };
    assert!(matches!(queue.put(wrong), Err(PutError::Failed { error: Error::Encode { .. }, .. })));
}

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
    let Err(Error::Attach(AttachError::WrongType { found, expected })) = Queue::<String>::from_fd(fd()) else {
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

#[test]
fn one_task_done_too_many_is_an_error() {
    let _watchdog = watchdog();
    let queue = Queue::new(4).unwrap();
    let too_many = Err(Error::NothingToBeDone { object: Kind::Queue });
    assert_eq!(queue.task_done(), too_many);
    queue.put(1).unwrap();
    queue.put(2).unwrap();
    assert_eq!(queue.task_done(), too_many, "nothing got yet");
    assert_eq!(queue.get(), Ok(1));
    assert_eq!(queue.task_done(), Ok(()));
    assert_eq!(queue.task_done(), too_many);
    drop(queue.get_task().unwrap());
    assert_eq!(queue.task_done(), too_many, "a task says so itself");
    queue.put(3).unwrap();
    assert_eq!(queue.try_get(), Ok(3));
    let elsewhere = Process::spawn(|queue: Queue<i32>| queue.task_done(), (&queue,)).unwrap();
    assert_eq!(elsewhere.join().unwrap(), too_many, "somebody else has got it");
    assert!(!queue.join_timeout(Duration::ZERO));
    assert_eq!(queue.clone().task_done(), Ok(()));
    queue.join();
}

#[test]
fn join_waits_for_what_is_put_got_and_not_done() {
    let _watchdog = watchdog();
    let queue = Queue::new(4).unwrap();
    queue.join();
    assert!(queue.join_timeout(Duration::ZERO));
    let is_joined = || {
        let start = Instant::now();
        let joined = queue.join_timeout(MOMENT);
        assert!(joined || start.elapsed() >= MOMENT, "too early");
        joined
    };
    queue.put(1).unwrap();
    assert!(!is_joined(), "put");
    queue.get().unwrap();
    assert!(!is_joined(), "got");
    queue.task_done().unwrap();
    assert!(is_joined());
    queue.put(2).unwrap();
    let task = queue.get_task().unwrap();
    assert!(!is_joined(), "a task");
    task.give_back();
    assert!(!is_joined(), "given back");
    drop(queue.get_task_timeout(MOMENT).unwrap());
    assert!(is_joined());
    queue.close();
    assert!(is_joined());
}

#[test]
fn a_task_keeps_its_place_until_it_is_done() {
    let queue = Queue::new(2).unwrap();
    queue.put("one".to_string()).unwrap();
    let mut task = queue.try_get_task().unwrap();
    task.push_str(" more");
    assert_eq!((task.as_str(), format!("{task:?}").as_str()), ("one more", "Task(\"one more\")"));
    queue.try_put("two").unwrap();
    assert_eq!(queue.try_put("three"), Err(TryPutError::Full("three")));
    task.give_back();
    let mut got = [queue.get().unwrap(), queue.get().unwrap()];
    got.sort_unstable();
    assert_eq!(got, ["one", "two"], "as it was put");
}

#[test]
fn a_blocked_join_ends_with_the_last_task() {
    let _watchdog = watchdog();
    let (queue, stage) = (Queue::new(4).unwrap(), Stage::new());
    (0..2).for_each(|n| queue.put(n).unwrap());
    let wait = |queue: Queue<u8>, stage: Stage| {
        stage.advance();
        queue.join();
    };
    let joiners = [0; 2].map(|_| Process::spawn(wait, (&queue, &stage)).unwrap());
    stage.wait_for(2);
    joiners.iter().for_each(|joiner| wait_for_state(joiner.pid(), 'S'));
    queue.get().unwrap();
    drop(queue.get_task().unwrap());
    assert!(joiners.iter().all(|joiner| joiner.exit().is_none()));
    queue.task_done().unwrap();
    joiners.into_iter().for_each(|joiner| joiner.join().unwrap());
}

/// Each message but 0 puts two smaller ones before it is done: in the end there were 2^(n + 1) - 1.
#[test]
fn join_waits_for_work_that_work_puts() {
    let _watchdog = watchdog();
    fn work(queue: Queue<u32>, done: RawValue<std::sync::atomic::AtomicU64>, by_task: bool) {
        let more = |level: u32| {
            if level > 0 {
                (0..2).for_each(|_| queue.put(level - 1).unwrap());
            }
            std::thread::yield_now();
            done.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        };
        if by_task {
            while let Ok(task) = queue.get_task() {
                more(*task);
            }
        } else {
            while let Ok(level) = queue.get() {
                more(level);
                queue.task_done().unwrap();
            }
        }
    }
    for level in [1, 4, 8] {
        let queue = Queue::new(1_000).unwrap();
        let done = RawValue::new(0.into()).unwrap();
        let workers: Vec<_> = (0..4).map(|n| Process::spawn(work, (&queue, &done, n % 2 == 0)).unwrap()).collect();
        for round in 1..=5 {
            queue.put(level).unwrap();
            queue.join();
            let total = done.load(std::sync::atomic::Ordering::SeqCst);
            assert_eq!(total, round * ((2 << level) - 1), "join did not wait for everything");
        }
        queue.close();
        workers.into_iter().for_each(|worker| worker.join().unwrap());
    }
}

#[test]
fn a_killed_workers_task_is_waited_for_until_another_has_done_it() {
    let _watchdog = watchdog();
    let (queue, stage) = (Queue::new(4).unwrap(), Stage::new());
    queue.put("job".to_string()).unwrap();
    let stop = |queue: Queue<String>| {
        let _task = queue.get_task().unwrap();
        Midway::Stop.act();
    };
    let worker = Process::spawn(stop, (&queue,)).unwrap();
    wait_for_state(worker.pid(), 'T');
    let wait = |queue: Queue<String>, stage: Stage| {
        stage.advance();
        queue.join();
        queue.redelivered()
    };
    let joiner = Process::spawn(wait, (&queue, &stage)).unwrap();
    stage.wait_for(1);
    wait_for_state(joiner.pid(), 'S');
    worker.kill().unwrap();
    worker.wait();
    assert!(!queue.join_timeout(MOMENT * 5), "nobody has done it");
    assert!(joiner.exit().is_none());
    let task = queue.get_task().unwrap();
    assert_eq!(*task, "job");
    drop(task);
    assert_eq!(joiner.join().unwrap(), 1);
}

#[test]
fn what_a_dead_process_had_got_is_not_waited_for() {
    let _watchdog = watchdog();
    let queue = Queue::new(4).unwrap();
    (0..3).for_each(|n| queue.put(n).unwrap());
    let get = |queue: Queue<u8>| {
        (0..2).for_each(|_| assert!(queue.get().is_ok()));
        queue.task_done().unwrap();
        Midway::Stop.act();
    };
    let worker = Process::spawn(get, (&queue,)).unwrap();
    wait_for_state(worker.pid(), 'T');
    assert!(!queue.join_timeout(MOMENT));
    worker.kill().unwrap();
    worker.wait();
    assert!(!queue.join_timeout(MOMENT), "one is still there");
    assert_eq!(queue.get(), Ok(2));
    queue.task_done().unwrap();
    queue.join();
    // Whoever comes into its place has got nothing yet.
    let nothing = |queue: Queue<u8>| queue.task_done() == Err(Error::NothingToBeDone { object: Kind::Queue });
    assert!(Process::spawn(nothing, (&queue,)).unwrap().join().unwrap());
}

#[test]
fn a_forked_copy_has_got_nothing() {
    let _watchdog = watchdog();
    let queue = Queue::new(2).unwrap();
    queue.put(1).unwrap();
    queue.get().unwrap();
    assert!(common::queueing::forked(|| queue.task_done().is_err() && !queue.join_timeout(Duration::ZERO)));
    queue.task_done().unwrap();
    queue.join();
}

/// How often a process has gone to sleep so far.
fn sleeps(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")).unwrap();
    line.trim().parse().unwrap()
}

#[test]
fn an_idle_get_costs_next_to_nothing() {
    let _watchdog = watchdog();
    let (queue, never, stage) = (Queue::new(2).unwrap(), Queue::<()>::new(1).unwrap(), Stage::new());
    let get = |queue: Queue<u8>, stage: Stage| {
        stage.advance();
        queue.get().unwrap()
    };
    let consumer = Process::spawn(get, (&queue, &stage)).unwrap();
    stage.wait_for(1);
    wait_for_state(consumer.pid(), 'S');
    let (start, before) = (Instant::now(), sleeps(consumer.pid()));
    assert!(never.get_timeout(Duration::from_millis(1_500)).is_err());
    let (sleeps, seconds) = (sleeps(consumer.pid()) - before, start.elapsed().as_secs_f64());
    // Twenty looks a second, and the short sleeps of the beginning.
    assert!(sleeps as f64 <= 25.0 * seconds + 20.0, "{sleeps} sleeps in {seconds} s");
    queue.put(5).unwrap();
    assert_eq!(consumer.join().unwrap(), 5);
}

#[test]
fn a_stream_makes_no_system_call_for_a_message() {
    let _watchdog = watchdog();
    const MESSAGES: u64 = common::queueing::many(100_000);
    let (queue, ring) = (Queue::new(8).unwrap(), Ring::new(8).unwrap());
    // More than fits into a slot, and so in memory that is taken once.
    let long = Queue::new(8).unwrap();
    let bytes = vec![7_u8; 500];
    let calls = system_calls(|| {
        (0..MESSAGES).all(|n| {
            queue.put(n).unwrap();
            ring.put(n).unwrap();
            long.put(&bytes).unwrap();
            let task = (n % 2 == 0).then(|| *queue.get_task().unwrap());
            task.unwrap_or_else(|| queue.get().unwrap()) == n
                && ring.get() == Ok(n)
                && long.get().as_ref() == Ok(&bytes)
        })
    });
    assert!(calls < 1_000, "{calls} system calls for {} messages", 3 * MESSAGES);
}

/// As above, each side in a process of its own that never has to wait for the other.
#[test]
fn putting_and_getting_apart_makes_no_system_call_for_a_message() {
    let _watchdog = watchdog();
    const MESSAGES: u64 = 10_000;
    let (queue, ring) = (Queue::new(MESSAGES as usize).unwrap(), Ring::new(MESSAGES as usize).unwrap());
    let putting = system_calls(|| (0..MESSAGES).all(|n| queue.put(n).is_ok() && ring.put(n).is_ok()));
    let getting = system_calls(|| (0..MESSAGES).all(|n| queue.get() == Ok(n) && ring.get() == Ok(n)));
    assert!(putting < 500 && getting < 500, "{putting} and {getting} system calls for {} messages", 2 * MESSAGES);
    assert!(queue.is_empty() && ring.is_empty());
}
