use crossproc::{Error, Manager};

use crate::on_each_engine;

on_each_engine!(
    a_name_is_found_again,
    another_type_under_a_name_is_refused,
    a_name_can_be_taken_out,
    a_value_begins_once
);

fn a_name_is_found_again(manager: &Manager) {
    manager.at("jobs").dict::<u32, String>().unwrap().insert(1, "sweep").unwrap();
    assert_eq!(manager.at("jobs").dict::<u32, String>().unwrap().get(1).unwrap().as_deref(), Some("sweep"));
    manager.at("log").list().unwrap().push(1).unwrap();
    manager.at("seen").set().unwrap().insert("a".to_owned()).unwrap();
    manager.at("settings").namespace().unwrap().set("n", &1).unwrap();
    let mut names = manager.names().unwrap();
    names.sort();
    assert_eq!(names, ["jobs", "log", "seen", "settings"]);
}

fn another_type_under_a_name_is_refused(manager: &Manager) {
    manager.at("log").list::<u32>().unwrap().push(1).unwrap();
    let refused = manager.at("log").list::<u8>().map(drop).unwrap_err();
    assert!(matches!(refused, Error::Attach(_)) && refused.to_string().contains("u32"), "{refused}");
    assert!(matches!(manager.at("log").dict::<u8, u8>().map(drop), Err(Error::Attach(_))));
}

fn a_name_can_be_taken_out(manager: &Manager) {
    let list = manager.at("log").list::<u32>().unwrap();
    assert!(manager.remove("log").unwrap() && !manager.remove("log").unwrap());
    list.push(1).unwrap();
    assert!(manager.at("log").list::<u32>().unwrap().is_empty().unwrap());
}

fn a_value_begins_once(manager: &Manager) {
    assert_eq!(manager.at("runs").value(3).unwrap().fetch_add(1).unwrap(), 3);
    assert_eq!(manager.at("runs").value(0).unwrap().get().unwrap(), 4);
}
