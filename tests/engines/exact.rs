//! Many changes of one entry by many processes, counted exactly.

use std::time::{Duration, Instant};

use crossproc::managed::{Dict, Event};
use crossproc::{Manager, Process};

use crate::common::watchdog_of;
#[cfg(feature = "redis")]
use crate::redis::Server;

const PROCESSES: u64 = 8;
const TURNS: u64 = 10_000;

/// A hundred and sixty thousand requests take a server ten seconds or so, and there may be others at work.
const PATIENCE: Duration = Duration::from_secs(240);

type Counts = Dict<String, u64>;

/// Has all begin at once; checks that each number was somebody's, and nobody else's.
macro_rules! by_all {
    ($manager:expr, $turn:expr) => {
        let (counts, go): (Counts, Event) = ($manager.dict().unwrap(), $manager.event().unwrap());
        counts.insert("all", 0).unwrap();
        let work = |counts: Counts, go: Event| -> u64 {
            go.wait().unwrap();
            let (mut last, mut sum) = (None, 0);
            for _ in 0..TURNS {
                let found: u64 = $turn(&counts);
                assert!(last < Some(found), "{last:?}, and then {found}");
                (last, sum) = (Some(found), sum + found);
            }
            sum
        };
        let processes: Vec<_> = (0..PROCESSES).map(|_| Process::spawn(work, (&counts, &go)).unwrap()).collect();
        let start = Instant::now();
        go.set().unwrap();
        let sum: u64 = processes.into_iter().map(|process| process.join().unwrap()).sum();
        let all = PROCESSES * TURNS;
        println!("{:.0} turns a second", all as f64 / start.elapsed().as_secs_f64());
        assert_eq!((counts.get("all"), counts.len()), (Ok(Some(all)), Ok(1)));
        // Of 0, 1, 2 ..
        assert_eq!(sum, all * (all - 1) / 2);
    };
}

fn add(manager: &Manager) {
    by_all!(manager, |counts: &Counts| counts.fetch_add("all", 1).unwrap());
}

fn update(manager: &Manager) {
    by_all!(manager, |counts: &Counts| counts.update("all", |count| count + 1).unwrap() - 1);
}

#[test]
fn eight_processes_add_and_update_ten_thousand_times_each() {
    let _watchdog = watchdog_of(PATIENCE);
    let manager = Manager::start().unwrap();
    add(&manager);
    update(&manager);
}

/// One after the other, so that they do not wait for each other.
#[cfg(feature = "redis")]
#[test]
fn eight_processes_add_and_update_ten_thousand_times_each_at_a_server() {
    let _watchdog = watchdog_of(PATIENCE);
    let server = Server::start();
    let manager = Manager::connect(&server.url()).unwrap();
    add(&manager);
    update(&manager);
}
