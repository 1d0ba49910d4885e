//! What can be a message, of any length up to the limit.

use std::collections::{BTreeMap, HashMap};

use crossproc::{Error, Kind, Process, PutError, Queue, TryGetError, TryPutError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::MOMENT;
use crate::common::watchdog;

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
