use crossproc::managed::{Dict, List};
use crossproc::{Error, Manager, Process};

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
    fn take(_: List<u8>) {}
    let list = manager.list::<u32>([1]).unwrap();
    // As a child of an older program would have it.
    let lists = manager.at("lists").dict::<u8, List<u32>>().unwrap();
    lists.insert(1, &list).unwrap();
    let process = Process::spawn(take, (manager.list::<u8>([1]).unwrap(),)).unwrap();
    process.join().unwrap();
    assert!(manager.at("lists").dict::<u8, List<u8>>().is_err());
}

fn what_does_not_decode_stays(manager: &Manager) {
    let names = manager.namespace().unwrap();
    names.set("text", &"not a dictionary".to_owned()).unwrap();
    assert!(names.get::<Dict<u8, u8>>("text").is_err());
    assert!(matches!(names.get::<u128>("text"), Err(Error::Decode { .. }) | Ok(_)));
    assert_eq!(names.get::<String>("text").unwrap().as_deref(), Some("not a dictionary"));
}
