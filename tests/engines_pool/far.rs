//! Hosts that have nothing in common with the pool but the program and an address, as on other machines.

use std::collections::BTreeSet;
use std::env;
use std::os::unix::process::parent_id;
use std::path::PathBuf;
use std::{fs, thread};

use crossproc::{Pool, Process, Receiver, Sender, channel};

use super::tls::Certificates;
use super::{Host, common};
use crate::redis::Server;

const TASKS: u32 = 200;

/// What the doomed host is given besides, and never ends.
const KEPT: u32 = 2;

/// A folder with a copy of the program, for a host.
struct Folder(PathBuf);

impl Folder {
    fn new(of: &Server, name: &str) -> Self {
        let folder = of.socket().with_file_name(name);
        fs::create_dir(&folder).unwrap();
        fs::copy(env::current_exe().unwrap(), folder.join("program")).unwrap();
        Folder(folder)
    }

    fn host(&self, url: &str, authority: Option<&str>) -> Host {
        let mut command = Host::command(url, "./program".as_ref(), KEPT as u16);
        command.current_dir(&self.0);
        match authority {
            Some(file) => command.env("SSL_CERT_FILE", file),
            None => command.env_remove("SSL_CERT_FILE"),
        };
        Host(command.spawn().unwrap())
    }
}

/// The doomed host ends twenty of them, and no more.
fn never_on(doomed: u32, n: u32) -> (u32, PathBuf) {
    while n >= 20 && parent_id() == doomed {
        thread::park();
    }
    (n, env::current_dir().unwrap())
}

/// The process that has the pool; says when it has what the doomed host does, and when nothing is left but what that one keeps.
fn front(url: String, doomed: u32, mut told: Sender<()>) -> Vec<(u32, PathBuf)> {
    let pool = Pool::builder().engine(url).workers(100).start().unwrap();
    let tasks = (0..TASKS).map(move |n| (doomed, n));
    let mut outcomes = pool.chunk(1).imap_unordered(|(doomed, n): (u32, u32)| never_on(doomed, n), tasks);
    let mut found: Vec<_> = outcomes.by_ref().take(20).map(Result::unwrap).collect();
    told.send(&()).unwrap();
    found.extend(outcomes.by_ref().take((TASKS - KEPT) as usize - 20).map(Result::unwrap));
    told.send(&()).unwrap();
    found.extend(outcomes.map(Result::unwrap));
    found
}

fn nothing_is_lost_with_one_of_two_hosts(server: &Server, url: &str, authority: Option<&str>) {
    let folders = [Folder::new(server, "one"), Folder::new(server, "other")];
    let mut doomed = folders[0].host(url, authority);
    let (sender, mut told): (Sender<()>, Receiver<()>) = channel().unwrap();
    let builder = match authority {
        Some(file) => Process::builder().env("SSL_CERT_FILE", file),
        None => Process::builder(),
    };
    let front = builder.spawn(front, (url, doomed.pid(), sender)).unwrap();
    told.recv().unwrap();
    let _other = folders[1].host(url, authority);
    told.recv().unwrap();
    doomed.kill();
    let found = front.join().unwrap();
    assert_eq!(found.len() as u32, TASKS);
    assert_eq!(found.iter().map(|(n, _)| *n).collect::<BTreeSet<_>>(), (0..TASKS).collect());
    for (n, folder) in found {
        assert_eq!(folder, folders[usize::from(n >= 20)].0, "task {n}");
    }
}

#[test]
fn a_host_that_is_killed_far_away_loses_nothing() {
    let _watchdog = common::watchdog();
    let server = Server::at_port("port", &[]);
    let url = format!("redis://127.0.0.1:{}?lease_ms=1000&timeout_ms=20000", server.port());
    nothing_is_lost_with_one_of_two_hosts(&server, &url, None);
}

#[test]
fn a_host_that_is_killed_far_away_over_tls_loses_nothing() {
    let _watchdog = common::watchdog();
    let certificates = Certificates::of("DNS:localhost");
    let options = certificates.options();
    let server = Server::at_port("tls-port", &options.iter().map(String::as_str).collect::<Vec<_>>());
    let url = format!("rediss://localhost:{}?lease_ms=1000&timeout_ms=20000", server.port());
    nothing_is_lost_with_one_of_two_hosts(&server, &url, Some(&certificates.authority()));
}
