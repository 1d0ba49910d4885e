//! A Redis server on a socket in a folder of its own.

// Each test binary has its own copy and uses what it needs.
#![allow(dead_code)]

use std::io::{Read, Write};
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
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    /// One with these options besides: their names and values.
    pub(crate) fn with(options: &[&str]) -> Self {
        static NUMBERS: AtomicU32 = AtomicU32::new(0);
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        let folder = env::temp_dir().join(format!("crossproc-redis-{}-{number}", process::id()));
        fs::create_dir(&folder).unwrap();
        let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
        let process = run(&folder, &options);
        let server = Server { process, folder, options };
        server.await_answer();
        server
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

    fn await_answer(&self) {
        let start = Instant::now();
        while !UnixStream::connect(self.socket())
            .is_ok_and(|_| ["+PONG", "-NOAUTH"].iter().any(|answer| self.ask("PING").starts_with(answer)))
        {
            assert!(start.elapsed() < Duration::from_secs(20), "the server does not answer");
            thread::yield_now();
        }
    }

    /// Ends it with SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Starts it again.
    pub(crate) fn start_again(&mut self) {
        self.process = run(&self.folder, &self.options);
        self.await_answer();
    }
}

fn run(folder: &PathBuf, options: &[String]) -> Child {
    Command::new("redis-server")
        .args(["--port", "0", "--unixsocket", "socket", "--save", "", "--daemonize", "no"])
        .args(options)
        .current_dir(folder)
        .stdout(Stdio::null())
        .spawn()
        .expect("these tests need the program redis-server, as in Debian's package of that name")
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}
