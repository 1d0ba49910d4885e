//! What a child starts with however it is started: each function is a test of a start method.

use std::collections::BTreeMap;
use std::env;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process;

use crossproc::{Error, Process, ProcessBuilder, Stdio, current, parent};

/// Begins a child with one start method.
pub(crate) type Start = fn() -> ProcessBuilder;

fn variables() -> BTreeMap<String, String> {
    env::vars().collect()
}

pub(crate) fn a_child_has_its_parents_environment_with_changes(start: Start) {
    assert_eq!(start().spawn(variables, ()).unwrap().join().unwrap(), variables());

    let kept = env::vars().next().unwrap().0;
    let process = start().env("CROSSPROC_A", "1").env("CROSSPROC_B", "x=y").env_remove(&kept);
    let process = process.env("CROSSPROC_C", "").env_remove("CROSSPROC_A");
    let mut expected = variables();
    expected.remove(&kept);
    expected.insert("CROSSPROC_B".into(), "x=y".into());
    expected.insert("CROSSPROC_C".into(), String::new());
    assert_eq!(process.spawn(variables, ()).unwrap().join().unwrap(), expected);

    let process = start().env("CROSSPROC_A", "1").env_clear().env("CROSSPROC_B", "2");
    let expected = BTreeMap::from([("CROSSPROC_B".to_string(), "2".to_string())]);
    assert_eq!(process.spawn(variables, ()).unwrap().join().unwrap(), expected);
    assert_eq!(start().env("CROSSPROC_A", "1").env_clear().spawn(variables, ()).unwrap().join(), Ok(BTreeMap::new()));
}

pub(crate) fn a_child_starts_in_the_directory_asked_for(start: Start) {
    let here = || env::current_dir().unwrap();
    assert_eq!(start().spawn(here, ()).unwrap().join().unwrap(), here());
    let elsewhere = start().current_dir("/proc").spawn(here, ()).unwrap();
    assert_eq!(elsewhere.join().unwrap(), PathBuf::from("/proc"));
}

pub(crate) fn a_directory_that_cannot_be_entered_is_an_error_that_names_it(start: Start) {
    let directories =
        [("/no/where", libc::ENOENT), ("", libc::ENOENT), ("/dev/null", libc::ENOTDIR), ("nul\0", libc::EINVAL)];
    for (directory, code) in directories {
        let error = start().current_dir(directory).spawn(|| (), ()).unwrap_err();
        assert_eq!(error.to_string(), format!("cannot enter directory {directory:?} in a new process"));
        assert!(matches!(error, Error::Os { source, .. } if source.code() == code), "{error:?}");
    }
}

pub(crate) fn streams_go_where_they_are_sent(start: Start) {
    let echo = || {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).unwrap();
        print!("out {text}");
        eprint!("err {text}");
    };
    let (input, mut to_child) = std::io::pipe().unwrap();
    let (from_output, output) = std::io::pipe().unwrap();
    let (from_errors, errors) = std::io::pipe().unwrap();
    let process = start().stdin(input).stdout(output).stderr(OwnedFd::from(errors)).spawn(echo, ()).unwrap();
    to_child.write_all(b"text").unwrap();
    drop(to_child);
    let texts = [from_output, from_errors].map(|pipe| std::io::read_to_string(pipe).unwrap());
    assert_eq!(texts, ["out text", "err text"]);
    process.join().unwrap();
}

pub(crate) fn null_streams_are_empty_and_swallow(start: Start) {
    let probe = || {
        println!("unheard");
        eprintln!("unheard");
        std::io::stdin().read_to_string(&mut String::new()).unwrap()
    };
    let silent = start().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    assert_eq!(silent.spawn(probe, ()).unwrap().join(), Ok(0));
}

pub(crate) fn a_process_knows_itself_and_its_parent(start: Start) {
    assert_eq!((current().name(), current().pid(), current().is_daemon()), ("MainProcess", process::id(), false));
    assert_eq!(parent(), None);
    let look = || {
        let (current, parent) = (current(), parent().unwrap());
        let own = (current.name().to_string(), current.pid(), current.is_daemon());
        (own, (parent.name().to_string(), parent.pid(), parent.is_alive()))
    };
    let ours = ("MainProcess".to_string(), process::id(), true);
    let named = start().name("child").daemon(true).spawn(look, ()).unwrap();
    assert_eq!((named.name(), named.is_daemon()), ("child", true));
    let its = ("child".to_string(), named.pid(), true);
    assert_eq!(named.join().unwrap(), (its, ours.clone()));
    let plain = start().spawn(look, ()).unwrap();
    assert!(plain.name().starts_with("Process-"), "{}", plain.name());
    let its = (plain.name().to_string(), plain.pid(), false);
    assert_eq!(plain.join().unwrap(), (its, ours));
}
