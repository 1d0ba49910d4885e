//! `crossproc serve`, from outside: who connects by the name, and what becomes of it.
#![cfg(feature = "cli")]

mod common;

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Output, Stdio};

use common::naming::TestName;
use common::processes::signal;
use common::watchdog;
use crossproc::managed::Dict;
use crossproc::{Error, Lock, Manager, Process};

crossproc::test_support!();

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crossproc"));
    command.arg("serve").args(arguments).stdin(Stdio::null()).stderr(Stdio::piped());
    command
}

/// One that has said that it is there, killed with this.
struct Serving(Child);

impl Serving {
    fn start(arguments: &[&str]) -> Self {
        Self::of(command(arguments), arguments.last().unwrap())
    }

    fn of(mut command: Command, name: &str) -> Self {
        let mut process = Serving(command.stdout(Stdio::piped()).spawn().unwrap());
        let mut line = String::new();
        BufReader::new(process.0.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with(&format!("Manager::connect({name:?}) ")) && line.ends_with('\n'), "{line:?}");
        process
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Its exit code, and what it has complained of.
    fn end_by(mut self, number: i32) -> (Option<i32>, String) {
        signal(self.pid(), number);
        let status = self.0.wait().unwrap();
        let mut errors = String::new();
        self.0.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        (status.code(), errors)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// One that is expected not to serve: its exit code, and what it has complained of.
fn refused(arguments: &[&str]) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = command(arguments).output().unwrap();
    assert_eq!(String::from_utf8(stdout).unwrap(), "");
    (status.code(), String::from_utf8(stderr).unwrap())
}

const DONE: (Option<i32>, String) = (Some(0), String::new());

fn counts(manager: &Manager) -> Dict<String, u64> {
    manager.at("counts").dict().unwrap()
}

/// It has nothing but names from anybody.
fn count(manager: String, lock: String, turns: u64) {
    let counts = counts(&Manager::connect(&manager).unwrap());
    let lock = Lock::open_or_create(&*lock).unwrap();
    for _ in 0..turns {
        let _guard = lock.lock().unwrap();
        let old = counts.get("all").unwrap().unwrap_or(0);
        counts.insert("all", old + 1).unwrap();
    }
}

#[test]
fn processes_that_connect_by_the_name_share_what_is_there() {
    let _watchdog = watchdog();
    let (name, lock) = (TestName::new(), TestName::new());
    let serving = Serving::start(&[name.as_str()]);
    let _lock = Lock::create(lock.as_str()).unwrap();
    let clients = [(), ()].map(|()| Process::spawn(count, (name.as_str(), lock.as_str(), 500)).unwrap());
    clients.into_iter().for_each(|client| client.join().unwrap());
    let manager = Manager::connect(name.as_str()).unwrap();
    let counts = counts(&manager);
    assert_eq!(counts.get("all"), Ok(Some(1_000)));

    assert_eq!(serving.end_by(libc::SIGTERM), DONE);
    assert!(!name.exists());
    assert!(matches!(Manager::connect(name.as_str()), Err(Error::NoSuchName { .. })));
    // What is open stays so, for others that get it from here as well.
    assert_eq!(counts.fetch_add("all", 1), Ok(1_000));
    Process::spawn(|counts: Dict<String, u64>| counts.fetch_add("all", 1).map(drop), (&counts,))
        .unwrap()
        .join()
        .unwrap()
        .unwrap();
    assert_eq!(manager.at("counts").dict::<String, u64>().unwrap().get("all"), Ok(Some(1_002)));
}

#[test]
fn each_signal_that_asks_for_an_end_leaves_no_name() {
    let _watchdog = watchdog();
    for number in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        let name = TestName::new();
        let serving = Serving::start(&[name.as_str()]);
        assert!(name.exists());
        assert_eq!(serving.end_by(number), DONE, "signal {number}");
        assert!(!name.exists(), "signal {number}");
    }
}

/// As nohup(1) starts it.
#[test]
fn what_it_was_started_to_ignore_it_ignores() {
    let _watchdog = watchdog();
    let name = TestName::new();
    let mut started = command(&[name.as_str()]);
    let ignore = || {
        // SAFETY: has no memory arguments.
        unsafe { libc::signal(libc::SIGHUP, libc::SIG_IGN) };
        Ok(())
    };
    // SAFETY: in the child, a call that signal-safety(7) allows.
    unsafe { started.pre_exec(ignore) };
    let serving = Serving::of(started, name.as_str());
    let status = std::fs::read_to_string(format!("/proc/{}/status", serving.pid())).unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
    assert_ne!(u64::from_str_radix(mask.trim(), 16).unwrap() & (1 << (libc::SIGHUP - 1)), 0, "{mask}");
    assert_eq!(serving.end_by(libc::SIGTERM), DONE);
}

#[test]
fn a_name_that_is_taken_is_refused_with_code_2() {
    let _watchdog = watchdog();
    let (name, other) = (TestName::new(), TestName::new());
    let serving = Serving::start(&[name.as_str()]);
    let (code, errors) = refused(&[name.as_str()]);
    assert!(code == Some(2) && errors.contains(name.as_str()) && errors.contains("already"), "{code:?} {errors}");
    // The one that is there is none the worse.
    assert!(Manager::connect(name.as_str()).is_ok());
    assert_eq!(serving.end_by(libc::SIGTERM), DONE);

    let _lock = Lock::create(other.as_str()).unwrap();
    for arguments in [&["--existing", other.as_str()][..], &[other.as_str()]] {
        let (code, errors) = refused(arguments);
        assert!(code == Some(2) && errors.contains("Lock"), "{code:?} {errors}");
    }
    assert!(other.exists());
    let (code, errors) = refused(&["redis://localhost"]);
    assert!(code == Some(2) && errors.contains("redis://localhost"), "{code:?} {errors}");
}

/// One that goes on is as good as one that has made it.
#[test]
fn a_name_that_is_served_is_refused_with_who_serves_it() {
    let _watchdog = watchdog();
    let name = TestName::new();
    let arguments = ["--existing", name.as_str()];
    for begun in [&arguments[1..], &arguments] {
        let mut serving = Serving::start(begun);
        for tried in [&arguments[1..], &arguments] {
            let (code, errors) = refused(tried);
            let who = format!("process {} serves it", serving.pid());
            assert!(code == Some(2) && errors.contains(&who), "{tried:?}: {code:?} {errors}");
        }
        counts(&Manager::connect(name.as_str()).unwrap()).insert("all", 7).unwrap();
        // Not any more: the kernel sees to it.
        serving.0.kill().unwrap();
        serving.0.wait().unwrap();
    }
    let last = Serving::start(&arguments);
    assert_eq!(counts(&Manager::connect(name.as_str()).unwrap()).get("all"), Ok(Some(7)));
    assert_eq!(last.end_by(libc::SIGTERM), DONE);
    assert!(!name.exists());
}

/// Whichever it is, its end removes the name, and nobody else's does.
#[test]
fn of_many_that_come_at_once_one_serves() {
    let _watchdog = watchdog();
    let name = TestName::new();
    for _ in 0..5 {
        let start = |n: usize| {
            let arguments: &[&str] = if n == 0 { &[name.as_str()] } else { &["--existing", name.as_str()] };
            command(arguments).stdout(Stdio::piped()).spawn().map(Serving).unwrap()
        };
        let mut serving = Vec::new();
        for mut process in (0..6).map(start).collect::<Vec<_>>() {
            let mut line = String::new();
            BufReader::new(process.0.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
            if line.is_empty() {
                assert_eq!(process.0.wait().unwrap().code(), Some(2));
                assert!(name.exists());
            } else {
                serving.push(process);
            }
        }
        assert_eq!(serving.len(), 1);
        assert_eq!(serving.remove(0).end_by(libc::SIGTERM), DONE);
        assert!(!name.exists());
    }
}

#[test]
fn what_a_killed_one_has_left_can_be_gone_on_with_or_collected() {
    let _watchdog = watchdog();
    let name = TestName::new();
    let is_abandoned = || crossproc::abandoned().unwrap().iter().any(|known| known == name.as_str());
    let mut killed = Serving::start(&[name.as_str()]);
    counts(&Manager::connect(name.as_str()).unwrap()).insert("all", 7).unwrap();
    assert!(!is_abandoned());
    killed.0.kill().unwrap();
    killed.0.wait().unwrap();
    assert!(name.exists() && is_abandoned());

    // It says what can be done.
    let (code, errors) = refused(&[name.as_str()]);
    let remedies = [format!("crossproc serve --existing {name}", name = name.as_str()), "crossproc gc".to_owned()];
    assert!(code == Some(2) && remedies.iter().all(|remedy| errors.contains(remedy)), "{code:?} {errors}");
    let next = Serving::start(&["--existing", name.as_str()]);
    assert!(!is_abandoned());
    assert_eq!(counts(&Manager::connect(name.as_str()).unwrap()).get("all"), Ok(Some(7)));
    assert_eq!(next.end_by(libc::SIGINT), DONE);
    assert!(!name.exists());
    // With none to go on with, it makes one.
    let last = Serving::start(&["--existing", name.as_str()]);
    assert_eq!(counts(&Manager::connect(name.as_str()).unwrap()).get("all"), Ok(None));
    // The name is gone already: nothing is left to be done.
    crossproc::unlink(name.as_str()).unwrap();
    assert_eq!(last.end_by(libc::SIGTERM), DONE);
}

#[test]
fn ls_and_inspect_show_it() {
    let _watchdog = watchdog();
    let name = TestName::new();
    let serving = Serving::start(&[name.as_str()]);
    let said = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_crossproc")).args(arguments).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let pid = serving.pid().to_string();
    let list = said(&["ls"]);
    let line = list.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let line = line.into_iter().find(|words| words.first() == Some(&name.as_str())).unwrap_or_else(|| panic!("{list}"));
    assert_eq!([line[1], line[3], line[4]], ["Manager", &*pid, &*pid]);
    let fact = |what: &str| {
        let facts = said(&["inspect", name.as_str()]);
        let fact = facts.lines().find_map(|line| line.strip_prefix(what)).unwrap_or_else(|| panic!("{facts}"));
        fact.trim().parse::<u64>().unwrap()
    };
    let (objects, bytes) = (fact("objects so far"), fact("bytes used"));
    counts(&Manager::connect(name.as_str()).unwrap()).extend((0..1_000).map(|n| (n.to_string(), n))).unwrap();
    assert!(fact("objects so far") > objects && fact("bytes used") > bytes);
    assert_eq!(serving.end_by(libc::SIGTERM), DONE);
}
