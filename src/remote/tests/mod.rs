//! What the parts promise, against a server that is started for it.

mod anew;
mod away;
mod barrier;
mod bounds;
mod client;
mod condvar;
mod doubts;
mod event;
mod garbage;
mod graves;
mod idle;
mod lock;
#[expect(dead_code, reason = "used by other tests, too, and not all of it here")]
#[path = "../../../tests/common/proxy.rs"]
mod proxy;
mod semaphore;
mod queue;
mod queue_ends;
mod rejoining;
mod repeated;
#[path = "../../../tests/common/redis.rs"]
mod server;
mod session;
mod tasks;
mod time;
mod whole;
#[path = "../../../tests/common/watchdog.rs"]
mod watchdog;
mod work;

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use self::watchdog::{Watchdog, until, watchdog};
use super::address::Address;
use super::client::Effect;
use super::link::Link;
use super::lua::lua;
use super::session::{Hold, Session};
use crate::sys::clock::Deadline;

/// A server of its own for a test, which is not to last for ever.
pub(super) struct Server {
    process: server::Server,
    _watchdog: Watchdog,
}

impl Server {
    pub(super) fn start() -> Self {
        Server { process: server::Server::start(), _watchdog: watchdog() }
    }

    /// The server's address with these options besides.
    pub(super) fn address(&self, options: &str) -> Address {
        let url = format!("unix://{}?{options}", self.socket().display());
        Address::parse(url.trim_end_matches('?')).unwrap()
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.process.socket()
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
        let sent = Command::new("kill").args(["-s", name, &self.process.pid().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    /// Ends it and starts it anew: it keeps nothing.
    pub(super) fn restart(&mut self) {
        self.process.kill();
        self.process.start_again();
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
        let renew = lua!(frees "renewing a session", "session/grave.lua", "session/renew.lua");
        let renewed = living.run_as(&living.name().unwrap(), renew, Effect::Nothing, |request| {
            request.arg(10_001);
        });
        assert!(renewed.is_ok());
        server.ask(&format!("ZSCORE crossproc:sessions {name}")) == redis::Value::Nil
    });
}
