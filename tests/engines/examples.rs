//! The examples of managers, at a server. `cargo build --features redis --examples` builds them.

use std::path::PathBuf;
use std::process::{Command, Output};

use crate::common::watchdog;
use crate::redis::Server;

/// What an example prints, line by line.
fn lines(example: &str) -> Vec<String> {
    let server = Server::start();
    let own = std::env::current_exe().unwrap();
    let program: PathBuf = [own.parent().unwrap(), "../examples".as_ref(), example.as_ref()].iter().collect();
    let ran = Command::new(&program).args(["--engine", &server.url()]).output();
    let Output { status, stdout, stderr } = ran.unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    let (printed, errors) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
    assert!(status.success() && errors.is_empty(), "{example}: {status}\n{printed}{errors}");
    printed.lines().map(str::to_owned).collect()
}

#[test]
fn manager_value() {
    let _watchdog = watchdog();
    assert_eq!(lines("manager_value"), ["3.14", "[5, 1, 2, 3, 4, 5, 6, 7, 8, 9]", r#"["Hello"]"#]);
}

#[test]
fn manager_dict_list() {
    let _watchdog = watchdog();
    let lines = lines("manager_dict_list");
    let numbers = |line: &str| {
        let digits = line.split(|c: char| !c.is_ascii_digit()).filter(|digits| !digits.is_empty());
        let mut numbers: Vec<u32> = digits.map(|digits| digits.parse().unwrap()).collect();
        numbers.sort();
        numbers
    };
    assert_eq!(numbers(&lines[0]), [0, 0, 1, 1, 2, 2, 3, 3]);
    assert_eq!(numbers(&lines[1]), [0, 0, 1, 1, 2, 2, 3, 3, 4, 5, 6, 7, 8, 9]);
    assert_eq!(lines[2], "10 keys, 15 items");
}

#[test]
fn manager_merge() {
    let _watchdog = watchdog();
    let line = r#"{"cubes": [0, 1, 8, 27, 64, 125], "squares": [0, 1, 4, 9, 16, 25], "words": [3, 4, 5]}"#;
    assert_eq!(lines("manager_merge"), [line; 2]);
}
