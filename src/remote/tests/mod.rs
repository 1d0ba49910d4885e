//! What the parts promise, against a server that is started for it.

mod barrier;
mod bounds;
mod condvar;
mod event;
mod garbage;
mod lock;
mod semaphore;
mod queue;
mod queue_ends;
mod session;
mod tasks;
mod time;
mod whole;

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::address::Address;
use super::client::Effect;
use super::link::Link;
use super::lua::lua;
use super::session::{Hold, Session};
use crate::sys::clock::Deadline;

/// A server on a socket in a folder of its own, both gone with this.
pub(super) struct Server {
    process: Child,
    folder: PathBuf,
}

impl Server {
    pub(super) fn start() -> Self {
        static NUMBERS: AtomicU32 = AtomicU32::new(0);
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("crossproc-unit-{}-{number}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        let process = Self::run(&folder);
        let server = Server { process, folder };
        server.await_answer();
        server
    }

    fn run(folder: &std::path::Path) -> Child {
        Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--daemonize", "no", "--unixsocket"])
            .arg(folder.join("socket"))
            .current_dir(folder)
            .stdout(Stdio::null())
            .spawn()
            .expect("these tests need Debian's package redis-server")
    }

    fn await_answer(&self) {
        let start = Instant::now();
        let info = self.address("").connection().unwrap();
        while Link::open(&info, Deadline::after(Duration::from_secs(1))).is_err() {
            assert!(start.elapsed() < Duration::from_secs(20), "the server does not answer");
            thread::yield_now();
        }
    }

    /// The server's address with these options besides.
    pub(super) fn address(&self, options: &str) -> Address {
        let url = format!("unix://{}?{options}", self.folder.join("socket").display());
        Address::parse(url.trim_end_matches('?')).unwrap()
    }

    /// The answer to a command, by its words.
    pub(super) fn ask(&self, words: &str) -> redis::Value {
        let mut words = words.split(' ');
        let mut command = redis::cmd(words.next().unwrap());
        words.for_each(|word| {
            command.arg(word);
        });
        let deadline = Deadline::after(Duration::from_secs(20));
        let mut link =
            Link::open(&self.address("").connection().unwrap(), deadline).map_err(|broken| broken.reason).unwrap();
        link.ask(&command, deadline).map_err(|broken| broken.reason).unwrap()
    }

    /// How many wait for an object.
    pub(super) fn waits(&self, hold: &Hold) -> usize {
        redis::from_redis_value(self.ask(&format!("ZCARD crossproc:o:{}:w", hold.object()))).unwrap()
    }

    /// Has it take nothing more.
    pub(super) fn fill(&self) {
        self.ask("CONFIG SET maxmemory-policy noeviction");
        self.ask("CONFIG SET maxmemory 1");
    }

    /// It does not answer until it is told to [go on](Self::go_on).
    pub(super) fn stop(&self) {
        self.signal("STOP");
    }

    pub(super) fn go_on(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.process.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    /// Ends it and starts it anew: it keeps nothing.
    pub(super) fn restart(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        self.process = Self::run(&self.folder);
        self.await_answer();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Waits until something is so, and fails with `what` if it does not become so.
pub(super) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(20), "{what}: not within 20 s");
        thread::yield_now();
    }
}

/// Two processes, as the server sees it.
pub(super) struct Two {
    pub(super) one: Arc<Session>,
    pub(super) other: Arc<Session>,
}

impl Two {
    pub(super) fn at(server: &Server) -> Self {
        Two::with(server, "lease_ms=10000", "lease_ms=10001")
    }

    pub(super) fn with(server: &Server, one: &str, other: &str) -> Self {
        let session = |options: &str| Session::at(&server.address(options)).unwrap();
        Two { one: session(one), other: session(other) }
    }
}

/// Ends a session as if it had not been heard for long; it goes on as another one. `living` sees to it.
pub(super) fn end(server: &Server, session: &Session, living: &Session) {
    let name = session.name().unwrap();
    until("a session to be ended", || {
        server.ask(&format!("ZADD crossproc:sessions 0 {name}"));
        let renew = lua!(frees "renewing a session", "grave.lua", "renew.lua");
        let renewed = living.run_as(&living.name().unwrap(), renew, Effect::Nothing, |request| {
            request.arg(10_001);
        });
        assert!(renewed.is_ok());
        server.ask(&format!("ZSCORE crossproc:sessions {name}")) == redis::Value::Nil
    });
}
