use std::fs::{self, File};
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::sync::atomic::AtomicU32;

use crossproc::{
    Arena, Array, AttachError, Barrier, BoundedSemaphore, Condvar, Error, Event, Lock, Manager, Name, Process, Queue,
    RLock, RawArray, RawValue, Ring, RwLock, Semaphore, ShareableList, SharedMemory, Value, abandoned, inspect, unlink,
    unlink_abandoned,
};

use super::common::watchdog;
use super::{TestName, is_missing};

fn mode_of(name: &TestName) -> u32 {
    fs::metadata(name.path()).unwrap().permissions().mode() & 0o777
}

/// In a process of its own: the umask belongs to the process.
#[test]
fn the_mode_is_that_asked_for_whatever_the_umask() {
    let _watchdog = watchdog();
    let modes = || {
        // SAFETY: has no preconditions.
        unsafe { libc::umask(0o077) };
        let (plain, open) = (TestName::new(), TestName::new());
        let _plain = Value::create(plain.as_str(), 1).unwrap();
        let _open = Value::create(Name::new(open.as_str()).mode(0o1777), 1).unwrap();
        (mode_of(&plain), mode_of(&open))
    };
    assert_eq!(Process::spawn(modes, ()).unwrap().join(), Ok((0o600, 0o666)));
}

/// Who can read a file can lock its bytes, and so seem to be somebody who is dead.
#[test]
fn what_others_can_read_is_refused_unless_asked_for() {
    let name = TestName::new();
    let made = Value::create(Name::new(name.as_str()).mode(0o644), 1_u64).unwrap();
    let opened = Value::<u64>::open(name.as_str());
    assert!(matches!(opened, Err(Error::PermissionDenied { .. })), "{opened:?}");
    let travelled = Process::spawn(|value: Value<u64>| value.get(), (&made,)).unwrap().join();
    assert_eq!(travelled, Ok(1), "its maker has asked for it");
    assert_eq!(Value::<u64>::open(Name::new(name.as_str()).mode(0o644)).unwrap().get(), 1);
}

#[test]
fn what_others_can_write_to_is_refused_unless_asked_for() {
    let name = TestName::new();
    let made = Value::create(Name::new(name.as_str()).mode(0o660), 1_u64).unwrap();
    match Value::<u64>::open(name.as_str()) {
        Err(Error::PermissionDenied { found, expected, .. }) => {
            assert!(found.contains("0660") && expected.contains("0600"), "{found}, {expected}");
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(Value::<u64>::open(Name::new(name.as_str()).mode(0o606)), Err(Error::PermissionDenied { .. })));
    assert!(Value::<u64>::open(Name::new(name.as_str()).mode(0o666)).is_ok());
    drop(made);
    assert!(!name.exists());
}

const NOBODY: libc::uid_t = 65_534;

/// Whether this process can become another user.
fn is_root() -> bool {
    // SAFETY: has no preconditions.
    let is_root = unsafe { libc::geteuid() == 0 };
    if !is_root {
        eprintln!("not checked: this user cannot become another one");
    }
    is_root
}

fn become_nobody() {
    // SAFETY: has no preconditions; the process is one of its own.
    assert_eq!(unsafe { libc::setuid(NOBODY) }, 0);
}

/// What user nobody is told of an object of ours.
fn as_nobody(name: String, others: bool) -> (Result<u64, Error>, Result<(), Error>, Vec<String>) {
    become_nobody();
    let asked = if others { Name::new(&*name).mode(0o666) } else { Name::new(&*name) };
    let read = Value::<u64>::open(asked).map(|value| value.get());
    (read, unlink(&name), abandoned().unwrap())
}

/// `inspect` reads, and no more.
#[test]
fn who_may_read_may_look() {
    let _watchdog = watchdog();
    if !is_root() {
        return;
    }
    let name = TestName::new();
    let _made = Value::create(Name::new(name.as_str()).mode(0o644), 7_u64).unwrap();
    let look = |name: String| {
        become_nobody();
        inspect(name).map(|found| found.peers.len())
    };
    assert_eq!(Process::spawn(look, (name.as_str(),)).unwrap().join(), Ok(Ok(1)));
}

/// In a user namespace that knows no user, all files seem to belong to the same one, and so does the process.
#[test]
fn another_users_object_is_refused_where_all_users_look_alike() {
    let _watchdog = watchdog();
    if !is_root() {
        return;
    }
    let name = TestName::new();
    let make = |name: String| {
        // SAFETY: has no preconditions; the process is one of its own.
        assert_eq!(unsafe { libc::setuid(1_234) }, 0);
        drop(Value::create(Name::new(&*name).mode(0o666).persist(), 5_u64).unwrap());
    };
    Process::spawn(make, (name.as_str(),)).unwrap().join().unwrap();
    let open = |path: String| {
        become_nobody();
        // SAFETY: has no memory arguments.
        if unsafe { libc::unshare(libc::CLONE_NEWUSER) } != 0 {
            return None;
        }
        let file = File::options().read(true).write(true).open(&path).unwrap();
        Some(Value::<u64>::from_fd(file.into()).map(|value| value.get()))
    };
    match Process::spawn(open, (name.path(),)).unwrap().join().unwrap() {
        Some(opened) => assert!(matches!(opened, Err(Error::Attach(AttachError::NotSealed { .. }))), "{opened:?}"),
        None => eprintln!("not checked: this user cannot make a user namespace"),
    }
}

#[test]
fn another_users_object_is_refused() {
    let _watchdog = watchdog();
    if !is_root() {
        return;
    }
    let name = TestName::new();
    let denied = |outcome: &Result<u64, Error>| matches!(outcome, Err(Error::PermissionDenied { .. }));
    for (mode, others, is_refused) in
        [(0o600, false, true), (0o600, true, true), (0o666, false, true), (0o666, true, false)]
    {
        let made = Value::create(Name::new(name.as_str()).mode(mode), 5_u64).unwrap();
        let (read, unlinked, collected) = Process::spawn(as_nobody, (name.as_str(), others)).unwrap().join().unwrap();
        assert_eq!(denied(&read), is_refused, "mode {mode:o}, asked for others' {others}: {read:?}");
        assert!(is_refused || read == Ok(5));
        assert!(matches!(unlinked, Err(Error::PermissionDenied { .. })), "{unlinked:?}");
        assert!(!collected.contains(&name.as_str().to_string()));
        drop(made);
    }
}

/// The other way round: what another user has put there, open to all.
#[test]
fn an_object_that_another_user_has_made_is_refused() {
    let _watchdog = watchdog();
    if !is_root() {
        return;
    }
    let name = TestName::new();
    let make = |name: String| {
        become_nobody();
        drop(Value::create(Name::new(name).mode(0o666).persist(), 5_u64).unwrap());
    };
    Process::spawn(make, (name.as_str(),)).unwrap().join().unwrap();
    match Value::<u64>::open(name.as_str()) {
        Err(Error::PermissionDenied { found, expected, .. }) => {
            assert!(found.contains("65534") && expected.contains("user 0"), "{found}, {expected}");
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(unlink(name.as_str()), Err(Error::PermissionDenied { .. })));
    assert!(unlink_abandoned(name.as_str()).is_err() && name.exists());
    assert_eq!(Value::<u64>::open(Name::new(name.as_str()).mode(0o666)).unwrap().get(), 5);
}

#[test]
fn what_is_no_object_is_refused_and_left_alone() {
    let _watchdog = watchdog();
    let name = TestName::new();
    let refused = |what: &str| {
        let opened = Value::<u64>::open(name.as_str()).unwrap_err();
        let removed = unlink(name.as_str()).unwrap_err();
        assert!(matches!((&opened, &removed), (Error::Attach(_), Error::Attach(_))), "{what}: {opened}, {removed}");
        assert!(Value::open_or_create(name.as_str(), 1_u64).is_err(), "{what}");
        assert!(unlink_abandoned(name.as_str()).is_err(), "{what}");
        assert!(name.exists(), "{what}");
    };
    for bytes in [&[][..], b"hello", &[0; 10_000]] {
        fs::write(name.path(), bytes).unwrap();
        fs::set_permissions(name.path(), fs::Permissions::from_mode(0o600)).unwrap();
        refused("a foreign file");
        assert_eq!(fs::read(name.path()).unwrap(), bytes);
        fs::remove_file(name.path()).unwrap();
    }

    let other = TestName::new();
    let _made = Value::create(other.as_str(), 1_u64).unwrap();
    symlink(other.path(), name.path()).unwrap();
    refused("a symbolic link");
    assert!(matches!(Value::<u64>::open(name.as_str()), Err(Error::Attach(AttachError::NotAFile))));
    fs::remove_file(name.path()).unwrap();

    fs::create_dir(name.path()).unwrap();
    refused("a folder");
    fs::remove_dir(name.path()).unwrap();

    let path = std::ffi::CString::new(name.path()).unwrap();
    // SAFETY: a C string that outlives the call.
    assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }, 0);
    refused("a pipe");
    fs::remove_file(name.path()).unwrap();
    assert!(is_missing(&Value::<u64>::open(name.as_str())));
}

/// Whoever looks at an object from outside reads whatever anybody has written there.
#[test]
fn a_look_at_any_bytes_ends_in_facts_or_an_error() {
    let makers: [fn(Name) -> Result<(), Error>; 18] = [
        |name| Arena::create(name, 1 << 10).map(drop),
        |name| Value::create(name, 5_u64).map(drop),
        |name| Array::<u16>::create(name, 3).map(drop),
        |name| RawValue::create(name, AtomicU32::new(5)).map(drop),
        |name| RawArray::<AtomicU32>::create(name, 3).map(drop),
        |name| SharedMemory::create_named(name, 100).map(drop),
        |name| ShareableList::create(name, ["text".into(), 5.into()]).map(drop),
        |name| Lock::create(name).map(drop),
        |name| RLock::create(name).map(drop),
        |name| RwLock::create(name, 5_u64).map(drop),
        |name| Semaphore::create(name, 3).map(drop),
        |name| BoundedSemaphore::create(name, 3).map(drop),
        |name| Condvar::create(name).map(drop),
        |name| Event::create(name).map(drop),
        |name| Barrier::create(name, 3).map(drop),
        |name| Ring::<[u8; 5]>::create(name, 3).map(drop),
        |name| Queue::<String>::create(name, 3).map(drop),
        |name| Manager::create(name)?.at("names").list::<u8>().map(drop),
    ];
    for make in makers {
        let _watchdog = watchdog();
        let name = TestName::new();
        make(Name::new(name.as_str()).persist()).unwrap();
        look_at_each_byte(&name);
    }
}

/// Each byte of the headers and of what follows, changed; and removes the object.
fn look_at_each_byte(name: &TestName) {
    let file = File::options().read(true).write(true).open(name.path()).unwrap();
    let kind = inspect(name.as_str()).unwrap().kind;
    let (mut failed, mut found) = (0, 0);
    // The table of peers in between is one like the other.
    for offset in (0..160).chain(128 + 256 * 8..128 + 256 * 8 + 700) {
        let mut byte = [0];
        file.read_exact_at(&mut byte, offset).unwrap();
        for changed in [!byte[0], byte[0] ^ 1, byte[0] ^ 0x80] {
            file.write_all_at(&[changed], offset).unwrap();
            match inspect(name.as_str()) {
                Ok(_) => found += 1,
                Err(_) => failed += 1,
            }
        }
        file.write_all_at(&byte, offset).unwrap();
    }
    assert!(found > 0 && failed > 0, "{kind:?}: {found} looks, {failed} errors");
    assert!(inspect(name.as_str()).is_ok());
    unlink(name.as_str()).unwrap();
}

/// Objects whose words all say that somebody else has them.
#[test]
fn what_a_look_says_is_bounded() {
    let named = [(); 3].map(|()| TestName::new());
    let [ring, semaphore, condvar] = &named;
    let _ring = Ring::<u64>::create(ring.as_str(), 1 << 16).unwrap();
    let _semaphore = Semaphore::create(semaphore.as_str(), 2_048).unwrap();
    let _condvar = Condvar::create(condvar.as_str()).unwrap();
    for name in &named {
        let file = File::options().write(true).open(name.path()).unwrap();
        let size = file.metadata().unwrap().len();
        let words = size / 2..size - 8; // half of the file is nothing else
        let owned: Vec<u8> = words.clone().step_by(8).flat_map(|at| (1 << 32 | at).to_ne_bytes()).collect();
        file.write_all_at(&owned, words.start).unwrap();
        let state = inspect(name.as_str()).unwrap().state;
        assert!(state.iter().any(|(_, said)| said.contains("by others")), "{state:?}");
        assert!(state.iter().map(|(_, said)| said.len()).sum::<usize>() < 4_096, "{state:?}");
    }
}
