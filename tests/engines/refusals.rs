use crossproc::managed::{Dict, List, Lock, Queue, Semaphore};
use crossproc::{AttachError, Error, Kind, Manager, Process, ProcessError};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};

use crate::on_each_engine;

on_each_engine!(
    a_handle_of_another_manager_is_refused,
    a_handle_of_another_type_is_refused,
    what_does_not_decode_stays,
    a_wrong_handle_says_what_it_is,
);

fn a_handle_of_another_manager_is_refused(manager: &Manager) {
    let other = Manager::start().unwrap();
    let dict = manager.dict::<u8, List<u8>>().unwrap();
    let refused = dict.insert(1, other.list([1]).unwrap()).map(drop).unwrap_err();
    assert!(matches!(refused, Error::Encode { .. }), "{refused}");
    assert!(dict.is_empty().unwrap());
    let elsewhere = other.dict::<u8, List<u8>>().unwrap();
    assert!(elsewhere.insert(1, manager.list([1]).unwrap()).is_err());
}

fn a_handle_of_another_type_is_refused(manager: &Manager) {
    // What says that it is a list of the one encodes, and the list of the other is what comes out.
    #[derive(Serialize)]
    #[serde(transparent)]
    struct Disguised(List<u32>);
    impl<'de> Deserialize<'de> for Disguised {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            List::<u8>::deserialize(deserializer)?;
            Err(D::Error::custom("it was one of the other type"))
        }
    }
    let lists = manager.list::<Disguised>([]).unwrap();
    lists.push(Disguised(manager.list([1]).unwrap())).unwrap();
    let refused = lists.get(0).map(drop).unwrap_err();
    assert!(!refused.to_string().contains("the other type"), "{refused}");
}

fn what_does_not_decode_stays(manager: &Manager) {
    let names = manager.namespace().unwrap();
    names.set("text", &"not a dictionary".to_owned()).unwrap();
    assert!(names.get::<Dict<u8, u8>>("text").is_err());
    let refused = names.get::<u128>("text").unwrap_err();
    assert!(matches!(refused, Error::Decode { .. } | Error::Attach(_)), "{refused}");
    assert_eq!(names.get::<String>("text").unwrap().as_deref(), Some("not a dictionary"));
}

/// What encodes as the one and decodes as the other.
macro_rules! disguised {
    ($name:ident, $is:ty, $seems:ty) => {
        #[derive(Serialize)]
        #[serde(transparent)]
        struct $name($is);

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                <$seems>::deserialize(deserializer)?;
                Err(D::Error::custom("it was one of the other type"))
            }
        }
    };
}

disguised!(ListAsList, List<u32>, List<u8>);
disguised!(ListAsDict, List<u32>, Dict<u8, u8>);
disguised!(LockAsSemaphore, Lock, Semaphore);
disguised!(QueueAsQueue, Queue<u32>, Queue<u8>);
disguised!(ListAsLock, List<u32>, Lock);

/// On their way to a process: what it is told is the same, wherever they are kept.
fn a_wrong_handle_says_what_it_is(manager: &Manager) {
    fn refusal<T: DeserializeOwned>(process: crossproc::Result<Process<T>>) -> AttachError {
        match process.unwrap().join().map(drop) {
            Err(ProcessError::Failed { source, .. }) => match *source {
                Error::Attach(refusal) => refusal,
                other => panic!("{other}"),
            },
            other => panic!("{other:?}"),
        }
    }
    let (list, lock) = (manager.list([1_u32]).unwrap(), manager.lock().unwrap());
    let queue = manager.queue::<u32>(1).unwrap();
    let types = [
        ("List<u8>", refusal(Process::spawn(ListAsList, (&list,)))),
        ("Dict<u8, u8>", refusal(Process::spawn(ListAsDict, (&list,)))),
    ];
    for (name, refusal) in types {
        let AttachError::WrongType { found, expected, .. } = refusal else { panic!("{refusal}") };
        assert!(expected.name == name && found.hash != expected.hash, "{found} as {expected}");
    }
    let refused = refusal(Process::spawn(QueueAsQueue, (&queue,)));
    assert!(matches!(refused, AttachError::WrongType { .. }), "{refused}");
    let refused = refusal(Process::spawn(ListAsLock, (&list,)));
    assert_eq!(refused, AttachError::WrongKind { found: Ok(Kind::Manager), expected: Kind::Lock });
    let refused = refusal(Process::spawn(LockAsSemaphore, (&lock,)));
    assert_eq!(refused, AttachError::WrongKind { found: Ok(Kind::Lock), expected: Kind::Semaphore });
}
