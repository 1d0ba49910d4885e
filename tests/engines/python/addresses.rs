//! Processes that know nothing of each other but an address, and what becomes of them when a manager starts anew.

use crossproc::managed::Dict;
use crossproc::{Error, Manager, Process};
use serde::{Deserialize, Serialize};

use crate::common::naming::TestName;
use crate::common::watchdog;
#[cfg(feature = "redis")]
use crate::redis::Server;

/// A value of any type, as there is none in Rust.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Any {
    Nothing,
    Flag(bool),
    Number(f64),
    Text(String),
    Bytes(Vec<u8>),
}

fn values() -> Vec<Any> {
    let text = |text: &str| Any::Text(text.to_owned());
    let bytes = Any::Bytes(b"hall\xe5 v\xe4rlden\0\r\n".to_vec());
    vec![
        text("hello world"),
        Any::Nothing,
        Any::Flag(true),
        Any::Number(2.25),
        text("hallå"),
        text("привіт світ"),
        bytes,
    ]
}

/// It has nothing from anybody but the address.
fn put(address: String) {
    Manager::connect(&address).unwrap().at("values").list::<Any>().unwrap().extend(values()).unwrap();
}

fn values_come_over(address: &str) {
    let list = Manager::connect(address).unwrap().at("values").list::<Any>().unwrap();
    Process::spawn(put, (address,)).unwrap().join().unwrap();
    assert_eq!(list.to_vec().unwrap(), values());
    // What could not be read again is not taken.
    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Untagged {
        Number(u8),
    }
    let others = Manager::connect(address).unwrap().list::<Untagged>([]).unwrap();
    let refused = others.push(Untagged::Number(1)).and_then(|()| others.get(0)).map(drop).unwrap_err();
    assert!(matches!(refused, Error::Encode { .. } | Error::Decode { .. }), "{refused}");
}

/// Starts, is used by a child that connects, and ends; the one after it has nothing of it.
fn is_used_once(address: &str) {
    let counts: Dict<String, u32> = Manager::connect(address).unwrap().at("counts").dict().unwrap();
    let add = |address: String| {
        let counts: Dict<String, u32> = Manager::connect(&address).unwrap().at("counts").dict().unwrap();
        counts.fetch_add("all", 1).unwrap();
    };
    Process::spawn(add, (address,)).unwrap().join().unwrap();
    assert_eq!(counts.get("all"), Ok(Some(1)));
}

mod local {
    use super::{Manager, Process, TestName, is_used_once, values_come_over, watchdog};

    #[test]
    fn values_of_many_types_come_over_from_who_has_connected() {
        let _watchdog = watchdog();
        let name = TestName::new();
        let _manager = Manager::create(name.as_str()).unwrap();
        values_come_over(name.as_str());
    }

    #[test]
    fn a_manager_can_be_started_again_at_once_at_its_address() {
        let _watchdog = watchdog();
        let name = TestName::new();
        for _ in 0..20 {
            let manager = Manager::create(name.as_str()).unwrap();
            is_used_once(name.as_str());
            let add = |name: String| Manager::open(&*name).unwrap().list([1]).unwrap();
            let list = Process::spawn(add, (name.as_str(),)).unwrap().join().unwrap();
            assert_eq!(list.to_vec().unwrap(), [1]);
            drop((manager, list));
            assert!(!name.exists());
        }
    }
}

#[cfg(feature = "redis")]
mod server {
    use super::{Server, is_used_once, values_come_over, watchdog};

    #[test]
    fn values_of_many_types_come_over_from_who_has_connected() {
        let _watchdog = watchdog();
        values_come_over(&Server::start().url());
    }

    #[test]
    fn a_manager_can_be_started_again_at_once_at_its_address() {
        let _watchdog = watchdog();
        let mut server = Server::start();
        for _ in 0..5 {
            is_used_once(&server.url());
            server.kill();
            server.start_again();
        }
    }
}
