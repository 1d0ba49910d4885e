//! A Redis or Valkey server on a socket in a folder of its own, and on a port if asked for. Which program it is, `CROSSPROC_REDIS_SERVER` says.

// Each test binary has its own copy and uses what it needs.
#![allow(dead_code)]

use std::ffi::OsString;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs, process, thread};

/// The server and its folder are gone with this.
pub(crate) struct Server {
    process: Child,
    folder: PathBuf,
    options: Vec<String>,
    port: Option<u16>,
}

/// How many ports are tried: somebody else may take one before the server does. A guess.
const ATTEMPTS: u32 = 5;

impl Server {
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    /// One with these options besides: their names and values.
    pub(crate) fn with(options: &[&str]) -> Self {
        let folder = new_folder();
        let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
        let process = run(&folder, &options);
        let mut server = Server { process, folder, options, port: None };
        assert!(server.is_answering(), "the server has ended");
        server
    }

    /// One that is to be reached at a port of this machine, too, that `option` sets: `port` or `tls-port`.
    pub(crate) fn at_port(option: &str, others: &[&str]) -> Self {
        for _ in 0..ATTEMPTS {
            let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
            let folder = new_folder();
            let own = [format!("--{option}"), port.to_string(), "--bind".to_owned(), "127.0.0.1".to_owned()];
            let options: Vec<String> = own.into_iter().chain(others.iter().map(|&option| option.to_owned())).collect();
            let process = run(&folder, &options);
            let mut server = Server { process, folder, options, port: Some(port) };
            if server.is_answering() {
                return server;
            }
        }
        panic!("the server does not start at any of {ATTEMPTS} ports: is it built with TLS?");
    }

    /// Where that is.
    pub(crate) fn port(&self) -> u16 {
        self.port.unwrap()
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.join("socket")
    }

    pub(crate) fn url(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// What it answers to a command, as it comes through the socket.
    pub(crate) fn ask(&self, command: &str) -> String {
        let mut socket = UnixStream::connect(self.socket()).unwrap();
        socket.write_all(format!("{command}\r\nQUIT\r\n").as_bytes()).unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        answer.trim_end_matches("+OK\r\n").to_owned()
    }

    /// Whether it answers, for which it is waited, or has ended.
    fn is_answering(&mut self) -> bool {
        let start = Instant::now();
        while !UnixStream::connect(self.socket())
            .is_ok_and(|_| ["+PONG", "-NOAUTH"].iter().any(|answer| self.ask("PING").starts_with(answer)))
        {
            if self.process.try_wait().unwrap().is_some() {
                return false;
            }
            assert!(start.elapsed() < Duration::from_secs(20), "the server does not answer");
            thread::yield_now();
        }
        true
    }

    /// Ends it with SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Starts it again.
    pub(crate) fn start_again(&mut self) {
        self.process = run(&self.folder, &self.options);
        assert!(self.is_answering(), "the server has ended");
    }
}

fn new_folder() -> PathBuf {
    static NUMBERS: AtomicU32 = AtomicU32::new(0);
    let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
    let folder = env::temp_dir().join(format!("crossproc-redis-{}-{number}", process::id()));
    fs::create_dir(&folder).unwrap();
    folder
}

fn run(folder: &PathBuf, options: &[String]) -> Child {
    let program = env::var_os("CROSSPROC_REDIS_SERVER").unwrap_or_else(|| OsString::from("redis-server"));
    Command::new(program)
        .args(["--port", "0", "--unixsocket", "socket", "--save", "", "--daemonize", "no"])
        .args(options)
        .current_dir(folder)
        .stdout(Stdio::null())
        .spawn()
        .expect(
            "these tests need redis-server, as in Debian's package of that name, or what CROSSPROC_REDIS_SERVER names",
        )
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}
