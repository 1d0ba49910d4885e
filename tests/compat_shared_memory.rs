//! Arenas in memory that the crate `shared_memory` has made.

mod common;

use std::fs::{self, File, Permissions};
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, PermissionsExt, chown, symlink};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering::SeqCst};
use std::thread;

use common::locking::Stage;
use common::naming::{in_own_directory, remover};
use common::processes::forked;
use common::watchdog;
use crossproc::{Arena, AttachError, Error, Lock, LockError, Process, Queue, RawArray, RawValue, Ring, Value};
use shared_memory::{Shmem, ShmemConf};

crossproc::test_support!();

/// Header, table of peers, and the arena's own header.
const LEAST: usize = 128 + 256 * 8 + 128;

/// What one object without elements takes, a lock say.
const OBJECT: usize = 256;

/// One whose file tells that it is a test's.
fn shmem(size: usize) -> Shmem {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let id = format!("/test-crossproc-{}-{}", std::process::id(), COUNT.fetch_add(1, SeqCst));
    ShmemConf::new().os_id(id).size(size).create().unwrap()
}

fn same(id: &str) -> Shmem {
    ShmemConf::new().os_id(id).open().unwrap()
}

fn path(shmem: &Shmem) -> PathBuf {
    PathBuf::from("/dev/shm").join(shmem.get_os_id().trim_start_matches('/'))
}

fn file(shmem: &Shmem) -> File {
    File::options().read(true).write(true).open(path(shmem)).unwrap()
}

fn content(shmem: &Shmem) -> Vec<u8> {
    let mut bytes = Vec::new();
    file(shmem).read_to_end(&mut bytes).unwrap();
    bytes
}

#[test]
fn objects_in_it_go_to_children() {
    let _watchdog = watchdog();
    let shmem = shmem(1 << 20);
    let arena = Arena::in_shmem(&shmem).unwrap();
    let (lock, total) = (Lock::new_in(&arena).unwrap(), Value::new_in(&arena, 0_u64).unwrap());
    let jobs = Queue::builder().max_message(16 << 10).capacity(8).build_in(&arena).unwrap();
    let results = Ring::new_in(&arena, 8).unwrap();
    let work = |lock: Lock, total: Value<u64>, jobs: Queue<String>, results: Ring<u64>| {
        while let Ok(job) = jobs.get() {
            let _guard = lock.lock().unwrap();
            total.set(total.get() + 1);
            results.put(job.len() as u64).unwrap();
        }
    };
    let workers = [0; 3].map(|_| Process::spawn(work, (&lock, &total, &jobs, &results)).unwrap());
    for length in [1, 200, 10_000] {
        jobs.put(&"x".repeat(length)).unwrap();
    }
    jobs.close();
    for worker in workers {
        worker.join().unwrap();
    }
    let mut lengths = [0; 3].map(|_| results.get().unwrap());
    lengths.sort_unstable();
    assert_eq!((total.get(), lengths), (3, [1, 200, 10_000]));
}

#[test]
fn next_owner_learns_of_a_death() {
    let _watchdog = watchdog();
    let shmem = shmem(1 << 14);
    let lock = Lock::new_in(&Arena::in_shmem(&shmem).unwrap()).unwrap();
    let die = |lock: Lock| -> () {
        let _guard = lock.lock();
        std::process::abort()
    };
    assert!(Process::spawn(die, (&lock,)).unwrap().join().is_err());
    assert!(matches!(lock.lock(), Err(LockError::OwnerDied(_))));
}

/// They start at once, each with a `Shmem` of its own, and each makes an object: there is one arena, made once.
#[test]
fn all_who_come_at_once_find_one_arena() {
    const PROCESSES: u32 = 4;
    let _watchdog = watchdog();
    let come = |ids: Vec<String>, stage: Stage| {
        for (round, id) in ids.iter().enumerate() {
            let shmem = same(id);
            stage.advance();
            stage.wait_for(PROCESSES * (round as u32 + 1));
            Lock::new_in(&Arena::in_shmem(&shmem).unwrap()).unwrap();
        }
    };
    let shmems: Vec<Shmem> = (0..100).map(|_| shmem(1 << 14)).collect();
    let (ids, stage) = (shmems.iter().map(|shmem| shmem.get_os_id().to_string()).collect::<Vec<_>>(), Stage::new());
    // Daemons: one that fails keeps the others waiting.
    let come_by = || Process::builder().daemon(true).spawn(come, (&ids, &stage)).unwrap();
    let processes = [(); PROCESSES as usize].map(|()| come_by());
    for process in processes {
        process.join().unwrap();
    }
    for shmem in &shmems {
        let arena = Arena::in_shmem(shmem).unwrap();
        assert_eq!(arena.remaining(), (1 << 14) - LEAST - PROCESSES as usize * OBJECT);
    }
}

#[test]
fn a_process_attaches_once() {
    let shmem = shmem(1 << 14);
    let (first, second) = (Arena::in_shmem(&shmem).unwrap(), Arena::in_shmem(&same(shmem.get_os_id())).unwrap());
    Lock::new_in(&first).unwrap();
    assert_eq!(first.remaining(), second.remaining());
    assert_eq!(first.memory_fd().as_raw_fd(), second.memory_fd().as_raw_fd());
}

#[test]
fn what_holds_something_else_is_refused_and_left_alone() {
    let _watchdog = watchdog();
    let size = 200_000;
    for (offset, bytes) in
        [(0, b"foreign "), (8, b"foreign "), (100_000, b"foreign "), (size - 8, b"\0\0\0\0\0\0\0\x01")]
    {
        let shmem = shmem(size);
        file(&shmem).write_at(bytes, offset as u64).unwrap();
        let before = content(&shmem);
        match Arena::in_shmem(&shmem) {
            Err(Error::Attach(AttachError::WrongMagic { found, .. })) if offset == 0 => {
                assert_eq!(found, u64::from_le_bytes(*bytes));
            }
            Err(Error::Attach(AttachError::NotEmpty { offset: found })) => {
                let first = bytes.iter().position(|&byte| byte != 0).unwrap();
                assert_eq!(found, (offset + first) as u64);
            }
            other => panic!("{offset}: {other:?}"),
        }
        assert!(content(&shmem) == before, "{offset}");
    }
}

/// Its length is the `Shmem`'s business, and whole pages are not needed.
#[test]
fn every_byte_of_any_length_is_usable() {
    for size in [LEAST, LEAST + 1, 4_096, 5_000, 8_191, 100_001] {
        let shmem = shmem(size);
        let arena = Arena::in_shmem(&shmem).unwrap();
        assert_eq!(arena.remaining(), size - LEAST);
        let rest = (size - LEAST) / 128 * 128;
        if rest > 128 {
            let bytes = RawArray::<AtomicU8>::new_in(&arena, rest - 128).unwrap();
            bytes.iter().for_each(|byte| byte.store(0xff, SeqCst));
        }
        assert!(matches!(Lock::new_in(&arena), Err(Error::NoSpace { .. })), "{size}");
        assert_eq!((content(&shmem).len(), shmem.len()), (size, size));
    }
}

#[test]
fn what_is_too_small_is_refused() {
    for size in [1, 8, LEAST - 1] {
        let shmem = shmem(size);
        let refused = Arena::in_shmem(&shmem).unwrap_err();
        let expected = AttachError::WrongSize { found: size as u64, expected: LEAST as u64 };
        assert_eq!(refused, Error::Attach(expected));
        assert!(content(&shmem).iter().all(|&byte| byte == 0));
    }
}

#[test]
fn the_name_is_its_owners_to_remove_and_the_arena_stays() {
    let _watchdog = watchdog();
    let shmem = shmem(1 << 14);
    let path = path(&shmem);
    let arena = Arena::in_shmem(&shmem).unwrap();
    let value = Value::new_in(&arena, 1_u64).unwrap();
    drop(arena);
    drop(value);
    assert!(path.exists());

    let value = Value::new_in(&Arena::in_shmem(&shmem).unwrap(), 1_u64).unwrap();
    drop(shmem);
    assert!(!path.exists());
    Process::spawn(|value: Value<u64>| value.set(value.get() + 1), (&value,)).unwrap().join().unwrap();
    assert_eq!(value.get(), 2);
}

#[test]
fn what_others_can_get_at_is_refused() {
    for (mode, is_refused) in [(0o600, false), (0o644, true), (0o620, true), (0o602, true), (0o666, true)] {
        let shmem = shmem(1 << 14);
        fs::set_permissions(path(&shmem), Permissions::from_mode(mode)).unwrap();
        match Arena::in_shmem(&shmem) {
            Err(Error::PermissionDenied { found, .. }) => assert!(is_refused && found.contains(&format!("{mode:04o}"))),
            other => assert!(!is_refused, "{mode:o}: {other:?}"),
        }
        assert!(!is_refused || content(&shmem).iter().all(|&byte| byte == 0), "{mode:o}");
    }
}

#[test]
fn another_users_is_refused() {
    let shmem = shmem(1 << 14);
    if chown(path(&shmem), Some(65_534), None).is_err() {
        eprintln!("not checked: this user cannot give files away");
        return;
    }
    assert!(matches!(Arena::in_shmem(&shmem), Err(Error::PermissionDenied { .. })));
}

/// A name tells nothing about what is mapped.
#[test]
fn another_file_under_its_name_is_left_alone() {
    let (shmem, other) = (shmem(1 << 14), shmem(1 << 14));
    let id = || Error::NoSuchName { name: shmem.get_os_id().into() };
    fs::remove_file(path(&shmem)).unwrap();
    assert_eq!(Arena::in_shmem(&shmem).unwrap_err(), id());
    fs::hard_link(path(&other), path(&shmem)).unwrap();
    assert_eq!(Arena::in_shmem(&shmem).unwrap_err(), id());
    assert!(content(&other).iter().all(|&byte| byte == 0));
    fs::remove_file(path(&shmem)).unwrap();
    symlink(path(&other), path(&shmem)).unwrap();
    assert_eq!(Arena::in_shmem(&shmem).unwrap_err(), Error::Attach(AttachError::NotAFile));
}

#[test]
fn an_id_of_our_own_objects_is_refused() {
    let id = format!("crossproc-test-{}", std::process::id());
    let shmem = ShmemConf::new().os_id(&id).size(1 << 14).create().unwrap();
    assert!(matches!(Arena::in_shmem(&shmem), Err(Error::InvalidName { name, .. }) if name == id));
}

/// What a process leaves that was killed on the way.
#[test]
fn what_is_half_made_is_made_anew() {
    let shmem = shmem(1 << 14);
    file(&shmem).write_at(b"crosspr-\xff\xff\xff\xff", 0).unwrap();
    file(&shmem).write_at(b"\xff\xff\xff\xff", 36).unwrap(); // how much is used
    let arena = Arena::in_shmem(&shmem).unwrap();
    assert_eq!(arena.remaining(), (1 << 14) - LEAST);
    assert!(Lock::new_in(&arena).unwrap().lock().is_ok());
}

/// One who is stopped between two instructions holds the others up for half a second, and not for ever.
#[test]
fn a_stopped_maker_is_not_waited_for_for_ever() {
    let _watchdog = watchdog();
    let shmem = shmem(1 << 14);
    let held = remover(path(&shmem));
    match Arena::in_shmem(&shmem) {
        Err(Error::Os { source, .. }) => assert_eq!(source.code(), libc::EBUSY),
        other => panic!("{other:?}"),
    }
    drop(held);
    assert!(Arena::in_shmem(&shmem).is_ok());
}

/// `shared_memory` promises more than there is, and dies of SIGBUS when it is touched.
#[test]
fn too_little_memory_is_no_space() {
    let _watchdog = watchdog();
    let fill = || {
        in_own_directory(c"size=64k").then(|| {
            let (shmem, small) = (shmem(1 << 20), shmem(1 << 14));
            let refused = matches!(Arena::in_shmem(&shmem), Err(Error::NoSpace { needed, .. }) if needed == 1 << 20);
            let is_empty = content(&shmem).iter().all(|&byte| byte == 0);
            drop(shmem);
            (refused, is_empty, Arena::in_shmem(&small).is_ok())
        })
    };
    match Process::spawn(fill, ()).unwrap().join().unwrap() {
        Some(outcome) => assert_eq!(outcome, (true, true, true)),
        None => eprintln!("not checked: this user cannot mount a file system"),
    }
}

/// What a copy of the process does with the arena is done by a peer of its own.
#[test]
fn a_forked_copy_uses_it_too() {
    let _watchdog = watchdog();
    let shmem = shmem(1 << 14);
    let number = RawValue::new_in(&Arena::in_shmem(&shmem).unwrap(), AtomicU32::new(1)).unwrap();
    assert!(forked(|| {
        number.fetch_add(1, SeqCst);
        Lock::new_in(&Arena::in_shmem(&shmem).unwrap()).unwrap().lock().is_ok()
    }));
    assert_eq!(number.load(SeqCst), 2);
}

/// Threads of one process race like processes do.
#[test]
fn threads_find_one_arena() {
    let _watchdog = watchdog();
    let shmem = shmem(1 << 14);
    let id = shmem.get_os_id();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| Lock::new_in(&Arena::in_shmem(&same(id)).unwrap()).unwrap());
        }
    });
    assert_eq!(Arena::in_shmem(&shmem).unwrap().remaining(), (1 << 14) - LEAST - 4 * OBJECT);
}
