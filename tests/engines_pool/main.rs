//! Pools at a Redis server, and the hosts that serve them.

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/redis.rs"]
mod redis;
#[path = "../common/tls.rs"]
mod tls;

mod away;
mod copies;
mod deaths;
mod ends;
mod far;
mod hosts;
mod outcomes;
mod refusals;

use std::ffi::OsStr;
use std::os::unix::process::parent_id;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;
use std::{env, fs, thread};

use crossproc::{Pool, PoolBuilder};

use crate::redis::Server;

crossproc::test_support!();

/// A server with short leases, and a folder for files.
struct Place {
    server: Server,
    files: PathBuf,
}

impl Place {
    fn new() -> Self {
        let server = Server::start();
        let files = server.socket().parent().unwrap().to_owned();
        Place { server, files }
    }

    fn url(&self) -> String {
        format!("{}?lease_ms=1000&timeout_ms=2000", self.server.url())
    }

    fn pool(&self) -> PoolBuilder {
        Pool::builder().engine(self.url())
    }

    fn host(&self, workers: u16) -> Host {
        Host::of(self, env::current_exe().unwrap().as_os_str(), workers)
    }

    fn file(&self, name: &str) -> String {
        self.files.join(name).to_str().unwrap().to_owned()
    }

    /// The number that a command answers with, where there is one.
    fn number(&self, command: &str) -> Option<u64> {
        self.server.ask(command).trim().strip_prefix(':')?.parse().ok()
    }

    /// The keys of this pattern.
    fn keys(&self, pattern: &str) -> Vec<String> {
        let answer = self.server.ask(&format!("KEYS crossproc:{pattern}"));
        answer.lines().filter(|line| line.starts_with("crossproc:")).map(str::to_owned).collect()
    }

    /// The inboxes that there are.
    fn all_inboxes(&self) -> Vec<String> {
        let is_inbox = |key: &String| self.server.ask(&format!("HGET {key} kind")).contains("inbox");
        let objects = self.keys("o:*").into_iter().filter(|key| key.matches(':').count() == 2);
        objects.filter(is_inbox).collect()
    }

    fn inboxes(&self) -> usize {
        self.all_inboxes().len()
    }

    /// The only one.
    fn inbox(&self) -> String {
        self.all_inboxes().remove(0)
    }

    /// How many chunks are at the server, of all programs.
    fn chunks(&self) -> u64 {
        self.keys("o:tasks-*:d").iter().filter_map(|key| self.number(&format!("XLEN {key}"))).sum()
    }
}

/// A host, killed with this.
struct Host(Child);

impl Host {
    fn of(place: &Place, program: &OsStr, workers: u16) -> Self {
        Host(Self::command(&place.url(), program, workers).spawn().unwrap())
    }

    /// What becomes a host.
    fn command(url: &str, program: &OsStr, workers: u16) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_crossproc"));
        command.args(["worker", "--engine", url, "--workers", &workers.to_string(), "--"]).arg(program);
        command.stdin(Stdio::null());
        command
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }

    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.pid().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Stops it, and waits until none of its threads runs.
    fn stop(&self) {
        self.signal("STOP");
        let is_stopped = |thread: &Path| {
            let status = fs::read_to_string(thread.join("stat")).unwrap();
            status.rsplit(')').next().unwrap().starts_with(" T")
        };
        let threads = format!("/proc/{}/task", self.pid());
        wait_until(|| fs::read_dir(&threads).unwrap().all(|thread| is_stopped(&thread.unwrap().path())));
    }

    fn wait(&mut self) -> ExitStatus {
        self.0.wait().unwrap()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Looks again and again; the test's watchdog has an eye on it.
fn wait_until(is_so: impl Fn() -> bool) {
    while !is_so() {
        thread::sleep(Duration::from_millis(1));
    }
}

/// A task that says that it has begun, and returns, with its host, when the file is there.
fn wait_for(file: String) -> u32 {
    fs::write(format!("{file}.begun"), "").unwrap();
    wait_until(|| Path::new(&file).exists());
    parent_id()
}

fn has_begun(file: &str) -> bool {
    Path::new(&format!("{file}.begun")).exists()
}

fn own_host() -> u32 {
    parent_id()
}
