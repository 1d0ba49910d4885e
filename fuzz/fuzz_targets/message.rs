//! Any bytes as a message of a queue: getting it gives an error or a value, never a panic, a crash or a hang, and the
//! queue goes on.

#![no_main]

use std::collections::{BTreeMap, HashSet};
use std::ffi::CString;
use std::fmt::Debug;
use std::fs::File;
use std::net::SocketAddr;
use std::num::NonZero;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, SystemTime};

use arbitrary::Arbitrary;
use crossproc::{Error, Queue, RawValue, TryGetError};
use libfuzzer_sys::fuzz_target;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    taken_for: TakenFor,
    /// What the slot says, if it is not the truth.
    length: Option<u64>,
    is_task: bool,
    bytes: &'a [u8],
}

#[derive(Arbitrary, Debug)]
enum TakenFor {
    Item,
    Text,
    Numbers,
    Tree,
    Odd,
    Handle,
}

/// One of each form that a message can have.
#[derive(Serialize, Deserialize, Debug)]
enum Item {
    Nothing,
    Pair(u8, i64),
    Fields { name: String, is_set: bool, sign: char, ratio: f64 },
    Many(Vec<Item>),
}

type Tree = BTreeMap<String, Option<HashSet<u32>>>;

/// Types that do not take every value.
type Odd = (NonZero<u16>, Duration, Option<CString>, SystemTime, Result<PathBuf, SocketAddr>, u128);

type Handle = Option<RawValue<AtomicU64>>;

/// Behind its slot there is room for so much.
const MOST: usize = 1_000;

/// Where a slot, and what is behind it, lie in the file.
struct Places {
    length: u64,
    slot: u64,
    extent: u64,
}

/// Puts what cannot be elsewhere, and looks where it is.
fn places() -> Places {
    let queue = Queue::<String>::builder().capacity(1).max_message(MOST).build().unwrap();
    let position_of = |text: &str| {
        queue.put(text).unwrap();
        let image = std::fs::read(path(&queue)).unwrap();
        queue.get().unwrap();
        image.windows(text.len()).position(|bytes| bytes == text.as_bytes()).expect("it is in the file") as u64
    };
    // Behind its own length, as postcard encodes it: one byte up to 127, then two.
    let (small, long) = (position_of(&"small".repeat(20)) - 1, position_of(&"long".repeat(200)) - 2);
    Places { length: small - 8, slot: small, extent: long }
}

fn path<T: Serialize + DeserializeOwned>(queue: &Queue<T>) -> String {
    format!("/proc/self/fd/{}", queue.memory_fd().as_raw_fd())
}

fn get<T: Serialize + DeserializeOwned + Debug>(input: &Input<'_>, some: impl Fn() -> T) {
    let queue = Queue::<T>::builder().capacity(1).max_message(MOST).build().unwrap();
    queue.put(some()).unwrap();
    let file = File::options().write(true).open(path(&queue)).unwrap();
    let places = places_once();
    let bytes = &input.bytes[..input.bytes.len().min(MOST)];
    let length = input.length.unwrap_or(bytes.len() as u64);
    let (place, room) = if length <= 112 { (places.slot, 112) } else { (places.extent, MOST) };
    file.write_all_at(&bytes[..bytes.len().min(room)], place).unwrap();
    file.write_all_at(&length.to_le_bytes(), places.length).unwrap();

    let got = if input.is_task {
        queue.try_get_task().map(|task| drop(format!("{task:?}")))
    } else {
        queue.try_get().map(|message| {
            drop(format!("{message:?}"));
            queue.task_done().unwrap();
        })
    };
    match got {
        Ok(()) => {}
        Err(TryGetError::Failed(Error::Decode { .. } | Error::HandleOutsideTransfer)) => {}
        Err(other) => panic!("{other}"),
    }
    assert!(queue.is_empty() && queue.join_timeout(Duration::ZERO), "it is gone");
    queue.try_put(some()).unwrap();
    queue.try_get().unwrap();
}

fn places_once() -> &'static Places {
    static PLACES: std::sync::LazyLock<Places> = std::sync::LazyLock::new(places);
    &PLACES
}

fuzz_target!(|input: Input<'_>| {
    match input.taken_for {
        TakenFor::Item => get(&input, || Item::Nothing),
        TakenFor::Text => get(&input, || "text".to_string()),
        TakenFor::Numbers => get(&input, || vec![7_u64; 50]),
        TakenFor::Tree => get(&input, Tree::new),
        TakenFor::Odd => {
            get::<Odd>(&input, || {
                (NonZero::<u16>::MAX, Duration::ZERO, None, SystemTime::now(), Ok(PathBuf::new()), 7)
            });
        }
        TakenFor::Handle => get::<Handle>(&input, || None),
    }
});
