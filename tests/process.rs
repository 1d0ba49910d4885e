//! Starting processes, and what comes back from them.

mod common;

use std::collections::BTreeMap;
use std::error::Error as _;
use std::fs;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use common::watchdog;
use crossproc::{Error, Exit, Process, ProcessError, TryJoinError, current, parent};

crossproc::test_support!();

const SHORT: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(50);

fn exit_with(code: i32) {
    std::process::exit(code)
}

fn park() {
    loop {
        std::thread::park();
    }
}

#[test]
fn results_come_back() {
    let _watchdog = watchdog();
    assert_eq!(Process::spawn(|| (), ()).unwrap().join(), Ok(()));
    assert_eq!(Process::spawn(|a: i32, b: i32| a - b, (1, 2)).unwrap().join(), Ok(-1));
    assert_eq!(Process::spawn(u64::pow, (2, 10)).unwrap().join(), Ok(1024));
    let nothing: Option<u8> = None;
    assert_eq!(Process::spawn(|it: Option<u8>| it, (nothing,)).unwrap().join(), Ok(None));
}

#[test]
fn a_child_has_the_name_of_its_program() {
    let _watchdog = watchdog();
    let name = || fs::read_to_string("/proc/self/comm").unwrap();
    assert_eq!(Process::spawn(name, ()).unwrap().join(), Ok(name()));
    assert!(name().starts_with("process"));
}

#[test]
fn a_function_takes_up_to_twelve_arguments() {
    let _watchdog = watchdog();
    type Text = String;
    #[allow(clippy::too_many_arguments)]
    fn twelve(a: u8, b: u16, c: u32, d: u64, e: i8, f: i16, g: i32, h: i64, i: f32, j: f64, k: bool, l: Text) -> Text {
        format!("{a} {b} {c} {d} {e} {f} {g} {h} {i} {j} {k} {l}")
    }
    let process = Process::spawn(twelve, (1, 2, 3, 4, -5, -6, -7, -8, 0.5, 0.25, true, "last")).unwrap();
    assert_eq!(process.join().unwrap(), "1 2 3 4 -5 -6 -7 -8 0.5 0.25 true last");
}

#[test]
fn arguments_by_reference_arrive_as_copies() {
    let _watchdog = watchdog();
    fn mixed(map: BTreeMap<String, Vec<u32>>, names: Vec<String>, name: String) -> usize {
        map.values().map(Vec::len).sum::<usize>() + names.len() + name.len()
    }
    let map = BTreeMap::from([("one".to_string(), vec![1]), ("two".to_string(), vec![1, 2])]);
    let names = ["ada".to_string(), "bob".to_string()];
    assert_eq!(Process::spawn(mixed, (&map, &names[..], "carol")).unwrap().join(), Ok(3 + 2 + 5));
}

#[test]
fn arguments_and_results_of_any_size_travel() {
    let _watchdog = watchdog();
    fn reversed(mut bytes: Vec<u64>) -> Vec<u64> {
        bytes.reverse();
        bytes
    }
    for length in [0, 1, 7_000, 8_100, 8_192, 8_300, 10 << 17] {
        let numbers: Vec<u64> = (0..length).map(|number| number << 40).collect();
        let mut back = Process::spawn(reversed, (&numbers,)).unwrap().join().unwrap();
        back.reverse();
        assert!(back == numbers, "{length} numbers");
    }
}

#[test]
fn a_result_waits_for_its_reader() {
    let _watchdog = watchdog();
    let process = Process::spawn(|| vec![7_u8; 5 << 20], ()).unwrap();
    assert_eq!(process.wait(), Exit::Code(0));
    assert_eq!(process.join().unwrap().len(), 5 << 20);
}

#[test]
fn an_unread_result_keeps_nobody() {
    let _watchdog = watchdog();
    let process = Process::spawn(|| "x".repeat(1 << 20), ()).unwrap();
    let child = process.child().clone();
    drop(process);
    assert_eq!(child.wait(), Exit::Code(0));
}

#[test]
fn exit_codes_map_exactly() {
    let _watchdog = watchdog();
    for code in [0, 1, 2, 3, 77, 100, 101, 126, 127, 128, 129, 137, 143, 254, 255] {
        let process = Process::spawn(exit_with, (code,)).unwrap();
        let child = process.child().clone();
        let (name, pid) = (child.name().to_string(), child.pid());
        assert_eq!(process.join(), Err(ProcessError::Ended { name, pid, exit: Exit::Code(code) }));
        assert_eq!(child.exit(), Some(Exit::Code(code)));
        assert!(!child.is_alive());
    }
}

#[test]
fn signals_map_exactly() {
    let _watchdog = watchdog();
    let raise = |signal: i32| {
        // SAFETY: raises a signal whose action is the default one.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
        // SAFETY: as above.
        unsafe { libc::raise(signal) };
    };
    for signal in [libc::SIGHUP, libc::SIGABRT, libc::SIGKILL, libc::SIGSEGV, libc::SIGPIPE, libc::SIGRTMAX()] {
        let process = Process::spawn(raise, (signal,)).unwrap();
        assert_eq!(process.wait(), Exit::Signal(signal));
        assert!(matches!(process.join(), Err(ProcessError::Ended { exit, .. }) if exit == Exit::Signal(signal)));
    }
}

#[test]
fn each_way_to_end_a_process_sends_its_signal() {
    let _watchdog = watchdog();
    let start = || Process::spawn(park, ()).unwrap();
    let (terminated, interrupted, killed, shut) = (start(), start(), start(), start());
    terminated.terminate().unwrap();
    interrupted.interrupt().unwrap();
    killed.kill().unwrap();
    assert_eq!(terminated.wait(), Exit::Signal(libc::SIGTERM));
    assert_eq!(interrupted.wait(), Exit::Signal(libc::SIGINT));
    assert_eq!(killed.wait(), Exit::Signal(libc::SIGKILL));
    assert_eq!(shut.shutdown(LONG).unwrap(), Exit::Signal(libc::SIGTERM));
    for ended in [terminated, interrupted, killed] {
        ended.terminate().unwrap();
        ended.interrupt().unwrap();
        ended.kill().unwrap();
        assert_eq!(ended.shutdown(SHORT).unwrap(), ended.exit().unwrap());
    }
}

#[test]
fn shutdown_kills_a_process_that_ignores_sigterm() {
    let _watchdog = watchdog();
    let (mut ready, writer) = std::io::pipe().unwrap();
    let stubborn = || {
        // SAFETY: ignoring a signal installs no code.
        unsafe { libc::signal(libc::SIGTERM, libc::SIG_IGN) };
        println!("ready");
        park();
    };
    let process = Process::builder().stdout(writer).spawn(stubborn, ()).unwrap();
    ready.read_exact(&mut [0; 5]).unwrap();
    assert_eq!(process.shutdown(SHORT).unwrap(), Exit::Signal(libc::SIGKILL));
}

#[test]
fn join_timeout_gives_the_process_back() {
    let _watchdog = watchdog();
    let (reader, mut writer) = std::io::pipe().unwrap();
    let answer = || std::io::stdin().lines().next().unwrap().unwrap();
    let process = Process::builder().stdin(reader).spawn(answer, ()).unwrap();
    let start = Instant::now();
    let Err(TryJoinError::Running(process)) = process.join_timeout(SHORT) else { panic!("ended without input") };
    assert!(start.elapsed() >= SHORT);
    let Err(TryJoinError::Running(process)) = process.try_join() else { panic!("ended without input") };
    assert_eq!((process.is_alive(), process.exit(), process.wait_timeout(SHORT)), (true, None, None));
    writer.write_all(b"hello\n").unwrap();
    assert_eq!(process.join_timeout(LONG).unwrap(), "hello");
    let failing = Process::spawn(exit_with, (9,)).unwrap();
    assert_eq!(failing.wait_timeout(LONG), Some(Exit::Code(9)));
    assert!(matches!(failing.try_join(), Err(TryJoinError::Failed(ProcessError::Ended { .. }))));
}

#[test]
fn the_descriptor_becomes_readable_at_the_end() {
    let _watchdog = watchdog();
    let process = Process::spawn(park, ()).unwrap();
    let readable = |timeout| {
        use std::os::fd::AsRawFd;
        let mut entry = libc::pollfd { fd: process.as_fd().as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one entry, which outlives the call.
        unsafe { libc::poll(&raw mut entry, 1, timeout) == 1 }
    };
    assert!(!readable(0));
    process.kill().unwrap();
    assert!(readable(-1));
}

#[test]
fn a_panic_comes_back_with_message_and_place() {
    let _watchdog = watchdog();
    fn fail(reason: String) {
        panic!("no luck: {reason}");
    }
    let line = line!() - 2;
    let process = Process::builder()
        .name("unlucky")
        .env("RUST_BACKTRACE", "1")
        .stderr(crossproc::Stdio::null())
        .spawn(fail, ("rain",))
        .unwrap();
    let started = process.child().clone();
    let Err(ProcessError::Panicked { name, pid, message, location, backtrace }) = process.join() else {
        panic!("did not panic")
    };
    assert_eq!((name.as_str(), pid), ("unlucky", started.pid()));
    assert_eq!(message, "no luck: rain");
    assert!(location.starts_with(&format!("tests/process.rs:{line}:")), "{location}");
    assert!(backtrace.unwrap().contains("fail"));
    assert_eq!(started.exit(), Some(Exit::Code(101)));
}

#[test]
fn panics_without_a_text_or_a_place_come_back_too() {
    let _watchdog = watchdog();
    let quiet = || Process::builder().env_remove("RUST_BACKTRACE").stderr(crossproc::Stdio::null());
    let odd = quiet().spawn(|| -> () { std::panic::panic_any(7) }, ()).unwrap().join();
    assert!(
        matches!(&odd, Err(ProcessError::Panicked { message, location, backtrace: None, .. })
            if message == "a value that is not a text" && location.starts_with("tests/process.rs:")),
        "{odd:?}"
    );
    let resumed = quiet().spawn(|| -> () { std::panic::resume_unwind(Box::new("again")) }, ()).unwrap().join();
    assert!(
        matches!(&resumed, Err(ProcessError::Panicked { message, location, .. })
            if message == "again" && location == "an unknown place"),
        "{resumed:?}"
    );
    let long = quiet().spawn(|| -> () { panic!("{}", "long ".repeat(100_000)) }, ()).unwrap().join();
    assert!(matches!(long, Err(ProcessError::Panicked { message, .. }) if message.len() == 500_000));
}

#[test]
fn panics_that_cannot_unwind_come_back_too() {
    let _watchdog = watchdog();
    extern "C" fn foreign() {
        panic!("no way out");
    }
    struct Fragile;
    impl Drop for Fragile {
        fn drop(&mut self) {
            panic!("one too many");
        }
    }
    let twice = || -> () {
        let _fragile = Fragile;
        panic!("the first")
    };
    let quiet = || Process::builder().stderr(crossproc::Stdio::null());
    let ends =
        [(quiet().spawn(|| foreign(), ()).unwrap(), "no way out"), (quiet().spawn(twice, ()).unwrap(), "one too many")];
    for (process, expected) in ends {
        let child = process.child().clone();
        let error = process.join().unwrap_err();
        assert!(
            matches!(&error, ProcessError::Panicked { message, location, .. }
                if message == expected && location.starts_with("tests/process.rs:")),
            "{error:?}"
        );
        assert_eq!(child.exit(), Some(Exit::Signal(libc::SIGABRT)));
    }
}

#[test]
fn a_caught_panic_is_no_panic() {
    let _watchdog = watchdog();
    let careful = || std::panic::catch_unwind(|| panic!("caught")).is_err();
    let process = Process::builder().stderr(crossproc::Stdio::null()).spawn(careful, ()).unwrap();
    assert_eq!(process.join(), Ok(true));
}

#[test]
fn arguments_that_cannot_be_encoded_are_an_error() {
    let _watchdog = watchdog();
    #[derive(Clone, Copy, serde::Deserialize)]
    struct Refusing;
    impl serde::Serialize for Refusing {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("no"))
        }
    }
    let error = Process::spawn(|_: Refusing| (), (Refusing,)).unwrap_err();
    assert!(matches!(&error, Error::Encode { what, .. } if what == "the arguments"), "{error:?}");
    let process = Process::spawn(|| Refusing, ()).unwrap();
    let child = process.child().clone();
    let error = process.join().map(drop).unwrap_err();
    let ProcessError::Failed { source, .. } = &error else { panic!("{error:?}") };
    assert!(matches!(&**source, Error::Encode { what, .. } if what == "the result"), "{error:?}");
    let (name, pid, source) = (child.name(), child.pid(), source.to_string());
    assert!(source.starts_with("cannot encode the result: "), "{source}");
    let text = format!("process {name} ({pid}) could not hand over its arguments or its result: {source}");
    assert_eq!(error.to_string(), text);
    // Once, and not again as an error behind it.
    assert!(error.source().is_none());
    assert_eq!(format!("{:?}", Error::from(error.clone())), text);
    let error = TryJoinError::<()>::Failed(error);
    assert!(error.to_string() == text && error.source().is_none());
    assert_eq!(child.exit(), Some(Exit::Code(1)));
}

#[test]
fn processes_start_processes() {
    let _watchdog = watchdog();
    fn nested(depth: u32) -> crossproc::Result<Vec<(String, u32, u32)>> {
        let own = (current().name().to_string(), current().pid(), parent().unwrap().pid());
        let mut below = match depth {
            0 => Vec::new(),
            _ => Process::spawn(nested, (depth - 1,))?.join()??,
        };
        below.push(own);
        Ok(below)
    }
    let process = Process::spawn(nested, (3,)).unwrap();
    let name = process.name().to_string();
    let line = process.join().unwrap().unwrap();
    let names: Vec<_> = line.iter().map(|(name, _, _)| name.clone()).collect();
    assert_eq!(names, [format!("{name}:1:1:1"), format!("{name}:1:1"), format!("{name}:1"), name]);
    let pairs = line.windows(2).all(|pair| pair[0].2 == pair[1].1);
    assert!(pairs && line[3].2 == std::process::id());
}

#[test]
fn threads_start_processes_at_the_same_time() {
    let _watchdog = watchdog();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || {
                for round in 0..25 {
                    let process = Process::spawn(|a: u32, b: u32| a * 100 + b, (thread, round)).unwrap();
                    assert_eq!(process.join(), Ok(thread * 100 + round));
                }
            });
        }
    });
}

#[test]
fn many_threads_wait_for_one_process() {
    let _watchdog = watchdog();
    let process = Process::spawn(park, ()).unwrap();
    std::thread::scope(|scope| {
        let waiting: Vec<_> =
            (0..8).map(|_| process.child().clone()).map(|it| scope.spawn(move || it.wait())).collect();
        process.kill().unwrap();
        for thread in waiting {
            assert_eq!(thread.join().unwrap(), Exit::Signal(libc::SIGKILL));
        }
    });
}

#[test]
fn a_process_whose_function_fails_exits_with_code_1() {
    let _watchdog = watchdog();
    let half = |number: u32| if number.is_multiple_of(2) { Ok(number / 2) } else { Err(format!("{number} is odd")) };
    for (number, exit, half_of_it) in [(4, 0, Ok(2)), (5, 1, Err("5 is odd".to_string()))] {
        let process = Process::spawn(half, (number,)).unwrap();
        assert_eq!(process.wait(), Exit::Code(exit));
        assert_eq!(process.join().unwrap(), half_of_it);
    }
}
