//! What starting a process and hearing of its end costs, against posix_spawn and std, and from a zygote, against fork.
//!
//! Rival children that are executed are this very executable and do the same start-up: they return from `main` right after
//! `crossproc::init()`. One child at a time, any core, standard streams inherited.
//!
//! `cargo bench --bench process -- "spawn from the zygote"` measures the rows that begin so, with those that belong to them.

mod common;

use std::env;
use std::ffi::c_char;
use std::io::{self, Read, Write};
use std::process::{Command, ExitCode};
use std::ptr;
use std::thread;

use common::{Plan, Table, Target, alternate, is_asked_for, microseconds};
use crossproc::{Function, Process, ProcessBuilder, StartMethod, Value};

const PROGRAM: &str = "/proc/self/exe";
const RETURN: &str = "--return";
const READ: &str = "--read-input";
const MIB: usize = 1 << 20;
/// As the row's name says.
const IN_A_ROW: usize = 10;

fn main() -> ExitCode {
    match env::args().nth(1).as_deref() {
        Some(RETURN) => {
            crossproc::init();
            return ExitCode::SUCCESS;
        }
        Some(READ) => {
            crossproc::init();
            return read_input();
        }
        _ => crossproc::init_with_zygote(),
    }
    let plan = Plan::from_args();
    let table = Table::new(plan, "process");
    let starts = plan.of(400, 5);
    let rows: [(&str, &dyn Fn()); 5] = [
        ("spawn + join", &|| trivial(&table, starts)),
        ("spawn from the zygote", &|| from_the_zygote(&table, starts)),
        ("spawn with 1 MiB", &|| with_a_mebibyte(&table, plan.of(200, 3))),
        ("spawn with a Value", &|| with_a_handle(&table, starts)),
        ("killed until", &|| end_of_a_daemon(&table, plan.of(50, 3))),
    ];
    for (name, measure) in rows {
        if is_asked_for(name) {
            measure();
        }
    }
    ExitCode::SUCCESS
}

fn executed() -> ProcessBuilder {
    Process::builder().start_method(StartMethod::Exec)
}

fn trivial(table: &Table, starts: usize) {
    assert_eq!(executed().spawn(|| 6 * 7, ()).unwrap().join(), Ok(42));
    let [ours, posix, std] = alternate(
        starts,
        [
            &mut || microseconds(|| executed().spawn(|| (), ()).unwrap().join().unwrap()),
            &mut || microseconds(|| assert_eq!(posix_spawn_and_wait(), 0)),
            &mut || microseconds(|| assert!(Command::new(PROGRAM).arg(RETURN).status().unwrap().success())),
        ],
    );
    let (posix, std) = (("posix_spawn + waitpid", &posix), ("std Command::status", &std));
    table.percentile_row("spawn + join, p50", "us", 50.0, &ours, posix, &[Target::RatioAtMost(1.2)]);
    table.percentile_row("spawn + join, p99", "us", 99.0, &ours, posix, &[]);
    table.percentile_row("spawn + join, p50", "us", 50.0, &ours, std, &[]);
    table.percentile_row("spawn + join, p99", "us", 99.0, &ours, std, &[]);
}

/// The rival does what each start is made of, and nothing else. In a row, each start needs the copy that is made after the last one.
fn from_the_zygote(table: &Table, starts: usize) {
    let zygote = || Process::builder().start_method(StartMethod::Zygote);
    assert_eq!(zygote().spawn(|| 6 * 7, ()).unwrap().join(), Ok(42));
    let [ours, fork] = alternate(
        starts,
        [&mut || microseconds(|| zygote().spawn(|| (), ()).unwrap().join().unwrap()), &mut || {
            microseconds(|| assert_eq!(fork_and_wait(), 0))
        }],
    );
    let fork = ("fork + _exit + waitpid", &fork);
    table.percentile_row("spawn from the zygote + join, p50", "us", 50.0, &ours, fork, &[Target::RatioAtMost(2.0)]);
    table.percentile_row("spawn from the zygote + join, p99", "us", 99.0, &ours, fork, &[]);
    let in_a_row = |start: &dyn Fn()| microseconds(|| (0..IN_A_ROW).for_each(|_| start())) / IN_A_ROW as f64;
    let [ours, fork] = alternate(
        (starts / IN_A_ROW).max(1),
        [&mut || in_a_row(&|| zygote().spawn(|| (), ()).unwrap().join().unwrap()), &mut || {
            in_a_row(&|| assert_eq!(fork_and_wait(), 0))
        }],
    );
    let fork = ("fork + _exit + waitpid", &fork);
    table.percentile_row("spawn from the zygote + join, of 10 in a row, p50", "us", 50.0, &ours, fork, &[]);
}

/// The exit status of a copy that ends at once.
fn fork_and_wait() -> i32 {
    // SAFETY: the copy ends at once.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        // SAFETY: has no preconditions.
        unsafe { libc::_exit(0) };
    }
    let mut status = -1;
    // SAFETY: `status` outlives the call.
    let ended = unsafe { libc::waitpid(pid, &mut status, 0) };
    assert_eq!(ended, pid, "{}", io::Error::last_os_error());
    status
}

fn with_a_mebibyte(table: &Table, starts: usize) {
    let bytes = vec![7_u8; MIB];
    let count = |bytes: Vec<u8>| bytes.iter().filter(|&&byte| byte == 7).count();
    let [ours, rival] = alternate(
        starts,
        [&mut || microseconds(|| assert_eq!(executed().spawn(count, (&bytes,)).unwrap().join(), Ok(MIB))), &mut || {
            microseconds(|| write_to_child(&bytes))
        }],
    );
    let rival = ("std Command, by a pipe", &rival);
    table.percentile_row("spawn with 1 MiB of arguments + join, p50", "us", 50.0, &ours, rival, &[]);
    table.percentile_row("spawn with 1 MiB of arguments + join, p99", "us", 99.0, &ours, rival, &[]);
}

fn with_a_handle(table: &Table, starts: usize) {
    let value = Value::new(1_u64).unwrap();
    let [ours, rival] = alternate(
        starts,
        [
            &mut || {
                microseconds(|| {
                    let got = executed().spawn(|value: Value<u64>| value.get(), (&value,)).unwrap().join();
                    assert_eq!(got, Ok(1));
                })
            },
            &mut || microseconds(|| assert_eq!(executed().spawn(|| 1, ()).unwrap().join(), Ok(1))),
        ],
    );
    let rival = ("ours, without a handle", &rival);
    table.percentile_row("spawn with a Value + join, p50", "us", 50.0, &ours, rival, &[]);
    table.percentile_row("spawn with a Value + join, p99", "us", 99.0, &ours, rival, &[]);
}

/// From the SIGKILL of a process until its daemon child is gone, too; the rival has no child.
fn end_of_a_daemon(table: &Table, rounds: usize) {
    let leave_a_daemon = || {
        executed().daemon(true).spawn(say_ready_and_park, ()).unwrap();
        loop {
            thread::park();
        }
    };
    let [ours, rival] = alternate(
        rounds,
        [&mut || microseconds_from_kill(leave_a_daemon), &mut || microseconds_from_kill(say_ready_and_park)],
    );
    let rival = ("without a daemon", &rival);
    let second = [Target::AtMost(1e6)];
    table.percentile_row("killed until its daemon is gone, p50", "us", 50.0, &ours, rival, &second);
    table.percentile_row("killed until its daemon is gone, max", "us", 100.0, &ours, rival, &second);
}

/// Until nobody is left who could write what `f` and its children have for standard output.
fn microseconds_from_kill(f: impl Function<(), (), Output = ()>) -> f64 {
    let (mut output, input) = io::pipe().unwrap();
    let process = executed().stdout(input).spawn(f, ()).unwrap();
    output.read_exact(&mut [0]).unwrap();
    process.kill().unwrap();
    microseconds(|| assert_eq!(output.read_to_end(&mut Vec::new()).unwrap(), 0))
}

fn say_ready_and_park() {
    io::stdout().write_all(b"r").unwrap();
    io::stdout().flush().unwrap();
    loop {
        thread::park();
    }
}

unsafe extern "C" {
    static environ: *const *mut c_char;
}

/// The exit status of a child that returns at once.
fn posix_spawn_and_wait() -> i32 {
    let arguments = [c"bench".as_ptr().cast_mut(), c"--return".as_ptr().cast_mut(), ptr::null_mut()];
    let program = c"/proc/self/exe".as_ptr();
    // SAFETY: read by value, and nobody changes the environment.
    let environment = unsafe { environ };
    let (mut pid, mut status) = (0, 0);
    let start = arguments.as_ptr();
    // SAFETY: C strings, null-terminated lists of them, and a place for the number.
    let failed = unsafe { libc::posix_spawn(&mut pid, program, ptr::null(), ptr::null(), start, environment) };
    assert_eq!(failed, 0, "{}", io::Error::from_raw_os_error(failed));
    // SAFETY: `status` outlives the call.
    let ended = unsafe { libc::waitpid(pid, &mut status, 0) };
    assert_eq!(ended, pid, "{}", io::Error::last_os_error());
    status
}

fn write_to_child(bytes: &[u8]) {
    let (reader, mut writer) = io::pipe().unwrap();
    let mut child = Command::new(PROGRAM).arg(READ).stdin(reader).spawn().unwrap();
    writer.write_all(bytes).unwrap();
    drop(writer);
    assert!(child.wait().unwrap().success());
}

fn read_input() -> ExitCode {
    let mut bytes = Vec::new();
    io::stdin().read_to_end(&mut bytes).unwrap();
    ExitCode::from(u8::from(bytes.iter().filter(|&&byte| byte == 7).count() != MIB))
}
