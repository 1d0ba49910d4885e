//! `crossproc ls`, `inspect`, `rm` and `gc`, from outside.
#![cfg(feature = "cli")]

mod common;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::process::Command;

use common::locking::wait_for_state;
use common::naming::{TestName, remover};
use common::processes::signal;
use common::watchdog;
use crossproc::managed::Dict;
use crossproc::{Lock, Manager, Name, Process, Queue, ShareableList, SharedMemory, Value, names};

crossproc::test_support!();

/// What one run has said.
struct Said {
    output: String,
    errors: String,
    code: Option<i32>,
}

fn crossproc(arguments: &[&str]) -> Said {
    let _dog = watchdog();
    let output = Command::new(env!("CARGO_BIN_EXE_crossproc")).args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Said { output: text(output.stdout), errors: text(output.stderr), code: output.status.code() }
}

/// The line of a table that begins with a name, in words.
fn line<'a>(said: &'a Said, name: &str) -> Option<Vec<&'a str>> {
    said.output
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .find(|words| words.first() == Some(&name))
}

fn unique(test: &str) -> String {
    format!("test/command-{test}-{}", std::process::id())
}

#[test]
fn ls_lists_what_there_is() {
    let name = unique("ls");
    let _value = Value::create(&name, 7_u64).unwrap();
    let said = crossproc(&["ls"]);
    let words = line(&said, &name).unwrap_or_else(|| panic!("{}{}", said.output, said.errors));
    let me = std::process::id().to_string();
    assert_eq!(words[1..6], ["Value", "u64", "4096", &me, &me]);

    let said = crossproc(&["ls", "--json"]);
    let found = said.output.lines().find(|line| line.contains(&name)).unwrap();
    assert!(found.contains(r#""kind":"Value""#) && found.contains(&format!(r#""creator":{me}"#)), "{found}");
}

#[test]
fn inspect_shows_what_the_kind_knows() {
    let (value_name, queue_name) = (unique("value"), unique("queue"));
    let value = Value::create(&value_name, -7_i32).unwrap();
    let guard = value.lock().unwrap();
    let said = crossproc(&["inspect", &value_name]);
    assert_eq!(said.code, Some(0), "{}", said.errors);
    assert_eq!(line(&said, "value"), Some(vec!["value", "-7"]));
    let me = std::process::id().to_string();
    assert_eq!(line(&said, "lock").unwrap()[1..3], ["process", &me]);
    drop(guard);
    assert_eq!(line(&crossproc(&["inspect", &value_name]), "lock"), Some(vec!["lock", "free"]));

    let memory = SharedMemory::create_named(unique("memory"), 3).unwrap();
    memory.write_at(1, &[7]).unwrap();
    assert_eq!(line(&crossproc(&["inspect", &unique("memory")]), "content"), Some(vec!["content", "0", "7", "0"]));
    let _list = ShareableList::create(unique("list"), [1.into(), 2.into()]).unwrap();
    assert_eq!(line(&crossproc(&["inspect", &unique("list")]), "length"), Some(vec!["length", "2"]));

    let queue = Queue::<String>::create(&queue_name, 4).unwrap();
    queue.put("one").unwrap();
    queue.put("two").unwrap();
    let _task = queue.get_task().unwrap();
    let said = crossproc(&["inspect", &queue_name]);
    assert_eq!(line(&said, "messages"), Some(vec!["messages", "1", "of", "4"]));
    assert!(said.output.contains(&format!("1 by process {me}")), "{}", said.output);
    let said = crossproc(&["inspect", "--json", &queue_name]);
    assert!(said.output.contains(r#""messages":"1 of 4""#), "{}", said.output);
}

#[test]
fn a_manager_says_how_much_it_uses_and_who_changes_it() {
    let name = unique("manager");
    let manager = Manager::create(&name).unwrap();
    let jobs = manager.at("jobs").dict::<u32, Vec<u8>>().unwrap();
    jobs.insert(1, vec![7; 100_000]).unwrap();
    let me = std::process::id().to_string();

    let said = crossproc(&["ls"]);
    let words = line(&said, &name).unwrap_or_else(|| panic!("{}{}", said.output, said.errors));
    assert_eq!([words[1], words[3], words[4]], ["Manager", &me, &me]);
    let taken = words[2].parse::<u64>().unwrap();
    assert!((100_000..10_000_000).contains(&taken), "{}", said.output);

    let fact = |what: &str| {
        let said = crossproc(&["inspect", &name]);
        let fact = said.output.lines().find_map(|line| line.strip_prefix(what));
        fact.unwrap_or_else(|| panic!("{}{}", said.output, said.errors)).trim().to_string()
    };
    assert_eq!((&*fact("kind"), &*fact("lock")), ("Manager", "free"));
    assert!((100_000..10_000_000).contains(&fact("bytes used").parse::<u64>().unwrap()));
    // What it takes and what it may grow to: the kernel says the same.
    let file = fs::metadata(format!("/dev/shm/crossproc-{}", name.replace('/', "%"))).unwrap();
    assert_eq!(fact("bytes "), taken.to_string());
    assert_eq!((fact("reserved"), taken), (file.len().to_string(), 512 * file.blocks()));
    assert!(file.len() >= 16 << 30);
    let said = crossproc(&["inspect", "--json", &name]);
    let both = [format!(r#""bytes":{taken},"#), format!(r#""reserved":{},"#, file.len())];
    assert!(both.iter().all(|fact| said.output.contains(fact)), "{}", said.output);
    // The names and the dictionary.
    assert_eq!(fact("objects so far"), "2");

    // One that does nothing but write is stopped until it is in the midst of a change.
    let _dog = watchdog();
    fn write(jobs: Dict<u32, Vec<u8>>) {
        let load = vec![7; 1_000_000];
        loop {
            jobs.insert(1, &load).unwrap();
        }
    }
    let writer = Process::spawn(write, (&jobs,)).unwrap();
    let is_seen = |pid: u32| {
        signal(pid, libc::SIGSTOP);
        wait_for_state(pid, 'T');
        let is_seen = fact("lock").starts_with(&format!("process {pid}"));
        signal(pid, libc::SIGCONT);
        is_seen
    };
    while !is_seen(writer.pid()) {}
    writer.kill().unwrap();
    assert!(writer.join().is_err());
}

#[test]
fn rm_removes_names_and_says_which_it_could_not() {
    let (there, missing) = (unique("rm"), unique("missing"));
    drop(Lock::create(Name::new(&*there).persist()).unwrap());
    let said = crossproc(&["rm", &missing, &there]);
    assert_eq!((said.code, said.output), (Some(1), format!("{there}\n")));
    assert!(said.errors.contains(&missing), "{}", said.errors);
    assert!(!names().unwrap().contains(&there));
}

#[test]
fn rm_says_why_it_could_not() {
    let name = TestName::new();
    drop(Value::create(Name::new(name.as_str()).persist(), 1).unwrap());
    let _remover = remover(name.path());
    let said = crossproc(&["rm", name.as_str()]);
    assert_eq!(said.code, Some(1));
    assert!(said.errors.contains(name.as_str()) && said.errors.contains("busy"), "{}", said.errors);
}

/// What belongs to others is no failure of one's own list.
#[test]
fn ls_lists_what_it_may_look_at() {
    let name = TestName::new();
    let _value = Value::create(name.as_str(), 7_u64).unwrap();
    let program = std::env::temp_dir().join(format!("crossproc-{}", std::process::id()));
    fs::copy(env!("CARGO_BIN_EXE_crossproc"), &program).unwrap(); // to where all users come
    let output = Command::new(&program).arg("ls").uid(65_534).output();
    fs::remove_file(&program).unwrap();
    let Ok(output) = output else {
        eprintln!("not checked: this user cannot become another one");
        return;
    };
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{errors}");
    assert!(errors.contains(name.as_str()) && errors.contains("owned by user"), "{errors}");
}

#[test]
fn gc_names_what_nobody_uses() {
    let (used, unused) = (unique("used"), unique("unused"));
    let _used = Lock::create(&used).unwrap();
    drop(Lock::create(Name::new(&*unused).persist()).unwrap());
    let said = crossproc(&["gc", "--dry-run"]);
    assert_eq!(said.code, Some(0), "{}", said.errors);
    assert!(line(&said, &unused).is_some() && line(&said, &used).is_none(), "{}", said.output);
    assert_eq!(crossproc(&["rm", &unused]).code, Some(0), "a dry run removes nothing");
}

#[test]
fn a_foreign_file_is_named_and_left_alone() {
    let name = unique("foreign");
    let path = format!("/dev/shm/crossproc-{}", name.replace('/', "%"));
    for bytes in
        [&b"hello"[..], &[0; 5_000], b"crossprc and then something else, which is no segment of any format at all ..."]
    {
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        for arguments in [&["ls"][..], &["inspect", &name], &["rm", &name]] {
            let said = crossproc(arguments);
            assert_eq!(said.code, Some(1), "{arguments:?}");
            assert!(said.errors.contains(&name) && said.errors.contains("cannot attach"), "{}", said.errors);
        }
        let said = crossproc(&["gc", "--dry-run"]);
        assert!(line(&said, &name).is_none());
        assert_eq!(fs::read(&path).unwrap(), bytes);
        fs::remove_file(&path).unwrap();
    }
}
