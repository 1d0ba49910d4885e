//! What is lost between a process and a server, at each of many places: a change has happened, or it has not, and whoever was told that it
//! has can rely on it.

use std::time::Duration;

use crossproc::managed::{Dict, List, Queue, Value};
use crossproc::{Error, GetError, Manager, PutError, TryGetError};

use crate::common::watchdog;
use crate::proxy::{Proxy, Way};
use crate::redis::Server;

/// Up to how many bytes that way there is a cut, and at each how-manieth; and how often there is one at least. Requests are shorter than
/// that, and so are answers, but for the first ones over a connection: some are a number and its frame, of four bytes.
const CUTS: [(Way, usize, usize, u32); 2] = [(Way::Requests, 420, 3, 30), (Way::Answers, 60, 1, 4)];

/// A server, as it is seen from here, and through somebody who loses things.
struct Wires {
    direct: Manager,
    lossy: Manager,
    proxy: Proxy,
    server: Server,
}

impl Wires {
    fn new() -> Self {
        let server = Server::start();
        let proxy = Proxy::start(&server.socket());
        let direct = Manager::connect(&server.url()).unwrap();
        let lossy = Manager::connect(&format!("{}?timeout_ms=4000", proxy.url())).unwrap();
        Wires { direct, lossy, proxy, server }
    }

    /// An `H` that was made from here, and what it is through the other.
    fn both<H>(&self, place: impl Fn(&Manager) -> H) -> (H, H) {
        (place(&self.direct), place(&self.lossy))
    }

    /// Calls `act` once for each place at which its connection is cut, and then `check`, with what it has said.
    fn at_each_cut<R>(&self, ready: impl Fn(), mut act: impl FnMut(u32) -> R, mut check: impl FnMut(u32, R, &str)) {
        let mut turn = 0;
        for (way, longest, step, least) in CUTS {
            let before = self.proxy.heal();
            for bytes in (0..longest).step_by(step) {
                // So that it is connected.
                ready();
                self.proxy.cut_after(way, bytes);
                let result = act(turn);
                self.proxy.heal();
                check(turn, result, &format!("cut after {bytes} bytes of {way:?}"));
                turn += 1;
            }
            let cuts = self.proxy.heal() - before;
            assert!(cuts >= least, "{cuts} cuts of {way:?} only");
        }
    }
}

/// Whether a change has happened of which this was told; `None`: nobody knows.
fn has_happened<T>(told: &Result<T, Error>, place: &str) -> Option<bool> {
    match told {
        Ok(_) => Some(true),
        Err(Error::Unanswered { .. }) => None,
        Err(Error::Unreachable { .. }) => Some(false),
        Err(other) => panic!("{place}: {other}"),
    }
}

#[test]
fn a_push_happens_once_or_not_at_all() {
    let _watchdog = watchdog();
    let wires = Wires::new();
    let (here, there) = wires.both(|manager| manager.at("list").list::<u32>().unwrap());
    let (mut expected, mut doubts) = (Vec::new(), 0);
    let ready = || assert!(there.len().is_ok());
    wires.at_each_cut(
        ready,
        |turn| there.push(turn),
        |turn, told, place| {
            let items = here.to_vec().unwrap();
            let (old, new) = items.split_at(expected.len().min(items.len()));
            assert_eq!(old, expected, "{place}");
            match has_happened(&told, place) {
                Some(true) => assert_eq!(new, [turn], "{place}"),
                Some(false) => assert!(new.is_empty(), "{place}: it says {told:?}"),
                None => {
                    doubts += 1;
                    assert!(new.is_empty() || new == [turn], "{place}: {new:?}");
                }
            }
            expected = items;
        },
    );
    assert!(doubts >= 10, "there were {doubts} doubts only: nothing was lost in the midst");
}

#[test]
fn an_addition_happens_once_or_not_at_all() {
    let _watchdog = watchdog();
    let wires = Wires::new();
    let (here, there): (Value<u64>, _) = wires.both(|manager| manager.at("count").value(0).unwrap());
    let mut expected = 0;
    let ready = || assert!(there.get().is_ok());
    wires.at_each_cut(
        ready,
        |_| there.fetch_add(1),
        |_, told, place| {
            let count = here.get().unwrap();
            match has_happened(&told, place) {
                Some(happened) => assert_eq!(count, expected + u64::from(happened), "{place}: {told:?}"),
                None => assert!(count == expected || count == expected + 1, "{place}: {count}, not {expected}"),
            }
            if let Ok(before) = told {
                assert_eq!(before, expected, "{place}");
            }
            expected = count;
        },
    );
}

#[test]
fn an_entry_is_inserted_and_removed_once_or_not_at_all() {
    let _watchdog = watchdog();
    let wires = Wires::new();
    let (here, there): (Dict<u32, String>, _) = wires.both(|manager| manager.at("dict").dict().unwrap());
    let ready = || assert!(there.len().is_ok());
    wires.at_each_cut(
        ready,
        |turn| there.insert(turn, "new"),
        |turn, told, place| {
            let found = here.get(turn).unwrap();
            if let Some(happened) = has_happened(&told, place) {
                assert_eq!(found.is_some(), happened, "{place}: {told:?}");
            }
            assert!(matches!(told, Ok(None) | Err(_)), "{place}: there was nothing before");
            here.insert(turn, "old").unwrap();
        },
    );
    wires.at_each_cut(
        ready,
        |turn| there.remove(turn),
        |turn, told, place| {
            if let Some(happened) = has_happened(&told, place) {
                assert_eq!(here.contains_key(turn).unwrap(), !happened, "{place}: {told:?}");
            }
            if let Ok(old) = told {
                assert_eq!(old.as_deref(), Some("old"), "{place}");
            }
        },
    );
}

#[test]
fn reads_never_fail() {
    let _watchdog = watchdog();
    let wires = Wires::new();
    let (here, there): (List<u32>, _) = wires.both(|manager| manager.at("list").list().unwrap());
    here.extend([1, 2, 3]).unwrap();
    let ready = || assert!(there.len().is_ok());
    wires.at_each_cut(ready, |_| there.to_vec(), |_, items, place| assert_eq!(items, Ok(vec![1, 2, 3]), "{place}"));
    wires.at_each_cut(ready, |_| there.len(), |_, length, place| assert_eq!(length, Ok(3), "{place}"));
}

/// Also one that would leave the same if it were carried out twice: in between somebody else may have come.
#[test]
fn a_change_happens_or_not() {
    let _watchdog = watchdog();
    let wires = Wires::new();
    let (here, there): (List<u32>, _) = wires.both(|manager| manager.at("list").list().unwrap());
    let (counts_here, counts): (Dict<u32, u32>, _) = wires.both(|manager| manager.at("dict").dict().unwrap());
    here.extend([1, 2, 3]).unwrap();
    let ready = || assert!(there.len().is_ok());
    let mut last = 2;
    wires.at_each_cut(
        ready,
        |turn| there.set(1, turn),
        |turn, told, place| {
            let items = here.to_vec().unwrap();
            match told {
                Ok(()) => assert_eq!(items, [1, turn, 3], "{place}"),
                Err(Error::Unanswered { .. }) => assert!([turn, last].contains(&items[1]), "{place}: {items:?}"),
                Err(error) => panic!("{place}: {error}"),
            }
            last = items[1];
        },
    );
    wires.at_each_cut(
        ready,
        |turn| counts.extend([(turn, turn), (turn + 1, turn)]),
        |turn, told, place| {
            let (items, whole) = (counts_here.items().unwrap(), [(turn, turn), (turn + 1, turn)]);
            match told {
                Ok(()) => assert_eq!(items, whole, "{place}"),
                Err(Error::Unanswered { .. }) => assert!(items.is_empty() || items == whole, "{place}: {items:?}"),
                Err(error) => panic!("{place}: {error}"),
            }
            counts_here.clear().unwrap();
        },
    );
}

#[test]
fn a_new_object_is_made_once() {
    let _watchdog = watchdog();
    let wires = Wires::new();
    let objects = || wires.server.ask("EVAL \"return #redis.call('KEYS', 'crossproc:o:*')\" 0");
    let kept = wires.lossy.at("kept").list::<u8>().unwrap();
    let before = objects();
    wires.at_each_cut(
        || assert!(kept.len().is_ok()),
        |_| wires.lossy.dict::<u8, u8>(),
        |_, made, place| {
            let made = made.unwrap_or_else(|error| panic!("{place}: {error}"));
            made.insert(1, 2).unwrap();
            assert_eq!(made.len().unwrap(), 1, "{place}");
        },
    );
    while objects() != before {
        std::thread::yield_now(); // under the watchdog
    }
}

#[test]
fn a_message_is_put_once_or_not_at_all() {
    let _watchdog = watchdog();
    let wires = Wires::new();
    let (here, there): (Queue<u32>, _) = wires.both(|manager| manager.at("jobs").queue(100).unwrap());
    let ready = || assert!(there.len().is_ok());
    wires.at_each_cut(
        ready,
        |turn| there.put(turn),
        |turn, told, place| {
            let told = told.map_err(|error| match error {
                PutError::Failed { message, error } if message == turn => error,
                other => panic!("{place}: {other:?}"),
            });
            let got = here.try_get();
            match has_happened(&told, place) {
                Some(true) => assert_eq!(got, Ok(turn), "{place}"),
                Some(false) => assert_eq!(got, Err(TryGetError::Empty), "{place}"),
                None => assert!(got == Ok(turn) || got == Err(TryGetError::Empty), "{place}: {got:?}"),
            }
            assert_eq!(here.try_get(), Err(TryGetError::Empty), "{place}: twice");
        },
    );
}

#[test]
fn a_message_is_got_once_and_none_is_lost() {
    let _watchdog = watchdog();
    let wires = Wires::new();
    let (here, there): (Queue<u32>, _) = wires.both(|manager| manager.at("jobs").queue(100).unwrap());
    let ready = || assert!(there.len().is_ok());
    let nothing_left = |place: &str| {
        assert_eq!(here.try_get(), Err(TryGetError::Empty), "{place}: twice");
        assert!(here.join_timeout(Duration::from_secs(20)).unwrap(), "{place}: it is in somebody's hands");
    };
    wires.at_each_cut(
        || {
            ready();
            here.put(7).unwrap();
        },
        |_| there.get(),
        |_, got, place| {
            // Both of its requests can be asked again.
            assert_eq!(got, Ok(7), "{place}");
            there.task_done().unwrap();
            nothing_left(place);
        },
    );
    wires.at_each_cut(
        || {
            ready();
            here.put(7).unwrap();
        },
        |_| {
            let task = there.get_task()?;
            assert_eq!(*task, 7);
            task.done().map_err(GetError::Failed)
        },
        |_, done, place| {
            assert_eq!(done, Ok(()), "{place}");
            nothing_left(place);
        },
    );
}

/// Nothing was sent over it, so that there is nothing to be in doubt about.
#[test]
fn a_connection_that_ends_between_two_requests_goes_unnoticed() {
    let _watchdog = watchdog();
    let wires = Wires::new();
    let (here, there): (List<u32>, _) = wires.both(|manager| manager.at("list").list().unwrap());
    for turn in 0..50 {
        assert_eq!(there.len(), Ok(turn as usize));
        wires.proxy.cut();
        there.push(turn).unwrap();
    }
    assert!(here.to_vec().unwrap().into_iter().eq(0..50));
}

/// The server carries it out and nobody says so: after the time is up, that is told, and what follows works.
#[test]
fn who_never_gets_an_answer_is_told_and_goes_on() {
    let _watchdog = watchdog();
    let wires = Wires::new();
    let impatient = Manager::connect(&format!("{}?timeout_ms=200", wires.proxy.url())).unwrap();
    let (here, there): (List<u32>, List<u32>) =
        (wires.direct.at("list").list().unwrap(), impatient.at("list").list().unwrap());
    // From now on the server knows the script: otherwise it could lose the answer that says that it does not.
    there.push(1).unwrap();
    for turn in 1..5 {
        assert_eq!(there.len(), Ok(turn));
        wires.proxy.swallow_answers();
        let told = there.push(1);
        assert!(matches!(told, Err(Error::Unanswered { .. })), "{told:?}");
        assert!(matches!(there.len(), Err(Error::Unreachable { .. })), "a read changes nothing");
        wires.proxy.heal();
        assert_eq!(there.len(), Ok(turn + 1));
        assert_eq!(here.len(), Ok(turn + 1));
    }
}

/// A request that is still on its way when its sender has given it up, and has asked for something else.
#[test]
fn what_was_given_up_is_not_carried_out_later() {
    let _watchdog = watchdog();
    let wires = Wires::new();
    let impatient = Manager::connect(&format!("{}?timeout_ms=200", wires.proxy.url())).unwrap();
    let (here, there): (List<u32>, List<u32>) =
        (wires.direct.at("list").list().unwrap(), impatient.at("list").list().unwrap());
    there.push(0).unwrap();
    for turn in 1..5 {
        assert_eq!(there.len(), Ok(turn));
        wires.proxy.hold_requests();
        let told = there.push(1000);
        assert!(matches!(told, Err(Error::Unanswered { .. })), "{told:?}");
        // Over a new connection, by which the server learns that it is not to hear the old one.
        there.push(turn as u32).unwrap();
        wires.proxy.release();
        // What came before this over another connection has been looked at by then.
        for _ in 0..3 {
            wires.server.ask("PING");
        }
        assert!(here.to_vec().unwrap().into_iter().eq(0..turn as u32 + 1), "it was carried out after all");
    }
}
