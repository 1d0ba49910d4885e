//! Managers under names: found by all processes of a user, and by nobody else.

use crossproc::managed::Dict;
use crossproc::{AttachError, Error, Kind, Manager, Name, Process, Value};

use crate::common::locking::Stage;
use crate::common::naming::TestName;
use crate::common::watchdog;

#[test]
fn a_manager_is_found_by_its_name() {
    let _watchdog = watchdog();
    let name = TestName::new();
    assert!(matches!(Manager::open(name.as_str()), Err(Error::NoSuchName { .. })));
    let manager = Manager::create(name.as_str()).unwrap();
    let dict: Dict<String, u32> = manager.dict().unwrap();
    let by_name = |name: String, dict: Dict<String, u32>| {
        let manager = Manager::open(&*name).unwrap();
        let lists = manager.dict::<String, Dict<String, u32>>().unwrap();
        lists.insert("same manager", &dict).unwrap();
        dict.insert("a", 1).unwrap();
        lists
    };
    let lists = Process::spawn(by_name, (name.as_str(), &dict)).unwrap().join().unwrap();
    assert_eq!(lists.get("same manager").unwrap().unwrap().get("a"), Ok(Some(1)));
    assert_eq!(dict.get("a"), Ok(Some(1)));
    assert!(matches!(Manager::create(name.as_str()), Err(Error::NameTaken { .. })));
    assert!(Manager::open_or_create(name.as_str()).is_ok());
    let kinds = AttachError::WrongKind { found: Ok(Kind::Manager), expected: Kind::Value };
    assert_eq!(Value::<u32>::open(name.as_str()).unwrap_err(), Error::Attach(kinds));
}

#[test]
fn another_users_manager_is_refused() {
    let _watchdog = watchdog();
    // SAFETY: has no preconditions.
    if unsafe { libc::geteuid() } != 0 {
        eprintln!("not checked: this user cannot become another one");
        return;
    }
    let name = TestName::new();
    let open = |name: String| {
        // SAFETY: has no preconditions; the process is one of its own.
        assert_eq!(unsafe { libc::setuid(65_534) }, 0);
        let denied = |opened: Result<Manager, Error>| matches!(opened, Err(Error::PermissionDenied { .. }));
        denied(Manager::open(&*name)) && denied(Manager::open_or_create(&*name))
    };
    for mode in [0o600, 0o666] {
        let manager = Manager::create(Name::new(name.as_str()).mode(mode)).unwrap();
        assert!(Process::spawn(open, (name.as_str(),)).unwrap().join().unwrap(), "mode {mode:o}");
        drop(manager);
    }
}

/// What its maker leaves behind when he is killed is used by who is there, and goes with the last of them.
#[test]
fn a_manager_outlives_its_killed_maker() {
    let _watchdog = watchdog();
    let name = TestName::new();
    let make = |name: String, stage: Stage| {
        let manager = Manager::create(&*name).unwrap();
        stage.advance();
        loop {
            std::thread::park();
            drop(manager.clone());
        }
    };
    let stage = Stage::new();
    let maker: Process<()> = Process::spawn(make, (name.as_str(), &stage)).unwrap();
    stage.wait_for(1);
    let manager = Manager::open(name.as_str()).unwrap();
    let dict: Dict<u32, u32> = manager.dict().unwrap();
    dict.insert(1, 1).unwrap();
    maker.kill().unwrap();
    maker.wait();
    // More than enough for the dead to be noticed.
    (0..200).for_each(|_| drop(manager.list::<u32>([]).unwrap()));
    assert_eq!(dict.items().unwrap(), [(1, 1)]);
    dict.insert(2, 2).unwrap();
    assert_eq!(dict.len(), Ok(2));
}
