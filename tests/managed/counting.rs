//! Several processes at one container: nothing is lost, doubled, or seen half done.

use crossproc::managed::{Dict, List, Set};
use crossproc::{Error, Manager, Process};

use crate::common::locking::Stage;
use crate::common::watchdog;

const PROCESSES: u64 = 8;
const TIMES: u64 = if cfg!(debug_assertions) { 1_000 } else { 10_000 };

type Counts = Dict<String, u64>;

/// What so many processes count at once; `start` starts one.
fn counted_by_all(start: impl Fn(&Counts) -> crossproc::Result<Process<()>>) -> Counts {
    let _watchdog = watchdog();
    let counts = Manager::start().unwrap().dict().unwrap();
    let processes: Vec<_> = (0..PROCESSES).map(|_| start(&counts).unwrap()).collect();
    for process in processes {
        process.join().unwrap();
    }
    counts
}

#[test]
fn every_fetch_add_counts() {
    let work = |counts: Counts| {
        for _ in 0..TIMES {
            counts.fetch_add("a", 1).unwrap();
        }
    };
    let counts = counted_by_all(|counts| Process::spawn(work, (counts,)));
    assert_eq!(counts.items(), Ok(vec![("a".to_string(), PROCESSES * TIMES)]));
}

#[test]
fn no_two_get_the_same_from_fetch_add() {
    let _watchdog = watchdog();
    let counts: Counts = Manager::start().unwrap().dict().unwrap();
    let work = |counts: Counts| (0..1_000).map(|_| counts.fetch_add("a", 1).unwrap()).collect::<Vec<_>>();
    let processes = [0; 4].map(|_| Process::spawn(work, (&counts,)).unwrap());
    let mut tickets: Vec<_> = processes.into_iter().flat_map(|process| process.join().unwrap()).collect();
    tickets.sort_unstable();
    assert!(tickets.into_iter().eq(0..4_000));
}

#[test]
fn every_update_counts() {
    let work = |counts: Counts| {
        let _ = counts.compare_exchange("a", None, Some(&0)).unwrap();
        for _ in 0..TIMES {
            counts.update("a", |count| count + 1).unwrap();
        }
    };
    let counts = counted_by_all(|counts| Process::spawn(work, (counts,)));
    assert_eq!(counts.get("a"), Ok(Some(PROCESSES * TIMES)));
}

#[test]
fn every_use_of_an_entry_counts() {
    let work = |counts: Counts| {
        for number in 0..TIMES {
            let key = (number % 3).to_string();
            counts.entry(&key).unwrap().and_modify(|count| *count += 1).or_insert(1).unwrap();
        }
    };
    let counts = counted_by_all(|counts| Process::spawn(work, (counts,)));
    assert_eq!(counts.values().unwrap().iter().sum::<u64>(), PROCESSES * TIMES);
}

#[test]
fn one_of_all_gets_a_key_by_compare_exchange() {
    let _watchdog = watchdog();
    let owners: Dict<u64, u64> = Manager::start().unwrap().dict().unwrap();
    let claim = |owners: Dict<u64, u64>, me: u64| {
        let is_mine = |key: &u64| owners.compare_exchange(key, None, Some(&me)).unwrap().is_ok();
        (0..500).filter(is_mine).count()
    };
    let processes: Vec<_> = (0..4_u64).map(|me| Process::spawn(claim, (&owners, me)).unwrap()).collect();
    let claimed: usize = processes.into_iter().map(|process| process.join().unwrap()).sum();
    assert_eq!((claimed, owners.len().unwrap()), (500, 500));
}

/// Whatever it is called with may have changed since somebody looked.
fn unless_out_of_range<R>(result: Result<R, Error>) -> Option<R> {
    match result {
        Err(Error::OutOfRange { .. }) => None,
        result => Some(result.unwrap()),
    }
}

/// Puts its own numbers in everywhere, and takes some of anybody's out everywhere: these.
fn shuffle(list: List<u64>, me: u64) -> Vec<u64> {
    let mut taken = Vec::new();
    for number in me * TIMES / 4..(me + 1) * TIMES / 4 {
        let middle = list.len().unwrap() / 2;
        match number % 3 {
            0 => list.push(number).unwrap(),
            1 => list.insert(0, number).unwrap(),
            _ => unless_out_of_range(list.insert(middle, number)).unwrap_or_else(|| list.push(number).unwrap()),
        }
        match number % 7 {
            0 | 1 => taken.extend(list.pop().unwrap()),
            2 => taken.extend(unless_out_of_range(list.remove(0))),
            3 | 4 => taken.extend(unless_out_of_range(list.remove(middle))),
            _ => {}
        }
    }
    taken
}

#[test]
fn a_list_loses_and_doubles_nothing() {
    let _watchdog = watchdog();
    let list = Manager::start().unwrap().list::<u64>([]).unwrap();
    let processes: Vec<_> = (0..4).map(|me| Process::spawn(shuffle, (&list, me)).unwrap()).collect();
    let mut numbers: Vec<_> = processes.into_iter().flat_map(|process| process.join().unwrap()).collect();
    numbers.extend(list.to_vec().unwrap());
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..TIMES), "something was lost or is there twice");
}

#[test]
fn a_member_of_a_set_is_inserted_once_and_removed_once() {
    let _watchdog = watchdog();
    let set = Manager::start().unwrap().set::<u32>([]).unwrap();
    let change = |set: Set<u32>| {
        let inserted = (0..500).filter(|n| set.insert(n).unwrap()).count();
        (inserted, (0..500).filter(|n| set.remove(n).unwrap()).count())
    };
    let processes = [0; 4].map(|_| Process::spawn(change, (&set,)).unwrap());
    let changes = processes.map(|process| process.join().unwrap());
    let (inserted, removed) = changes.iter().fold((0, 0), |sum, change| (sum.0 + change.0, sum.1 + change.1));
    assert!(inserted >= 500 && inserted == removed, "{inserted} inserted, {removed} removed");
    assert!(set.is_empty().unwrap());
}

type Accounts = Dict<u32, i64>;

const ACCOUNTS: u32 = 10;

/// Moves money from each account to some other one, in an order of its own.
fn transfer(accounts: Accounts, me: u32) {
    for round in 0..TIMES as u32 / 4 {
        let (from, to) = ((round * 7 + me) % ACCOUNTS, (round * 3 + me * 5 + 1) % ACCOUNTS);
        let moved = accounts.with(|accounts| {
            let amount = i64::from(round % 13);
            let left = accounts.get(from)?.unwrap() - amount;
            accounts.insert(from, left)?;
            let right = accounts.get(to)?.unwrap() + amount;
            accounts.insert(to, right)
        });
        assert_eq!(moved, Ok(true));
    }
}

#[test]
fn money_is_never_seen_on_its_way() {
    let _watchdog = watchdog();
    let accounts: Accounts = Manager::start().unwrap().dict().unwrap();
    accounts.extend((0..ACCOUNTS).map(|account| (account, 100))).unwrap();
    let over = Stage::new();
    let sum = |accounts: Accounts, over: Stage| {
        let mut looks = 0_u64;
        while !over.has_reached(1) || looks == 0 {
            let items = accounts.items().unwrap();
            assert_eq!(items.iter().map(|(_, amount)| amount).sum::<i64>(), 100 * i64::from(ACCOUNTS));
            assert!(items.iter().map(|(account, _)| *account).eq(0..ACCOUNTS), "in the order in which they came");
            looks += 1;
        }
    };
    let readers = [0; 2].map(|_| Process::spawn(sum, (&accounts, &over)).unwrap());
    let movers: Vec<_> = (0..4).map(|me| Process::spawn(transfer, (&accounts, me)).unwrap()).collect();
    for mover in movers {
        mover.join().unwrap();
    }
    over.advance();
    for reader in readers {
        reader.join().unwrap();
    }
}

#[test]
fn a_list_is_sorted_and_updated_while_others_change_it() {
    let _watchdog = watchdog();
    let list = Manager::start().unwrap().list((0..50).rev()).unwrap();
    let disturb = |list: List<u64>| {
        for _ in 0..200 {
            list.reverse().unwrap();
            list.update(25, |number| number + 100).unwrap();
            list.sort().unwrap();
        }
    };
    let processes = [0; 4].map(|_| Process::spawn(disturb, (&list,)).unwrap());
    for process in processes {
        process.join().unwrap();
    }
    let items = list.to_vec().unwrap();
    assert_eq!((items.len(), items.iter().sum::<u64>()), (50, (0..50).sum::<u64>() + 4 * 200 * 100));
    list.sort().unwrap();
    assert!(list.to_vec().unwrap().is_sorted());
}
