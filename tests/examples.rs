//! The examples, run as the programs they are: what they print, in which order, and how long they take at least.
//!
//! `cargo test` builds them first; `cargo test --test examples` alone does not, and runs what the last build left.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio, id};
use std::time::{Duration, Instant};

use crossproc::wait_any;

/// Longer than any example takes on a slow machine under load, a guess.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the examples' sleeps are multiplied by.
const SCALE: f64 = 0.1;

/// What an example that ended well left behind.
struct Run {
    pid: u32,
    lines: Vec<String>,
    took: Duration,
}

/// Runs an example to its end. It must succeed, say nothing on standard error, and leave no file behind.
fn run(example: &str) -> Run {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("examples-{}-{example}", id()));
    let temporary = directory.join("temporary");
    fs::create_dir_all(&temporary).unwrap();
    // Into files: reading a pipe to its end would wait for the example's children, which is the example's to do.
    let (output, errors) = (directory.join("output"), directory.join("errors"));

    let started = Instant::now();
    let mut command = Command::new(program(example));
    command.env("SEED_SCALE", SCALE.to_string()).env("TMPDIR", &temporary);
    command.stdout(File::create(&output).unwrap()).stderr(File::create(&errors).unwrap());
    let mut begun = Begun::new(command);
    let status = begun.wait();
    let took = started.elapsed();

    let output = fs::read_to_string(output).unwrap();
    let errors = fs::read_to_string(errors).unwrap();
    assert!(status.success(), "{example}: {status}\n{output}{errors}");
    assert_eq!(errors, "", "{example} on standard error");
    assert!(output.ends_with('\n'), "{example}: the last line is not complete:\n{output}");
    assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0, "{example} left files in {}", temporary.display());
    fs::remove_dir_all(&directory).unwrap();
    Run { pid: begun.child.id(), lines: output.lines().map(str::to_string).collect(), took }
}

/// The example's executable: this one is in `deps`, next to which are `examples`.
fn program(example: &str) -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    tests.ancestors().nth(2).unwrap().join("examples").join(example)
}

/// An example that runs. If it has not ended when this is dropped, it is killed, and its children, too.
struct Begun {
    command: Command,
    child: Child,
}

impl Begun {
    fn new(mut command: Command) -> Self {
        let child = command.stdin(Stdio::null()).process_group(0).spawn();
        let child = child.unwrap_or_else(|error| panic!("{command:?}: {error}; `cargo build --examples` builds it"));
        Begun { command, child }
    }

    /// Waits for it to end.
    fn wait(&mut self) -> ExitStatus {
        // SAFETY: has no memory arguments.
        let descriptor = unsafe { libc::syscall(libc::SYS_pidfd_open, self.child.id(), 0) };
        assert!(descriptor >= 0, "{}", io::Error::last_os_error());
        // SAFETY: just made for us.
        let end = unsafe { OwnedFd::from_raw_fd(descriptor as i32) };
        let has_ended = !wait_any(&[&end], Some(PATIENCE)).unwrap().is_empty();
        assert!(has_ended, "{:?} has not ended after {PATIENCE:?}", self.command);
        self.child.wait().unwrap()
    }

    /// Sends it and its children a signal, before it has been waited for; whether that was possible.
    fn signal(&self, signal: libc::c_int) -> bool {
        // SAFETY: a system call without pointers. As it has not been waited for, nobody else's group has its number.
        unsafe { libc::kill(-self.child.id().cast_signed(), signal) == 0 }
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            self.signal(libc::SIGKILL);
            let _ = self.child.wait();
        }
    }
}

impl Run {
    /// Time has a lower bound only: how much longer it takes is up to the machine.
    fn took_at_least(&self, seconds: f64) {
        let least = Duration::from_secs_f64(seconds * SCALE);
        assert!(self.took >= least, "took {:?} instead of {least:?}", self.took);
    }

    fn sorted_lines(&self) -> Vec<&str> {
        let mut lines: Vec<_> = self.lines.iter().map(String::as_str).collect();
        lines.sort_unstable();
        lines
    }
}

#[test]
fn process_basic() {
    assert_eq!(run("process_basic").lines, ["aaa"]);
}

#[test]
fn process_info() {
    let run = run("process_info");
    let count = crossproc::cpu_count();
    assert_eq!(run.lines.len(), 2 * count, "{:#?}", run.lines);

    let mut pids = BTreeSet::from([run.pid]);
    for i in 0..count {
        let prefix = format!("xx_{i}: parent process {}, process id ", run.pid);
        let (place, pid) = (run.lines.iter().enumerate())
            .find_map(|(place, line)| Some((place, line.strip_prefix(&prefix)?)))
            .unwrap_or_else(|| panic!("no line {prefix}... in {:#?}", run.lines));
        assert!(pids.insert(pid.parse().unwrap()), "{pid} twice in {:#?}", run.lines);
        let hello = format!("hello xx_{i}");
        assert!(run.lines[place..].contains(&hello), "no {hello} after {prefix}{pid} in {:#?}", run.lines);
    }
    run.took_at_least(3.0);
}

#[test]
fn process_many() {
    let run = run("process_many");
    assert_eq!(run.sorted_lines(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map(|i| format!("hello QQ{i}")));
    run.took_at_least(2.0);
}

#[test]
fn value_array() {
    let lines = ["3.1415927", "[0, -1, -2, -3, -4, -5, -6, -7, -8, -9]", "3.14", "[5, 1, 2, 3, 4, 5, 6, 7, 8, 9]"];
    assert_eq!(run("value_array").lines, lines);
}

#[test]
fn shared_memory() {
    let lines = ["howdy from the child", r#"["Tea", 3, 2.5, true]"#, r#"["Coffee", 4, 2.5, None]"#];
    assert_eq!(run("shared_memory").lines, lines);
}

/// All ten lines are there when the parent has ended, although it joins nobody.
#[test]
fn lock_print() {
    assert_eq!(run("lock_print").sorted_lines(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map(|i| format!("hello word {i}")));
}

#[test]
fn lock_value() {
    let run = run("lock_value");
    let numbers: Vec<u32> = run.lines.iter().map(|line| line.parse().unwrap()).collect();
    let ones_first: Vec<u32> = (1..=10).chain((13..=40).step_by(3)).collect();
    let threes_first: Vec<u32> = (3..=30).step_by(3).chain(31..=40).collect();
    assert!(numbers == ones_first || numbers == threes_first, "{numbers:?}");
    // One after the other: ten times 0.1 s each.
    run.took_at_least(2.0);
}

#[test]
fn queue_basic() {
    assert_eq!(run("queue_basic").lines, ["[42, None, 'hello']", "[66, None, 'hello word']"]);
}

#[test]
fn queue_results() {
    assert_eq!(run("queue_results").lines, ["499667166000"]);
}

#[test]
fn pipe_basic() {
    assert_eq!(run("pipe_basic").lines, ["[42, None, 'hello']", "[66, None, 'hello,word']"]);
}

/// Its figures are up to the machine. It has checked itself what came through.
#[test]
fn throughput() {
    let lines = run("throughput").lines;
    let names = lines.iter().map(|line| number_in(line, ": ", " GiB/s").0);
    assert_eq!(names.collect::<Vec<_>>(), ["channel", "pipe", "socket"]);
}

/// Three times the same sum; the seconds are up to the machine.
#[test]
fn multicore() {
    let lines = run("multicore").lines;
    let sums = lines.iter().map(|line| number_in(line, ", ", " s").0);
    let sum = |name| format!("{name}: 4999999666666716666660000000");
    assert_eq!(sums.collect::<Vec<_>>(), ["loop", "threads", "processes"].map(sum));
}

/// A line `name: 1.2 s`, which is rounded.
fn seconds_at_least(line: &str, name: &str, seconds: f64) {
    let (is, took) = number_in(line, ": ", " s");
    assert!(is == name && took >= seconds * SCALE - 0.05, "{line}");
}

/// What is before and between the two parts of a line that ends with the second of them.
fn number_in<'a>(line: &'a str, before: &str, after: &str) -> (&'a str, f64) {
    let parts = line.strip_suffix(after).and_then(|line| line.split_once(before));
    let (rest, number) = parts.unwrap_or_else(|| panic!("{line}"));
    (rest, number.parse().unwrap_or_else(|_| panic!("{line}")))
}

#[test]
fn pairs() {
    let run = run("pairs");
    let (one_by_one, all_at_once) = run.lines.split_at(run.lines.len() / 2);
    let measured = |lines: &[String]| {
        let (seconds, lines) = lines.split_last().unwrap();
        number_in(seconds, "all: ", " s");
        let line = |line: &String| {
            let [one, other, latency, bandwidth] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
            assert!(latency.parse::<f64>().is_ok() && bandwidth.parse::<f64>().is_ok(), "{line}");
            format!("{one} {other}")
        };
        lines.iter().map(line).collect::<Vec<_>>()
    };
    let pairs: Vec<_> = (1..=7).flat_map(|i| (i + 1..=7).map(move |j| format!("cn{i} cn{j}"))).collect();
    assert_eq!(measured(one_by_one), pairs);
    let mut any_order = measured(all_at_once);
    any_order.sort_unstable();
    assert_eq!(any_order, pairs);
    run.took_at_least(21.0 * 5.0 + 5.0);
}

#[test]
fn pool_apply_async() {
    let run = run("pool_apply_async");
    let [parallel, parallel_took, serial, serial_took] = &run.lines[..] else { panic!("{:#?}", run.lines) };
    let results = "[(0, 8), (1, 2), (2, 4), (3, 9), (4, 0), (5, 1), (6, 8), (7, 3), (8, 4), (9, 6)]";
    assert_eq!([parallel, serial], [results; 2]);
    // What four make of it that take the next as soon as they are free.
    seconds_at_least(parallel_took, "parallel", 14.0);
    seconds_at_least(serial_took, "serial", 45.0);
}

#[test]
fn pool_map() {
    let run = run("pool_map");
    let [serial, serial_took, parallel, parallel_took] = &run.lines[..] else { panic!("{:#?}", run.lines) };
    assert_eq!([serial, parallel], ["[1, 4, 9, 16, 25, 36]"; 2]);
    seconds_at_least(serial_took, "serial", 6.0);
    seconds_at_least(parallel_took, "parallel", 2.0);
}

#[test]
fn pool_squares() {
    let ten = "[0, 1, 4, 9, 16, 25, 36, 49, 64, 81]";
    let lines = [ten, "4", ten, ten, "4", ten, "[1, 4, 9, 16, 25, 36, 49, 64, 81, 100]"];
    assert_eq!(run("pool_squares").lines, lines);
}

/// `apply` has run ten tasks when `end` is printed, `apply_async` none.
#[test]
fn pool_apply() {
    let run = run("pool_apply");
    assert_eq!(run.lines.len(), 22, "{:#?}", run.lines);
    assert_eq!([&run.lines[10], &run.lines[11]], ["end"; 2]);
    let workers: BTreeSet<_> = [&run.lines[..10], &run.lines[12..]].concat().iter().map(|line| pid_in(line)).collect();
    assert!(workers.len() <= 5 && !workers.contains(&run.pid), "{:#?}", run.lines);
    run.took_at_least(20.0 + 4.0);
}

/// The process id in a line `in process <pid>`.
fn pid_in(line: &str) -> u32 {
    line.strip_prefix("in process ").and_then(|pid| pid.parse().ok()).unwrap_or_else(|| panic!("{line}"))
}

#[test]
fn pool_callback() {
    let run = run("pool_callback");
    let (first, rest) = run.lines.split_at(2);
    assert_eq!(first, [format!("main process {}", run.pid), "end".to_string()]);
    let (called, worked): (Vec<_>, Vec<_>) = rest.iter().map(String::as_str).partition(|line| line.starts_with("-->"));
    let mut callbacks: Vec<_> = called.into_iter().map(str::to_string).collect();
    callbacks.sort_unstable();
    assert_eq!(callbacks, [0, 1, 2].map(|number| format!("-->exec done: {number} {}", run.pid)));
    let mut workers: Vec<_> = worked.into_iter().map(pid_in).collect();
    assert_eq!(workers.len(), 3, "{rest:#?}");
    workers.sort_unstable();
    workers.dedup();
    assert!(workers.len() == 2 && !workers.contains(&run.pid), "{rest:#?}");
    run.took_at_least(4.0);
}

#[test]
fn pool_initializer() {
    assert_eq!(run("pool_initializer").lines, ["55", "55"]);
}

#[test]
fn pool_interrupt() {
    assert_eq!(run("pool_interrupt").lines, ["begun", "100 done"]);
}

/// Begins `pool_interrupt`.
fn pool_interrupt_that(does: &str) -> Begun {
    let mut command = Command::new(program("pool_interrupt"));
    command.arg(does).stdout(Stdio::piped()).stderr(Stdio::piped());
    Begun::new(command)
}

/// Whatever ends it, nobody goes on waiting for Ctrl-C.
#[test]
fn pool_interrupt_ends_with_a_task_that_fails() {
    let mut begun = pool_interrupt_that("fail");
    let status = begun.wait();
    let errors = io::read_to_string(begun.child.stderr.take().unwrap()).unwrap();
    assert_eq!(status.code(), Some(1), "{errors}");
    assert!(errors.contains("task 50 panicked") && errors.contains("no such number"), "{errors}");
}

#[test]
fn pool_interrupt_goes_on_after_ctrl_c() {
    let mut begun = pool_interrupt_that("wait");
    let mut output = BufReader::new(begun.child.stdout.take().unwrap());
    assert!(!wait_any(&[output.get_ref()], Some(PATIENCE)).unwrap().is_empty(), "it has not begun");
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    assert_eq!(line, "begun\n");
    assert!(begun.signal(libc::SIGINT));
    let status = begun.wait();
    assert!(status.success(), "{status}");
    assert_eq!(io::read_to_string(output).unwrap(), "10 done\n");
}

/// All rows are there both times. Batches cannot overtake each other, and nothing in a pool waits for a batch.
#[test]
fn batches() {
    let run = run("batches");
    let parts = |name| {
        let line = run.lines.iter().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{:?}", run.lines));
        let (start, earlier) = number_in(line, " s, ", " of 40 did not wait");
        let (rows, seconds) = number_in(start, " rows, ", "");
        assert_eq!(rows, format!("{name}: 60"));
        (seconds, earlier)
    };
    let (seconds, earlier) = parts("batches");
    // It prints tenths, of which a product of fractions may be a hair above a whole number.
    let least = (3.0 * 2.0 * SCALE * 10.0).round() / 10.0;
    assert!(seconds >= least && earlier == 0.0, "{:?}", run.lines);
    let (_, earlier) = parts("pool");
    assert!(earlier > 0.0, "{:?}", run.lines);
}

/// Which inputs it finds is up to the order in which the workers come; all of them end in the bug.
#[test]
fn fuzz_farm() {
    let lines = run("fuzz_farm").lines;
    assert_eq!(lines.len(), 4, "{lines:#?}");
    for (line, number) in lines.iter().zip(1..=3) {
        let input = line.strip_prefix(&format!("crash {number}, killed by signal {}: {{\\\"", libc::SIGABRT));
        assert!(input.is_some_and(|input| input.contains(r"\\u{")), "{line}");
    }
    // Those on the way to the bug; two lie beside it.
    let (_, reached) = number_in(&lines[3], "reached ", " parts of the parser");
    assert!((7.0..=9.0).contains(&reached), "{}", lines[3]);
}

/// Entries and items come in the order in which the processes do.
#[test]
fn manager_dict_list() {
    let lines = run("manager_dict_list").lines;
    let [entries, items, counts] = &lines[..] else { panic!("{lines:#?}") };
    let orders = permutations(&[0, 1, 2, 3]);
    assert!(
        orders.iter().any(|order| *entries == format!("{:?}", order.iter().zip(order).collect::<Vec<_>>())),
        "{entries}"
    );
    assert!(
        orders.iter().any(|order| *items == format!("{:?}", (0..10).chain(order.clone()).collect::<Vec<_>>())),
        "{items}"
    );
    assert_eq!(counts, "10 keys, 15 items");
}

fn permutations(numbers: &[u32]) -> Vec<Vec<u32>> {
    let [first, rest @ ..] = numbers else { return vec![vec![]] };
    let insert = |order: Vec<u32>| (0..=order.len()).map(move |at| [&order[..at], &[*first], &order[at..]].concat());
    permutations(rest).into_iter().flat_map(insert).collect()
}

#[test]
fn manager_merge() {
    let line = r#"{"cubes": [0, 1, 8, 27, 64, 125], "squares": [0, 1, 4, 9, 16, 25], "words": [3, 4, 5]}"#;
    assert_eq!(run("manager_merge").lines, [line; 2]);
}

#[test]
fn manager_value() {
    assert_eq!(run("manager_value").lines, ["3.14", "[5, 1, 2, 3, 4, 5, 6, 7, 8, 9]", r#"["Hello"]"#]);
}

#[test]
fn save_load() {
    let mapping = r#"{2: [23, 1, 4], "24": {1: 2, "d": "sad"}, "da": 111}"#;
    assert_eq!(run("save_load").lines, [mapping, mapping]);
}

#[cfg(feature = "compat-shared-memory")]
#[test]
fn from_shared_memory() {
    assert_eq!(run("from_shared_memory").lines, ["5050"]);
}

#[cfg(feature = "compat-raw-sync")]
#[test]
fn from_raw_sync() {
    let late = "cannot wait for an event any longer";
    assert_eq!(run("from_raw_sync").lines, ["1", "2", "3", late]);
}
