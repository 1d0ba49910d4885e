//! `crossproc demo`, from outside.
#![cfg(feature = "cli")]

mod common;

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use common::watchdog;

/// A new directory, gone with its value.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("demo-{}-{}", std::process::id(), NUMBER.fetch_add(1, Relaxed));
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir(&path).unwrap();
        Folder(path)
    }

    fn with(files: &[(&str, &[u8])]) -> Self {
        let folder = Folder::new();
        for (name, bytes) in files {
            let path = folder.0.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        folder
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn demo(path: &Path, options: &[&str]) -> Output {
    let _dog = watchdog();
    Command::new(env!("CARGO_BIN_EXE_crossproc")).arg("demo").arg(path).args(options).output().unwrap()
}

/// What a run that succeeded has printed.
struct Report {
    output: String,
    errors: String,
}

impl Report {
    fn of(path: &Path, options: &[&str]) -> Self {
        Report::from(demo(path, options))
    }

    fn from(Output { status, stdout, stderr }: Output) -> Self {
        let report = Report { output: String::from_utf8(stdout).unwrap(), errors: String::from_utf8(stderr).unwrap() };
        assert!(status.success(), "{status}: {}{}", report.output, report.errors);
        report
    }

    /// The number behind a name.
    fn number(&self, name: &str) -> u64 {
        let rows = self.output.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let row = rows.filter(|row| row.len() > 1).find(|row| row[0] == name);
        row.unwrap_or_else(|| panic!("no {name} in {}", self.output))[1].parse().unwrap()
    }

    /// The most frequent words, in the order in which they are printed.
    fn top(&self) -> Vec<(u64, String)> {
        if self.number("words") == 0 {
            return Vec::new();
        }
        let lines = self.output.lines().skip(2).take_while(|line| !line.is_empty());
        let pair = |line: &str| {
            let (count, word) = line.trim().split_once("  ").unwrap();
            (count.parse().unwrap(), word.trim().to_string())
        };
        lines.map(pair).collect()
    }

    /// All that a count consists of.
    fn counted(&self) -> (Vec<(u64, String)>, [u64; 4]) {
        (self.top(), ["files", "bytes", "words", "different"].map(|name| self.number(name)))
    }

    fn workers(&self) -> usize {
        self.output.lines().filter(|line| line.trim().starts_with("pid ")).count()
    }
}

/// The ten most frequent words, all words, and the different ones, of texts in ASCII.
fn oracle(texts: &[&str]) -> (Vec<(u64, String)>, u64, u64) {
    let mut counts = HashMap::<String, u64>::new();
    for text in texts {
        let text: String =
            text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { ' ' }).collect();
        for word in text.split_whitespace() {
            *counts.entry(word.to_string()).or_default() += 1;
        }
    }
    let (words, different) = (counts.values().sum(), counts.len() as u64);
    let mut top: Vec<_> = counts.into_iter().map(|(word, count)| (count, word)).collect();
    top.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    top.truncate(10);
    (top, words, different)
}

/// Words of all lengths up to 20, in both cases, with more than one separator here and there.
fn prose(words: usize) -> String {
    let mut text = String::new();
    for number in 0..words {
        let word = "aBcDeFgHiJkLmNoPqRsT".split_at(1 + number * 7 % 20).0;
        text += word;
        text += [" ", ", ", "\n", "  -- "][number % 4];
        text += &(number % 300).to_string();
        text += ".";
    }
    text
}

const TWO_FILES: [(&str, &[u8]); 2] =
    [("a.txt", b"The cat saw the other cat; THE CAT ran"), ("deep/er/b.txt", "the z\u{fc}rich zoo".as_bytes())];

#[test]
fn known_words_are_counted() {
    let folder = Folder::with(&TWO_FILES);
    let report = Report::of(&folder.0, &[]);
    let bytes = TWO_FILES.iter().map(|(_, bytes)| bytes.len() as u64).sum();
    let (top, figures) = report.counted();
    assert_eq!(figures, [2, bytes, 12, 7]);
    assert_eq!(top[..4], [(4, "the".into()), (3, "cat".into()), (1, "other".into()), (1, "ran".into())]);
    assert_eq!(top.last().unwrap(), &(1, "z\u{fc}rich".to_string()));
}

#[test]
fn a_file_is_counted_alone() {
    let folder = Folder::with(&TWO_FILES);
    assert_eq!(Report::of(&folder.0.join("a.txt"), &[]).counted().1[..3], [1, 38, 9]);
}

#[test]
fn any_number_of_workers_counts_the_same() {
    let text = prose(500);
    let folder = Folder::with(&[("one", text.as_bytes()), ("two", b"end"), ("void", b"")]);
    let (top, words, different) = oracle(&[&text, "end"]);
    for workers in [1, 2, 3, 4, 5, 7, 16, 37] {
        let report = Report::of(&folder.0, &["--workers", &workers.to_string()]);
        assert_eq!(report.counted(), (top.clone(), [3, text.len() as u64 + 3, words, different]), "{workers} workers");
        assert_eq!(report.workers(), workers);
    }
}

#[test]
fn more_workers_than_words_count_the_same() {
    for text in ["", "a", " ", "ab cd", "abcdefgh i"] {
        let folder = Folder::with(&[("one", text.as_bytes())]);
        let (top, words, different) = oracle(&[text]);
        for workers in ["1", "2", "3", "20"] {
            let report = Report::of(&folder.0, &["--workers", workers]);
            let expected = (top.clone(), [1, text.len() as u64, words, different]);
            assert_eq!(report.counted(), expected, "{text:?}, {workers} workers");
        }
    }
}

#[test]
fn a_word_without_an_end_is_one_word() {
    let word = vec![b'x'; 3_000_000];
    let folder = Folder::with(&[("one", &word[..]), ("two", b"short")]);
    for workers in ["1", "2", "7"] {
        let report = Report::of(&folder.0, &["--workers", workers]);
        assert_eq!(report.counted().1, [2, 3_000_005, 2, 2], "{workers} workers");
    }
}

#[test]
fn a_killed_worker_changes_nothing() {
    // More than a worker counts between two looks at its progress, and less than that, down to nothing at all.
    for text in [&prose(40_000), &prose(100), "a", " ", ""] {
        let folder = Folder::with(&[("one", text.as_bytes())]);
        for workers in ["1", "2", "3"] {
            let unharmed = Report::of(&folder.0, &["--workers", workers]);
            let killed = Report::of(&folder.0, &["--workers", workers, "--kill"]);
            assert_eq!(killed.counted(), unharmed.counted());
            assert_eq!(killed.workers(), unharmed.workers());
            let said = |report: &Report, what| report.output.matches(what).count();
            for what in ["restarted: pid ", "owner died, repaired"] {
                assert_eq!((said(&unharmed, what), said(&killed, what)), (0, 1), "{what:?} in {}", killed.output);
            }
        }
    }
}

/// Whenever it is: before a worker has something to do, in the middle, between its result and the end of its work, at its
/// end.
#[test]
fn workers_killed_from_outside_change_nothing() {
    let text = prose(40_000);
    let folder = Folder::with(&[("one", text.as_bytes())]);
    let unharmed = Report::of(&folder.0, &["--workers", "2"]).counted();
    let mut killed = 0;
    for round in 0..60 {
        let _dog = watchdog();
        let mut command = Command::new(env!("CARGO_BIN_EXE_crossproc"));
        command.arg("demo").arg(&folder.0).args(["--workers", "2"]).stdout(Stdio::piped()).stderr(Stdio::piped());
        let demo = command.spawn().unwrap();
        // A child after so many looks, and one after some more, so that no share has three deaths.
        for looks in [round * 30, round * 37 % 300] {
            (0..looks).for_each(|_| drop(children(demo.id())));
            killed += u32::from(children(demo.id()).first().is_some_and(|&worker| kill(worker)));
        }
        let report = Report::from(demo.wait_with_output().unwrap());
        assert_eq!(report.counted(), unharmed, "round {round}");
    }
    assert!(killed > 0, "nobody was there to be killed");
}

/// The children that the process has now, the oldest first; none if it is gone.
fn children(pid: u32) -> Vec<i32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    children.split_whitespace().map(|child| child.parse().unwrap()).collect()
}

fn kill(pid: i32) -> bool {
    // SAFETY: a system call without pointers.
    unsafe { libc::kill(pid, libc::SIGKILL) == 0 }
}

#[test]
fn a_missing_path_is_named() {
    for (path, reason) in [("/nowhere/at/all", "No such file or directory"), ("/dev/null", "neither a directory nor")] {
        let output = demo(Path::new(path), &[]);
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{errors}");
        assert!(errors.starts_with(&format!("crossproc: cannot read {path:?}: {reason}")), "{errors}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn none_and_too_many_workers_are_refused() {
    for workers in ["0", "241"] {
        assert_eq!(demo(Path::new("/"), &["--workers", workers]).status.code(), Some(2), "{workers} workers");
    }
}

#[test]
fn an_empty_directory_has_no_words() {
    let folder = Folder::new();
    for options in [&[][..], &["--kill"]] {
        let report = Report::of(&folder.0, options);
        assert_eq!([0; 4], ["files", "bytes", "words", "different"].map(|name| report.number(name)));
        assert_eq!(report.workers(), 0);
    }
}

#[test]
fn what_cannot_be_read_is_named_and_counted() {
    let folder = Folder::with(&TWO_FILES);
    let alone = Report::of(&folder.0, &[]).counted();
    // Not even root can read these: nothing there, and memory at address 0.
    symlink("nowhere", folder.0.join("dangling")).unwrap();
    symlink("/proc/self/mem", folder.0.join("deep/memory")).unwrap();
    let report = Report::of(&folder.0, &[]);
    assert_eq!(report.counted(), alone);
    assert!(report.output.contains("2 unreadable"), "{}", report.output);
    let lines: Vec<_> = report.errors.lines().collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].contains("/dangling\": No such file or directory"), "{lines:?}");
    assert!(lines[1].contains("/deep/memory\": Input/output error"), "{lines:?}");
}

#[test]
fn what_is_not_text_is_left_out() {
    let folder = Folder::with(&TWO_FILES);
    let alone = Report::of(&folder.0, &[]).counted();
    fs::write(folder.0.join("program"), b"the \0 the").unwrap();
    fs::write(folder.0.join(".hidden"), b"the").unwrap();
    fs::create_dir_all(folder.0.join(".git/deep")).unwrap();
    fs::write(folder.0.join(".git/deep/file"), b"the").unwrap();
    fs::create_dir(folder.0.join("target")).unwrap();
    fs::write(folder.0.join("target/CACHEDIR.TAG"), b"Signature: 8a477f597d28d172789f06886806bc55").unwrap();
    fs::write(folder.0.join("target/file"), b"the").unwrap();
    symlink(&folder.0, folder.0.join("deep/loop")).unwrap();
    let _socket = UnixListener::bind(folder.0.join("deep/s"));
    let report = Report::of(&folder.0, &[]);
    assert_eq!(report.counted(), alone);
    assert!(report.output.contains("1 not text, 0 unreadable"), "{}", report.output);
    assert_eq!(report.errors, "");
}

#[test]
fn links_to_files_are_followed() {
    let folder = Folder::with(&[("file", b"one two")]);
    symlink("file", folder.0.join("link")).unwrap();
    assert_eq!(Report::of(&folder.0, &[]).counted().1, [2, 14, 4, 2]);
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let _dog = watchdog();
    let folder = Folder::with(&TWO_FILES);
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    let mut command = Command::new(env!("CARGO_BIN_EXE_crossproc"));
    assert!(command.arg("demo").arg(&folder.0).stdout(writer).status().unwrap().success());
}
