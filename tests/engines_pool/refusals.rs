//! What a pool with an engine cannot do, and what it is told that it cannot believe.

use std::process::Command;
use std::time::Duration;

use crossproc::{Error, PoolBuilder, StartMethod, Stdio};

use super::{Place, common, own_host, wait_until};

#[test]
fn what_only_own_workers_could_do_is_refused_by_its_name() {
    let _watchdog = common::watchdog();
    let place = Place::new();
    type Change = fn(PoolBuilder) -> PoolBuilder;
    let refused: [(&str, Change); 12] = [
        ("initializer", |pool| pool.initializer(|| (), ())),
        ("initializer_timeout", |pool| pool.initializer_timeout(Duration::from_secs(1))),
        ("max_tasks_per_worker", |pool| pool.max_tasks_per_worker(1)),
        ("task_timeout", |pool| pool.task_timeout(Duration::from_secs(1))),
        ("env", |pool| pool.env("A", "1")),
        ("env_remove", |pool| pool.env_remove("A")),
        ("env_clear", PoolBuilder::env_clear),
        ("current_dir", |pool| pool.current_dir("/")),
        ("stdin", |pool| pool.stdin(Stdio::null())),
        ("stdout", |pool| pool.stdout(Stdio::null())),
        ("stderr", |pool| pool.stderr(Stdio::null())),
        ("start_method", |pool| pool.start_method(StartMethod::Exec)),
    ];
    for (name, ask) in refused {
        match ask(place.pool()).start() {
            Err(Error::Unsupported { what }) => assert_eq!(what, format!("`{name}` in a pool with an engine")),
            other => panic!("{name}: {other:?}"),
        }
    }
    assert!(matches!(place.pool().workers(0).start(), Err(Error::Workers { asked: 0, .. })));
    let refused = PoolBuilder::new().engine("user:hidden@nowhere").start().unwrap_err();
    assert!(matches!(refused, Error::InvalidAddress { .. }));
    let text = refused.to_string();
    assert!(text.contains("as in redis://") && !text.contains("hidden"), "{text}");
}

#[test]
fn hosts_survive_what_others_have_written_there() {
    let _watchdog = common::watchdog();
    let place = Place::new();
    let host = place.host(1);
    let pool = place.pool().start().unwrap();
    assert_eq!(pool.apply(own_host, ()), Ok(host.pid()));
    let (stream, inbox) = (&place.keys("o:tasks-*:d")[0], &place.inbox());
    let name = inbox.rsplit(':').next().unwrap();
    for entry in
        ["i nobody v x".to_owned(), "a b".to_owned(), format!("i {name} v x"), format!("i {name} v {}", "y".repeat(50))]
    {
        place.server.ask(&format!("XADD {stream} * {entry}"));
    }
    place.server.ask(&format!("RPUSH {inbox}:d nonsense"));
    assert_eq!(pool.apply(own_host, ()), Ok(host.pid()));
    wait_until(|| place.chunks() == 0);
}

#[test]
fn a_host_that_cannot_be_says_why() {
    let _watchdog = common::watchdog();
    let run = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_crossproc")).arg("worker").args(arguments).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, text) = run(&["--engine", "redis://localhost", "--", "/there/is/none"]);
    assert!(code == Some(1) && text.contains("cannot run /there/is/none"), "{code:?} {text}");
    let (code, text) = run(&["--engine", "gopher://somebody:secret@localhost", "--", env!("CARGO_BIN_EXE_crossproc")]);
    assert!(code == Some(1) && text.contains("gopher://***@localhost") && !text.contains("secret"), "{code:?} {text}");
    let (code, text) = run(&["--engine", "redis://localhost"]);
    assert!(code == Some(2) && text.contains("PROGRAM"), "{code:?} {text}");
}
