use crossproc::managed::{Dict, List};
use crossproc::{Error, Manager};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::on_each_engine;

on_each_engine!(
    a_handle_of_another_manager_is_refused,
    a_handle_of_another_type_is_refused,
    what_does_not_decode_stays
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
