//! What a server's restarts, pauses, lacks and peers do to managers.

use std::time::Duration;

use crossproc::managed::{Dict, List};
use crossproc::{Error, Manager, Process, TryLockError};

use crate::common::processes::signal;
use crate::common::{until, watchdog};
use crate::redis::Server;

#[test]
fn a_server_that_is_not_there_is_an_error() {
    let _watchdog = watchdog();
    let refused = Manager::connect("unix:///nowhere/socket?timeout_ms=200").map(drop).unwrap_err();
    assert!(matches!(refused, Error::Unreachable { .. }), "{refused}");
    let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port(); // which is free again
    let refused = Manager::connect(&format!("redis://127.0.0.1:{port}?timeout_ms=200")).map(drop).unwrap_err();
    assert!(matches!(&refused, Error::Unreachable { reason, .. } if reason.contains("refused")), "{refused}");
    let refused = Manager::connect("redis://me:secret@localhost:1/0?colour=red").map(drop).unwrap_err();
    assert!(matches!(refused, Error::InvalidAddress { .. }) && !refused.to_string().contains("secret"), "{refused}");
}

#[test]
fn a_database_that_there_is_not_is_refused_in_the_servers_words() {
    let _watchdog = watchdog();
    let server = Server::start();
    let refused = Manager::connect(&format!("{}?db=99", server.url())).map(drop).unwrap_err();
    assert!(matches!(&refused, Error::Refused { reason, .. } if reason.contains("out of range")), "{refused}");
}

#[test]
fn who_does_not_know_the_password_is_refused() {
    let _watchdog = watchdog();
    let server = Server::with(&["--requirepass", "sesame"]);
    let without = Manager::connect(&format!("{}?timeout_ms=300", server.url())).map(drop).unwrap_err();
    assert!(matches!(without, Error::Refused { .. }), "{without}");
    let wrong = Manager::connect(&format!("{}?timeout_ms=300&pass=barley", server.url())).map(drop).unwrap_err();
    assert!(matches!(wrong, Error::Refused { .. }) && !wrong.to_string().contains("barley"), "{wrong}");
    let manager = Manager::connect(&format!("{}?pass=sesame", server.url())).unwrap();
    assert!(!format!("{manager:?}").contains("sesame"));
    manager.list([1]).unwrap();
}

#[test]
fn a_restart_without_data_is_told_and_survived() {
    let _watchdog = watchdog();
    let mut server = Server::start();
    let manager = Manager::connect(&server.url()).unwrap();
    let list = manager.list([1]).unwrap();
    server.kill();
    server.start_again();
    assert!(matches!(list.to_vec(), Err(Error::Gone { .. })));
    assert_eq!(manager.list([2]).unwrap().to_vec().unwrap(), [2]);
}

#[test]
fn a_restart_with_data_goes_unnoticed() {
    let _watchdog = watchdog();
    let mut server = Server::with(&["--appendonly", "yes", "--appendfsync", "always"]);
    let manager = Manager::connect(&server.url()).unwrap();
    let list = manager.list([1]).unwrap();
    for turn in 0..3 {
        server.kill();
        server.start_again();
        // Reading may be tried again; a change whose answer is lost would say so.
        assert_eq!(list.len().unwrap(), turn + 1);
        list.push(2).unwrap();
    }
    assert_eq!(list.to_vec().unwrap(), [1, 2, 2, 2]);
}

#[test]
fn a_server_that_is_away_for_long_is_an_error_and_comes_back() {
    let _watchdog = watchdog();
    let mut server = Server::with(&["--appendonly", "yes", "--appendfsync", "always"]);
    let manager = Manager::connect(&format!("{}?timeout_ms=300", server.url())).unwrap();
    let list = manager.list([1]).unwrap();
    server.kill();
    assert!(matches!(list.len(), Err(Error::Unreachable { .. })));
    server.start_again();
    until("an answer", || list.len() == Ok(1));
}

#[test]
fn a_stopped_server_is_waited_for_so_long_and_a_change_is_in_doubt() {
    let _watchdog = watchdog();
    let server = Server::start();
    let manager = Manager::connect(&format!("{}?timeout_ms=400", server.url())).unwrap();
    let list = manager.list([1]).unwrap();

    signal(server.pid(), libc::SIGSTOP);
    assert!(matches!(list.len(), Err(Error::Unreachable { .. })));
    let unanswered = list.push(2).unwrap_err();
    assert!(matches!(unanswered, Error::Unanswered { .. } | Error::Unreachable { .. }), "{unanswered}");
    signal(server.pid(), libc::SIGCONT);
    until("an answer", || list.len().is_ok());
    assert!(list.len().unwrap() <= 2);
}

/// Sent, and then no answer: what has come of it is decided when the server answers again, and stays so.
#[test]
fn a_change_that_a_stopped_server_was_sent_is_in_doubt_until_it_answers() {
    let _watchdog = watchdog();
    let server = Server::start();
    let manager = Manager::connect(&format!("{}?timeout_ms=300", server.url())).unwrap();
    let other = Manager::connect(&server.url()).unwrap();
    let both =
        |manager: &Manager| (manager.at("list").list::<u32>().unwrap(), manager.at("dict").dict::<u32, u32>().unwrap());
    let ((list, dict), (same_list, same_dict)) = (both(&manager), both(&other));
    let mut expected = (0, 0);
    for turn in 0..4 {
        // A connection that is there, so that the change goes out over it at once.
        assert_eq!((list.len(), dict.len()), (Ok(expected.0), Ok(expected.1)));
        signal(server.pid(), libc::SIGSTOP);
        let told = if turn % 2 == 0 { list.push(turn) } else { dict.insert(turn, turn).map(drop) };
        assert!(matches!(told, Err(Error::Unanswered { .. })), "{told:?}");
        signal(server.pid(), libc::SIGCONT);
        // The same thread: it asks for nothing before what it has given up is settled.
        let found = (list.len().unwrap(), dict.len().unwrap());
        let most = (expected.0 + usize::from(turn % 2 == 0), expected.1 + turn as usize % 2);
        assert!(found == expected || found == most, "{found:?} after {expected:?}");
        for _ in 0..100 {
            assert_eq!((same_list.len(), same_dict.len()), (Ok(found.0), Ok(found.1)));
        }
        expected = found;
    }
}

#[test]
fn a_full_server_says_so_and_gives_back() {
    let _watchdog = watchdog();
    let server = Server::start();
    let manager = Manager::connect(&server.url()).unwrap();
    let list = manager.list(["x".repeat(1 << 20), "y".to_owned()]).unwrap();
    server.ask("CONFIG SET maxmemory 1mb");
    assert!(matches!(list.push("z"), Err(Error::ServerFull { .. })));
    assert!(matches!(manager.list([1]).map(drop), Err(Error::ServerFull { .. })));
    assert_eq!(list.pop().unwrap().as_deref(), Some("y"));
    assert_eq!(list.get(0).unwrap().len(), 1 << 20);
    list.clear().unwrap();
    server.ask("CONFIG SET maxmemory 0");
    list.push("z").unwrap();
    assert_eq!(list.to_vec().unwrap(), ["z"]);
}

#[test]
fn what_only_a_killed_process_held_is_freed() {
    fn hoard(all: Dict<u8, List<u8>>, manager: String) {
        let manager = Manager::connect(&manager).unwrap();
        let lists: Vec<_> = (0..10).map(|n| manager.list([n]).unwrap()).collect();
        all.insert(1, lists.last().unwrap()).unwrap_err(); // of another session: not the same manager
        all.clear().unwrap();
        signal(std::process::id(), libc::SIGKILL);
    }
    let _watchdog = watchdog();
    let server = Server::start();
    let url = format!("{}?lease_ms=600", server.url());
    let manager = Manager::connect(&url).unwrap();
    let all = manager.dict::<u8, List<u8>>().unwrap();
    let objects = || server.ask("EVAL \"return #redis.call('KEYS', 'crossproc:o:*')\" 0");
    let before = objects();
    let process = Process::spawn(hoard, (&all, format!("{url}&timeout_ms=4000"))).unwrap();
    assert!(process.join().is_err());
    until("its lists to go", || objects() == before);
}

#[test]
fn nothing_is_left_when_all_handles_are_gone() {
    let _watchdog = watchdog();
    let server = Server::start();
    {
        let manager = Manager::connect(&server.url()).unwrap();
        let dict = manager.dict::<u32, List<u32>>().unwrap();
        for n in 0..1_000 {
            dict.insert(n, manager.list([n]).unwrap()).unwrap();
        }
    }
    let again = Manager::connect(&server.url()).unwrap();
    until("an empty server", || server.ask("EVAL \"return #redis.call('KEYS', 'crossproc:[og]:*')\" 0") == ":0\r\n");
    drop(again);
}

/// Each gets the answers to its own requests, also directly behind a request of the parent's.
#[test]
fn a_forked_copy_has_connections_of_its_own() {
    fn all_right(dict: &Dict<u32, u32>, keys: std::ops::Range<u32>) -> bool {
        keys.clone().chain(keys).all(|key| dict.get(key) == Ok(Some(key)))
    }
    let _watchdog = watchdog();
    let server = Server::start();
    let dict = Manager::connect(&server.url()).unwrap().dict::<u32, u32>().unwrap();
    dict.extend((0..400).map(|key| (key, key))).unwrap();
    for _ in 0..5 {
        assert!(dict.contains_key(0).unwrap());
        // SAFETY: the copy does what other threads cannot have broken by disappearing, and ends with _exit.
        let copy = unsafe { libc::fork() };
        if copy == 0 {
            let is_right = all_right(&dict, 0..200);
            // SAFETY: ends the copy at once, without destructors.
            unsafe { libc::_exit(i32::from(!is_right)) };
        }
        let is_right = all_right(&dict, 200..400);
        let mut status = -1;
        // SAFETY: our child; `status` outlives the call.
        assert_eq!(unsafe { libc::waitpid(copy, &mut status, 0) }, copy);
        assert!(is_right && status == 0, "the parent: {is_right}, the copy: {status}");
    }
}

/// A server that remembers an older state would have the lock held for ever by a process that lives and has given it back.
#[test]
fn a_lock_that_an_older_state_remembers_is_free_again() {
    let _watchdog = watchdog();
    let mut server = Server::with(&["--dbfilename", "dump.rdb"]);
    let one = Manager::connect(&format!("{}?lease_ms=1000", server.url())).unwrap();
    let other = Manager::connect(&format!("{}?lease_ms=1001", server.url())).unwrap();
    let (lock, same) = (one.at("lock").lock().unwrap(), other.at("lock").lock().unwrap());
    let guard = lock.lock().unwrap();
    assert_eq!(server.ask("SAVE"), "", "an OK is not shown");
    guard.unlock().unwrap();
    server.kill();
    server.start_again();
    match same.lock_timeout(Duration::from_secs(20)) {
        Ok(guard) => guard.unlock().unwrap(),
        Err(TryLockError::OwnerDied(guard)) => guard.unlock().unwrap(),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn many_handles_are_not_held_in_one_step() {
    let _watchdog = watchdog();
    let server = Server::start();
    let manager = Manager::connect(&server.url()).unwrap();
    let (one, list, dict) = (manager.list([1]).unwrap(), manager.list([]).unwrap(), manager.dict().unwrap());
    list.extend((0..5_001).map(|_| one.clone())).unwrap();
    dict.extend((0..5_001).map(|key| (key, one.clone()))).unwrap();
    let too_many = Error::TooManyChanges { asked: 5_001, fit: 5_000 };
    let lists: Result<Vec<List<i32>>, _> = list.to_vec();
    assert_eq!(lists.map(drop), Err(too_many.clone()));
    assert_eq!(dict.items().map(drop), Err(too_many));
    // One at a time, or fewer.
    list.pop().unwrap();
    dict.remove(0).unwrap();
    assert_eq!((list.to_vec().unwrap().len(), dict.items().unwrap().len()), (5_000, 5_000));
    assert_eq!(dict.get(1).unwrap().unwrap().to_vec().unwrap(), [1]);
}
