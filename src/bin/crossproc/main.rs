//! The command line program: shows what the library does, on the library's public API.

mod corpus;
mod demo;
#[cfg(feature = "redis")]
mod host;
mod objects;
mod report;
mod serve;
mod table;
mod words;
mod workers;

#[cfg(feature = "redis")]
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::demo::Failure;

/// Fewer than the 256 processes that may have a segment at the same time: one is this, and some are to be replaced.
const MOST_WORKERS: u16 = 240;

/// Python's multiprocessing for Rust, on shared memory.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Counts the words in files, in several processes over shared memory, and checks the result in one.
    ///
    /// A word is a longest run of ASCII letters, digits and bytes from 0x80; ASCII case does not matter. Left out are
    /// hidden entries, directories with a CACHEDIR.TAG, symbolic links to directories, and files that are not text,
    /// which have a NUL among their first 8 KiB.
    ///
    /// Exits with 1 if the results differ or something else fails, with 2 if PATH cannot be counted at all.
    Demo {
        /// A directory or a file; if not given, the files of this package.
        path: Option<PathBuf>,
        /// How many processes count; 240 at most; if not given, as many as can run at the same time.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=MOST_WORKERS.into()))]
        workers: Option<u16>,
        /// Kills one of them half-way through its share.
        #[arg(long)]
        kill: bool,
    },
    /// Runs a program as a host: it does the tasks of pools at a Redis or Valkey server whose programs are the very same executable.
    ///
    /// The program calls crossproc::init() in the first line of its main, and gets no further. It says on standard error what it does: for which
    /// executable, where, with how many workers. If nothing comes, compare that with the pool: the server, the prefix, and the build, which is
    /// another one each time that a program is compiled. Tasks of other builds that nobody does are named there as well. A program that says
    /// nothing of this does not call it, or is built without crossproc's feature redis. On SIGTERM and SIGINT it finishes what it
    /// has in hands and ends; a second one ends it at once, and others get that.
    ///
    /// Whoever can write at the server under the address's prefix can have every function of the program run here, with arguments of his
    /// choice: use a server that asks for a password, and TLS (rediss://) where others could listen.
    #[cfg(feature = "redis")]
    Worker {
        /// The server, as in `redis://user:password@host:port/db?prefix=app`.
        #[arg(long, value_name = "URL")]
        engine: String,
        /// How many workers; 240 at most; if not given, as many as can run at the same time.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=MOST_WORKERS.into()))]
        workers: Option<u16>,
        /// The program, and its arguments.
        #[arg(last = true, required = true, value_name = "PROGRAM")]
        program: Vec<OsString>,
    },
    /// Keeps a manager under a name until it is asked to end: programs of the same user connect to it with Manager::connect("NAME").
    ///
    /// There is no server behind it that has to be asked: the containers lie in shared memory. Processes of several machines share a Redis or Valkey server instead, for which nothing has to be
    /// run here: see Manager::connect.
    ///
    /// Prints one line once the manager is there. On SIGINT, SIGTERM or SIGHUP (but not one that it was started to ignore, as by nohup) it removes
    /// the name and ends with 0. Those who have the manager open keep it.
    ///
    /// Killed by SIGKILL, it takes nothing with it: the name is still there, and all that is in the manager. `crossproc serve --existing NAME`
    /// goes on with it; `crossproc rm NAME` removes it, and so does `crossproc gc` once nobody is attached. `crossproc inspect NAME` says how much
    /// memory it uses.
    ///
    /// Exits with 2 if the name is taken, belongs to something else or is none, or if another one serves it, and with 1 if something else fails.
    Serve {
        /// As in `app/state`.
        name: String,
        /// If there is a manager of this name, goes on with that one, and removes its name in the end.
        ///
        /// Not with one that another `crossproc serve` has at this moment. A program that has made the manager itself removes the name at its
        /// own end all the same, unless it has made it to persist.
        #[arg(long)]
        existing: bool,
    },
    /// Lists the shared objects that have names.
    ///
    /// BYTES is the memory that one takes; `inspect` says also what a manager may grow to.
    ///
    /// Exits with 1 if one of them is no shared object, or damaged. Those of others, which may not be looked at, are named as well.
    Ls {
        /// One JSON object for each line.
        #[arg(long)]
        json: bool,
    },
    /// Shows what a shared object is, who is attached to it, and what it knows of itself.
    ///
    /// It is read from outside: nothing changes, and nobody waits. Exits with 1 if there is none, or it is damaged.
    Inspect {
        /// As in `app/counter`.
        name: String,
        /// One JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Removes names. Those who have the objects open keep them.
    ///
    /// Exits with 1 if one of them could not be removed; the others are.
    Rm {
        /// As in `app/counter`.
        #[arg(required = true)]
        names: Vec<String>,
        /// One JSON object for each line.
        #[arg(long)]
        json: bool,
    },
    /// Removes the names of this user's objects that nobody is attached to.
    Gc {
        /// Only says which.
        #[arg(long)]
        dry_run: bool,
        /// One JSON object for each line.
        #[arg(long)]
        json: bool,
    },
}

fn main() -> ExitCode {
    crossproc::init();
    let outcome = match Arguments::parse().command {
        Command::Demo { path, workers, kill } => return run_demo(path, workers, kill),
        #[cfg(feature = "redis")]
        Command::Worker { engine, workers, program } => Err(host::run(&engine, workers, &program)),
        Command::Serve { name, existing } => serve::run(&name, existing),
        Command::Ls { json } => objects::list(json),
        Command::Inspect { name, json } => objects::inspect(&name, json),
        Command::Rm { names, json } => objects::remove(&names, json),
        Command::Gc { dry_run, json } => objects::collect(dry_run, json),
    };
    match outcome {
        Ok(code) => code,
        // Whoever read the output has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

fn complain(text: &str) {
    let _ = writeln!(io::stderr(), "crossproc: {text}");
}

fn run_demo(path: Option<PathBuf>, workers: Option<u16>, kill: bool) -> ExitCode {
    let path = path.unwrap_or_else(own_files);
    let workers = workers.map_or_else(crossproc::cpu_count, usize::from).min(MOST_WORKERS.into());
    let failure = match demo::run(&path, workers, kill) {
        Ok(()) => return ExitCode::SUCCESS,
        // Whoever read the report has seen enough.
        Err(Failure::Report { source }) if source.kind() == io::ErrorKind::BrokenPipe => return ExitCode::SUCCESS,
        Err(failure) => failure,
    };
    complain(&report::with_sources(&failure).to_string());
    match failure {
        Failure::Corpus(corpus::Failure::Path { .. } | corpus::Failure::OtherKind { .. }) => ExitCode::from(2),
        _ => ExitCode::FAILURE,
    }
}

/// What this program was built from, if that is still there.
fn own_files() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    if package.is_dir() { package.into() } else { ".".into() }
}
