//! `Queue`: messages whose own code does what it likes, and types that the encoding cannot carry.

mod common;

use std::cell::{Cell, RefCell};
use std::fmt::Debug;
use std::sync::OnceLock;

use common::processes::forked;
use common::watchdog;
use crossproc::{
    Error, GetError, Kind, Lock, Process, ProcessError, PutError, Queue, RecvError, Sender, TryGetError, TryPutError,
    channel,
};
use serde::de::DeserializeOwned;
use serde::ser::SerializeTuple;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

crossproc::test_support!();

/// A text that is another one each time it is encoded, the last one ever after: as one that threads share may be.
#[derive(Clone, Debug, PartialEq)]
struct Changing(RefCell<Vec<String>>);

impl Changing {
    fn new<const N: usize>(texts: [&str; N]) -> Self {
        Changing(RefCell::new(texts.iter().rev().map(ToString::to_string).collect()))
    }
}

impl Serialize for Changing {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut texts = self.0.borrow_mut();
        let text = if texts.len() > 1 { texts.pop() } else { texts.last().cloned() };
        text.unwrap().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Changing {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Changing::new([&String::deserialize(deserializer)?]))
    }
}

#[test]
fn a_message_that_changes_while_it_is_put_arrives_as_it_once_was() {
    let _watchdog = watchdog();
    let long = "long ".repeat(40);
    let longer = "longer ".repeat(400);
    let queue = Queue::new(1).unwrap();
    for texts in [
        [long.as_str(), "short", "short"],
        [&long, &long, "short"],
        [&long, "short", &long],
        [&long, &longer, &long],
        [&longer, &long, "short"],
        ["short", &long, &longer],
    ] {
        // What lies in the slot and its extent otherwise.
        queue.put(Changing::new(["an old one"])).unwrap();
        queue.get().unwrap();
        queue.put(Changing::new([&"old ".repeat(50)])).unwrap();
        queue.get().unwrap();
        queue.put(Changing::new(texts)).unwrap();
        let got = queue.get().unwrap().0.take();
        assert!(texts.contains(&got[0].as_str()), "{got:?} of {texts:?}");
    }
}

#[test]
fn a_message_that_changes_across_the_limit_is_put_or_too_large() {
    let _watchdog = watchdog();
    let long = "long ".repeat(40);
    for limit in [10, 112, 113, 150] {
        let queue = Queue::builder().capacity(1).max_message(limit).build().unwrap();
        queue.try_put(Changing::new([&long, "short"])).unwrap();
        assert_eq!(queue.get(), Ok(Changing::new(["short"])));
        let grown = queue.try_put(Changing::new(["short 112".repeat(15).as_str(), &long]));
        let Err(TryPutError::Failed { error: Error::TooLarge { object: Kind::Queue, .. }, .. }) = grown else {
            panic!("{grown:?}, where {limit} bytes fit")
        };
        assert!(queue.is_empty() && !queue.is_full());
    }
}

#[derive(Serialize, Deserialize, Debug, Clone, PartialEq)]
struct Skipping {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    nick: Option<u8>,
    age: u8,
}

#[derive(Serialize, Deserialize, Debug, Clone, PartialEq)]
enum SkippingVariant {
    Named {
        #[serde(skip_serializing_if = "Vec::is_empty", default)]
        names: Vec<u8>,
        age: u8,
    },
}

#[derive(Serialize, Deserialize, Debug, Clone, PartialEq)]
struct NeverWritten {
    #[serde(skip_serializing)]
    name: u64,
    age: u8,
}

#[derive(Serialize, Deserialize, Debug, Clone, PartialEq)]
#[serde(tag = "kind")]
enum Tagged {
    Click { x: u32 },
}

#[derive(Serialize, Deserialize, Debug, Clone, PartialEq)]
#[serde(untagged)]
enum Untagged {
    Number(u64),
}

#[derive(Serialize, Deserialize, Debug, Clone, PartialEq)]
struct Flat {
    #[serde(flatten)]
    inner: Skipping,
}

/// A put refuses the message, and says why.
fn refused<T: Serialize + DeserializeOwned + Debug + Clone + PartialEq>(message: T, because: &str) {
    let queue = Queue::<T>::new(2).unwrap();
    for _ in 0..2 {
        let Err(PutError::Failed { message: back, error }) = queue.put(message.clone()) else { panic!("{message:?}") };
        assert_eq!(back, message);
        assert!(matches!(&error, Error::Encode { reason, .. } if reason.contains(because)), "{error}");
    }
    assert!(queue.is_empty() && !queue.is_full());
}

#[test]
fn what_the_encoding_cannot_carry_is_refused_by_put() {
    let _watchdog = watchdog();
    let whole = Skipping { name: "ada".into(), nick: Some(3), age: 1 };
    let skipping = Skipping { nick: None, ..whole.clone() };
    refused(skipping.clone(), "skip_serializing_if");
    refused(vec![whole.clone(), skipping.clone()], "skip_serializing_if");
    refused(Some((7, Box::new(skipping.clone()))), "skip_serializing_if");
    refused(SkippingVariant::Named { names: vec![], age: 1 }, "skip_serializing_if");
    refused(Flat { inner: whole.clone() }, "flatten");
    refused(Tagged::Click { x: 3 }, "#[serde(tag)]");
    refused(vec![Tagged::Click { x: 3 }; 1_000], "#[serde(tag)]");
    refused(Untagged::Number(3), "#[serde(untagged)]");
    refused(NeverWritten { name: 1, age: 2 }, "does not decode");
    // Where nothing is left out, nothing is wrong.
    let queue = Queue::new(1).unwrap();
    queue.put(&whole).unwrap();
    assert_eq!(queue.get(), Ok(whole));
}

#[test]
fn what_the_encoding_cannot_carry_is_an_error_that_says_so_elsewhere() {
    let _watchdog = watchdog();
    // The first message of the handle said nothing about it.
    let queue = Queue::new(2).unwrap();
    queue.put(None).unwrap();
    queue.put(Some(Untagged::Number(3))).unwrap();
    assert_eq!(queue.get(), Ok(None));
    let Err(GetError::Failed(Error::Decode { reason, .. })) = queue.get() else { panic!("it does not decode") };
    assert!(reason.contains("#[serde(untagged)]"), "{reason}");

    let (mut sender, mut receiver) = channel::<Tagged>().unwrap();
    sender.send(Tagged::Click { x: 3 }).unwrap();
    let Err(RecvError::Failed(Error::Decode { reason, .. })) = receiver.recv() else { panic!("it does not decode") };
    assert!(reason.contains("#[serde(tag)]"), "{reason}");

    let skipping = || Skipping { name: "ada".into(), nick: None, age: 1 };
    let Err(Error::Encode { reason, .. }) = Process::spawn(|_: Skipping| (), (skipping(),)).map(drop) else {
        panic!("a field is left out")
    };
    assert!(reason.contains("skip_serializing_if"), "{reason}");
    let returned = Process::spawn(|| Skipping { name: "ada".into(), nick: None, age: 1 }, ()).unwrap().join();
    let Err(ProcessError::Failed { source, .. }) = returned else { panic!("a field is left out") };
    assert!(source.to_string().contains("skip_serializing_if"), "{source}");
}

/// What its own code does when it is decoded, and encoded.
#[derive(Clone, Debug, PartialEq)]
struct Acting(Vec<u8>);

thread_local! {
    static FORKS: Cell<bool> = const { Cell::new(false) };
    /// The process that it has forked, or 0 in that.
    static COPY: Cell<Option<i32>> = const { Cell::new(None) };
}

fn fork_if_told() {
    if FORKS.take() {
        // SAFETY: the copy goes on with this thread's work only, and ends with _exit.
        COPY.set(Some(unsafe { libc::fork() }));
    }
}

impl Serialize for Acting {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        fork_if_told();
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Acting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = Vec::deserialize(deserializer)?;
        fork_if_told();
        Ok(Acting(bytes))
    }
}

/// Runs `work`, in the middle of which this process forks: what it gave here, where `copy` must have liked what it gave in
/// the copy, before anything happens to the queue here.
fn with_a_fork<R>(work: impl FnOnce() -> R, copy: impl FnOnce(R) -> bool) -> R {
    FORKS.set(true);
    let result = work();
    match COPY.take().expect("its code has run") {
        // SAFETY: ends the copy at once, without destructors.
        0 => unsafe { libc::_exit(i32::from(!copy(result))) },
        child => {
            let mut status = -1;
            // SAFETY: our child; `status` outlives the call.
            assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
            assert_eq!(status, 0, "in the copy");
            result
        }
    }
}

#[test]
fn a_copy_forked_while_a_message_is_decoded_has_got_nothing() {
    let _watchdog = watchdog();
    for length in [10, 1_000] {
        let queue = Queue::new(1).unwrap();
        let message = Acting(vec![7; length]);
        let given_away = Error::GivenAway { object: Kind::Queue };
        queue.put(&message).unwrap();
        let got = with_a_fork(|| queue.get(), |got| got == Err(GetError::Failed(given_away.clone())));
        assert_eq!(got.as_ref(), Ok(&message));
        assert_eq!((queue.is_empty(), queue.is_full()), (true, false));
        queue.put(&message).unwrap();
        let task = with_a_fork(|| queue.try_get_task(), |task| matches!(task, Err(TryGetError::Failed(_))));
        assert_eq!(*task.unwrap(), message);
        // What the parent is still reading, the copy leaves to it.
        queue.put(&message).unwrap();
        assert_eq!(queue.get(), Ok(message));
        assert_eq!(queue.try_get(), Err(TryGetError::Empty));
    }
}

#[test]
fn a_copy_forked_while_a_message_is_encoded_puts_one_of_its_own() {
    let _watchdog = watchdog();
    for length in [10, 1_000] {
        let queue = Queue::new(2).unwrap();
        let message = Acting(vec![7; length]);
        with_a_fork(|| queue.put(&message).is_ok(), |is_put| is_put).then_some(()).unwrap();
        assert_eq!([queue.get(), queue.get()], [Ok(message.clone()), Ok(message)]);
        assert_eq!(queue.try_get(), Err(TryGetError::Empty));
        assert!(forked(|| queue.is_empty() && !queue.is_full()));
    }
}

static LOG: OnceLock<Queue<Option<Lock>>> = OnceLock::new();

/// Puts a lock into a queue, which has no place for handles, while it is itself sent to a process, which has.
#[derive(Deserialize)]
struct Logging(Lock);

impl Serialize for Logging {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let refused = LOG.get().unwrap().put(Some(self.0.clone()));
        assert!(matches!(refused, Err(PutError::Failed { error: Error::HandleOutsideTransfer, .. })), "{refused:?}");
        LOG.get().unwrap().put(None).map_err(serde::ser::Error::custom)?;
        self.0.serialize(serializer)
    }
}

#[test]
fn a_message_within_a_transfer_carries_no_handle_either() {
    let _watchdog = watchdog();
    let log = LOG.get_or_init(|| Queue::new(4).unwrap());
    let lock = Lock::new().unwrap();
    let guard = lock.lock().unwrap();
    let is_held = |Logging(lock): Logging| lock.try_lock().is_err();
    assert!(Process::spawn(is_held, (Logging(lock.clone()),)).unwrap().join().unwrap(), "the same lock");
    drop(guard);
    assert!(matches!(log.try_get(), Ok(None)));
    assert!(matches!(log.try_get(), Err(TryGetError::Empty)));
}

#[derive(Serialize, Deserialize)]
enum Tree {
    Leaf,
    Node(Box<Tree>),
    Many(Vec<Tree>),
    Maybe(Option<Box<Tree>>),
}

/// A tree whose bytes are what a process that means harm would write.
#[derive(Clone)]
struct Hostile(Vec<u8>);

impl Serialize for Hostile {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut bytes = serializer.serialize_tuple(self.0.len())?;
        self.0.iter().try_for_each(|byte| bytes.serialize_element(byte))?;
        bytes.end()
    }
}

impl<'de> Deserialize<'de> for Hostile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Tree::deserialize(deserializer).map(|_| Hostile(Vec::new()))
    }
}

fn is_too_deep(error: &Error) -> bool {
    matches!(error, Error::Decode { reason, .. } | Error::Encode { reason, .. } if reason.contains("nested too deeply"))
}

#[test]
fn what_is_nested_too_deeply_is_an_error_and_no_overflow() {
    let _watchdog = watchdog();
    let patterns: [&[u8]; 3] = [&[1], &[2, 1], &[3, 1]];
    for pattern in patterns {
        let hostile = || Hostile(pattern.iter().copied().cycle().take(1 << 20).collect());
        let queue = Queue::new(1).unwrap();
        let refused = queue.put(hostile());
        assert!(matches!(refused, Err(PutError::Failed { error, .. }) if is_too_deep(&error)), "it was looked at");
        queue.put(Hostile(vec![0])).unwrap();
        queue.get().unwrap();
        queue.put(hostile()).unwrap();
        assert!(matches!(queue.get(), Err(GetError::Failed(error)) if is_too_deep(&error)));
        assert!(queue.is_empty() && !queue.is_full());

        let (sender, mut receiver) = channel().unwrap();
        let process = Process::spawn(
            |mut sender: Sender<Hostile>, hostile: Vec<u8>| sender.send(Hostile(hostile)).map_err(Error::from),
            (sender, hostile().0),
        );
        assert!(matches!(receiver.recv(), Err(RecvError::Failed(error)) if is_too_deep(&error)));
        process.unwrap().join().unwrap().unwrap();

        let Err(ProcessError::Failed { source, .. }) = Process::spawn(|_: Hostile| (), (hostile(),)).unwrap().join()
        else {
            panic!("its arguments do not decode")
        };
        assert!(is_too_deep(&source), "{source}");
    }
}

#[test]
fn what_is_nested_is_no_matter() {
    let _watchdog = watchdog();
    let queue = Queue::new(1).unwrap();
    let mut tree = Tree::Leaf;
    for level in 0..60 {
        tree = match level % 3 {
            0 => Tree::Node(Box::new(tree)),
            1 => Tree::Many(vec![tree, Tree::Many((0..20).map(|_| Tree::Leaf).collect())]),
            _ => Tree::Maybe(Some(Box::new(tree))),
        };
    }
    queue.put(tree).unwrap();
    assert!(matches!(queue.get().unwrap(), Tree::Maybe(Some(_))));
}
