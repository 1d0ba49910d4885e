use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use crossproc::{Error, Name, Process, RawArray, RawValue, Value, unlink_abandoned};

use super::common::watchdog;
use super::{TestName, is_missing, remove};

/// How many of something there are: fewer in a debug build.
fn many(in_release: usize) -> usize {
    if cfg!(debug_assertions) { in_release / 10 } else { in_release }
}

/// Waves of processes that all want the object of one name, and one that exists only once.
#[test]
fn all_who_race_to_make_an_object_get_the_same() {
    let _watchdog = watchdog();
    let name = TestName::new();
    let gate = RawValue::new(AtomicU64::new(0)).unwrap();
    let race = |name: String, gate: RawValue<AtomicU64>| {
        gate.fetch_add(1, SeqCst);
        while gate.load(SeqCst) & GO == 0 {
            std::thread::yield_now();
        }
        let counter = RawValue::open_or_create(Name::new(name).persist(), AtomicU64::new(0)).unwrap();
        counter.fetch_add(1, SeqCst);
    };
    const GO: u64 = 1 << 32;
    let (waves, width) = (many(50).div_ceil(10), if cfg!(debug_assertions) { 20 } else { 200 });
    for _ in 0..waves {
        gate.store(0, SeqCst);
        let processes: Vec<_> = (0..width).map(|_| Process::spawn(race, (name.as_str(), &gate)).unwrap()).collect();
        while gate.load(SeqCst) < width {
            std::thread::yield_now();
        }
        gate.fetch_or(GO, SeqCst);
        for process in processes {
            process.join().unwrap();
        }
    }
    let counter = RawValue::<AtomicU64>::open(name.as_str()).unwrap();
    assert_eq!(counter.load(SeqCst), waves as u64 * width);
    remove(&name);
}

/// Uses an object again and again, which a collector must never take away under it: whoever opens the name meanwhile gets the
/// same object.
fn use_it(name: String, me: usize, rounds: usize) -> Result<(), String> {
    for round in 1..=rounds as u64 {
        let mine = RawArray::<AtomicU64>::open_or_create(Name::new(&*name).persist(), 8).map_err(|e| e.to_string())?;
        mine[me].store(round, SeqCst);
        let again = match RawArray::<AtomicU64>::open(&*name) {
            Err(error) => return Err(format!("round {round}: {error}, of an object in use")),
            Ok(again) => again,
        };
        if again[me].load(SeqCst) != round {
            return Err(format!("round {round}: another object under the same name"));
        }
    }
    Ok(())
}

#[test]
fn a_collector_takes_nothing_that_is_in_use_or_being_made() {
    let _watchdog = watchdog();
    let name = TestName::new();
    let stop = RawValue::new(AtomicU64::new(0)).unwrap();
    let collect = |name: String, stop: RawValue<AtomicU64>| {
        let mut collected = 0;
        while stop.load(SeqCst) == 0 {
            collected += u64::from(unlink_abandoned(&name) == Ok(true));
        }
        collected
    };
    let collectors = [(); 2].map(|()| Process::spawn(collect, (name.as_str(), &stop)).unwrap());
    let rounds = many(5_000);
    let users = [0, 1].map(|me| Process::spawn(use_it, (name.as_str(), me, rounds)).unwrap());
    for user in users {
        assert_eq!(user.join().unwrap(), Ok(()));
    }
    stop.store(1, SeqCst);
    let collected: u64 = collectors.into_iter().map(|collector| collector.join().unwrap()).sum();
    assert!(collected > 0, "the collectors have never been at work");
    let _ = unlink_abandoned(name.as_str());
    assert!(is_missing(&RawArray::<AtomicU64>::open(name.as_str())));
}

/// Makers whose names go with them, against those who open them: whole, or not there.
#[test]
fn what_is_opened_is_whole() {
    let _watchdog = watchdog();
    let name = TestName::new();
    let make = |name: String, rounds: usize| {
        for round in 0..rounds as u64 {
            match Value::create(&name, [round; 64]) {
                Ok(value) => drop(value),
                Err(Error::NameTaken { .. }) => {}
                Err(other) => panic!("{other}"),
            }
        }
    };
    let makers = [(); 2].map(|()| Process::spawn(make, (name.as_str(), many(3_000))).unwrap());
    let mut found = 0;
    while makers.iter().any(|maker| maker.is_alive()) {
        match Value::<[u64; 64]>::open(name.as_str()) {
            Ok(value) => {
                let whole = value.get();
                assert!(whole.iter().all(|word| *word == whole[0]));
                found += 1;
            }
            Err(error) => assert!(matches!(error, Error::NoSuchName { .. }), "{error}"),
        }
    }
    for maker in makers {
        maker.join().unwrap();
    }
    assert!(found > 0, "nobody has ever found one");
    assert!(!name.exists());
}
