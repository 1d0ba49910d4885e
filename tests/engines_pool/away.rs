//! Servers that are away, and what does not get through to one that is there.

use crossproc::{Error, Pool, TaskError};

use super::{Place, common, own_host, wait_until};

/// That the pool is broken by its server, said with its name and how long it was away.
#[track_caller]
fn assert_away(place: &Place, told: &TaskError) {
    let TaskError::BrokenPool { failures, source } = told else { panic!("{told:?}") };
    assert_eq!(told.to_string(), format!("the pool is broken: the last {failures} requests to its server have failed"));
    let Error::Unreachable { address, reason } = &**source else { panic!("{source:?}") };
    assert!(address.contains(place.server.socket().to_str().unwrap()), "{address}");
    let (_, time) = reason.rsplit_once("(for ").unwrap_or_else(|| panic!("{reason}"));
    let seconds: f64 = time.strip_suffix(" s)").unwrap_or_else(|| panic!("{reason}")).parse().unwrap();
    // Eight requests of 300 ms, and seven pauses.
    assert!(*failures >= 8 && seconds >= 2.4, "{failures}: {reason}");
}

/// Whether it was there when the server went, or came later: a task that nobody could be told of.
#[test]
fn a_pool_says_which_server_was_away_for_how_long() {
    let _watchdog = common::watchdog();
    let mut place = Place::new();
    let pool = Pool::builder().engine(format!("{}?timeout_ms=300", place.server.url())).start().unwrap();
    let sent = pool.apply_async(own_host, ());
    wait_until(|| place.chunks() == 1);
    place.server.kill();
    let unsent = pool.apply_async(own_host, ());
    for task in [sent, unsent] {
        assert_away(&place, &task.get().unwrap_err());
    }
    assert_away(&place, &pool.apply(own_host, ()).unwrap_err());
    drop(pool);
    place.server.start_again();
}

#[test]
fn a_pool_that_can_only_send_says_so_as_well() {
    let _watchdog = common::watchdog();
    let mut place = Place::new();
    let pool = Pool::builder().engine(format!("{}?timeout_ms=300", place.server.url())).start().unwrap();
    place.server.kill();
    let unsent: Vec<_> = (0..3).map(|_| pool.apply_async(own_host, ())).collect();
    unsent.into_iter().for_each(|task| assert_away(&place, &task.get().unwrap_err()));
    drop(pool);
    place.server.start_again();
}

/// A server closes the connection over which something comes that is too long for it.
#[test]
fn arguments_that_a_server_does_not_take_are_refused_and_the_pool_goes_on() {
    let _watchdog = common::watchdog();
    let place = Place::new();
    place.server.ask("CONFIG SET proto-max-bulk-len 1mb");
    let pool = Pool::builder().engine(format!("{}?timeout_ms=300", place.server.url())).start().unwrap();
    let refused = pool.apply(|text: String| text.len(), ("x".repeat(2 << 20),));
    assert!(matches!(refused, Err(TaskError::Encode { .. })), "{refused:?}");
    let host = place.host(1);
    assert_eq!(pool.apply(own_host, ()), Ok(host.pid()));
}

#[test]
fn results_that_are_too_long_for_a_server_are_refused_where_they_arise() {
    let _watchdog = common::watchdog();
    let place = Place::new();
    let host = place.host(1);
    let pool = place.pool().start().unwrap();
    let refused = pool.apply(|| "x".repeat((256 << 20) + 1), ());
    let is_said = |reason: &str| reason.contains("bytes of results") && reason.contains(&(256 << 20).to_string());
    assert!(matches!(&refused, Err(TaskError::Encode { reason }) if is_said(reason)), "{refused:?}");
    // Each call of the chunk, as nobody knows which of them it was.
    let outcomes = pool.chunk(3).try_map(|n: usize| "x".repeat(n), [1, (256 << 20) + 1, 1]);
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Err(TaskError::Encode { .. }))), "{:?}", outcomes.len());
    assert_eq!(pool.apply(own_host, ()), Ok(host.pid()));
}
