//! How workers are started: what they find, and what they find again after a replacement.

use std::io::Read;
use std::path::Path;
use std::{env, io, process};

use crossproc::{Error, Pool, PoolBuilder, StartMethod, Stdio};

use crate::common::watchdog;

/// What a worker says, and one that replaces it.
fn asked_twice(builder: PoolBuilder, question: fn(&Pool) -> bool) {
    let pool = builder.workers(1).start().unwrap();
    assert!(question(&pool));
    pool.workers()[0].kill().unwrap();
    assert!(question(&pool), "of a worker that replaces another");
}

#[test]
fn workers_have_the_environment_that_the_builder_says() {
    let _watchdog = watchdog();
    let builder =
        Pool::builder().env("CROSSPROC_TEST_A", "1").env("CROSSPROC_TEST_B", "2").env_remove("CROSSPROC_TEST_B");
    asked_twice(builder, |pool| {
        let look = || (env::var("CROSSPROC_TEST_A"), env::var_os("CROSSPROC_TEST_B"), env::var_os("PATH").is_some());
        let look = move || (look().0.unwrap(), look().1.is_none(), look().2);
        pool.apply(look, ()) == Ok(("1".into(), true, env::var_os("PATH").is_some()))
    });
    let builder = Pool::builder().env("CROSSPROC_TEST_A", "1").env_clear().env("CROSSPROC_TEST_C", "3");
    asked_twice(builder, |pool| {
        let names = || env::vars().map(|(name, _)| name).collect::<Vec<_>>();
        pool.apply(names, ()) == Ok(vec!["CROSSPROC_TEST_C".into()])
    });
    let refused = Pool::builder().workers(1).env("", "no name").start();
    assert!(matches!(refused, Err(Error::Os { .. })), "{refused:?}");
}

#[test]
fn workers_start_in_the_directory_that_the_builder_says() {
    let _watchdog = watchdog();
    asked_twice(Pool::builder().current_dir("/proc"), |pool| {
        pool.apply(|| env::current_dir().unwrap(), ()).as_deref() == Ok(Path::new("/proc"))
    });
}

#[test]
fn workers_have_the_streams_that_the_builder_says() {
    let _watchdog = watchdog();
    let (mut output, writer) = io::pipe().unwrap();
    let builder = Pool::builder().workers(2).stdin(Stdio::null()).stdout(writer.try_clone().unwrap()).stderr(writer);
    let pool = builder.start().unwrap();
    for _ in 0..2 {
        let speak = || {
            print!("a");
            io::Write::flush(&mut io::stdout()).unwrap();
            eprint!("b");
            io::read_to_string(io::stdin()).unwrap()
        };
        assert_eq!(pool.apply(speak, ()), Ok(String::new()));
        let mut said = [0; 2];
        output.read_exact(&mut said).unwrap();
        assert_eq!(&said, b"ab");
        pool.workers().iter().for_each(|worker| worker.kill().unwrap());
    }
    drop(pool);
    assert_eq!(io::read_to_string(output).unwrap(), "", "the streams end with the pool");
}

/// There is no zygote here.
#[test]
fn workers_come_into_being_as_the_builder_says() {
    let _watchdog = watchdog();
    let by = |method| Pool::builder().workers(1).start_method(method).start();
    assert_ne!(by(StartMethod::Exec).unwrap().apply(process::id, ()), Ok(process::id()));
    let refused = by(StartMethod::Zygote);
    assert!(matches!(refused, Err(Error::Unsupported { .. })), "{refused:?}");
}
