use std::ffi::CString;
use std::os::fd::AsRawFd;
use std::{env, fs};

use crossproc::{Error, Name, Process, Value, abandoned, gc, names};

use super::common::watchdog;
use super::in_own_directory;

fn not_checked() {
    eprintln!("not checked: this user cannot mount a file system");
}

/// In a mount namespace of its own, where shared memory has one mebibyte.
#[test]
fn a_full_directory_is_no_space() {
    let _watchdog = watchdog();
    let full = || {
        if !in_own_directory(c"size=1m") {
            return None;
        }
        let refused = crossproc::Array::<u8>::create("test/large", 2 << 20).unwrap_err();
        let fits = crossproc::Array::<u8>::create("test/first", 512 << 10);
        let second = crossproc::Array::<u8>::create("test/second", 512 << 10).unwrap_err();
        Some((fits.is_ok(), refused, second))
    };
    match Process::spawn(full, ()).unwrap().join().unwrap() {
        Some((fits, refused, second)) => {
            assert!(fits);
            for error in [refused, second] {
                assert!(matches!(error, Error::NoSpace { needed, available } if needed > available), "{error}");
            }
        }
        None => eprintln!("not checked: this user cannot mount a file system"),
    }
}

#[test]
fn a_directory_without_inodes_is_no_space() {
    let _watchdog = watchdog();
    let full = || {
        in_own_directory(c"nr_inodes=3").then(|| {
            let made: Vec<_> = (0..4).map(|n| Value::create(format!("n{n}"), 7_u64)).collect();
            made.into_iter().find_map(Result::err)
        })
    };
    match Process::spawn(full, ()).unwrap().join().unwrap() {
        Some(error) => assert!(matches!(error, Some(Error::NoSpace { .. })), "{error:?}"),
        None => not_checked(),
    }
}

/// As in a container whose directory of names is a folder of its disk.
#[test]
fn a_directory_on_a_disk_is_refused() {
    let _watchdog = watchdog();
    let folder = || {
        let disk = env::temp_dir().join(format!("crossproc-disk-{}", std::process::id()));
        fs::create_dir_all(&disk).unwrap();
        let path = CString::new(disk.to_str().unwrap()).unwrap();
        let (none, bind) = (std::ptr::null::<libc::c_char>(), libc::MS_BIND);
        let is_on_disk = in_own_directory(c"")
            // SAFETY: C strings that outlive the call.
            && unsafe { libc::mount(path.as_ptr(), c"/dev/shm".as_ptr(), none, bind, none.cast()) } == 0;
        let made = is_on_disk.then(|| Value::create("n", 7_u64).map(|_| ()));
        fs::remove_dir(&disk).unwrap();
        made
    };
    match Process::spawn(folder, ()).unwrap().join().unwrap() {
        Some(made) => assert!(matches!(made, Err(Error::Unsupported { .. } | Error::Os { .. })), "{made:?}"),
        None => not_checked(),
    }
}

/// A collector that cannot look at an object does not say that there is nothing to collect.
#[test]
fn a_collector_says_when_it_cannot_look() {
    let _watchdog = watchdog();
    let without_descriptors = || {
        in_own_directory(c"").then(|| {
            drop(Value::create(Name::new("n").persist(), 7_u64).unwrap());
            let next = fs::File::open("/proc/self/status").unwrap().as_raw_fd();
            let limit = |soft| {
                let limit = libc::rlimit { rlim_cur: soft, rlim_max: 1_024 };
                // SAFETY: `limit` is a live rlimit.
                assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) }, 0);
            };
            limit(next as u64 + 1); // for the directory, or for one object, but not to open that again
            let outcomes = (gc(), abandoned());
            limit(1_024);
            (outcomes, names().unwrap())
        })
    };
    match Process::spawn(without_descriptors, ()).unwrap().join().unwrap() {
        Some((outcomes, left)) => {
            assert!(matches!(outcomes, (Err(Error::Os { .. }), Err(Error::Os { .. }))), "{outcomes:?}");
            assert_eq!(left, ["n"]);
        }
        None => not_checked(),
    }
}

#[test]
fn a_collector_says_when_it_has_no_proc() {
    let _watchdog = watchdog();
    let without_proc = || {
        if !in_own_directory(c"") {
            return None;
        }
        drop(Value::create(Name::new("n").persist(), 7_u64).unwrap());
        // SAFETY: a C string that outlives the call.
        let is_gone = unsafe { libc::umount2(c"/proc".as_ptr(), libc::MNT_DETACH) } == 0;
        is_gone.then(gc)
    };
    match Process::spawn(without_proc, ()).unwrap().join().unwrap() {
        Some(outcome) => assert!(matches!(outcome, Err(Error::Unsupported { .. })), "{outcome:?}"),
        None => not_checked(),
    }
}
