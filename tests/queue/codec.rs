//! Messages that do not encode or decode, or panic over it.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};

use crossproc::{Error, GetError, Lock, PutError, Queue, TryGetError, TryPutError, Value};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

use crate::common::watchdog;

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
            let put = || queue.put(Picky { length, mood: PANICS_ENCODING }).is_ok();
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
